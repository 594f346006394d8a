/* Numbers as a person says them, and the one line in which the page speaks. */
"use strict";

Object.assign(gan, (() => {
  const number = (value, digits = 0) => value.toLocaleString("en", { maximumFractionDigits: digits });

  const percent = (part) => `${Math.round(100 * part)}\u00a0%`;

  const short = (rate) => rate.toExponential(1).replace(".0", "");

  /* What the discriminator makes of real and of generated images. */
  const believed = (real, fake) => [`D believes real images: ${percent(real)}`, `D believes generated: ${percent(fake)}`];

  function duration(exact) {
    if (exact < 9.95) return `${number(exact, 1)} s`;
    const seconds = Math.round(exact);
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min${seconds % 60 ? ` ${seconds % 60} s` : ""}`;
    return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }

  function compact(value) {
    return value >= 10_000 ? value.toLocaleString("en", { notation: "compact", maximumFractionDigits: 1 }) : number(value);
  }

  /* Sentences for the person, one below the other; a screen reader says them. What is wrong with a run stays said as long
     as it is so. */
  const said = [];
  let standing = "";
  let outage = "";
  function speak() {
    const { problems } = gan.library;
    const empty = gan.state.model === null; // then they stand on the stage
    const sentences = [...(empty || gan.state.talk ? [] : problems), standing, outage, ...said].filter(Boolean);
    const full = document.fullscreenElement;
    tell((full?.matches(".film") ? full : document.querySelector("#notice"))?.querySelector(".notice"), sentences);
    if (empty) tell(document.querySelector("#waiting .sentences"), problems);
  }

  function tell(place, sentences) {
    const told = [...(place?.children ?? [])].map((one) => one.textContent);
    if (JSON.stringify(told) === JSON.stringify(sentences)) return; // else a screen reader would say it all again
    place?.replaceChildren(...sentences.map((sentence) => Object.assign(document.createElement("p"), { textContent: sentence })));
  }

  addEventListener("fullscreenchange", speak); // a film that fills the screen says it itself
  gan.watch((_, changed) => changed.includes("talk") && speak(), true); // what was wrong from the start is no part of a talk

  const say = (sentence) => {
    if (!said.includes(sentence)) said.push(sentence);
    speak();
  };

  /* The server is away, as the sentence says, until it answers again: "". */
  function reach(sentence) {
    if (sentence === outage) return;
    outage = sentence;
    speak();
  }

  /* Call `redraw` where the window comes to a screen of another pixel density: its size on the page stays the same then. */
  function dense(redraw) {
    const again = () => {
      redraw();
      dense(redraw);
    };
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", again, { once: true });
  }

  function download(blob, name) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  return {
    download,
    number,
    percent,
    short,
    believed,
    duration,
    compact,
    dense,
    say,
    reach,
    /* Say what went wrong. */
    fail: (error) => (error.away ? reach : say)(error.message),
    /* What is wrong with the run on show, or "". */
    stand(sentence) {
      standing = sentence;
      speak();
    },
    hush() {
      said.length = 0;
      speak();
    },
  };
})());
