/* Walk: from seed to seed through latent space, as a film to scrub; or all between four of them, under the pointer. */
"use strict";

const FRAMES = 60;
const SIDE = 12; // of the pad
const MOST_SIDE = 4096; // pixels of a sheet
const MOST = 8;
const LETTERS = "ABCDEFGH";

const part = (selector) => element.querySelector(selector);
const section = part(".walk");
const pad = part(".pad canvas");
const drawStep = gan.snapshots(part);
let sheet = null; // the pad's pictures
let spot = [0.5, 0.5];

/* The stops in order, the page's own seed first: [{seed, class: index or null}]. */
function stops(state) {
  const chain = [{ seed: state.seed, class: state.class }, ...state.stops];
  while (chain.length < (state.pad ? 4 : 2)) chain.push(after(chain));
  return state.pad ? chain.slice(0, 4) : chain;
}

const after = (chain) => ({ seed: (chain.at(-1).seed + 1) % (gan.MAX_SEED + 1), class: null });

function spoken(one, classes) {
  return classes ? `seed ${one.seed}, class ${classes[one.class ?? one.seed % classes.length]}` : `seed ${one.seed}`;
}

// ---------------------------------------------------------------- the stops' own inputs

function stopItem(index, one, classes, removable) {
  const item = document.createElement("li");
  const seed = Object.assign(document.createElement("input"), { type: "number", min: 0, step: 1, value: one.seed });
  seed.setAttribute("aria-label", `Seed of stop ${LETTERS[index]}`);
  seed.addEventListener("change", () => {
    const value = gan.wholeSeed(seed.value);
    if (value === null) {
      seed.value = one.seed;
      return gan.say(`A seed is a whole number from 0 to ${gan.MAX_SEED}.`);
    }
    gan.hush();
    change(index, { seed: value });
  });
  item.append(Object.assign(document.createElement("b"), { textContent: LETTERS[index] }), seed);
  if (classes) {
    const chosen = document.createElement("select");
    chosen.append(new Option("mixed", ""), ...classes.map((name, i) => new Option(name, i)));
    chosen.value = one.class ?? "";
    chosen.setAttribute("aria-label", `Class of stop ${LETTERS[index]}`);
    chosen.addEventListener("change", () => change(index, { class: chosen.value === "" ? null : Number(chosen.value) }));
    item.append(chosen);
  }
  if (removable) {
    const remove = Object.assign(document.createElement("button"), { type: "button", className: "remove", textContent: "×" });
    remove.setAttribute("aria-label", `Remove stop ${LETTERS[index]}`);
    remove.addEventListener("click", () => gan.set({ stops: gan.state.stops.filter((_, i) => i !== index - 1) }));
    item.append(remove);
  }
  return item;
}

function change(index, changes) {
  if (index === 0) return gan.set(changes);
  const chain = stops(gan.state).slice(1);
  chain[index - 1] = { ...chain[index - 1], ...changes };
  gan.set({ stops: [...chain, ...gan.state.stops.slice(chain.length)] }); // beyond a pad's four corners too
}

function drawControls(state, card) {
  const chain = stops(state);
  const list = part(".stops");
  const at = [...list.querySelectorAll("input, select, button")].indexOf(document.activeElement);
  const removable = !state.pad && chain.length > 2;
  const drawn = JSON.stringify([chain, card.classes, removable]);
  if (list.dataset.drawn !== drawn) {
    list.replaceChildren(...chain.map((one, i) => stopItem(i, one, card.classes, removable && i > 0)));
    const all = [...list.querySelectorAll("input, select, button")];
    if (at !== -1) (all[at] ?? all.at(-1)).focus();
    list.dataset.drawn = drawn; // a run that grows under a half-typed seed changes nothing of it
  }
  drawStep(card, state.step);
  part(".straight").checked = state.straight;
  part(".closed").checked = state.closed;
  part(".as-pad").checked = state.pad;
  part(".straight").disabled = part(".closed").disabled = part(".save-gif").disabled = state.pad;
  part(".add").ariaDisabled = state.pad || chain.length >= MOST ? "true" : null; // disabled, it would lose the focus
  part(".pad").hidden = !state.pad;
  document.getElementById("walk-film").hidden = state.pad;
  if (state.pad && state.tab === "walk") gan.inFront()?.halt();
}

// ---------------------------------------------------------------- the walk as a film

function question(card, state) {
  return {
    stops: gan.writeStops(stops(state)),
    frames: FRAMES,
    straight: state.straight ? 1 : null,
    closed: state.closed ? 1 : null,
    step: gan.shownStep(card, state.step),
  };
}

function describe(state, card, index) {
  const chain = stops(state);
  const round = state.closed ? [...chain, chain[0]] : chain;
  const at = (index / (state.closed ? FRAMES : FRAMES - 1)) * (round.length - 1);
  const before = Math.min(Math.floor(at + 1e-9), round.length - 2);
  const part = Math.max(0, at - before);
  const name = (i) => LETTERS[i % chain.length];
  const percent = Math.round(100 * part);
  const headline = percent === 0 ? name(before) : percent === 100 ? name(before + 1) : `${name(before)} → ${name(before + 1)}`;
  const from = spoken(round[before], card.classes);
  const to = spoken(round[before + 1], card.classes);
  return {
    headline,
    short: gan.percent(index / (FRAMES - 1)),
    picture: `A generated image ${percent} percent of the way from ${from} to ${to}`,
    now: { headline, facts: percent % 100 ? [from, `${percent} % of the way to`, to] : [percent ? to : from] },
    aside: {
      headline: "",
      facts: [
        state.straight ? "in a straight line" : "on the great arc (slerp)",
        `${card.latent_size} latent dimensions`,
        `the generator at step ${gan.number(gan.shownStep(card, state.step))}`,
      ],
    },
  };
}

