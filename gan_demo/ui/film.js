/* A film: one sprite sheet, shown frame by frame on a canvas. Moving through it asks nobody for anything.
   Runs once for each place that shows a film; `props.kind` says which, and the tab of that kind feeds it. */
"use strict";

const ABSENT = 250; // ms without an animation frame: the page was hidden, and its film stood still

const part = (selector) => element.querySelector(selector);
const section = part(".film");
const scrub = part(".scrub");
const seek = part(".seek");

let film = null; // what is on the stage: {sheet, layout, caption(index), ...} as given to show()
let index = 0;
let pinned = null;
let fresh = false; // nobody has moved it yet from where it opened
let playing = 0; // the animation frame that plays, 0 when still
let drawn = false; // since the last animation frame
let stale = false; // and moved again since then
let newestShow = 0;
let held = null; // a promise while a finger moves the film
let recorded = null; // the film that is being saved as a video

const last = () => (film ? film.layout.frames - 1 : 0);
const inside = (at) => Math.max(0, Math.min(last(), Math.round(at)));

// ---------------------------------------------------------------- painting

const paint = (canvas, at, reel) => gan.paintTiles(canvas, reel.sheet, reel.layout, at);

/* The reels side by side on one canvas, as on the stage; `fixed` is the pinned frame, or null. */
function paintAll(canvas, at, { beside, ...first }, fixed) {
  const context = canvas.getContext("2d");
  const reels = [[first, at]];
  if (fixed !== null) reels.unshift([first, fixed]);
  if (beside) reels.push([beside, beside.at(at)]);
  const width = Math.round(canvas.width / reels.length);
  reels.forEach(([reel, frame], i) => {
    const part = Object.assign(document.createElement("canvas"), { width, height: canvas.height });
    paint(part, frame, reel);
    context.drawImage(part, i * width, 0);
  });
}

/* What is on the stage, from left to right: [the figure's class, its reel, its frame]. */
function figures() {
  const pin = pinned === null ? [] : [["pinned", film, pinned]];
  const beside = film.beside ? [["beside", film.beside, film.beside.at(index)]] : [];
  return [...pin, ["current", film, index], ...beside];
}

/* Have just these figures, and give their canvases as many pixels as the screen shows. */
function fit() {
  if (!film) return;
  const wanted = figures();
  section.classList.toggle("comparing", wanted.length > 1);
  for (const figure of element.querySelectorAll("figure")) {
    if (!wanted.some(([kind]) => kind === figure.className)) figure.remove();
  }
  for (const [kind, { layout }] of wanted) {
    if (!part(`.${kind}`)) part(".frames").append(Object.assign(part(".current").cloneNode(true), { className: kind }));
    part(`.${kind}`).style.setProperty("--aspect", layout.frame_width / layout.frame_height);
  }
  for (const [kind, { layout }] of wanted) {
    const canvas = part(`.${kind} canvas`);
    const width = Math.round(canvas.clientWidth * devicePixelRatio);
    const height = Math.round((width * layout.frame_height) / layout.frame_width);
    if (width && (canvas.width !== width || canvas.height !== height)) Object.assign(canvas, { width, height });
  }
}

function draw() {
  if (!film) return;
  for (const [kind, reel, at] of figures()) {
    const { picture, headline, title, now } = reel.caption(at, Boolean(film.beside));
    const canvas = part(`.${kind} canvas`);
    paint(canvas, at, reel);
    canvas.setAttribute("aria-label", picture);
    const alone = gan.state.talk && pinned === null ? title ?? "" : headline;
    const name = gan.state.talk ? `${title}\n${headline}, ${now.facts[0]}` : title; // in a talk no other words are there
    part(`.${kind} figcaption`).textContent = film.beside ? name : alone;
  }
  const caption = film.caption(index, Boolean(film.beside));
  tell(".now", caption.now);
  tell(".aside", film.beside ? film.beside.caption(film.beside.at(index)).now : caption.aside);
  part(".frame").textContent = caption.short;
  scrub.value = index;
  scrub.setAttribute("aria-valuetext", caption.headline);
  place(part(".playhead"), index);
  if (pinned !== null) place(part(".pinhead"), pinned);
  part(".pin").setAttribute("aria-pressed", pinned !== null && !ends());
  part(".ends").setAttribute("aria-pressed", ends());
}

