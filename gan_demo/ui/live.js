/* Live: start a training, follow its run as any other run, and keep the hands on it while it trains. What is drawn of it is
   livestage.js's, the knobs are knobs.js's. */
"use strict";

const OFFERS = JSON.parse(document.getElementById("gan-live").textContent);
const ROOT = gan.ROOT.replace(/film$/, "live");
const HEADER = "X-Gan-Live";
const WATCHING = 700; // ms between two looks at a training, and at a stage where none is
const WAITING = 4000;
const UPLOADING = 120_000; // ms that a parcel of pictures may take
const FIRST = "cdcgan-mnist/slim"; // there are digits within a minute
const CLASSLESS = "dcgan-mnist/slim"; // for pictures without classes, of any size

const part = (selector) => element.querySelector(selector);
const section = part(".live");
const stage = gan.liveStage(part(".live"));
const inputs = [part(".files"), part(".folder")];
let status = { phase: "idle", key: null };
let own = null; // pictures of the visitor's: {pictures, count}
let picked = null; // the data set that was chosen by hand, or those pictures
let sending = false;
let turnedSince = false; // a knob, since the training ended
let turns = 0; // of knobs, and the server's answers to them: a status from before one says what was
let turning = false; // whether such an answer is still to come
let watched = false; // what runs stands in the form
let met = false; // whether the page knows by now what was here before it
let seatless = false; // the button that had the keyboard's focus is hidden
let onStage = null; // the card of the run that is shown
let ownClass = null; // the class chosen for it, where the page's run has other ones
let timer = 0;

