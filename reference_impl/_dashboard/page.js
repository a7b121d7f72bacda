"use strict";
(() => {
  const ORDERS_SHOWN = 20, SPARK_POINTS = 120, TEXT_CHARS = 200;
  const FIRST_PAUSE_MS = 250, LONGEST_PAUSE_MS = 10_000, PATIENCE_MS = 5_000;
  const ESS = {
    ARMED: ["✔", "Orders go out."], TRIPPED: ["✖", "All orders are stopped."],
    COOLING_DOWN: ["▲", "Orders are stopped until the cooldown is over."], DISABLED: ["▲", "The emergency stop is off."],
  };
  const SERVICE = { HEALTHY: ["✔", "good"], DEGRADED: ["▲", "warn"], CRITICAL: ["✖", "bad"] };
  const MODEL = { ok: ["✔", "good"], stale: ["▲", "warn"], unavailable: ["✖", "bad"] };
  const at = (id) => document.getElementById(id);

  // What is known. `state` is by topic and key; everything in it came over the feed, so it is shown as text only.
  let epoch = null, through = null, criticalSeq = null, base = 0, conflatedHere = 0, known = false;
  let conflated = 0, missed = 0, reconnects = 0, serverSeq = 0;
  let state = new Map(), orders = [], equities = [];
  let here = new Set(), criticals = [];

  // The connection.
  let token = null, socket = null, limits = { heartbeat: 2, ping_every: 3 };
  let heardAt = 0, pingedAt = 0, pings = 0, attempts = 0, retryAt = 0, lostAt = 0, welcomed = false, lastPrompt = "";

  const short = (value) => {
    const text = typeof value === "string" ? value : JSON.stringify(value) ?? "";
    return text.length > TEXT_CHARS ? `${text.slice(0, TEXT_CHARS)}…` : text;
  };
  const shown = (value) => (value === null || value === undefined || value === "" ? "–" : short(value));
  // Decimal texts are grouped as texts: a float would round them.
  const amount = (value) => {
    const parts = typeof value === "string" ? /^(-?)(\d+)(\.\d+)?$/.exec(value) : null;
    return parts ? `${parts[1] ? "−" : ""}${parts[2].replace(/\B(?=(\d{3})+$)/g, "\u202f")}${parts[3] ?? ""}` : shown(value);
  };
  const share = (value) => (typeof value === "number" ? `${(100 * value).toFixed(1)} %` : shown(value));
  const clock = (ms) => (Number.isFinite(ms) && Math.abs(ms) < 8e15 ? new Date(ms).toISOString().slice(11, 19) : "?");
  const since = (s) => (typeof s === "number" ? `${clock(1000 * s)} UTC` : shown(s));
  const fields = (value) => (value !== null && typeof value === "object" ? value : {});
  const put = (id, text) => { const node = at(id); if (node.textContent !== text) node.textContent = text; };
  const sign = (value) => (typeof value === "string" && /[1-9]/.test(value) ? (value[0] === "-" ? "bad" : "good") : "");
  const look = (table, word) => (Object.hasOwn(table, word) ? table[word] : ["?", "unknown"]);

  // --- what is shown -------------------------------------------------------------------------------------------------
  const fill = (id, rows) => {
    at(id).replaceChildren(...rows.map((cells) => {
      const row = document.createElement("tr");
      cells.forEach(([text, kind = ""], column) => {
        const cell = document.createElement(column === 0 ? "th" : "td");
        if (column === 0) cell.scope = "row";
        if (kind) cell.className = kind;
        cell.textContent = text;
        row.append(cell);
      });
      return row;
    }));
    at(`${id}-empty`).hidden = rows.length > 0;
  };
  const byKey = (topic) => [...state.values()].filter((one) => one.topic === topic)
    .sort((one, other) => (one.key < other.key ? -1 : 1));

  const showValues = () => {
    const equity = fields(state.get("portfolio.equity\n")?.value);
    put("equity", amount(equity.equity));
    for (const name of ["realised", "unrealised", "fees"]) put(name, amount(equity[name]));
    at("unrealised").className = sign(equity.unrealised);
    put("drawdown", share(equity.drawdown));
    const low = Math.min(...equities), spread = Math.max(...equities) - low || 1;
    const points = equities.map((y, x) => `${(240 * x) / Math.max(1, equities.length - 1)},${38 - (36 * (y - low)) / spread}`);
    at("spark").firstElementChild.setAttribute("points", points.length > 1 ? points.join(" ") : "");

    const ess = fields(state.get("ess.state\n")?.value), word = shown(ess.state);
    const [symbol, meaning] = Object.hasOwn(ESS, word) ? ESS[word] : ["?", "Nothing is known yet."];
    at("ess").dataset.state = Object.hasOwn(ESS, word) ? word : "UNKNOWN";
    put("ess-symbol", symbol);
    put("ess-state", word === "–" ? "UNKNOWN" : word);
    put("ess-meaning", meaning);
    put("ess-reason", shown(ess.reason));
    put("ess-actor", shown(ess.actor));
    put("ess-since", since(ess.since));

    fill("positions", byKey("portfolio.position").map(({ key, value }) => {
      const one = fields(value);
      return [[shown(key)], [amount(one.quantity), "number"], [amount(one.entry_price), "number"],
        [amount(one.mark_price), "number"], [amount(one.unrealised), `number ${sign(one.unrealised)}`]];
    }));
    fill("models", byKey("ai.metrics").map(({ key, value }) => {
      const one = fields(value), [symbolOf, kind] = look(MODEL, one.status);
      const status = `${symbolOf} ${shown(one.status)}${one.reason ? `: ${short(one.reason)}` : ""}`;
      return [[shown(key)], [status, `state ${kind}`], [share(one.accuracy), "number"], [shown(one.samples), "number"]];
    }));
    fill("services", byKey("health.service").map(({ key, value }) => {
      const one = fields(value), [symbolOf, kind] = look(SERVICE, one.state);
      return [[shown(key)], [`${symbolOf} ${shown(one.state)}`, `state ${kind}`], [shown(one.reason)]];
    }));
    fill("orders", orders.map(({ at: ns, key, value }) => {
      const one = fields(value), bad = ["REJECTED", "EXPIRED"].includes(one.status);
      return [[clock(ns / 1e6)], [shown(key)], [shown(one.side)], [shown(one.status), bad ? "state bad" : "state"],
        [`${amount(one.filled)} / ${amount(one.quantity)}`, "number"], [amount(one.average_price), "number"],
        [shown(one.client_order_id)]];
    }));
  };

  const showFeed = () => {
    const now = performance.now(), quiet = now - heardAt, beat = 1000 * limits.heartbeat;
    const seconds = (ms) => `${Math.max(0, Math.round(ms / 1000))} s`;
    let kind = "live", text = "Live";
    if (!token) [kind, text] = ["refused", "Token needed"];
    else if (!welcomed) {
      kind = lostAt ? "lost" : "connecting";
      const left = retryAt - now;
      text = !lostAt ? "Connecting" : left > 0 ? `Reconnecting in ${seconds(left)}` : "Reconnecting";
    } else if (quiet > 2 * beat) [kind, text] = ["stale", `Stale for ${seconds(quiet)}`];
    document.body.dataset.feed = kind;
    put("feed-text", text);
    put("heard", !heardAt ? "–" : kind === "live" && quiet < beat + 1000 ? "up to date" : `${seconds(quiet)} ago`);
    put("feed-detail", kind === "live" ? "Everything shown is current." : lostAt || kind === "stale"
      ? "What is shown is from before the connection was lost." : "Not connected yet.");
    put("seq", through === null ? "–" : `${through}${serverSeq > through ? ` of ${serverSeq}` : ""}`);
    put("conflated", String(conflated));
    put("missed", String(missed));
    put("reconnects", String(reconnects));
    at("missed").className = missed ? "bad" : "";
    const stale = known && (kind === "lost" || kind === "stale");
    if (stale) put("notice", `Not current: nothing was heard for ${seconds(quiet)}. ${lastPrompt}`);
    else if (missed) put("notice", "Critical events are missing that the server no longer has. Do not rely on the order list alone.");
    at("notice").hidden = !(stale || missed);
  };

  let drawing = false;
  const draw = () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => { drawing = false; showValues(); showFeed(); });
  };

  // --- the feed ------------------------------------------------------------------------------------------------------
  const critical = (topic) => topic.startsWith("ess.") || topic.startsWith("order.");
  const take = (event) => {
    const place = `${event.topic}\n${event.key}`, before = state.get(place);
    if (before && before.seq >= event.seq) return;
    state.set(place, event);
    if (event.topic === "portfolio.equity") {
      const value = Number(fields(event.value).equity);
      if (Number.isFinite(value)) equities = [...equities, value].slice(-SPARK_POINTS);
    }
  };
  const restart = (why) => { lastPrompt = why; through = null; socket?.close(); };

  const on = {
    welcome(frame) {
      welcomed = true;
      attempts = 0;
      limits = { ...limits, ...frame.limits };
      if (lostAt) reconnects += 1;
      lostAt = 0;
      if (epoch !== null && epoch !== frame.epoch) [criticalSeq, criticals, missed] = [null, [], missed + 1];
      ({ epoch, base } = frame);
      through = base;
      serverSeq = frame.seq;
      conflatedHere = 0;
      here = new Set();
      criticals = criticals.filter((seq) => seq > base);
      if (!frame.resumed) state = new Map();
    },
    snapshot(frame) {
      frame.state.forEach(take);
      if (criticalSeq !== null && criticalSeq < frame.critical_from) missed += 1;
      criticalSeq = Math.max(criticalSeq ?? 0, frame.critical_from);
      if (frame.more) return;
      known = true;
      if (!orders.length) {
        orders = byKey("order.update").sort((one, other) => other.seq - one.seq).slice(0, ORDERS_SHOWN);
      }
    },
    batch(frame) {
      for (const event of frame.events) {
        if (critical(event.topic)) {
          criticalSeq = Math.max(criticalSeq ?? 0, event.seq);
          criticals.push(event.seq);
          if (event.topic === "order.update") orders = [event, ...orders].slice(0, ORDERS_SHOWN);
        } else here.add(event.seq);
        take(event);
      }
      if (frame.after !== through) { restart("The feed had a gap."); return; }
      through = frame.through;
      serverSeq = Math.max(serverSeq, through);
      conflatedHere += frame.conflated;
      conflated += frame.conflated;
      // Everything up to `through` was received or superseded, or something is missing.
      let delivered = 0;
      for (const seq of here) if (seq <= through) delivered += 1;
      for (const seq of criticals) if (seq > base && seq <= through) delivered += 1;
      if (delivered + conflatedHere !== through - base) { restart("The feed did not add up."); return; }
      here = new Set([...here].filter((seq) => seq > through));
      criticals = criticals.filter((seq) => seq > through);
      conflatedHere = 0;
      base = through;
    },
    heartbeat(frame) { serverSeq = frame.seq; },
    pong(frame) { serverSeq = Math.max(serverSeq, frame.seq); },
  };

  const lose = (code, reason) => {
    if (welcomed || !lostAt) lostAt = performance.now();
    welcomed = false;
    socket = null;
    if (code === 4401) {
      sessionStorage.removeItem("token");
      token = null;
      ask("The server does not take this token.");
      return;
    }
    lastPrompt = reason ? `The server said: ${short(reason)}.` : "";
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempts) * (0.5 + Math.random() / 2);
    attempts = Math.min(attempts + 1, 10);
    retryAt = performance.now() + pause;
    setTimeout(connect, pause);
    draw();
  };

  const connect = () => {
    if (socket || !token) return;
    const mine = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    const began = performance.now();
    let over = false;
    const end = (code, reason) => { if (!over) { over = true; clearInterval(watch); lose(code, reason); } };
    const watch = setInterval(() => {
      const last = welcomed ? heardAt : began, patience = welcomed ? 3000 * limits.heartbeat : PATIENCE_MS;
      if (performance.now() - last > patience) { mine.close(); end(0, ""); }
    }, 250);
    socket = mine;
    mine.onopen = () => mine.send(JSON.stringify(
      { type: "hello", token, epoch, last_seq: through, critical_seq: criticalSeq }));
    mine.onmessage = ({ data }) => {
      if (over) return;
      heardAt = performance.now();
      let frame;
      try { frame = JSON.parse(data); } catch { mine.close(); return; }
      if (Object.hasOwn(on, frame.type)) on[frame.type](frame);
      // Here rather than by a timer, which a browser slows down in a tab that nobody looks at.
      if (welcomed && heardAt - pingedAt > 1000 * limits.ping_every - 500 && mine.readyState === WebSocket.OPEN) {
        pingedAt = heardAt;
        pings += 1;
        mine.send(JSON.stringify({ type: "ping", id: pings }));
      }
      draw();
    };
    mine.onclose = ({ code, reason }) => end(code, reason);
    draw();
  };

  const ask = (why) => {
    if (why) put("asking-why", why);
    draw();
    if (!at("asking").open) at("asking").showModal();
  };
  at("asking").addEventListener("cancel", (event) => event.preventDefault());
  at("asking-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token = at("token").value.trim();
    if (!token) return;
    at("token").value = "";
    sessionStorage.setItem("token", token);
    at("asking").close();
    connect();
  });

  // From the fragment, which browsers do not send, and away from the address bar.
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("token");
  if (token) connect();
  else ask("");
  setInterval(draw, 1000);
  showFeed();
})();