/* Whether the first and the last stand side by side. */
const ends = () => pinned === 0 && index === last() && last() > 0;

function tell(place, { headline, facts }) {
  part(`${place} .headline`).textContent = headline;
  const list = part(`${place} .facts`);
  while (list.children.length < facts.length) list.append(document.createElement("li"));
  [...list.children].forEach((item, i) => (item.textContent = facts[i] ?? ""));
}

function place(head, at) {
  head.style.left = `${100 * (last() ? at / last() : 0)}%`;
}

/* Draw now, so that the coming frame has nothing left to do; of more moves before that frame only the last is drawn. */
function redraw() {
  stale = drawn;
  if (drawn) return;
  draw();
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    if (stale) redraw();
  });
}

// ---------------------------------------------------------------- moving

function go(at) {
  fresh = false;
  index = inside(at);
  redraw();
}

/* A gesture has ended: only now does the rest of the page learn where. */
function rest() {
  film?.rested?.(index);
}

function step(by) {
  stop();
  go(index + by);
  rest();
}

function stop(remember = true) {
  if (!playing) return;
  cancelAnimationFrame(playing);
  playing = 0;
  showPlaying();
  if (remember) rest();
}

function play() {
  if (!film || !last()) return;
  let from = index >= last() || fresh ? 0 : index;
  let since = performance.now();
  let before = since;
  let speed = Number(part(".speed").value);
  let frames = film.layout.frames;
  const tick = (now) => {
    if (Number(part(".speed").value) !== speed || film.layout.frames !== frames) {
      from = index;
      since = now;
      speed = Number(part(".speed").value);
      frames = film.layout.frames;
    }
    if (now - before > ABSENT) since += now - before - ABSENT;
    before = now;
    const at = from + Math.floor((Math.max(0, now - since) * film.rate * speed) / 1000);
    const looping = part(".loop").getAttribute("aria-pressed") === "true";
    const next = looping ? at % film.layout.frames : inside(at);
    if (next !== index) {
      index = next;
      draw();
    }
    if (at >= last() && !looping) return stop();
    playing = requestAnimationFrame(tick);
  };
  go(from);
  playing = requestAnimationFrame(tick);
  showPlaying();
}

function showPlaying() {
  const button = part(".play");
  button.setAttribute("aria-label", playing ? "Pause" : "Play");
  section.classList.toggle("playing", Boolean(playing));
}

/* Set a frame beside the current one, or take it away again. */
function pin(at) {
  pinned = at;
  part(".pinhead").hidden = pinned === null;
  fit();
  draw(); // at once: a canvas of a new size is empty
  film?.pinnedAt?.(at);
}

// ---------------------------------------------------------------- what is shown

/* Put a film on the stage: {url, layout, rate in frames a second, name, axis, start(), caption(index, whether another runs
   along), panels(), ticks(wanted), best, opening, rested(index), pinned() as it is to begin with, pinnedAt(index or null)};
   a film of another name begins anew. `beside`: a second reel that runs along, {key, url, layout, caption(index), at(index
   of the first)}; `others`: [key, title] of what may, `pair(key)` asks for it, `asked`: the key that was. `quiet`: it is the
   run that has changed, and dims nothing. Where its frames have `steps`, it may come
   again with more of them: what is on show stays there by its step, or at the end if start() says so and nothing moves.
   The last good picture stays until the new one is there; of two that load at once the later wins. `signal`: aborted where
   nobody waits for it any more. */
