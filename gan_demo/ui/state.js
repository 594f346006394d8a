/* One state for the whole page: run, seed, class, step, tab, talk. It lives in the address, so that a link restores what
   was seen and the back button works; the tabs and Gradio's own inputs follow it. Nothing of it is kept on the server. */
"use strict";

window.gan = (() => {
  const library = JSON.parse(document.getElementById("gan-library").textContent);
  const TABS = ["replay", "generate", "walk"];
  const MAX_SEED = Number.MAX_SAFE_INTEGER;
  const TYPING_PAUSE = 1000; // ms: a number typed within it is one entry of the browser's history
  const REPLACED = ["step"]; // changes too often for an entry of its own

  const state = { model: library.runs[0].key, seed: 0, class: null, step: null, tab: "replay", talk: false };
  const extras = {}; // what one tab alone adds: name -> {value, read, write}
  const listeners = [];
  const complaints = [];
  let lastPush = { at: 0, what: "" };
  let shown = null; // what Gradio's inputs show
  let trigger = null; // asks Gradio to show the state: set by attach()

  const run = (key = state.model) => library.runs.find((one) => one.key === key);
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

  /* The state that an address asks for. What will not do is left at its default and complained of. */
  function read(search) {
    const asked = new URLSearchParams(search);
    const found = { model: library.runs[0].key, seed: 0, class: null, step: null, tab: "replay", talk: false };
    const take = (name, value, wish) => {
      if (!asked.has(name)) return;
      if (value !== null) found[name] = value;
      else complaints.push(`The address asks for the ${name} “${asked.get(name).slice(0, 40)}”: ${wish}.`);
    };
    const names = library.runs.map((one) => one.key);
    take("model", run(asked.get("model"))?.key ?? null, `there are ${names.join(", ")}`);
    take("seed", wholeSeed(asked.get("seed")), `a seed is a whole number from 0 to ${MAX_SEED}`);
    const { classes } = run(found.model);
    if (classes) take("class", classIndex(asked.get("class"), classes), `there are ${classes.join(", ")}`);
    take("step", wholeSeed(asked.get("step")), "a step is a whole number");
    take("tab", TABS.includes(asked.get("tab")) ? asked.get("tab") : null, `there are ${TABS.join(", ")}`);
    found.talk = asked.get("talk") === "1";
    for (const [name, extra] of Object.entries(extras)) {
      found[name] = asked.has(name) ? (extra.read(asked.get(name)) ?? extra.value) : extra.value;
    }
    return found;
  }

  function address() {
    const query = new URLSearchParams(location.search); // keeps what is not ours, such as Gradio's own __theme
    const put = (name, value) => (value === null || value === false ? query.delete(name) : query.set(name, value));
    put("model", state.model);
    put("seed", state.seed);
    put("class", state.class);
    put("step", state.step);
    put("tab", state.tab === "replay" ? null : state.tab);
    put("talk", state.talk ? 1 : null);
    for (const [name, extra] of Object.entries(extras)) {
      put(name, same(state[name], extra.value) ? null : extra.write(state[name]));
    }
    return query.toString();
  }

  function writeAddress(changed) {
    const query = address();
    const what = changed.join();
    const now = Date.now();
    const quiet = changed.every((name) => REPLACED.includes(name) || name in extras);
    const replace = quiet || (what === lastPush.what && now - lastPush.at < TYPING_PAUSE);
    if (!quiet) lastPush = { at: now, what };
    history[replace ? "replaceState" : "pushState"](history.state, "", `?${query}`);
    if (window.parent !== window) window.parent.postMessage({ queryString: query, hash: "" }, "https://huggingface.co");
  }

  function follow(changed) {
    document.body.classList.toggle("talk", state.talk);
    for (const listener of listeners) listener(state, changed);
    showInputs();
  }

  /* Change the state; every tab follows. Switching runs keeps the seed and drops what does not apply to the new run. */
  function set(changes) {
    const wanted = { ...changes };
    if ("model" in wanted && wanted.model !== state.model) {
      const { classes } = run(wanted.model);
      const before = run().classes;
      if (!same(classes, before) && state.class !== null) wanted.class = null;
      wanted.step = null;
    }
    const changed = Object.keys(wanted).filter((name) => !same(wanted[name], state[name]));
    if (!changed.length) return;
    Object.assign(state, wanted);
    writeAddress(changed);
    follow(changed);
  }

  function restore() {
    const found = read(location.search);
    const changed = Object.keys(found).filter((name) => !same(found[name], state[name]));
    Object.assign(state, found);
    follow(changed);
    while (complaints.length) gan.say(complaints.shift());
  }

  // ---------------------------------------------------------------- Gradio's inputs

  const OWN_CLASS = -1; // the class input's "each its own"

  /* What the inputs model, seed, class and the tabs shall show: the answer to the event "restore". */
  function inputs() {
    const update = (changes) => ({ __type__: "update", ...changes });
    const { classes } = run();
    const choices = [["each its own", OWN_CLASS], ...(classes ?? []).map((name, index) => [name, index])];
    shown = { model: state.model, seed: state.seed, class: state.class, tab: state.tab };
    return [
      state.model,
      state.seed,
      update({ choices, value: state.class ?? OWN_CLASS, visible: classes !== null }),
      update({ selected: state.tab }),
    ];
  }

  function showInputs() {
    const now = { model: state.model, seed: state.seed, class: state.class, tab: state.tab };
    if (trigger && !same(now, shown)) trigger("restore");
  }

  /* A person used one of Gradio's inputs. */
  function input(name, value) {
    if (name === "seed") {
      const seed = wholeSeed(value);
      if (seed === null) return gan.say(`A seed is a whole number from 0 to ${MAX_SEED}.`);
      value = seed;
    }
    if (name === "class") value = value === OWN_CLASS ? null : value;
    if (shown) shown[name] = value;
    gan.hush();
    set({ [name]: value });
  }

  addEventListener("popstate", restore);
  Object.assign(state, read(location.search));

  return {
    library,
    state,
    set,
    input,
    inputs,
    MAX_SEED,
    run,
    wholeSeed,
    /* Call `listener(state, changed names)` now and at every change. */
    watch(listener) {
      listeners.push(listener);
      listener(state, Object.keys(state));
    },
    /* Let one tab keep a value of its own in the address. */
    keep(name, value, read, write = String) {
      extras[name] = { value, read, write };
      const asked = new URLSearchParams(location.search).get(name);
      state[name] = asked === null ? value : (read(asked) ?? value);
    },
    /* Gradio's page is there: show the state, and what is wrong with the address. */
    attach(trigger_) {
      trigger = trigger_;
      shown = { model: library.runs[0].key, seed: 0, class: null, tab: "replay" };
      document.body.classList.toggle("talk", state.talk);
      showInputs();
      gan.hush();
      while (complaints.length) gan.say(complaints.shift());
    },
    randomSeed() {
      const seed = Math.floor(Math.random() * 1_000_000); // short enough to read out in a talk
      gan.hush();
      set({ seed });
      return seed;
    },
  };
})();
