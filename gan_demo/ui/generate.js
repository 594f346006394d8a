/* Generate: a grid of tiles, each with its seed, class and verdict; a click makes a tile's seed the page's. */
"use strict";

const COUNTS = [1, 4, 9, 16, 25, 36, 64];
const ROW = 10; // seeds in a row at the most, when each class has one
const MOST = 100; // tiles
const SAVED_SIDE = 256; // pixels at least: a saved tile is enlarged by a whole number, so that each pixel stays a square

const part = (selector) => element.querySelector(selector);
const section = part(".generate");
const drawStep = gan.snapshots(part);
let shown = null; // {card, facts, picture}: what the grid holds

part(".tiles").append(...COUNTS.map((count) => new Option(count, count)));

// ---------------------------------------------------------------- asking

/* The grid starts at the page's seed; a seed chosen inside it only moves the mark. */
function firstSeed(state) {
  return state.from ?? state.seed;
}

function question(card, state) {
  const rows = state.rows && card.classes !== null;
  const what = rows ? { rows: 1, columns: Math.max(1, Math.min(ROW, Math.floor(MOST / card.classes.length))) } : { tiles: state.tiles, class: state.class };
  const knobs = { step: gan.shownStep(card, state.step), truncation: state.truncation, guidance: card.classes && state.guidance };
  return { seed: firstSeed(state), ...what, ...knobs };
}

const load = gan.newest(async (signal, asked) => {
  const state = { ...gan.state };
  section.classList.toggle("loading", asked); // a run's growth dims nothing
  section.ariaBusy = "true";
  let card;
  try {
    card = await gan.card(state.model);
    if (gan.state.model === card.key) drawControls(card, gan.state); // what hands are on does not wait for pictures
    const what = question(card, state);
    const [picture, facts] = await Promise.all([
      gan.bitmap(gan.url(card, "grid.png", what), signal),
      gan.answer(gan.url(card, "grid.json", what), "json", { signal, patience: gan.PAINTING }),
    ]);
    const old = shown?.picture;
    shown = { card, facts, picture, rows: state.rows && card.classes !== null };
    old?.close();
    drawGrid();
    section.dataset.shown = JSON.stringify(what);
  } finally {
    section.classList.remove("loading");
    section.ariaBusy = "false";
  }
  await paintChips(card, state, signal);
});

// ---------------------------------------------------------------- drawing

function drawControls(card, state) {
  drawStep(card, state.step);
  drawKnob("truncation", state.truncation);
  drawKnob("guidance", state.guidance ?? card.guidance);
  part(".guidance-choice").hidden = card.classes === null;
  part(".tiles").value = state.tiles;
  part(".tiles").disabled = state.rows && card.classes !== null;
  part(".rows").checked = state.rows;
  part(".rows-choice").hidden = card.classes === null;
  drawChips(card);
  part(".legend").textContent = legend(card, state);
}

function legend(card, state) {
  const own = card.classes && card.guidance !== 1; // as few runs have
  return [
    state.rows && card.classes?.length > MOST && `The first ${MOST} classes.`,
    "Click a tile to take its seed everywhere.",
    card.verdict && "Under it: how sure the discriminator is that it is real.",
    own && `This run's own guidance is ${card.guidance}; 1 is as it was trained.`,
    (state.truncation !== 1 || (card.classes && state.guidance !== null)) &&
      `In Replay and Walk truncation is 1${card.classes ? ", guidance the run's own" : ""}.`,
  ]
    .filter(Boolean)
    .join(" ");
}

function drawKnob(name, value) {
  part(`.${name}`).value = value;
  part(`.${name}`).setAttribute("aria-valuetext", value.toFixed(2));
  part(`.${name}-value`).textContent = value.toFixed(2);
}