async function show(next, signal) {
  const mine = ++newestShow;
  section.classList.add("loading");
  section.classList.toggle("anew", film?.name !== next.name || !(next.quiet || grows(next)));
  section.ariaBusy = "true";
  const sheets = [sheetOf(film, next, signal), secondOf(film?.beside, next.beside, signal)];
  try {
    const [sheet, second] = await Promise.all(sheets);
    await held;
    if (mine !== newestShow) return free(sheet, second);
    const first = film?.name !== next.name;
    if (first) stop(false); // the address is the new one's by now
    if (first || second) pinned = second ? null : next.pinned?.() ?? null;
    if (!first && next.steps) follow(next);
    const old = film;
    film = { ...next, sheet, beside: second && { ...next.beside, sheet: second } };
    free(old?.sheet, old?.beside?.sheet);
    offer();
    scrub.max = last();
    if (first || index > last()) {
      index = inside(next.start());
      fresh = index === next.opening;
    }
    part(".best").hidden = film.best === null || film.best === undefined;
    scrub.setAttribute("aria-label", film.axis);
    fit();
    chart();
    draw();
    if (!first && !playing && film.steps && index !== inside(film.start())) rest(); // it stayed behind: the address says where
    section.dataset.shown = next.url;
  } catch (error) {
    for (const one of sheets) one.then(free, () => {}); // the other may have come
    throw error;
  } finally {
    if (mine === newestShow) {
      section.classList.remove("loading");
      section.ariaBusy = "false";
    }
  }
}

const sheetOf = async (old, reel, signal) => (old?.url === reel.url ? old.sheet : gan.bitmap(reel.url, signal));

/* The sheet of the reel that runs along, or null: the first goes on without one that is refused. */
async function secondOf(old, reel, signal) {
  if (!reel) return null;
  try {
    return await sheetOf(old, reel, signal);
  } catch (error) {
    if (error.changed || error.away || signal?.aborted) throw error; // it may yet come
    gan.say(error.message);
    return null;
  }
}

/* Free decoded sheets that are on the stage no more: up to 64 MiB each, which the browser knows nothing of. */
function free(...sheets) {
  const used = [film, recorded].flatMap((one) => [one?.sheet, one?.beside?.sheet]);
  for (const sheet of sheets) if (sheet && !used.includes(sheet)) sheet.close();
}

/* What may run along with this film. A pin is for one film alone. */
function offer() {
  const other = part(".other");
  const known = film.others ?? [];
  const unknown = film.asked && !known.some(([key]) => key === film.asked) ? [[film.asked, film.asked]] : [];
  const options = [...known, ...unknown].map(([key, title]) => new Option(title, key));
  other.hidden = !options.length;
  const offered = JSON.stringify([known, film.asked]);
  if (other.dataset.offered !== offered) { // else the list would close under a hand while a run grows
    other.replaceChildren(new Option(film.asked ? "No comparison" : "Compare with …", ""), ...options);
    other.dataset.offered = offered;
  }
  other.value = film.asked ?? ""; // also where it was refused, or is not there: to let go of it is a choice too
  for (const button of [part(".pin"), part(".ends")]) button.hidden = Boolean(film.beside) || !last();
  part(".pinhead").hidden = pinned === null;
}

const grows = (next) => Boolean(next.steps) && next.steps.length !== film.steps?.length;

/* Stay at the same steps in a film that has grown; who rests at the end without a pin goes along to the new one. */
function follow(next) {
  const at = (frame) => Math.max(0, next.steps.findLastIndex((step) => step <= film.steps[frame]));
  const still = !playing && (pinned === null || !grows(next));
  index = ends() ? next.steps.length - 1 : still ? next.start() : at(index);
  if (pinned !== null) pinned = at(pinned);
  fresh &&= index === next.opening;
}

function chart() {
  const gutter = parseFloat(getComputedStyle(section).getPropertyValue("--gutter"));
  const height = parseFloat(getComputedStyle(section).getPropertyValue("--panel"));
  gan.curves.draw(part(".curves"), film.panels(), { width: seek.clientWidth, height, gutter });
  const ticks = film.ticks(Math.max(2, Math.floor(seek.clientWidth / 110)));
  part(".ticks").replaceChildren(
    ...ticks.map(([at, text]) => {
      const tick = Object.assign(document.createElement("span"), { textContent: text });
      place(tick, at);
      return tick;
    }),
  );
}

