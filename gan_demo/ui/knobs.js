/* Live's knobs: k and the two learning rates, each by steps, and three presets of them. */
"use strict";

/* `recipe()` gives {rates: [G, D], k} to begin with, `most` is the highest rate; `turned(settled)` hears of a hand, once with
   false for each move and with true where it has let go. */
gan.knobs = (section, most, recipe, turned) => {
  const KS = [1, 2, 3, 4, 5, 8, 12, 16, 24, 32];
  const RATES = [".g", ".d"]; // by how many doublings they are off the recipe's
  const PRESETS = {
    default: { k: null, d: 0, hint: "" },
    small: { k: 1, d: -5, hint: "k cannot be less than 1: the discriminator learns at 1/32 of its rate instead." },
    large: { k: 24, d: 0, hint: "24 discriminator steps for each step of the generator." },
  };

  const part = (selector) => section.querySelector(selector);
  const presets = section.querySelectorAll("[data-preset]");
  const rates = () => RATES.map((knob, i) => Math.min(most, recipe().rates[i] * 2 ** Number(part(knob).value)));
  const k = () => KS[Number(part(".k").value)];
  let hint = "";
  part(".k").max = KS.length - 1;

  function set(wantedRates, wantedK) {
    RATES.forEach((knob, i) => (part(knob).value = Math.round(Math.log2(wantedRates[i] / recipe().rates[i]))));
    part(".k").value = KS.findLastIndex((one) => one <= wantedK);
    say();
  }

  function say() {
    part(".k-value").textContent = k();
    part(".k").setAttribute("aria-valuetext", k());
    RATES.forEach((knob, i) => {
      part(`${knob}-value`).textContent = gan.short(rates()[i]);
      part(knob).setAttribute("aria-valuetext", gan.short(rates()[i]));
    });
    for (const button of presets) {
      const preset = PRESETS[button.dataset.preset];
      const same = k() === (preset.k ?? recipe().k) && Number(part(".g").value) === 0 && Number(part(".d").value) === preset.d;
      button.setAttribute("aria-pressed", same);
    }
  }

  for (const knob of [".k", ...RATES]) {
    part(knob).addEventListener("input", () => {
      hint = "";
      say();
      turned(false);
    });
    part(knob).addEventListener("change", () => turned(true));
  }
  part(".presets").addEventListener("click", (event) => {
    const preset = PRESETS[event.target.closest("[data-preset]")?.dataset.preset];
    if (!preset) return;
    const [g, d] = recipe().rates;
    set([g, d * 2 ** preset.d], preset.k ?? recipe().k);
    hint = preset.hint;
    turned(false);
    turned(true);
  });

  return {
    set,
    now: () => ({ rates: rates(), k: k() }),
    /* As the recipe has them. */
    begin() {
      hint = "";
      set(recipe().rates, recipe().k);
    },
    hint: () => hint,
    disable(off) {
      for (const one of [part(".k"), ...RATES.map(part), ...presets]) one.disabled = off;
    },
  };
};
