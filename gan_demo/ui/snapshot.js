/* The slider over a run's snapshots, as Generate and Walk have it: one step for all tabs. */
"use strict";

/* Bind the slider in `part`'s element; returns a function that shows where the page's state stands in a run. */
gan.snapshots = (part) => {
  let shown = null; // the run's card
  part(".step").addEventListener("input", () => {
    if (shown?.key !== gan.state.model) return; // another run's step is none of its own
    gan.set({ step: gan.stepOf(shown, Number(part(".step").value)) });
    draw(shown, gan.state.step); // what it says does not wait for the pictures
  });

  function draw(card, step) {
    shown = card;
    const steps = card.snapshots.map((one) => one.step);
    const at = gan.frameOf(card, step);
    part(".step").max = steps.length - 1;
    part(".step").value = at;
    part(".step").setAttribute("aria-valuetext", `step ${steps[at]}`);
    part(".step-value").textContent = gan.number(steps[at]);
  }

  return draw;
};
