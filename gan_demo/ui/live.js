/* Live: start a training, follow its run as any other run, and keep the hands on it while it trains. */
"use strict";

const OFFERS = JSON.parse(document.getElementById("gan-live").textContent);
const ROOT = gan.ROOT.replace(/film$/, "live");
const HEADER = "X-Gan-Live";
const WATCHING = 700; // ms between two looks at a training, and at a stage where none is
const WAITING = 4000;
const UPLOADING = 120_000; // ms that a parcel of pictures may take
const FIRST = "cdcgan-mnist/slim"; // there are digits within a minute
const CLASSLESS = "dcgan-mnist/slim"; // for pictures without classes, of any size
const KS = [1, 2, 3, 4, 5, 8, 12, 16, 24, 32];
const MOVING = 600; // ms in which a point gets to its new place
const SIDE = 4; // tiles in a row
const PRESETS = {
  default: { k: null, d: 0, hint: "" },
  small: { k: 1, d: -5, hint: "k cannot be less than 1: the discriminator learns at 1/32 of its rate instead." },
  large: { k: 24, d: 0, hint: "24 discriminator steps for each step of the generator." },
};

const part = (selector) => element.querySelector(selector);
const section = part(".live");
const canvas = part("canvas");
let status = { phase: "idle", key: null };
let card = null; // of the run on the stage
let picture = null; // its tiles, and the address they came from
let own = null; // pictures of the visitor's: {pictures, count}
let picked = null; // the data set that was chosen by hand, or those pictures
let sending = false;
let turnedSince = false; // a knob, since the training ended
let turns = 0; // of knobs, and the server's answers to them: a status from before one says what was
let turning = false; // whether such an answer is still to come
let watched = false; // what runs stands in the form
let hint = "";
let seatless = false; // the button that had the keyboard's focus is hidden
let timer = 0;

/* Who has the hands on a training shows this; it outlives the page where the browser lets it. */
const token = {
  now: "new",
  get() {
    try {
      return localStorage.getItem("gan-live") ?? this.now;
    } catch {
      return this.now;
    }
  },
  set(value) {
    this.now = value;
    try {
      localStorage.setItem("gan-live", value);
    } catch {} // blocked: it counts until the page is closed
  },
};
const running = () => ["starting", "training", "paused", "ending"].includes(status.phase);

// ---------------------------------------------------------------- asking

const ask = (path, body, signal) => {
  const patience = body instanceof FormData ? UPLOADING : undefined;
  const headers = { [HEADER]: token.get() };
  return gan.answer(`${ROOT}/${path}`, "json", { method: body ? "POST" : "GET", body, headers, signal, patience });
};

/* Have something done, and see at once what came of it; what will not do is told where the person looks. */
async function act(path, what = {}) {
  try {
    const told = await ask(path, what instanceof FormData ? what : JSON.stringify(what));
    if (told.token) token.set(told.token);
    gan.hush();
    status = await ask("status.json");
    drawControls(!turning);
    loop();
    return told;
  } catch (error) {
    if (error.away) gan.fail(error);
    else gan.say(`${error.message[0].toUpperCase()}${error.message.slice(1)}`);
    return null;
  }
}

let busy = false;

/* What a button does, once at a time: a second press comes too soon to be meant. */
const alone = (work) => async (event) => {
  event.preventDefault();
  if (busy) return;
  busy = true;
  await work().finally(() => (busy = false));
};

