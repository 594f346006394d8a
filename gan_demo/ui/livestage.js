/* Live's stage: what a run in training draws by now, what its networks make of it, and where somebody turned a knob. */
"use strict";

gan.liveStage = (section) => {
  const MOVING = 600; // ms in which a point gets to its new place
  const SIDE = 4; // tiles in a row
  const TURNED = 1.4; // times a rate: a hand doubles or halves it, a recipe that anneals takes smaller steps by itself

  const part = (selector) => section.querySelector(selector);
  const canvas = part("canvas");
  let card = null; // of the run on show
  let picture = null; // its tiles or its plane, and the address they came from

  // ---------------------------------------------------------------- the picture

  /* Draw the seed's tiles, or the plane of points, at the run's last step. */
  async function show(now, { seed, class: chosen }, signal) {
    const step = now.snapshots.at(-1).step;
    const asked = { seed, step, class: chosen };
    const url = now.points ? gan.url(now, "field.json", asked) : gan.url(now, "grid.png", { ...asked, tiles: SIDE * SIDE });
    if (picture?.url === url) return;
    const made = now.points
      ? { url, plane: await gan.answer(url, "json", { signal, patience: gan.PAINTING }) }
      : { url, tiles: await gan.bitmap(url, signal) };
    if (card?.key !== now.key) return made.tiles?.close(); // another run has the stage by now
    const old = picture;
    picture = made;
    old?.tiles?.close();
    const what = now.points ? "points and the discriminator's verdict all over the plane" : "images";
    canvas.setAttribute("aria-label", `Generated ${what}, seeds ${seed} on, at step ${step}`);
    if (now.points) move(old?.plane);
    else paint();
    section.dataset.shown = url;
  }

  function clear() {
    if (picture) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    picture?.tiles?.close();
    picture = null;
    canvas.setAttribute("aria-label", "No picture yet");
    delete section.dataset.shown;
  }

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
      const gone = still ? 1 : Math.min(1, Math.max(0, now - start) / MOVING);
      const eased = gone * (2 - gone);
      const at = plane.generated.map((to, i) => to.map((value, j) => value * eased + (before?.generated[i][j] ?? value) * (1 - eased)));
      gan.paintPlane(context, canvas.width, plane, at);
      if (gone < 1) requestAnimationFrame(frame);
    };
    paint();
    requestAnimationFrame(frame);
  }

  // ---------------------------------------------------------------- the words beside it

  /* Say how a training stands; `now` is its run's card, null while there is none. */
  function tell(status, now, running) {
    if (card?.key !== now?.key) clear();
    card = now;
    const sentence = status.sentence ?? "Press Start: what G draws is shown here while two networks learn.";
    if (part(".said").textContent !== sentence) part(".said").textContent = sentence; // else it would be read out again
    part(".after").hidden = card === null;
    part(".push").hidden = !status.push;
    part(".push").textContent = status.push ?? "";
    section.dataset.phase = status.phase;
    if (card === null) {
      part(".axis").hidden = true;
      say(".now", running ? "Starting" : "", running ? [`${gan.duration(status.seconds)} so far`] : []);
      return say(".aside", "", []);
    }
    const steps = card.history.step ?? [];
    const reached = Math.max(steps.at(-1) ?? 0, card.snapshots.at(-1).step);
    const speed = latest("images_per_second", 9);
    say(".now", `Step ${gan.number(reached)}`, [
      card.training ? `of ${gan.number(card.training.length)}` : "the last",
      `${gan.duration(status.seconds)} ${running ? "so far" : "in all"}`,
      ...(speed ? [`${gan.number(speed)} images/s`] : []),
    ]);
    say(".aside", "", steps.length ? verdict() : []);
    chart();
  }

  function say(place, headline, facts) {
    part(`${place} .headline`).textContent = headline;
    part(`${place} .facts`).replaceChildren(...facts.map((fact) => Object.assign(document.createElement("li"), { textContent: fact })));
  }

  /* The median of a column's last values. */
  function latest(name, count = 1) {
    const values = (card.history[name] ?? []).slice(-count).sort((a, b) => a - b);
    return values[Math.floor(values.length / 2)];
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

  // ---------------------------------------------------------------- the curves

  /* The curves by step, and where somebody turned a knob. */
  function chart() {
    const steps = card?.history.step ?? [];
    part(".axis").hidden = steps.length < 2;
    if (steps.length < 2) return;
    const size = (name) => parseFloat(getComputedStyle(part(".film")).getPropertyValue(name));
    const at = (step) => step / steps.at(-1);
    const points = (name) => (card.history[name] ?? []).map((y, i) => [at(steps[i]), y]);
    const box = { width: part(".seek").clientWidth, height: size("--panel"), gutter: size("--gutter") };
    gan.curves.draw(part(".curves"), [gan.curves.losses(points), gan.curves.scores(points)], box);
    const label = (step, text) => {
      const made = Object.assign(document.createElement("span"), { textContent: text });
      made.style.left = `${100 * at(step)}%`;
      made.classList.toggle("late", at(step) > 0.8);
      return made;
    };
    part(".ticks").replaceChildren(label(0, "0"), label(steps.at(-1), gan.number(steps.at(-1))));
    const marks = new Map(); // a button may turn two knobs at once
    for (const [step, text] of turns(steps)) marks.set(step, [...(marks.get(step) ?? []), text]);
    part(".marks").replaceChildren(...[...marks].map(([step, texts]) => label(step, texts.join(", "))));
  }

  /* Where k or a rate became another: [[step, what it became]]. */
  function turns(steps) {
    const names = { k: (v) => `k ${Math.round(v)}`, generator_rate: (v) => `G ${gan.short(v)}`, discriminator_rate: (v) => `D ${gan.short(v)}` };
    const found = [];
    for (const [name, said] of Object.entries(names)) {
      const values = card.history[name] ?? [];
      let before = values[0];
      for (let i = 1; i < values.length - 1; i++) {
        if (values[i] === values[i - 1] || values[i] !== values[i + 1] || values[i] === before) continue; // averaged over rows
        const by = Math.max(values[i] / before, before / values[i]);
        before = values[i];
        if (name === "k" || by > TURNED) found.push([steps[i], said(before)]);
      }
    }
    return found;
  }

  addEventListener("gan-theme", paint);
  new ResizeObserver(() => {
    paint();
    if (card) chart();
  }).observe(section);
  gan.dense(paint);

  return { show, tell };
};
