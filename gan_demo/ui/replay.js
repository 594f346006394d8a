/* Replay: the film of one seed and its neighbours through every snapshot of the run. */
"use strict";

gan.film("replay").then((film) => {
  const precise = (value) => gan.number(value, value < 10 ? 2 : value < 100 ? 1 : 0);

  /* Where a step stands on the film's axis, 0 to 1: snapshots are evenly spaced there, steps between two in proportion. */
  function axis(steps) {
    return (step) => {
      if (steps.length < 2) return 0;
      const after = steps.findIndex((one) => one > step);
      if (after === -1) return 1;
      if (after === 0) return 0;
      const fraction = (step - steps[after - 1]) / (steps[after] - steps[after - 1]);
      return (after - 1 + fraction) / (steps.length - 1);
    };
  }

  function panels(card) {
    const at = axis(card.snapshots.map((one) => one.step));
    const history = card.history;
    const end = card.snapshots.at(-1).step; // of the axis; a training at work has logged on
    const logged = (name) => (history[name] ?? []).map((y, i) => [history.step[i], y]).filter(([x]) => x <= end).map(([x, y]) => [at(x), y]);
    const measured = (name) => (card.quality?.points ?? []).filter((p) => name in p).map((p) => [at(p.step), p[name]]);
    const accuracy = gan.curves.lines(["accuracy"], measured);
    const all = [
      { title: "Distance from real images, log scale", lines: gan.curves.lines(["frechet", "swd"], measured), log: true, format: precise },
      gan.curves.losses(logged),
      accuracy.length ? { title: "Right class", lines: accuracy, low: 0, high: 1, format: gan.percent } : gan.curves.scores(logged),
    ];
    return all.filter((one) => one.lines.length);
  }

  function near(card, name, step) {
    const steps = card.history.step ?? [];
    let best = steps.length - 1;
    while (best > 0 && steps[best - 1] >= step) best--;
    return card.history[name]?.[best];
  }

  function caption(card, seed, index) {
    const one = card.snapshots[index];
    const { tiles } = card.film;
    const measured = card.quality?.points.find((point) => point.step === one.step) ?? {};
    const quality = measured.frechet ?? measured.swd;
    const real = near(card, "real_score", one.step);
    const fake = near(card, "fake_score", one.step);
    const aside = [];
    const score = quality === undefined ? "" : `${card.quality.measure === "swd" ? "SWD" : "Fréchet"} ${precise(quality)}`;
    if (quality !== undefined) aside.push("less is better");
    if (card.quality?.floor && quality !== undefined) aside.push(`real images score ${precise(card.quality.floor)}`);
    if (card.quality?.best === one.step) aside.push("the best snapshot");
    if (quality !== undefined && measured.accuracy !== undefined) aside.push(`${gan.percent(measured.accuracy)} of the right class`);
    if (real !== undefined) aside.push(...gan.believed(real, fake));
    return {
      headline: `Step ${gan.number(one.step)}`,
      title: card.title,
      short: `${gan.number(one.step)}`,
      picture: `${tiles} generated images, seeds ${seed} to ${seed + tiles - 1}, at step ${one.step}`,
      now: {
        headline: `Step ${gan.number(one.step)}`,
        facts: [
          `epoch ${gan.number(one.epoch, one.epoch < 10 ? 2 : 0)}`,
          `${gan.number(one.images)} images seen`,
          `${gan.duration(one.seconds)} of training`,
          training(card.training),
          card.source,
        ].filter(Boolean),
      },
      aside: { headline: score, facts: aside },
    };
  }

  /* How far an unfinished run is, or null. */
  function training(reached) {
    if (!reached) return null;
    const how = { true: "training, ", false: "stopped, ", null: "" }[reached.live]; // null: nobody can tell
    return `${how}step ${gan.number(reached.step)} of ${gan.number(reached.length)}`;
  }

  function ticks(card, wanted) {
    const end = card.snapshots.length - 1;
    const count = Math.min(wanted, end + 1);
    const picked = Array.from({ length: count }, (_, i) => Math.round((i * end) / Math.max(1, count - 1)));
    return picked.map((index) => [index, gan.compact(card.snapshots[index].step)]);
  }

  // ---------------------------------------------------------------- two runs at once

  /* Where two run side by side, each has one column of words: what was measured goes in with the rest. */
  function narrow(told) {
    return { ...told, now: { ...told.now, facts: [told.aside.headline, ...told.now.facts].filter(Boolean) } };
  }

  let missed = null; // the run beside that is not there

  /* The other run's film of the same seed and, where it has it, the same class; it follows by fraction of training. */
  async function besideOf(card, { beside, seed, class: chosen }) {
    const key = gan.run(beside)?.key;
    const missing = beside !== null && !key && gan.library.settled && !gan.library.pending;
    if (missing && missed !== beside) gan.say(`There is no run “${beside}” to show beside this one: choose another.`);
    missed = missing ? beside : null; // said once
    if (!key || key === card.key) return null;
    const other = await gan.card(key).catch((error) => {
      if (error.away) throw error; // it may yet come
      gan.say(error.message); // the first goes on without it
    });
    if (!other) return null;
    const same = JSON.stringify(other.classes) === JSON.stringify(card.classes);
    return {
      key,
      url: gan.url(other, "film.webp", { seed, class: same ? chosen : null }),
      layout: other.film,
      caption: (index) => narrow(caption(other, seed, index)),
      at(index) {
        const [whole, otherWhole] = [card, other].map((one) => one.snapshots.at(-1).step);
        return gan.frameOf(other, (card.snapshots[index].step * otherWhole) / Math.max(1, whole)); // exact: whole numbers first
      },
    };
  }

  const others = (key) => gan.library.runs.filter((one) => one.key !== key).map((one) => [one.key, one.title]);

  // ---------------------------------------------------------------- the film

  const load = gan.newest(async (signal) => {
    const state = { ...gan.state };
    const { seed } = state;
    const card = await gan.card(state.model);
    const beside = await besideOf(card, state);
    await film.show({
      url: gan.url(card, "film.webp", { seed, class: state.class }),
      beside,
      others: others(card.key),
      asked: gan.run(state.beside)?.key ?? state.beside,
      pair: (key) => gan.set({ beside: key }),
      layout: card.film,
      rate: 8,
      name: card.key,
      axis: "Training snapshot",
      steps: card.snapshots.map((one) => one.step),
      start: () => gan.frameOf(card, gan.state.step),
      caption: (index, paired) => (paired ? narrow(caption(card, seed, index)) : caption(card, seed, index)),
      panels: () => panels(card),
      ticks: (wanted) => ticks(card, wanted),
      best: card.quality?.best === null || !card.quality ? null : gan.frameOf(card, card.quality.best),
      opening: gan.frameOf(card, null),
      rested(index) {
        if (gan.state.model !== card.key) return; // another run's step is none of its own
        gan.set({ step: gan.stepOf(card, index) });
      },
      pinned: () => pinnedFrame(card),
      pinnedAt: (at) => gan.state.model === card.key && gan.set({ pin: at === null ? null : card.snapshots[at].step }),
    }, signal);
  });

  const pinnedFrame = (card) => (gan.state.pin === null ? null : gan.frameOf(card, gan.state.pin));

  gan.watch(async (state, changed) => {
    const anew = ["model", "card", "seed", "class", "beside", "runs"].some((name) => changed.includes(name));
    const back = changed.includes("tab") && state.tab === "replay"; // what was refused may have been forgotten meanwhile
    if (state.tab !== "replay") return; // it is loaded when somebody looks
    if (anew || back) load(gan.wanted(changed));
    else if (changed.includes("step")) film.go(gan.frameOf(await gan.card(state.model), state.step));
    if ((changed.includes("pin") || back) && !changed.includes("model")) film.pin(pinnedFrame(await gan.card(state.model)));
  });
});