const follow = gan.newest(async (signal) => {
  const turned = turns;
  status = await ask("status.json", undefined, signal);
  drawControls(turns === turned && !turning);
  if (status.key === null) return drawStage();
  if (!gan.run(status.key)) await gan.list();
  const fresh = await gan.freshCard(status.key);
  card = fresh.card;
  if (fresh.isNew && [gan.state.model, gan.state.beside].includes(status.key)) gan.refresh(["card"]); // Replay shows it too
  drawStage();
  const { seed } = gan.state;
  const step = card.snapshots.at(-1).step;
  const asked = { seed, step, class: chosenClass() };
  const url = card.points ? gan.url(card, "field.json", asked) : gan.url(card, "grid.png", { ...asked, tiles: SIDE * SIDE });
  if (picture?.url === url) return;
  const before = picture?.plane;
  const old = picture?.tiles;
  if (card.points) picture = { url, plane: await gan.answer(url, "json", { signal, patience: gan.PAINTING }) };
  else picture = { url, tiles: await gan.bitmap(url, signal) };
  old?.close();
  const what = card.points ? "points and the discriminator's verdict all over the plane" : "images";
  canvas.setAttribute("aria-label", `Generated ${what}, seeds ${seed} on, at step ${step}`);
  if (card.points) move(before);
  else paint();
  section.dataset.shown = url;
});

/* The page's class, where this run has the same ones. */
const chosenClass = () => (JSON.stringify(card.classes) === JSON.stringify(gan.run()?.classes) ? gan.state.class : null);

async function loop() {
  clearTimeout(timer);
  if (gan.state.tab !== "live" || document.hidden) return;
  await follow();
  clearTimeout(timer);
  timer = setTimeout(loop, running() ? WATCHING : WAITING);
}

// ---------------------------------------------------------------- the stage

function paint() {
  const side = Math.round(canvas.clientWidth * devicePixelRatio);
  if (!picture || !side) return;
  const context = Object.assign(canvas, { width: side, height: side }).getContext("2d");
  if (picture.plane) return gan.paintPlane(context, side, picture.plane, picture.plane.generated);
  const { width, height } = picture.tiles;
  const frame = { frame_columns: 1, frame_width: width, frame_height: height };
  gan.paintTiles(canvas, picture.tiles, {
    ...frame, tiles: SIDE * SIDE, tile_columns: SIDE, tile_width: width / SIDE, tile_height: height / SIDE,
  });
}

/* The generated points go from where they were to where they are now. */
function move(before) {
  const { plane } = picture;
  const context = canvas.getContext("2d");
  const still = !before || matchMedia("(prefers-reduced-motion: reduce)").matches;
  const start = performance.now();
  const frame = (now) => {
    if (picture?.plane !== plane) return;
    const part = still ? 1 : Math.min(1, Math.max(0, now - start) / MOVING);
    const eased = part * (2 - part);
    const at = plane.generated.map((to, i) => to.map((value, j) => value * eased + (before?.generated[i][j] ?? value) * (1 - eased)));
    gan.paintPlane(context, canvas.width, plane, at);
    if (part < 1) requestAnimationFrame(frame);
  };
  paint();
  requestAnimationFrame(frame);
}

function tell(place, headline, facts) {
  part(`${place} .headline`).textContent = headline;
  part(`${place} .facts`).replaceChildren(...facts.map((fact) => Object.assign(document.createElement("li"), { textContent: fact })));
}

const latest = (name, count = 1) => {
  const values = (card.history[name] ?? []).slice(-count).sort((a, b) => a - b);
  return values[Math.floor(values.length / 2)];
};

function drawStage() {
  const sentence = status.sentence ?? "Press Start: sixteen seeds are drawn here while two networks learn.";
  if (part(".said").textContent !== sentence) part(".said").textContent = sentence; // else it would be read out again
  const ended = ["done", "stopped", "failed"].includes(status.phase);
  part(".after").hidden = status.key === null;
  part(".push").hidden = !status.push;
  part(".push").textContent = status.push ?? "";
  section.dataset.phase = status.phase;
  if (status.key === null) {
    if (picture) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    picture = card = null;
    delete section.dataset.shown;
    part(".axis").hidden = true;
    tell(".now", running() ? "Starting" : "", running() ? [`${gan.duration(status.seconds)} so far`] : []);
    return tell(".aside", "", []);
  }
  const steps = card.history.step ?? [];
  const last = card.snapshots.at(-1);
  const reached = Math.max(steps.at(-1) ?? 0, last.step);
  const speed = latest("images_per_second", 9);
  tell(".now", `Step ${gan.number(reached)}`, [
    card.training ? `of ${gan.number(card.training.length)}` : "the last",
    `${gan.duration(status.seconds)} ${ended ? "in all" : "so far"}`,
    ...(speed ? [`${gan.number(speed)} images/s`] : []),
  ]);
  tell(".aside", "", steps.length ? verdict() : []);
  chart(steps);
}

