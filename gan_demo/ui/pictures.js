/* What the page asks the server for: a run's card, and pictures by an address that never changes its meaning. */
"use strict";

Object.assign(gan, (() => {
  const ROOT = `${document.baseURI.replace(/[?#].*/, "").replace(/\/[^/]*$/, "")}/gradio_api/film`;
  const AWAY = "The server does not answer: the page goes on with what it has.";
  const PAINTING = 120_000; // ms that a picture may take, which waits for its turn or for the Hub
  const PATIENCE = { json: 15_000, blob: PAINTING }; // ms for a whole answer
  const SUPERSEDED = 3000; // ms that a request goes on for which nobody waits any more
  const LATER = [429, 502, 503, 504]; // too many at once, or a proxy before a server that comes back
  const AGAIN = 3000; // ms until a server that was away is asked once more
  const cards = new Map();

  /* What the server answers, read as "json" or "blob". Throws a sentence: its own, with its `status`, and `changed` where the
     run has, or with `away` that there was no answer, or none yet; or an AbortError once `signal` says that nobody wants it any more. */
  async function answer(url, as, { signal, patience = PATIENCE[as], ...request } = {}) {
    let response;
    let told;
    try {
      response = await fetch(url, { ...request, signal: either(signal, AbortSignal.timeout(patience)) });
      told = response.ok ? await response[as]() : await response.json().catch(() => null);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw Object.assign(new Error(AWAY), { away: true });
    }
    const away = LATER.includes(response.status);
    if (!away) gan.reach("");
    if (response.ok) return told;
    const sentence = told?.error ?? (away ? AWAY : `The server could not do this (${response.status}).`);
    throw Object.assign(new Error(sentence), { changed: told?.changed, status: response.status, away });
  }

  const either = (signal, timeout) => (signal && AbortSignal.any ? AbortSignal.any([signal, timeout]) : signal ?? timeout);

  const place = (key) => `${ROOT}/${key.split("/").map(encodeURIComponent).join("/")}`;
  const askCard = (key) => answer(`${place(key)}/run.json`, "json");

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
    const best = card.training?.live ? -1 : card.snapshots.findIndex((one) => one.step === card.quality?.best);
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
    return createImageBitmap(await answer(address, "blob", { signal }));
  }

  /* A function that has `work(signal, urgent)` done for what the page shows by then: called while it is at work, it is done
     once more; called with true, because a person wants something else, what is at work is given up where it takes long.
     Where the server is away it is tried again. */
  function newest(work) {
    let running = null; // the AbortController of what is at work
    let owed = false; // something urgent has failed, and is tried again
    let waiting = null; // whether it is urgent, where it shall be done once more
    let again = 0;
    const retry = () => (document.hidden ? document.addEventListener("visibilitychange", retry, { once: true }) : next());
    async function next(urgent = false) {
      clearTimeout(again);
      if (running) {
        if (urgent) setTimeout((old) => old.abort(), SUPERSEDED, running);
        return void (waiting = waiting || urgent);
      }
      running = new AbortController();
      const { signal } = running;
      urgent ||= owed;
      owed = false;
      try {
        await work(signal, urgent);
      } catch (error) {
        owed = urgent && Boolean(error.away || error.changed);
        if (error.changed) gan.look(); // another visitor saw it grow first: the newer card asks for newer pictures
        else if (!signal.aborted) gan.fail(error);
        if (error.away) again = setTimeout(retry, AGAIN * (1 + Math.random())); // a crowd comes back one by one
      } finally {
        running = null;
        if (waiting !== null) {
          const asked = waiting;
          waiting = null;
          next(asked);
        }
      }
    }
    return next;
  }

  /* Whether a change is a person's, and not the run's own growth. */
  const wanted = (changed) => changed.some((name) => !["card", "runs"].includes(name));

  return { PAINTING, wanted, answer, card, freshCard, frameOf, shownStep, stepOf, url, bitmap, newest, ROOT };
})());