// ---------------------------------------------------------------- hands

scrub.addEventListener("input", () => {
  if (playing) stop(false); // the gesture's end tells where
  go(Number(scrub.value));
});
scrub.addEventListener("change", rest);

/* No film takes another's place under a finger. Letting go counts when what it set off is done. */
part(".axis").addEventListener("pointerdown", (event) => {
  if (event.button) return; // another one opens a menu, which may swallow its end
  const gesture = new AbortController();
  held = new Promise((release) => {
    const end = () => {
      gesture.abort();
      setTimeout(release);
    };
    for (const kind of ["pointerup", "pointercancel", "blur"]) addEventListener(kind, end, gesture);
  });
});

function seekTo(event) {
  if (playing) stop(false); // the gesture's end tells where
  const box = seek.getBoundingClientRect();
  go(((event.clientX - box.left) / box.width) * last());
}
seek.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  seek.setPointerCapture(event.pointerId);
  if (event.pointerType !== "touch") seekTo(event); // a finger may be about to scroll the page
});
for (const kind of ["pointermove", "pointerup"]) {
  seek.addEventListener(kind, (event) => seek.hasPointerCapture(event.pointerId) && seekTo(event));
}
seek.addEventListener("lostpointercapture", () => playing || rest()); // it still plays where the page was scrolled

const press = (selector, action) => part(selector).addEventListener("click", action);
press(".play", () => (playing ? stop() : play()));
press(".back", () => step(-1));
press(".forth", () => step(1));
press(".loop", () => part(".loop").setAttribute("aria-pressed", part(".loop").getAttribute("aria-pressed") !== "true"));
press(".best", () => step(film.best - index));
press(".pin", () => pin(pinned === null || ends() ? index : null));
press(".ends", () => {
  const on = ends();
  pin(on ? null : 0);
  if (!on) step(last() - index);
});
part(".other").addEventListener("change", () => film.pair(part(".other").value || null));
part(".full").hidden = !document.fullscreenEnabled;
press(".full", () => gan.fill(gan.state.talk || !film ? document.documentElement : section));
press(".video", async () => {
  if (!film || recorded) return;
  stop();
  const button = part(".video");
  const speed = Number(part(".speed").value);
  Object.assign(button, { ariaDisabled: "true", textContent: "Recording …" }); // disabled, it would lose the focus
  try {
    const reel = (recorded = film); // whatever comes on the stage meanwhile
    const { frame_width: width, frame_height: height, frames } = reel.layout;
    const fixed = pinned;
    const paintOne = (canvas, at) => paintAll(canvas, at, reel, fixed);
    await gan.record(paintOne, { ...reel, rate: speed * reel.rate, width: reel.beside || fixed !== null ? 2 * width : width, height, frames });
  } catch (error) {
    gan.say(error.message);
  }
  const done = recorded;
  recorded = null;
  free(done?.sheet, done?.beside?.sheet);
  Object.assign(button, { ariaDisabled: null, textContent: "Save video" });
});

gan.watch((_, changed, restored) => {
  if (changed.includes("talk")) resize(); // the stage is another
  if (!playing || !(restored || changed.includes("tab"))) return; // no film plays where nobody looks
  stop(!restored);
  if (restored) go(film.start()); // what the address says
});

function resize() {
  if (!film || !section.clientWidth) return;
  fit();
  chart();
  draw();
}
new ResizeObserver(resize).observe(section);
gan.dense(resize);

gan.arrive(props.kind, {
  show,
  go,
  step,
  halt: () => stop(),
  pin: (at) => at !== pinned && pin(at === null ? null : inside(at)),
  toggle: () => part(".play").click(),
  fullScreen: () => part(".full").click(),
  visible: () => Boolean(section.clientWidth),
});