function verdict() {
  const losses = ["d_real", "d_fake", "d_pair"].map((name) => latest(name)).filter((value) => value !== undefined);
  return [
    ...gan.believed(latest("real_score"), latest("fake_score")),
    `loss of D ${gan.number(losses.reduce((a, b) => a + b, 0), 2)}`,
    `loss of G ${gan.number(latest("g"), 2)}`,
    ...(card.points ? ["orange: D says real", "blue: D says generated"] : []),
  ];
}

/* The curves by step, and where somebody turned a knob. */
function chart(steps) {
  part(".axis").hidden = steps.length < 2;
  if (steps.length < 2) return;
  const film = part(".film");
  const size = (name) => parseFloat(getComputedStyle(film).getPropertyValue(name));
  const at = (step) => step / steps.at(-1);
  const points = (name) => (card.history[name] ?? []).map((y, i) => [at(steps[i]), y]);
  gan.curves.draw(part(".curves"), [gan.curves.losses(points), gan.curves.scores(points)], { width: part(".seek").clientWidth, height: size("--panel"), gutter: size("--gutter") });
  const label = (step, text) => {
    const made = Object.assign(document.createElement("span"), { textContent: text });
    made.style.left = `${100 * at(step)}%`;
    made.classList.toggle("late", at(step) > 0.8);
    return made;
  };
  part(".ticks").replaceChildren(label(0, "0"), label(steps.at(-1), gan.number(steps.at(-1))));
  part(".marks").replaceChildren(...turnsAt(steps).map(([step, text]) => label(step, text)));
}

/* Where k or a rate became another: [[step, what it became]]. */
function turnsAt(steps) {
  const names = { k: (v) => `k ${Math.round(v)}`, generator_rate: (v) => `G ${short(v)}`, discriminator_rate: (v) => `D ${short(v)}` };
  const found = [];
  for (const [name, say] of Object.entries(names)) {
    const values = card.history[name] ?? [];
    let before = values[0];
    for (let i = 1; i < values.length - 1; i++) {
      if (values[i] === values[i - 1] || values[i] !== values[i + 1] || values[i] === before) continue; // averaged over rows
      found.push([steps[i], say((before = values[i]))]);
    }
  }
  return found;
}

const short = (rate) => rate.toExponential(1).replace(".0", "");

// ---------------------------------------------------------------- the controls

const named = ({ recipe, option }) => [recipe, option].filter(Boolean).join("/");
const offered = (name) => OFFERS.recipes.find((one) => named({ recipe: one.name, option: one.option }) === name);
const recipe = () => offered(part(".recipe").value);
const rates = () => [".g", ".d"].map((knob, i) => Math.min(OFFERS.most, recipe().rates[i] * 2 ** Number(part(knob).value)));
const k = () => KS[Number(part(".k").value)];

function setKnobs(wantedRates, wantedK) {
  [".g", ".d"].forEach((knob, i) => (part(knob).value = Math.round(Math.log2(wantedRates[i] / recipe().rates[i]))));
  part(".k").value = KS.findLastIndex((one) => one <= wantedK);
  sayKnobs();
}

