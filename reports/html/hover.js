"use strict";
// Hover only: a cursor through all charts of a run, and the values of that instant above each. All of it is also in the data tables.
for (const run of document.querySelectorAll(".charts")) {
  const charts = [...run.querySelectorAll("svg.chart")].map((svg) => ({
    svg,
    cursor: svg.querySelector(".cursor"),
    readout: svg.closest("figure").querySelector(".readout"),
    series: [...svg.querySelectorAll("path[data-v]")].map((path) => ({
      name: path.dataset.n,
      values: path.dataset.v.split(",").flatMap((part) => {
        const [value, count] = part.split("*");
        return Array(Number(count || 1)).fill(value);
      }),
    })),
  }));
  const show = (event) => {
    const svg = event.target.closest("svg.chart");
    if (!svg) return hide();
    const box = svg.getBoundingClientRect();
    const end = Number(svg.dataset.end);
    const step = Number(svg.dataset.step);
    const x = ((event.clientX - box.left) / box.width) * LAYOUT.width;
    const time = ((x - LAYOUT.left) / (LAYOUT.right - LAYOUT.left)) * end;
    if (time < 0 || time > end) return hide();
    const bucket = Math.floor(time / step);
    for (const chart of charts) {
      chart.cursor.setAttribute("transform", "translate(" + x.toFixed(1) + " 0)");
      chart.cursor.setAttribute("visibility", "visible");
      const values = chart.series.map((one) => one.name + " " + (one.values[bucket] || "not measured"));
      chart.readout.textContent = (bucket * step).toFixed(step < 1 ? 2 : 0) + " s: " + values.join(", ");
    }
  };
  const hide = () => {
    for (const chart of charts) {
      chart.cursor.setAttribute("visibility", "hidden");
      chart.readout.textContent = "";
    }
  };
  run.addEventListener("pointermove", show);
  run.addEventListener("pointerleave", hide);
}
