/* One state for the whole page. It lives in the address, so that a link restores what was seen and the back button works;
   the tabs and Gradio's own inputs follow it. Nothing of it is kept on the server. */
"use strict";

window.gan = (() => {
  const library = JSON.parse(document.getElementById("gan-library").textContent);
  const MAX_SEED = Number.MAX_SAFE_INTEGER;
  const live = document.getElementById("gan-live"); // there where the host allows it
  const TABS = ["replay", "generate", "walk", ...(live ? ["live"] : [])];
  const WRITE_PAUSE = 120; // ms: browsers refuse more than 100 addresses in ten seconds
  const TYPING_PAUSE = 1000; // ms: a number typed within it is one entry of the browser's history
  const ENTRIES = ["model", "beside", "seed", "class", "tab", "talk"]; // a change of one is an entry of the history
  const INSIDE = { replay: "film", generate: "generate", walk: "walk-film", live: "live" }; // what a filled tab holds
  const LOADING = 20_000; // ms within which Gradio may still take another tab for the one in front

  /* What the address may say beside model and class: name -> [default, text to value or null, what would do]. */
  const flag = [false, (text) => (text === "1" ? true : null), "leave it out, or give 1"];
  const seedRule = `a seed is a whole number from 0 to ${MAX_SEED}`;
  const VALUES = {
    seed: [0, wholeSeed, seedRule],
    step: [null, wholeSeed, "a step is a whole number"],
    tab: ["replay", (text) => (TABS.includes(text) ? text : null), `there are ${TABS.join(", ")}${live ? "" : "; the host of this page can add live with --allow-training"}`],
    talk: flag,
    pin: [null, wholeSeed, "a pinned step is a whole number"], // Replay: the step of the frame beside the current one
    beside: [null, (text) => text.slice(0, 120) || null, "name another run"], // Replay: a second run's key
    from: [null, wholeSeed, seedRule], // Generate: the first tile's seed, where it is not the page's
    tiles: [16, (text) => ([1, 4, 9, 16, 25, 36, 64].includes(Number(text)) ? Number(text) : null), "give 1, 4, 9 ... 64"],
    rows: flag,
    truncation: [1, (text) => (/^(0(\.\d{1,6})?|1(\.0{1,6})?)$/.test(text) ? Number(text) : null), "give a number from 0 to 1"],
    guidance: [null, (text) => (/^([0-2](\.\d{1,6})?|3(\.0{1,6})?)$/.test(text) ? Number(text) : null), "give a number from 0 to 3"], // null: the run's own
    at: [null, wholeSeed, "a place on the walk is a whole number"], // Walk: the film's frame
    stops: [[], readStops, "give seeds, or seed:class, with commas between"], // Walk: all but the first
    straight: flag,
    closed: flag,
    pad: flag,
    spot: [null, (text) => (/^\d{1,2},\d{1,2}$/.test(text) ? text : null), "give column,row"], // of the pad
  };

  const state = {}; // its model is null while there is no run at all; the address then still says what was asked for
  const listeners = [];
  const complaints = [];
  let lastPush = { at: 0, what: "" };
  let lastWrite = 0;
  let waiting = null; // an address that is still to be written: {query, timer}
  let shown = null; // what Gradio's inputs show
  let awaited = false; // a run that the address asks for and that may still come
  let settled = false; // all that may come has come
  let refused = false; // what was typed as the seed last
  let odd = false; // the seed's field shows no seed of ours: it is empty, or what it says was refused
  let trigger = null; // asks Gradio to show the state: set by attach()

  /* The run of that key; the Hub's main branch is the one that names no revision. */
  const run = (key = state.model) => library.runs.find((one) => [key, key?.replace(/@main$/, "")].includes(one.key));
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  function wholeSeed(value) {
    const seed = typeof value === "string" ? (/^\d{1,16}$/.test(value) ? Number(value) : NaN) : value;
    return Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED ? seed : null;
  }

  function classIndex(value, classes) {
    if (value === null || !classes) return null;
    const index = /^\d+$/.test(value) ? Number(value) : classes.indexOf(value);
    return index >= 0 && index < classes.length ? index : null;
  }

  function readStops(text) {
    if (!/^\d{1,16}(:\d+)?(,\d{1,16}(:\d+)?){0,6}$/.test(text)) return null;
    const stops = text.split(",").map((part) => {
      const [seed, chosen] = part.split(":");
      return { seed: wholeSeed(seed), class: chosen === undefined ? null : Number(chosen) };
    });
    return stops.some((one) => one.seed === null) ? null : stops;
  }

  const writeStops = (stops) => stops.map((one) => (one.class === null ? one.seed : `${one.seed}:${one.class}`)).join(",");

  /* The state that an address asks for. What will not do is left at its default and complained of. */
  function read(search) {
    const asked = new URLSearchParams(search);
    const found = { model: library.runs[0]?.key ?? null, class: null };
    const take = (name, value, wish) => {
      if (!asked.has(name)) return;
      if (value !== null) found[name] = value;
      else complaints.push(`The address asks for the ${name} “${asked.get(name).slice(0, 40)}”: ${wish}.`);
    };
    const known = library.runs.map((one) => one.key);
    awaited = !settled && known.length > 0 && asked.has("model") && !run(asked.get("model"));
    if (known.length) take("model", run(asked.get("model"))?.key ?? null, `there are ${known.join(", ")}`);
    const classes = run(found.model)?.classes;
    if (classes) take("class", classIndex(asked.get("class"), classes), `there are ${classes.join(", ")}`);
    for (const [name, [value, parse, wish]] of Object.entries(VALUES)) {
      found[name] = value;
      if (asked.has(name)) take(name, parse(asked.get(name)), wish);
    }
    if (known.length) found.stops = fitting(found.stops, classes);
    if (found.beside === found.model && !awaited) found.beside = null; // a run beside itself
    if (found.beside !== null && !awaited) found.pin = null; // a pin is for one film alone
    return found;
  }

  /* Stops without the classes that a run does not have. */
  function fitting(stops, classes) {
    return stops.map((one) => (one.class !== null && one.class >= (classes ?? []).length ? { ...one, class: null } : one));
  }

  function address() {
    const query = new URLSearchParams(location.search); // keeps what is not ours, such as Gradio's own __theme
    const always = { model: state.model, seed: state.seed, class: state.class };
    const asked = [...(state.model === null || awaited ? ["model", "class"] : []), ...(awaited ? ["step", "pin", "stops"] : [])];
    for (const [name, value] of Object.entries({ ...state, ...always })) {
      if (asked.includes(name)) continue; // of another run, which may come
      const left = value === null || (!(name in always) && same(value, VALUES[name][0]));
      if (left) query.delete(name);
      else query.set(name, name === "stops" ? writeStops(value) : value === true ? 1 : value);
    }
    return query.toString();
  }

  function writeAddress(changed) {
    const query = address();
    const what = changed.join();
    const now = Date.now();
    const quiet = !changed.some((name) => ENTRIES.includes(name));
    const replace = quiet || (what === lastPush.what && now - lastPush.at < TYPING_PAUSE);
    if (!quiet) lastPush = { at: now, what };
    const unwritten = waiting?.query;
    forget();
    if (replace) return write("replaceState", query, lastWrite + WRITE_PAUSE - now);
    if (unwritten) write("replaceState", unwritten, 0);
    write("pushState", query, 0);
  }

  /* Write an address after so many ms; where the browser refuses for now, once more when it may have rested. */
  function write(way, query, pause) {
    if (pause > 0) return void (waiting = { query, timer: setTimeout(write, pause, way, query, 0) });
    waiting = null;
    lastWrite = Date.now();
    try {
      history[way](history.state, "", `?${query}`);
    } catch {
      return write("replaceState", query, 1000);
    }
    gan.tellFrame(query);
  }

  function forget() {
    clearTimeout(waiting?.timer);
    waiting = null;
  }

  function follow(changed, restored = false) {
    markPage();
    for (const { listener, always } of listeners) if (always || state.model !== null) listener(state, changed, restored);
    showInputs();
  }

  function markPage() {
    document.documentElement.classList.toggle("empty", state.model === null);
    document.documentElement.classList.toggle("classless", !run()?.classes); // Gradio may lose what it is told while it loads
    document.documentElement.classList.toggle("waits", state.model === null && state.tab !== "live"); // which needs no run
    document.documentElement.dataset.tab = state.tab;
    document.body?.classList.toggle("talk", state.talk);
  }

  /* Change the state; every tab follows. Switching runs keeps the seed and drops what does not apply to the new run. */
  function set(changes) {
    const wanted = { ...changes };
    if ("tab" in wanted && wanted.tab !== state.tab) gan.inFront()?.halt(); // while the address is still its tab's
    if ("model" in wanted) awaited = false;
    if ("model" in wanted && wanted.model !== state.model) {
      const { classes } = run(wanted.model);
      if (!same(classes, run()?.classes)) {
        wanted.class = null;
        wanted.stops = fitting(state.stops, null); // an index means another class there
      }
      if (!classes) wanted.guidance = null;
      wanted.step = wanted.pin = null;
    }
    const { model, beside } = { ...state, ...wanted };
    if (beside !== null && beside === model && !awaited) wanted.beside = null; // a run beside itself
    if (wanted.beside) wanted.pin = null; // a pin is for one film alone
    if ("seed" in wanted && !("from" in wanted)) wanted.from = null;
    const classes = run(wanted.model ?? state.model)?.classes ?? [];
    if ((wanted.class ?? -1) >= classes.length) delete wanted.class; // pressed on pictures of the run before
    const changed = Object.keys(wanted).filter((name) => !same(wanted[name], state[name]));
    if (!changed.length) return;
    Object.assign(state, wanted);
    if (changed.some((name) => ENTRIES.includes(name))) {
      gan.hush(); // it was said of what was there before
      complaints.length = 0;
    }
    writeAddress(changed);
    follow(changed);
  }

  /* The back button, a link inside the page, or a run that came later than the address that asks for it. */
  function restore() {
    complaints.length = 0;
    forget();
    lastPush = { at: 0, what: "" }; // what is changed next is no more of what was typed before
    const found = read(location.search);
    const changed = Object.keys(found).filter((name) => !same(found[name], state[name]));
    Object.assign(state, found);
    gan.hush();
    follow(changed, true);
    gan.tellFrame(location.search);
    while (complaints.length) gan.say(complaints.shift());
  }

  // ---------------------------------------------------------------- the films on the page

  const films = {};

  function slot(kind) {
    if (!films[kind]) {
      films[kind] = {};
      films[kind].promise = new Promise((resolve) => (films[kind].resolve = resolve));
    }
    return films[kind];
  }

  // ---------------------------------------------------------------- Gradio's inputs

  const OWN_CLASS = -1; // the class input's "mixed": each seed has a class of its own

  /* What the inputs model, seed, class and the tabs shall show: the answer to the event "restore". */
  function inputs() {
    const update = (changes) => ({ __type__: "update", ...changes });
    const classes = run()?.classes ?? null;
    const choices = [["mixed", OWN_CLASS], ...(classes ?? []).map((name, index) => [name, index])];
    shown = inputValues();
    return [
      update({ choices: library.runs.map((one) => [one.title, one.key]), value: state.model }),
      state.seed,
      update({ choices, value: state.class ?? OWN_CLASS }),
      update({ selected: state.tab }),
    ];
  }

  const inputValues = () => ({ model: state.model, seed: state.seed, class: state.class, tab: state.tab, choices: choices() });
  const choices = () => [state.model, ...library.runs.map((one) => one.title)];

  function showInputs() {
    if (trigger && !same(inputValues(), shown)) trigger("restore");
  }

  document.addEventListener("focusout", (event) => { // who leaves the seed's field sees the seed that is shown
    const left = event.target !== document.activeElement; // else it is the whole window that was left
    if (!odd || !shown || !left || !event.target.closest("#seed")) return;
    odd = refused = false; // what was said of it stays
    shown.seed = undefined;
    showInputs();
  });

  let touched = false; // by a hand: what a script presses is no wish of the person's
  for (const kind of ["pointerdown", "keydown", "click"]) {
    addEventListener(kind, (event) => (touched ||= event.isTrusted), { capture: true, passive: true });
  }

  /* While Gradio puts its page together it may bring its first tab to the front after the one that the address asks for, or
     never fill that one. Nobody has touched anything then: press the tab's button, as a hand would, until it is filled. */
  function holdTab(until = performance.now() + LOADING) {
    if (touched || performance.now() > until) return;
    const buttons = [...document.querySelectorAll("#tabs [role=tab]")];
    const own = buttons.find((button) => button.dataset.tabId === state.tab);
    const empty = !document.getElementById(INSIDE[state.tab]);
    if (own?.ariaSelected === "true" && empty) buttons.find((button) => button !== own).click(); // pressed twice, nothing happens
    if (own && (own.ariaSelected !== "true" || empty)) setTimeout(() => own.click());
    setTimeout(holdTab, 1000, until);
  }

  /* A person used one of Gradio's inputs. */
  function input(name, value) {
    if (name === "seed") {
      const seed = wholeSeed(value);
      odd = seed === null;
      if (value === null) return; // emptied, to type another
      if (seed === null) gan.say(`A seed is a whole number from 0 to ${MAX_SEED}.`);
      else if (refused) gan.hush();
      refused = seed === null;
      if (refused) return;
      value = seed;
    }
    if (name === "model" && !run(value)) return; // no run is there yet
    if (name === "class") value = value === OWN_CLASS ? null : value;
    // Gradio selects its first tab while the page loads; nobody has touched anything then, and the address stands.
    // And what it says of a tab comes late: two quick presses of Back may have brought another to the front by then.
    const front = document.querySelector("#tabs [role=tab][aria-selected=true]")?.dataset.tabId ?? value;
    if (name === "tab" && (!touched || value !== front)) return;
    if (shown) shown[name] = value;
    if (same(value, state[name])) return; // Gradio's echo of what the page told it
    set({ [name]: value });
  }

  addEventListener("popstate", restore);
  Object.assign(state, read(location.search));
  markPage();

  return {
    library,
    state,
    set,
    input,
    inputs,
    MAX_SEED,
    run,
    writeStops,
    /* The film of that kind ("replay", "walk"), once it is on the page. */
    film: (kind) => slot(kind).promise,
    /* film.js reports a film. */
    arrive(kind, film) {
      slot(kind).resolve(film);
      slot(kind).film = film;
    },
    /* The film that the keys move: that of the tab in front, or undefined. */
    inFront: () => films[state.tab]?.film,
    wholeSeed,
    /* Call `listener(state, changed names, restored from the address)` now and at every change; not before there is a run,
       but with `always`. */
    watch(listener, always = false) {
      listeners.push({ listener, always });
      if (always || state.model !== null) listener(state, Object.keys(state));
    },
    /* Gradio's page is there: show the state, and what is wrong with the address. */
    attach(trigger_) {
      trigger = trigger_;
      const first = library.runs[0]?.key ?? null;
      shown = { model: first, seed: 0, class: null, tab: "replay", choices: [first, ...choices().slice(1)] };
      markPage();
      showInputs();
      setTimeout(holdTab, 3000);
      gan.hush();
      gan.join().then(() => {
        while (complaints.length) gan.say(complaints.shift());
      });
    },
    restore,
    /* What the address asks for and is not here will not come. */
    forgo() {
      awaited = false;
      settled = true;
    },
    /* The list of runs has changed, or the run on show has. */
    refresh(changed) {
      if (changed.length) follow(changed);
      else showInputs();
    },
    randomSeed() {
      const seed = Math.floor(Math.random() * 1_000_000); // short enough to read out in a talk
      set({ seed });
      return seed;
    },
  };
})();