function sayKnobs() {
  part(".k-value").textContent = k();
  [".g", ".d"].forEach((knob, i) => {
    part(`${knob}-value`).textContent = short(rates()[i]);
    part(knob).setAttribute("aria-valuetext", short(rates()[i]));
  });
  part(".k").setAttribute("aria-valuetext", k());
  for (const button of element.querySelectorAll("[data-preset]")) {
    const preset = PRESETS[button.dataset.preset];
    const same = k() === (preset.k ?? recipe().k) && Number(part(".g").value) === 0 && Number(part(".d").value) === preset.d;
    button.setAttribute("aria-pressed", same);
  }
}

/* The published data sets that suit the recipe, its own first, and what was dropped here. */
function offerData() {
  const names = [recipe().data, ...recipe().suits.filter((name) => name !== recipe().data)];
  const options = names.map((name) => {
    const { title, source } = OFFERS.data[name];
    const where = { there: title, download: `${title} (downloaded first)`, missing: `${title} (not here)` }[source];
    return Object.assign(new Option(where, name), { disabled: source === "missing" });
  });
  if (own && recipe().pictures) options.push(new Option(`Your pictures (${gan.number(own.count)})`, own.pictures));
  part(".data").replaceChildren(...options);
  part(".data").value = options.some((one) => one.value === picked && !one.disabled) ? picked : recipe().data;
}

/* `settled`: the status says how the knobs stand. */
function drawControls(settled = true) {
  const free = !running();
  const focused = document.activeElement;
  if (free && watched) offerData();
  watched = !free;
  if (!free) turnedSince = false;
  if (!free && !element.querySelector("input[type=range]:active")) {
    if (part(".recipe").value !== named(status)) {
      part(".recipe").value = named(status);
      offerData();
    }
    const data = status.pictures ? "" : status.dataset;
    if (status.pictures && !part(".data [value='']")) part(".data").append(new Option("Somebody’s own", ""));
    part(".data").value = data;
    if (settled) setKnobs(status.rates, status.k);
  }
  for (const name of [".recipe", ".data", ".steps", ".files"]) part(name).disabled = !free || sending;
  const hands = status.yours === true;
  for (const name of [".k", ".g", ".d"]) part(name).disabled = !free && (!hands || status.phase === "ending");
  for (const button of element.querySelectorAll("[data-preset]")) button.disabled = part(".k").disabled;
  const goesOn = hands && (status.phase === "paused" || (free && status.resumable));
  part(".start").hidden = !free;
  part(".start").disabled = sending;
  part(".go-on").hidden = !goesOn;
  part(".pause").hidden = !(hands && status.phase === "training");
  part(".stop").hidden = !(hands && ["starting", "training", "paused"].includes(status.phase));
  if (focused?.hidden && focused.closest(".live .acts")) seatless = true;
  if (seatless && status.phase !== "starting") { // a key pressed twice on Start shall not be a Stop
    seatless = false;
    if (document.activeElement === document.body) part(".acts button:not([hidden])")?.focus();
  }
  sayHint();
}

function sayHint() {
  const limit = `It ends by itself after ${gan.duration(OFFERS.limit)}, and goes on when this page is closed.`;
  const why = recipe().why && !running() ? `${recipe().why[0].toUpperCase()}${recipe().why.slice(1)}. ` : "";
  const watching = running() && status.yours !== true;
  part(".hint").textContent = watching ? "Another visitor has the hands on this training: you watch it." : hint || why + limit;
}

/* What is turned counts at once while one's own training runs. */
function turned() {
  sayKnobs();
  turnedSince = true;
  if (!running() || !status.yours) return;
  turns += 1;
  turning = true;
  turn();
}

/* Tell the server how the knobs stand, one turn after the other. */
const turn = gan.newest(async () => {
  const sent = turns;
  await act("turn.json", { rates: rates(), k: k() });
  if (sent === turns) turning = false;
  turns += 1;
});

for (const one of OFFERS.recipes) part(".recipe").append(new Option(one.title, named({ recipe: one.name, option: one.option })));
for (const steps of OFFERS.lengths) part(".steps").append(new Option(`${gan.number(steps)} steps`, steps));
if (offered(FIRST)) part(".recipe").value = FIRST;
part(".steps").value = 3000;
part(".k").max = KS.length - 1;
setKnobs(recipe().rates, recipe().k);
offerData();