function layout(card) {
  const [height, width] = card.image_shape;
  const frame = { frame_columns: Math.ceil(Math.sqrt(FRAMES)), frame_width: width, frame_height: height };
  return { frames: FRAMES, ...frame, tiles: 1, tile_columns: 1, tile_width: width, tile_height: height };
}

const load = gan.newest(async (signal, asked) => {
  const state = { ...gan.state };
  const card = await gan.card(state.model);
  if (gan.state.model === card.key) drawControls(gan.state, card); // also where the server was away before
  if (state.pad) return loadPad(state, card, signal);
  const chain = stops(state);
  const marks = state.closed ? chain.length : chain.length - 1;
  const film = await gan.film("walk");
  await film.show({
    url: gan.url(card, "walk.webp", question(card, state)),
    layout: layout(card),
    rate: 20,
    quiet: !asked,
    name: `${card.key}-walk`,
    axis: "Position on the walk",
    start: () => gan.state.at ?? 0,
    rested: (index) => gan.set({ at: index || null }),
    caption: (index) => describe(state, card, index),
    panels: () => [],
    ticks: (wanted) => [...chain, ...(state.closed ? [chain[0]] : [])].map((one, i) => [
      Math.min(FRAMES - 1, (i / marks) * (state.closed ? FRAMES : FRAMES - 1)),
      LETTERS[i % chain.length] + (2 * (marks + 1) > wanted ? "" : `: ${spoken(one, card.classes)}`), // where there is room
    ]),
  }, signal);
});

// ---------------------------------------------------------------- the pad

async function loadPad(state, card, signal) {
  const side = Math.min(SIDE, Math.floor(MOST_SIDE / card.image_shape[0]));
  const url = gan.url(card, "pad.webp", { stops: gan.writeStops(stops(state)), side, step: gan.shownStep(card, state.step) });
  const picture = await gan.bitmap(url, signal);
  const isFirst = !sheet;
  sheet?.picture.close();
  sheet = { picture, side, width: card.image_shape[1], height: card.image_shape[0] };
  part(".pad").querySelectorAll(".corner").forEach((corner, i) => {
    corner.textContent = `${LETTERS[i]}: ${spoken(stops(state)[i], card.classes)}`;
  });
  if (isFirst) stand(state.spot);
  drawPad();
  section.dataset.shown = url;
}

/* Move to a spot of the address, "column,row", or to the middle. */
function stand(place) {
  spot = place ? place.split(",").map((at) => Math.min(1, at / (sheet.side - 1))) : [0.5, 0.5];
}

function drawPad() {
  if (!sheet) return;
  const [column, row] = spot.map((fraction) => Math.round(Math.max(0, Math.min(1, fraction)) * (sheet.side - 1)));
  const context = Object.assign(pad, { width: sheet.width, height: sheet.height }).getContext("2d");
  const from = [column * sheet.width, row * sheet.height, sheet.width, sheet.height];
  context.drawImage(sheet.picture, ...from, 0, 0, sheet.width, sheet.height);
  pad.dataset.spot = `${column},${row}`;
}

for (const kind of ["pointerdown", "pointermove"]) { // a finger that taps moves nothing
  pad.addEventListener(kind, (event) => {
    const box = pad.getBoundingClientRect();
    spot = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    requestAnimationFrame(drawPad);
  });
}
for (const kind of ["pointerup", "pointerleave"]) pad.addEventListener(kind, rest);

/* Only now does the address learn where. */
function rest() {
  drawPad();
  if (sheet) gan.set({ spot: pad.dataset.spot });
}

pad.addEventListener("keydown", (event) => {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!move || !sheet) return;
  event.preventDefault();
  event.stopPropagation();
  spot = spot.map((fraction, i) => Math.max(0, Math.min(1, fraction + move[i] / (sheet.side - 1))));
  rest();
  const [column, row] = pad.dataset.spot.split(",").map((at) => Number(at) + 1);
  part(".pad .spot").textContent = `Column ${column} of ${sheet.side}, row ${row}`;
});

// ---------------------------------------------------------------- hands

for (const [selector, name] of [[".straight", "straight"], [".closed", "closed"], [".as-pad", "pad"]]) {
  part(selector).addEventListener("change", () => gan.set({ [name]: part(selector).checked }));
}
part(".add").addEventListener("click", () => {
  if (part(".add").ariaDisabled) return;
  const chain = stops(gan.state);
  gan.set({ stops: [...chain.slice(1), after(chain)] });
});
part(".save-gif").addEventListener("click", async () => {
  const button = part(".save-gif");
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true"; // until it has come; disabled, it would lose the focus
  try {
    const card = await gan.card(gan.state.model);
    gan.download(await gan.answer(gan.url(card, "walk.gif", question(card, gan.state)), "blob"), `${card.key}-walk.gif`);
  } catch (error) {
    gan.fail(error);
  } finally {
    button.ariaDisabled = null;
  }
});

// ---------------------------------------------------------------- following the page

const FOLLOWED = ["model", "card", "seed", "class", "step", "stops", "straight", "closed", "pad", "tab"];

gan.watch(async (state, changed, restored) => {
  if (restored && sheet && changed.includes("spot")) {
    stand(state.spot);
    drawPad();
  }
  if (restored && changed.includes("at")) gan.film("walk").then((film) => film.go(state.at ?? 0));
  if (state.tab !== "walk" || !FOLLOWED.some((name) => changed.includes(name))) return;
  load(gan.wanted(changed));
  const card = await gan.card(state.model).catch(() => null); // load says why not
  if (card?.key === state.model) drawControls(state, card); // what hands are on does not wait for pictures
});