/* Who starts a training brings this, and so has the hands on it; it outlives the page where the browser lets it. */
const token = {
  now: Array.from(crypto.getRandomValues(new Uint8Array(24)), (one) => one.toString(16).padStart(2, "0")).join(""),
  get() {
    try {
      return localStorage.getItem("gan-live") ?? this.now;
    } catch {
      return this.now;
    }
  },
  keep() {
    try {
      localStorage.setItem("gan-live", this.get());
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
  learnSources(status.sources);
  drawControls(turns === turned && !turning);
  met = true;
  const { key } = status;
  if (key !== null && !gan.run(key)) await gan.list();
  const { card, isNew } = key === null ? { card: null } : await gan.freshCard(key);
  if (status.key !== key) return; // another was started meanwhile, and is followed next
  if (isNew && [gan.state.model, gan.state.beside].includes(key)) gan.refresh(["card"]); // Replay shows it too
  if (card?.key !== onStage?.key) ownClass = null; // another's classes
  onStage = card;
  document.documentElement.classList.toggle("other-classes", !card || !shared(card));
  stage.tell(status, card, running());
  if (card) await stage.show(card, { seed: gan.state.seed, class: chosenClass(card) }, signal);
});

/* The class on the stage: the page's where this run has the same ones, else one of its own. */
const shared = (card) => JSON.stringify(card.classes) === JSON.stringify(gan.run()?.classes);
const chosenClass = (card) => (shared(card) ? gan.state.class : ownClass < (card.classes?.length ?? 0) ? ownClass : null);

/* A class by its number while Live is in front; again: mixed. */
gan.liveClass = (digit) => {
  if (digit >= (onStage?.classes?.length ?? 0)) return;
  if (shared(onStage)) return gan.set({ class: gan.state.class === digit ? null : digit });
  ownClass = ownClass === digit ? null : digit;
  loop();
};

async function loop() {
  clearTimeout(timer);
  if (gan.state.tab !== "live" || document.hidden) return;
  await follow();
  clearTimeout(timer);
  timer = setTimeout(loop, running() ? WATCHING : WAITING);
}

// ---------------------------------------------------------------- the controls

const named = ({ recipe, option }) => [recipe, option].filter(Boolean).join("/");
const offered = (name) => OFFERS.recipes.find((one) => named({ recipe: one.name, option: one.option }) === name);
const recipe = () => offered(part(".recipe").value);
const knobs = gan.knobs(part(".live"), OFFERS.most, recipe, turned);

/* Where the data sets come from by now: what was downloaded is there. */
function learnSources(sources) {
  const moved = Object.keys(sources).filter((name) => OFFERS.data[name].source !== sources[name]);
  for (const name of moved) OFFERS.data[name].source = sources[name];
  if (moved.length && !running()) offerData();
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

function offerLength(steps) {
  if (!part(`.steps option[value="${steps}"]`)) part(".steps").append(new Option(`${gan.number(steps)} steps`, steps));
  part(".steps").value = steps;
}

/* `settled`: the status says how the knobs stand. */
function drawControls(settled = true) {
  const free = !running();
  const focused = document.activeElement;
  if (free && watched) offerData();
  watched = !free;
  if (!free) turnedSince = false;
  if (!met && free && status.yours && status.resumable && offered(named(status))) {
    part(".recipe").value = named(status); // what "Go on" goes on with
    offerData();
    offerLength(status.steps);
    knobs.set(status.rates, status.k);
  }
  if (!free && !element.querySelector("input[type=range]:active")) {
    if (part(".recipe").value !== named(status)) {
      part(".recipe").value = named(status);
      offerData();
    }
    const data = status.pictures ? "" : status.dataset;
    if (status.pictures && !part(".data [value='']")) part(".data").append(new Option(status.yours ? "Your pictures" : "Somebody’s own", ""));
    part(".data").value = data;
    offerLength(status.steps);
    if (settled) knobs.set(status.rates, status.k);
  }
  for (const name of [".recipe", ".data", ".steps"]) part(name).disabled = !free || sending;
  for (const input of inputs) input.ariaDisabled = !free || sending ? "true" : null; // disabled, it would lose the focus
  const hands = status.yours === true;
  knobs.disable(!free && (!hands || status.phase === "ending"));
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
  const said = watching ? "Another visitor has the hands on this training: you watch it." : knobs.hint() || why + limit;
  if (part(".hint").textContent !== said) part(".hint").textContent = said; // a status is read out again where it is written
}

/* What is turned counts at once while one's own training runs. */
function turned(settled) {
  if (!settled) return sayHint(); // it still moves
  turnedSince = true;
  if (!running() || !status.yours) return;
  turns += 1;
  turning = true;
  turn();
}

/* Tell the server how the knobs stand, one turn after the other. */
const turn = gan.newest(async () => {
  const sent = turns;
  await act("turn.json", knobs.now());
  if (sent === turns) turning = false;
  turns += 1;
});

for (const one of OFFERS.recipes) part(".recipe").append(new Option(one.title, named({ recipe: one.name, option: one.option })));
OFFERS.lengths.forEach(offerLength);
if (offered(FIRST)) part(".recipe").value = FIRST;
part(".steps").value = 3000;
knobs.set(recipe().rates, recipe().k);
offerData();

function choose(name) {
  part(".recipe").value = name;
  turnedSince = false;
  knobs.begin();
  offerData();
  drawControls();
}

part(".recipe").addEventListener("change", () => choose(part(".recipe").value));
part(".data").addEventListener("change", () => (picked = part(".data").value === recipe().data ? null : part(".data").value));
part(".controls").addEventListener("submit", alone(() => {
  const { name, option, data } = recipe();
  const chosen = part(".data").value;
  const what = chosen in OFFERS.data ? { dataset: chosen === data ? null : chosen } : { pictures: chosen };
  token.keep(); // before it is sent: the answer may get lost
  return act("start.json", { recipe: name, option, steps: Number(part(".steps").value), ...knobs.now(), ...what });
}));
part(".pause").addEventListener("click", alone(() => act("pause.json")));
part(".stop").addEventListener("click", () => act("stop.json")); // whatever else is on its way
part(".go-on").addEventListener("click", alone(async () => {
  const same = part(".recipe").value === named(status);
  if (!running() && turnedSince && same && !(await act("turn.json", knobs.now()))) return;
  await act("go-on.json");
}));
part(".replay").addEventListener("click", () => gan.run(status.key) && gan.set({ model: status.key, tab: "replay", step: null }));

// ---------------------------------------------------------------- one's own pictures

async function send({ files, beside }) {
  if (!files.length) return gan.say("There is no picture in what you dropped: give PNG, JPEG, WebP, BMP, GIF or TIFF files.");
  sending = true;
  drawControls();
  await deliver(files, beside).finally(() => (sending = false));
  drawControls();
}

async function deliver(all, beside) {
  const hasClasses = all[0][0].includes("/");
  const unread = [];
  let to = null; // where the first of these went
  for await (const [form, left] of gan.parcels.pack(all, unread)) {
    const told = await act(`pictures.json${to ? `?to=${to.pictures}` : ""}`, form);
    if (!told && to) part(".sent").textContent = ""; // no more of these are on their way
    if (!told) return;
    own = to = told;
    picked = own.pictures;
    if (!recipe().pictures || (!hasClasses && recipe().conditional)) choose(CLASSLESS);
    else offerData();
    part(".sent").textContent = `${gan.number(own.count)} sent${left ? " …" : "."}`;
  }
  if (to && beside) gan.say(`${beside === 1 ? "One picture" : `${gan.number(beside)} pictures`} in no class folder left out.`);
  if (unread.length) gan.say(`This browser cannot read “${unread[0]}”${unread.length > 1 ? ` and ${gan.number(unread.length - 1)} more` : ""}, left out: give PNG or JPEG files.`);
}

async function take(found) {
  try {
    await send(await found);
  } catch {
    gan.say("These pictures cannot be read: try again, or copy them to this machine first.");
  }
}

section.addEventListener("dragover", (event) => event.preventDefault());
const full = () => (running() || sending) && (gan.say("Drop pictures when what is at work has ended."), true);
section.addEventListener("drop", (event) => {
  event.preventDefault();
  if (!full()) take(gan.parcels.dropped(event.dataTransfer.items));
});
for (const input of inputs) {
  input.addEventListener("change", () => {
    const chosen = gan.parcels.chosen(input.files);
    input.value = ""; // so that the same may be chosen again
    if (!full()) take(chosen);
  });
}

// ---------------------------------------------------------------- following the page

gan.watch((state, changed) => {
  if (["tab", "seed", "class"].some((name) => changed.includes(name))) loop();
}, true);
document.addEventListener("visibilitychange", loop);