function choose(name) {
  part(".recipe").value = name;
  hint = "";
  turnedSince = false;
  setKnobs(recipe().rates, recipe().k);
  offerData();
  drawControls();
}

part(".recipe").addEventListener("change", () => choose(part(".recipe").value));
part(".data").addEventListener("change", () => (picked = part(".data").value === recipe().data ? null : part(".data").value));
for (const knob of [".k", ".g", ".d"]) {
  part(knob).addEventListener("input", () => {
    hint = "";
    sayKnobs();
    sayHint();
  });
  part(knob).addEventListener("change", turned);
}
part(".presets").addEventListener("click", (event) => {
  const preset = PRESETS[event.target.closest("[data-preset]")?.dataset.preset];
  if (!preset) return;
  const [g, d] = recipe().rates;
  setKnobs([g, d * 2 ** preset.d], preset.k ?? recipe().k);
  hint = preset.hint;
  turned();
  drawControls();
});
part(".controls").addEventListener("submit", alone(() => {
  const { name, option, data } = recipe();
  const chosen = part(".data").value;
  const what = chosen in OFFERS.data ? { dataset: chosen === data ? null : chosen } : { pictures: chosen };
  return act("start.json", { recipe: name, option, steps: Number(part(".steps").value), rates: rates(), k: k(), ...what });
}));
part(".pause").addEventListener("click", alone(() => act("pause.json")));
part(".stop").addEventListener("click", () => act("stop.json")); // whatever else is on its way
part(".go-on").addEventListener("click", alone(async () => {
  const same = part(".recipe").value === named(status);
  if (!running() && turnedSince && same && !(await act("turn.json", { rates: rates(), k: k() }))) return;
  await act("go-on.json");
}));
part(".replay").addEventListener("click", () => gan.set({ model: status.key, tab: "replay", step: null }));

// ---------------------------------------------------------------- one's own pictures

async function send(all) {
  if (!all.length) return gan.say("There is no picture in what you dropped: give PNG, JPEG, WebP, BMP, GIF or TIFF files.");
  sending = true;
  drawControls();
  await deliver(all).finally(() => (sending = false));
  drawControls();
}

async function deliver(all) {
  const hasClasses = all[0][0].includes("/");
  own = null;
  for await (const [form, left] of gan.parcels.pack(all)) {
    const told = await act(`pictures.json${own ? `?to=${own.pictures}` : ""}`, form);
    if (!told) return;
    own = told;
    picked = own.pictures;
    if (!recipe().pictures || (!hasClasses && recipe().conditional)) choose(CLASSLESS);
    else offerData();
    part(".drop span").textContent = left ? `${gan.number(own.count)} sent …` : "or drop others here";
  }
}

async function take(found) {
  try {
    await send(await found);
  } catch {
    gan.say("These pictures cannot be read: try again, or copy them to this machine first.");
  }
}

section.addEventListener("dragover", (event) => event.preventDefault());
section.addEventListener("drop", (event) => {
  event.preventDefault();
  if (running() || sending) return gan.say("Drop pictures when what is at work has ended.");
  take(gan.parcels.dropped(event.dataTransfer.items));
});
part(".files").addEventListener("change", () => {
  const chosen = gan.parcels.chosen(part(".files").files);
  part(".files").value = ""; // so that the same may be chosen again
  take(chosen);
});

// ---------------------------------------------------------------- following the page

gan.watch((state, changed) => {
  if (["tab", "seed", "class"].some((name) => changed.includes(name))) loop();
}, true);
document.addEventListener("visibilitychange", loop);
addEventListener("gan-theme", paint);
new ResizeObserver(() => {
  paint();
  if (card) chart(card.history.step ?? []);
}).observe(section);
gan.dense(paint);
