/* What may come while the page is open: the first run, one on show that grows, those still on their way, and repositories
   of the Hub that a visitor opens by name. Asked for only while somebody looks. */
"use strict";

Object.assign(gan, (() => {
  const COMING = 3; // seconds between two looks for runs that are still on their way
  const FETCHING = 600_000; // ms that a repository of the Hub may take
  const { library } = gan;
  let timer = 0;
  let busy = false;
  let joined = false; // what the address asks for has been asked for

  // ---------------------------------------------------------------- the runs on show

  /* The page's own, and the one beside it. */
  const onShow = () => [gan.state.model, gan.state.beside].filter((key) => gan.run(key));
  const soonest = (pauses) => pauses.reduce((a, b) => (a === null ? b : b === null ? a : Math.min(a, b)), null);

  /* Ask for the list while it is not whole, and for the run on show again; the next time is the server's to say. */
  async function look() {
    clearTimeout(timer);
    if (document.visibilityState !== "visible" || busy) return;
    busy = true;
    let pause = null;
    try {
      if (library.pending) await list();
      pause = soonest(await Promise.all(onShow().map((key) => lookAt(key).catch(patience)))); // one refused stops not the other
    } catch (error) {
      pause = patience(error); // the page goes on with what it has, and says so only to who asks for more
    } finally {
      busy = false;
    }
    later(pause);
  }

  /* When to ask again after an error: never where the server has refused, soon where it is away or in trouble. */
  const patience = (error) => (!error.away && error.status < 500 ? null : COMING);

  async function lookAt(key) {
    const { card, isNew } = await gan.freshCard(key);
    if (key === gan.state.model) gan.stand(card.trouble);
    if (isNew && onShow().includes(key)) gan.refresh(["card"]);
    return card.watch;
  }

  function later(pause) {
    clearTimeout(timer);
    const seconds = library.pending ? Math.min(pause ?? COMING, COMING) : pause;
    if (seconds !== null) timer = setTimeout(look, 1000 * seconds);
  }

  document.addEventListener("visibilitychange", look);
  addEventListener("online", look);

  gan.watch(async ({ model }, changed) => {
    if (!changed.includes("model") && !changed.includes("beside")) return;
    const without = (error) => ({ trouble: "", watch: patience(error) }); // who draws it says why not
    const cards = await Promise.all(onShow().map((key) => gan.card(key).catch(without)));
    if (model !== gan.state.model) return;
    gan.stand(cards[0]?.trouble ?? "");
    later(soonest(cards.map((card) => card.watch)));
  });

  // ---------------------------------------------------------------- the list of runs

  async function list() {
    const now = await gan.answer(`${gan.ROOT}/library.json`, "json");
    const opened = library.runs.filter((one) => one.opened && !now.runs.some((run) => run.key === one.key));
    Object.assign(library, now, { runs: [...now.runs, ...opened] });
    gan.stand("");
    gan.refresh(["runs"]);
    follow();
  }

  /* Show the run that the address asks for, or the first of all, now that it has come. */
  function follow() {
    const asked = new URLSearchParams(location.search).get("model");
    const wanted = gan.run(asked) ?? gan.run() ?? library.runs[0];
    if (wanted && wanted.key !== gan.state.model) {
      gan.hush();
      gan.restore();
    } else if (joined && !library.pending) gan.forgo();
  }

  /* Open a repository of the Hub by its name; resolves to its key, or throws why not. */
  async function open(name) {
    const asked = { method: "POST", patience: FETCHING };
    const run = await gan.answer(`${gan.ROOT}/open.json?${new URLSearchParams({ run: name })}`, "json", asked);
    if (!gan.run(run.key)) library.runs = [...library.runs, { ...run, opened: true }];
    return run.key;
  }

  /* Once, when the page is there: fetch what the address asks for and the page did not come with, and what was trained since
     the server began. */
  async function join() {
    const refused = new Set();
    const unknown = () => {
      const query = new URLSearchParams(location.search);
      return ["model", "beside"].map((name) => query.get(name)).filter((name) => name && !gan.run(name) && !refused.has(name));
    };
    const fetchAll = async () => {
      if (library.pending || library.problems.length || document.getElementById("gan-live") || unknown().length) await list();
      const missing = unknown().filter((name) => library.allow_hub && name.includes("/"));
      if (!missing.length) return;
      gan.say(`${missing.join(" and ")} is being fetched from the Hub, and shown when it is there.`);
      const errors = [];
      for (const name of missing) await open(name).catch((error) => errors.push([name, error]));
      gan.hush();
      gan.refresh(["runs"]);
      for (const [name, error] of errors) {
        gan.fail(error);
        if (!error.away) refused.add(name);
      }
      return errors.some(([, error]) => error.away);
    };
    while (await fetchAll().catch((error) => (gan.fail(error), Boolean(error.away)))) { // what is away may yet come
      await new Promise((done) => setTimeout(done, 1000 * COMING * (1 + Math.random())));
      if (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
    }
    joined = library.settled = true;
    if (gan.state.beside && !gan.run(gan.state.beside)) gan.refresh(["runs"]); // that it is not there may be said now
    follow();
    if (gan.state.model === null) later(null);
  }

  // ---------------------------------------------------------------- the form that opens one

  document.addEventListener("click", (event) => {
    if (event.target.closest(".open-hub")) document.querySelector("dialog.open").showModal();
  });
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("dialog.open form");
    if (!form || event.submitter?.formMethod === "dialog") return;
    event.preventDefault();
    const dialog = form.closest("dialog");
    const said = form.querySelector(".said");
    const button = form.querySelector("button");
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true"; // and not disabled: that would take the focus away
    said.textContent = "Fetching it …";
    try {
      const key = await open(form.elements.repository.value.trim());
      said.textContent = "";
      if (dialog.open) {
        dialog.close();
        gan.hush();
        const again = gan.state.model === key;
        gan.set({ model: key });
        if (again) { // it had made way: its pictures are asked for once more
          gan.refresh(["card"]);
          look();
        }
      } else gan.refresh(["runs"]); // who closed it has gone on: it is in the list
    } catch (error) {
      said.textContent = error.message;
      if (!dialog.open) gan.say(error.message);
    }
    button.ariaDisabled = null;
  });

  return { look, join, list };
})());
