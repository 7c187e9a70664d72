"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const charts = read("charts");
  const palettes = read("palettes");
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const told = { charts: charts.length, drawn: 0, errors: [], first_ms: null, all_ms: null };
  window.hrfsReport = told;

  // Numbers and texts are never colours, and there are many of them.
  const PLAIN = new Set(["x", "y", "base", "hovertext", "text", "ticktext", "tickvals", "name"]);

  function colour(name, palette) {
    const [key, opacity] = name.slice(1).split("/");
    const hex = palette[key];
    if (!opacity) return hex;
    const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${parts.join(",")},${opacity})`;
  }

  function themed(part, palette) {
    if (typeof part === "string") return part.startsWith("@") ? colour(part, palette) : part;
    if (Array.isArray(part)) return part.map((item) => themed(item, palette));
    if (part === null || typeof part !== "object") return part;
    const copy = {};
    for (const [key, value] of Object.entries(part)) {
      copy[key] = PLAIN.has(key) || (key === "title") ? value : themed(value, palette);
    }
    return copy;
  }

  // Corners of all bars of a trace, as one path.
  function fill(chart) {
    for (const boxes of chart.boxes) {
      const x = [], y = [];
      boxes.row.forEach((row, i) => {
        const from = boxes.start[i], to = from + boxes.length[i];
        x.push(from, from, to, to, from, null);
        y.push(row - 0.4, row + 0.4, row + 0.4, row - 0.4, row - 0.4, null);
      });
      Object.assign(chart.data[boxes.trace], { x, y });
    }
  }

  // Bars by row, ascending by their start, so that the pointer finds its bar soon.
  function index(chart) {
    const rows = new Map();
    for (const { trace, row, start, length, hover } of chart.boxes) {
      row.forEach((at, i) => {
        if (!rows.has(at)) rows.set(at, []);
        rows.get(at).push({ trace, from: start[i], to: start[i] + length[i], hover: hover[i] });
      });
    }
    for (const bars of rows.values()) bars.sort((a, b) => a.from - b.from);
    return rows;
  }

  function barAt(rows, x, y, visible) {
    const row = Math.round(y);
    if (Math.abs(y - row) > 0.4) return null;
    const bars = rows.get(row) ?? [];
    let low = 0, high = bars.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bars[middle].from <= x) low = middle + 1; else high = middle;
    }
    for (let i = low - 1; i >= 0 && i >= low - 4; i--) {
      if (x <= bars[i].to && visible(bars[i].trace)) return bars[i];
    }
    return null;
  }

  const tip = document.getElementById("tip");
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  function listen(chart, place) {
    if (!chart.boxes.length) return;
    const rows = index(chart);
    const visible = (trace) => !["legendonly", false].includes(place.data[trace].visible);
    place.addEventListener("mouseleave", () => { tip.hidden = true; });
    place.addEventListener("mousemove", (event) => {
      const { xaxis, yaxis } = place._fullLayout;
      const frame = place.querySelector(".nsewdrag").getBoundingClientRect();
      const x = xaxis.p2d(event.clientX - frame.left), y = yaxis.p2d(event.clientY - frame.top);
      const inside = event.clientX >= frame.left && event.clientX <= frame.right;
      const bar = inside ? barAt(rows, x, y, visible) : null;
      tip.hidden = !bar?.hover;
      if (tip.hidden) return;
      tip.textContent = bar.hover;
      const left = Math.min(event.pageX + 14, window.scrollX + root.clientWidth - tip.offsetWidth - 8);
      tip.style.left = `${Math.max(window.scrollX, left)}px`;
      tip.style.top = `${event.pageY + 16}px`;
    });
  }

  async function draw(chart) {
    const place = document.getElementById(`plot-${chart.key}`);
    const palette = palettes[root.dataset.theme];
    const config = { responsive: true, displaylogo: false };
    try {
      const layout = themed(chart.layout, palette);
      const first = !place.data;
      if (first) fill(chart);
      await Plotly.react(place, themed(chart.data, palette), layout, config);
      if (first) listen(chart, place);
    } catch (error) {
      told.errors.push(`${chart.key}: ${error}`);
      place.textContent = "This figure could not be drawn.";
    }
  }

  async function drawAll() {
    for (const chart of charts) {
      await new Promise((resume) => setTimeout(resume));
      await draw(chart);
      told.drawn = Math.min(told.drawn + 1, charts.length);
      told.first_ms ??= performance.now();
      root.dataset.opened = "";
    }
    told.all_ms ??= performance.now();
    root.dataset.drawn = root.dataset.theme;
  }

  function dress(theme) {
    root.dataset.theme = theme;
    const other = theme === "dark" ? "light" : "dark";
    button.textContent = `Use ${other} colours`;
  }

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dress(dark.matches ? "dark" : "light");
  let drawing = drawAll();
  const change = (theme) => {
    dress(theme);
    drawing = drawing.then(drawAll);
  };
  button.addEventListener("click", () => change(root.dataset.theme === "dark" ? "light" : "dark"));
  dark.addEventListener("change", (event) => change(event.matches ? "dark" : "light"));
})();
