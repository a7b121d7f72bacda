// Contrast of every text and chart mark against what lies behind it, as WCAG 2.2 computes it.
() => {
  const parse = (color) => {
    const parts = color.match(/[\d.]+/g).map(Number);
    return { rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1 };
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.alpha === 1) return color.rgb;
    }
    return [255, 255, 255];
  };
  // Digits inside the offending marks of a lane diagram stand on the mark, which is drawn before them.
  const ground = (element) => {
    const mark = element.matches("text.dot") ? element.previousElementSibling : null;
    return mark ? parse(getComputedStyle(mark).fill).rgb : behind(element);
  };
  const result = { texts: 0, marks: 0, low: [] };
  for (const details of document.querySelectorAll("details")) details.open = true;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, title")) continue;
    const style = getComputedStyle(element);
    const color = parse(element.closest("svg") ? style.fill : style.color);
    result.texts += 1;
    const found = ratio(color.rgb, ground(element));
    if (found < 4.5 || color.alpha < 1 || Number(style.opacity) < 1) result.low.push([node.data.slice(0, 40), found.toFixed(2)]);
  }
  for (const mark of document.querySelectorAll("path.line, path.limit, path.edge, path.mark, path.axis, .dot:not(text), path.thread")) {
    const style = getComputedStyle(mark);
    result.marks += 1;
    const found = ratio(parse(style.stroke).rgb, behind(mark));
    if (found < 3 || Number(style.opacity) < 1) result.low.push([mark.getAttribute("class"), found.toFixed(2)]);
  }
  return result;
};
