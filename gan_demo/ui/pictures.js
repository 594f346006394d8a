/* What the page asks the server for: a run's card, and pictures by an address that never changes its meaning. */
"use strict";

Object.assign(gan, (() => {
  const ROOT = `${document.baseURI.replace(/[?#].*/, "").replace(/\/[^/]*$/, "")}/gradio_api/film`;
  const cards = new Map();

  async function answer(url, signal, method = "GET") {
    let response;
    try {
      response = await fetch(url, { signal, method });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The server does not answer: the page goes on with what it has.");
    }
    if (response.ok) return response;
    const told = await response.json().catch(() => null);
    const sentence = told?.error ?? `The server could not make this picture (${response.status}).`;
    throw Object.assign(new Error(sentence), { changed: told?.changed });
  }

  const place = (key) => `${ROOT}/${key.split("/").map(encodeURIComponent).join("/")}`;
  const askCard = async (key) => (await answer(`${place(key)}/run.json`)).json();

  /* Everything about a run but its pictures; fetched once, and again by freshCard. */
  function card(key) {
    if (!cards.has(key)) {
      const asked = askCard(key);
      asked.catch(() => cards.delete(key));
      cards.set(key, asked);
    }
    return cards.get(key);
  }

  /* The run's card as it is now; `isNew` where it is another than the one that card() gave. */
  async function freshCard(key) {
    const [before, now] = await Promise.all([card(key), askCard(key)]);
    const isNew = JSON.stringify(before) !== JSON.stringify(now);
    if (isNew) cards.set(key, Promise.resolve(now));
    return { card: now, isNew };
  }

  /* The frame of a step: the last snapshot at or before it. Where no step is asked for it is the best one of a run that has
     ended and was judged, else the last. */
  function frameOf(card, step) {
    const end = card.snapshots.length - 1;
    if (step !== null) return Math.max(0, card.snapshots.findLastIndex((one) => one.step <= step));
    const best = card.training ? -1 : card.snapshots.findIndex((one) => one.step === card.quality?.best);
    return best < 0 ? end : best;
  }

  const shownStep = (card, step) => card.snapshots[frameOf(card, step)].step;

  /* What the page's state holds for a frame: nothing for the one that is shown where nothing is asked for. */
  const stepOf = (card, frame) => (frame === frameOf(card, null) ? null : card.snapshots[frame].step);

  function url(card, file, parameters) {
    const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
    return `${place(card.key)}/${card.revision}/${file}?${new URLSearchParams(given)}`;
  }

  /* Decoded off the main thread, once: scrubbing then only copies pixels. */
  async function bitmap(address, signal) {
    return createImageBitmap(await (await answer(address, signal)).blob());
  }

  /* Runs `work(value)` for the newest value alone: while one runs, later values wait and only the last of them is done. */
  function newest(work) {
    let running = false;
    let waiting = null;
    return async function next(...values) {
      if (running) return void (waiting = values);
      running = true;
      try {
        await work(...values);
      } catch (error) {
        if (error.changed) gan.look(); // another visitor saw it grow first: the newer card asks for newer pictures
        else gan.say(error.message);
      } finally {
        running = false;
        if (waiting) {
          const values = waiting;
          waiting = null;
          next(...values);
        }
      }
    };
  }

  return { answer, card, freshCard, frameOf, shownStep, stepOf, url, bitmap, newest, ROOT };
})());