function cut(canvas, index, scale = 1) {
  const [height, width] = shown.card.image_shape;
  const { columns } = shown.facts;
  const context = Object.assign(canvas, { width: width * scale, height: height * scale }).getContext("2d");
  context.imageSmoothingEnabled = false;
  const from = [(index % columns) * width, Math.floor(index / columns) * height, width, height];
  context.drawImage(shown.picture, ...from, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function makeTile() {
  const tile = Object.assign(document.createElement("button"), { type: "button", className: "tile" });
  tile.append(document.createElement("canvas"));
  for (const name of ["seed", "verdict"]) {
    tile.append(Object.assign(document.createElement("span"), { className: name }));
  }
  return tile;
}

/* The words beside and above the tiles, from spans that are there already as far as they go. */
function edges() {
  const spare = [...element.querySelectorAll(".edge")];
  return (text, kind) => Object.assign(spare.shift() ?? document.createElement("span"), { textContent: text, className: `edge ${kind}` });
}

/* Have just these children: what stays where it is keeps the focus, and the press of a hand. */
function arrange(parent, wanted) {
  if (wanted.length === parent.children.length && wanted.every((one, i) => one === parent.children[i])) return;
  const focused = document.activeElement;
  parent.replaceChildren(...wanted);
  if (wanted.includes(focused)) focused.focus({ preventScroll: true });
}

function drawGrid() {
  const { facts, card } = shown;
  const byClass = shown.rows;
  const grid = part(".grid");
  const kept = [...grid.querySelectorAll(".tile")].slice(0, facts.seeds.length);
  const tiles = facts.seeds.map((_, index) => kept[index] ?? makeTile());
  tiles.forEach(drawTile);
  grid.classList.toggle("by-class", byClass);
  grid.style.setProperty("--columns", facts.columns);
  grid.style.setProperty("--rows", Math.ceil(facts.seeds.length / facts.columns));
  const edge = edges();
  if (byClass) {
    const heads = [edge("seed", "name"), ...facts.seeds.slice(0, facts.columns).map((seed) => edge(seed, "seed"))];
    const rows = tiles.flatMap((tile, index) =>
      index % facts.columns ? [tile] : [edge(card.classes[facts.classes[index]], "name"), tile],
    );
    arrange(grid, [...heads, ...rows]);
  } else arrange(grid, tiles);
  mark();
}

function drawTile(tile, index) {
  const { facts, card } = shown;
  cut(tile.querySelector("canvas"), index);
  const name = facts.classes && card.classes[facts.classes[index]];
  const verdict = facts.verdict && gan.percent(facts.verdict[index]);
  tile.dataset.index = index;
  tile.querySelector(".seed").textContent = facts.seeds[index];
  tile.querySelector(".verdict").textContent = verdict ?? "";
  tile.querySelector(".verdict").style.setProperty("--sure", facts.verdict ? facts.verdict[index] : 0);
  const parts = [`seed ${facts.seeds[index]}`, name && `class ${name}`, verdict && `judged ${verdict} real`];
  tile.title = parts.filter(Boolean).join(", ");
  tile.setAttribute("aria-label", tile.title);
}

function mark() {
  for (const tile of element.querySelectorAll(".tile")) {
    const index = Number(tile.dataset.index);
    const chosen = gan.state.rows ? gan.state.class : null;
    const hit = shown.facts.seeds[index] === gan.state.seed && (chosen === null || shown.facts.classes?.[index] === chosen);
    tile.setAttribute("aria-pressed", hit);
  }
}

/* The class choice in pictures: the page's seed as each class. Its chips are there before their pictures. */
function drawChips(card) {
  const list = part(".classes");
  list.hidden = card.classes === null;
  list.dataset.run = card.key;
  const classes = JSON.stringify(card.classes);
  if (card.classes && list.dataset.classes !== classes) {
    list.dataset.classes = classes;
    delete list.dataset.painted;
    list.style.setProperty("--chip", card.classes.some((name) => name.length > 3) ? "124px" : "76px");
    list.replaceChildren(makeChip("mixed", -1), ...card.classes.map(makeChip));
  }
  markClasses();
}

function makeChip(name, index) {
  const chip = Object.assign(document.createElement("button"), { type: "button", className: "chip", title: name });
  if (index >= 0 && index < MOST) chip.append(document.createElement("canvas")); // of many classes these are drawn
  chip.append(name);
  chip.dataset.index = index;
  return chip;
}

async function paintChips(card, state, signal) {
  if (card.classes === null) return;
  const step = gan.shownStep(card, state.step);
  const url = gan.url(card, "grid.png", { seed: state.seed, rows: 1, columns: 1, step, guidance: state.guidance });
  if (url === part(".classes").dataset.painted) return;
  const picture = await gan.bitmap(url, signal);
  const [height, width] = card.image_shape;
  if (part(".classes").dataset.run === card.key) {
    part(".classes").querySelectorAll("canvas").forEach((canvas, index) => {
      Object.assign(canvas, { width, height }).getContext("2d").drawImage(picture, 0, -index * height);
    });
    part(".classes").dataset.painted = url;
  }
  picture.close();
}

function markClasses() {
  for (const chip of part(".classes").children) {
    chip.setAttribute("aria-pressed", Number(chip.dataset.index) === (gan.state.class ?? -1));
  }
}

// ---------------------------------------------------------------- hands

part(".tiles").addEventListener("change", () => gan.set({ tiles: Number(part(".tiles").value) }));
part(".rows").addEventListener("change", () => gan.set({ rows: part(".rows").checked }));
for (const name of ["truncation", "guidance"]) {
  part(`.${name}`).addEventListener("input", () => {
    if (!shown) return;
    const value = Number(part(`.${name}`).value);
    const own = name === "guidance" && shown.card.key === gan.state.model && value === shown.card.guidance;
    gan.set({ [name]: own ? null : value });
    if (shown.card.key === gan.state.model) drawControls(shown.card, gan.state); // what it says waits for no picture
  });
}

part(".grid").addEventListener("click", (event) => {
  const tile = event.target.closest(".tile");
  if (!tile || shown.card.key !== gan.state.model) return;
  const index = Number(tile.dataset.index);
  const from = shown.facts.seeds[0];
  const seed = shown.facts.seeds[index];
  const chosen = gan.state.rows && shown.facts.classes ? { class: shown.facts.classes[index] } : {};
  gan.set({ seed, from: from === seed ? null : from, ...chosen });
});

part(".classes").addEventListener("click", (event) => {
  const chip = event.target.closest(".chip");
  if (chip && part(".classes").dataset.run === gan.state.model) gan.set({ class: Number(chip.dataset.index) === -1 ? null : Number(chip.dataset.index) });
});

function save(canvas, name) {
  canvas.toBlob((blob) => gan.download(blob, name), "image/png");
}

function enlargement() {
  return Math.max(1, Math.ceil(SAVED_SIDE / shown.card.image_shape[1]));
}

part(".save-tile").addEventListener("click", () => {
  if (!shown) return;
  const index = Math.max(0, [...element.querySelectorAll(".tile")].findIndex((tile) => tile.getAttribute("aria-pressed") === "true"));
  const canvas = cut(document.createElement("canvas"), index, enlargement());
  save(canvas, `${shown.card.key}-seed-${shown.facts.seeds[index]}.png`);
});

part(".save-grid").addEventListener("click", () => {
  if (!shown) return;
  const scale = Math.max(1, Math.floor(enlargement() / 2));
  const { width, height } = shown.picture;
  const canvas = Object.assign(document.createElement("canvas"), { width: width * scale, height: height * scale });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(shown.picture, 0, 0, canvas.width, canvas.height);
  save(canvas, `${shown.card.key}-seeds-${shown.facts.seeds[0]}-${shown.facts.seeds.at(-1)}.png`);
});

// ---------------------------------------------------------------- following the page

const FOLLOWED = ["model", "card", "seed", "class", "step", "from", "tiles", "rows", "truncation", "guidance", "tab"];

gan.watch((state, changed) => {
  if (state.tab === "generate" && FOLLOWED.some((name) => changed.includes(name))) {
    if (gan.wanted(changed)) section.classList.add("loading"); // also while the run's growth is at work
    load(gan.wanted(changed));
  }
});
