/* Curves above a film's own axis: one panel a kind of number, each line labelled where it ends. */
"use strict";

gan.curves = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LABEL_HEIGHT = 15;

  function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /* Push labels apart until none covers another, and keep them inside. */
  function spread(labels, height) {
    labels.sort((a, b) => a.y - b.y);
    labels.forEach((label, i) => {
      label.y = Math.max(label.y, LABEL_HEIGHT / 2, i ? labels[i - 1].y + LABEL_HEIGHT : 0);
    });
    for (let i = labels.length - 1, limit = height - LABEL_HEIGHT / 2; i >= 0; i--) {
      labels[i].y = Math.min(labels[i].y, limit);
      limit = labels[i].y - LABEL_HEIGHT;
    }
  }

  function panel({ title, lines, low, high, log, format }, width, height, gutter) {
    const svg = element("svg", { class: "panel", width: width + gutter, height, role: "img", "aria-label": title });
    const values = lines.flatMap((line) => line.points.map(([, y]) => y));
    const scale = log ? (y) => Math.log(Math.max(y, 1e-9)) : (y) => y;
    const bottom = low ?? (log ? Math.min(...values) : Math.min(0, ...values));
    const top = high ?? robustMaximum(values);
    const share = (y) => (scale(Math.min(y, top)) - scale(bottom)) / (scale(top) - scale(bottom) || 1);
    const place = (y) => height - 3 - share(y) * (height - 6);
    svg.append(element("rect", { class: "ground", width, height, rx: 6 }));
    const labels = [];
    for (const { label, colour, points } of lines) {
      if (!points.length) continue;
      const path = points.map(([x, y], i) => `${i ? "L" : "M"}${(x * width).toFixed(1)},${place(y).toFixed(1)}`).join("");
      svg.append(element("path", { d: path, class: "line", stroke: colour }));
      labels.push({ label, colour, y: place(points.at(-1)[1]) });
    }
    spread(labels, height);
    for (const { label, colour, y } of labels) {
      svg.append(element("circle", { cx: width + 12, cy: y, r: 4, fill: colour }));
      svg.append(element("text", { x: width + 22, y, class: "label" }, label));
    }
    svg.append(element("text", { x: 8, y: 13, class: "title" }, title));
    svg.append(element("text", { x: width - 6, y: 13, class: "scale" }, `top ${format(top)}`));
    return svg;
  }

  /* A spike at the first steps must not flatten the rest of a curve. */
  function robustMaximum(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const typical = sorted[Math.floor(sorted.length * 0.95)] ?? 1;
    return Math.min(sorted.at(-1) ?? 1, typical * 4) || 1;
  }

  /* Draw `panels` into `box`: [{title, lines: [{label, colour, points: [[x 0..1, y]]}], low, high, log, format}]. */
  function draw(box, panels, { width, height, gutter }) {
    box.replaceChildren(...panels.map((one) => panel(one, width, height, gutter)));
  }

  return { draw };
})();
