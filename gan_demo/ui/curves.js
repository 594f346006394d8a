/* Curves above a film's own axis: one panel a kind of number, each line labelled where it ends. */
"use strict";

gan.curves = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LABEL_HEIGHT = 15;
  const TITLE_HEIGHT = 19; // no curve runs through it
  const LETTER = 6.2; // pixels, on average
  const SCALE = 70; // pixels at most that the scale takes beside a title
  // Okabe and Ito's colours: told apart with any colour vision, and by their labels without it.
  const LINES = {
    d_real: ["D on real", "#e69f00"],
    d_fake: ["D on generated", "#d55e00"],
    d_pair: ["D on pairs", "#e69f00"],
    r1: ["R1", "#cc79a7"],
    r2: ["R2", "#009e73"],
    g: ["G", "#56b4e9"],
    d_class: ["D, class", "#cc79a7"],
    g_class: ["G, class", "#009e73"],
    real_score: ["real images", "#e69f00"],
    fake_score: ["generated", "#56b4e9"],
    frechet: ["Fréchet distance", "#009e73"],
    swd: ["Wasserstein", "#009e73"],
    accuracy: ["class accuracy", "#cc79a7"],
  };
  const LOSSES = ["d_real", "d_fake", "d_pair", "g", "d_class", "g_class", "r1", "r2"];
  const SCORES = ["real_score", "fake_score"];

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
    const place = (y) => height - 3 - share(y) * (height - 3 - TITLE_HEIGHT);
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
    const long = 8 + LETTER * title.length + SCALE < width;
    svg.append(element("text", { x: 8, y: 13, class: "title" }, long ? title : title.split(/,| from| says/)[0]));
    svg.append(element("text", { x: width - 6, y: 13, class: "scale" }, `top ${format(top)}`));
    return svg;
  }

  /* A spike at the first steps must not flatten the rest of a curve. */
  function robustMaximum(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const typical = sorted[Math.floor(sorted.length * 0.95)] ?? 1;
    return Math.min(sorted.at(-1) ?? 1, typical * 4) || 1;
  }

  /* The lines of these columns that have points: `points(name)` is [[x 0..1, y]]. */
  function lines(names, points) {
    const all = names.map((name) => ({ label: LINES[name][0], colour: LINES[name][1], points: points(name) }));
    return all.filter((one) => one.points.length);
  }

  /* What every training logs: the loss terms, and how real the discriminator finds both kinds of images. */
  const losses = (points) => ({ title: "Loss", lines: lines(LOSSES, points), format: (y) => gan.number(y, 2) });
  const scores = (points) => ({ title: "Discriminator says “real”", lines: lines(SCORES, points), low: 0, high: 1, format: gan.percent });

  /* Draw `panels` into `box`: [{title, lines: [{label, colour, points: [[x 0..1, y]]}], low, high, log, format}]. */
  function draw(box, panels, { width, height, gutter }) {
    box.replaceChildren(...panels.map((one) => panel(one, width, height, gutter)));
  }

  return { draw, lines, losses, scores };
})();
