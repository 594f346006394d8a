/* For a talk: the keys, their overlay, and a mode in which nothing but the stage is left. */
"use strict";

(() => {
  const TYPING = 'input:not([type="range"]):not([type="checkbox"]), textarea, select, [contenteditable="true"]';

  let theme = null; // where it was chosen by hand

  function writeTheme() {
    const query = new URLSearchParams(location.search);
    query.set("__theme", theme); // Gradio's own name for it
    history.replaceState(history.state, "", `?${query}`);
  }
  addEventListener("popstate", () => theme && writeTheme()); // older addresses do not say it

  const actions = {
    talk: () => gan.set({ talk: !gan.state.talk }),
    help() {
      const dialog = document.querySelector("dialog.help");
      const around = document.querySelector(".gradio-container");
      if (dialog.parentElement !== around) around.append(dialog); // out of the masthead, which a talk hides with all in it
      dialog.querySelector(".keys-on").checked = keys.on;
      dialog.showModal();
      dialog.querySelector("h2").focus(); // read from the top, also where it is longer than the window
    },
    theme() {
      theme = document.body.classList.toggle("dark") ? "dark" : "light";
      writeTheme();
      dispatchEvent(new Event("gan-theme")); // for what is drawn in ink of its own
    },
    random: () => gan.randomSeed(),
    play: () => gan.inFront()?.toggle(),
    full: () => (gan.inFront()?.visible() ? gan.inFront().fullScreen() : gan.fill(document.documentElement)),
    back: () => gan.inFront()?.step(-1),
    forth: () => gan.inFront()?.step(1),
    first: () => gan.inFront()?.step(-Infinity),
    last: () => gan.inFront()?.step(Infinity),
  };

  const KEYS = {
    " ": "play",
    ArrowLeft: "back",
    ArrowRight: "forth",
    Home: "first",
    End: "last",
    r: "random",
    f: "full",
    p: "talk",
    "?": "help",
  };
  const CLICKER = { PageUp: "back", PageDown: "forth" }; // a presenter's, and the page's own keys else

  /* Whether letters and digits are keys: who dictates would press them unawares. It outlives the page where the browser
     lets it. */
  const keys = {
    off: false,
    get on() {
      try {
        return localStorage.getItem("gan-keys") !== "off";
      } catch {
        return !this.off;
      }
    },
    set on(wanted) {
      this.off = !wanted;
      try {
        localStorage.setItem("gan-keys", wanted ? "on" : "off");
      } catch {}
    },
  };

  const FILM = ["play", "back", "forth", "first", "last"]; // keys that the page keeps where no film is in front
  const ONCE = ["play", "talk", "full", "help"]; // however long a key is held

  /* Have that part of the page fill the screen, or give it back. */
  gan.fill = async (place) => {
    try {
      await (document.fullscreenElement ? document.exitFullscreen() : place.requestFullscreen());
    } catch {
      gan.say("This browser does not let the page fill the screen: use its own menu.");
    }
  };

  /* While something is shown to others the screen stays awake: canvases are no video to a system. */
  let awake = null;
  const allowed = document.featurePolicy?.allowsFeature("screen-wake-lock") ?? true; // not in every frame
  async function keepAwake() {
    const wanted = allowed && (gan.state.talk || document.fullscreenElement) && !document.hidden;
    if (!wanted) return void awake?.release();
    awake ??= await navigator.wakeLock?.request("screen").catch(() => null);
    awake?.addEventListener("release", () => (awake = null), { once: true });
  }
  gan.watch((_, changed) => changed.includes("talk") && keepAwake(), true);
  for (const kind of ["visibilitychange", "fullscreenchange"]) document.addEventListener(kind, keepAwake);

  function chooseClass(digit) {
    if (gan.state.tab === "live") return gan.liveClass?.(digit);
    const classes = gan.run()?.classes;
    if (classes && digit < classes.length) gan.set({ class: gan.state.class === digit ? null : digit });
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches('input[type="number"]')) event.target.blur(); // entered: the keys are the page's
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPING)) return;
    const dialog = document.querySelector("dialog[open], [role=dialog][aria-modal=true]"); // what is behind it hears no keys
    if (dialog) return void (event.key === "?" && dialog.matches(".help") && keys.on && dialog.close());
    if (event.key === " " && event.target.closest('button, a, input:not([type="range"])')) return; // the control's own key
    if (/^(Arrow|Home|End)/.test(event.key) && event.target.closest('input, [role="application"]')) return;
    if (!keys.on && event.key.length === 1 && event.key !== " ") return;
    if (/^[0-9]$/.test(event.key)) return event.repeat || chooseClass(Number(event.key));
    if (event.key === "Escape" && gan.state.talk && !document.fullscreenElement) return actions.talk();
    const presenting = gan.state.talk || document.fullscreenElement;
    const action = KEYS[event.key] ?? KEYS[event.key.toLowerCase()] ?? (presenting && CLICKER[event.key]);
    if (!action || (FILM.includes(action) && !gan.inFront()?.visible())) return;
    event.preventDefault();
    if (!(event.repeat && ONCE.includes(action))) actions[action]();
  });

  document.addEventListener("change", ({ target }) => {
    if (target.matches(".help .keys-on")) keys.on = target.checked;
    if (target.matches("select") && !target.matches(":focus-visible")) target.blur(); // chosen by pointer: the keys are the page's
  });

  document.addEventListener("click", (event) => {
    const used = event.target.closest('button, input[type="checkbox"]'); // by pointer: the keys are the page's
    if (used && event.detail && !used.closest("dialog") && !used.matches(":focus-visible")) used.blur();
    const name = event.target.closest("[data-do]")?.dataset.do;
    if (name) actions[name]();
  });
})();
