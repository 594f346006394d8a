"""What a speaker and the room would lose: a training on the page, from the button to its film."""

import json
import re
import shutil
import signal
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from browser import App
from conftest import DATA
from PIL import Image
from playwright.sync_api import expect

from gan_demo.run import Run

LIVE = ".live[data-shown]"
LONG = 300_000  # ms: a slow machine is no failure


@pytest.fixture
def stage(runs, launch, tmp_path) -> App:
    """An app that trains into a folder of its own."""
    return launch(runs / "b-classes", options=("--data", str(DATA), "--out", str(tmp_path / "live")))


def ask(app: App, path: str, body: dict | None = None, **headers: str) -> tuple[int, dict]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(f"{app.url}/gradio_api/live/{path}", data, headers), timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        return refused.code, json.load(refused)


def test_a_live_training_from_the_button_to_its_film(stage, visit, tmp_path):
    speaker = visit(stage).open(wait=".live .start", tab="live")
    page = speaker.page
    page.get_by_label("Recipe").select_option("mlp-fashion")
    page.get_by_label("Pictures").select_option("MNIST")
    page.get_by_label("Length").select_option("30000")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(LIVE, timeout=LONG)
    first = speaker.tiles(".live canvas")
    curve = page.locator(".live .curves path").first
    expect(curve).to_have_attribute("d", re.compile("L.*L"), timeout=LONG)
    drawn = curve.get_attribute("d")
    page.wait_for_function(
        "before => document.querySelector('.live').dataset.shown !== before", arg=shown(page), timeout=LONG
    )
    assert np.abs(speaker.tiles(".live canvas") - first).max() > 1  # the picture has changed
    expect(curve).not_to_have_attribute("d", drawn, timeout=LONG)  # and the losses have moved
    expect(page.locator(".live .aside")).to_contain_text("D believes real images")
    expect(page.locator(".live .now")).to_contain_text("images/s")

    guest = visit(stage).open(wait=LIVE, tab="live").page  # who comes second watches the first
    expect(guest.locator(".live .hint")).to_contain_text("you watch it")
    expect(guest.get_by_role("button", name="Stop")).to_be_hidden()
    expect(guest.get_by_role("slider", name="k, D steps")).to_be_disabled()
    status, answer = ask(stage, "stop.json", {}, **{"X-Gan-Live": "guessed"})
    assert (status, answer["error"][:40]) == (400, "this training is another visitor's: watc")
    assert ask(stage, "start.json", {"recipe": "mlp-mnist"})[0] == 403  # as another site's page would send it
    rebound = {"X-Gan-Live": "new", "Host": "evil.example"}  # as one would whose name leads to this machine
    assert ask(stage, "start.json", {"recipe": "mlp-mnist"}, **rebound)[0] == 403
    behind = {"X-Gan-Live": "new", "X-Forwarded-For": "203.0.113.7"}  # a stranger, by way of a proxy on this machine
    assert ask(stage, "start.json", {"recipe": "mlp-mnist"}, **behind)[0] == 403
    named = {
        "X-Gan-Live": "new",
        "Origin": "https://gan.example",
        "Sec-Fetch-Site": "same-origin",
    }  # one that hides both
    assert ask(stage, "start.json", {"recipe": "mlp-mnist"}, **named)[0] == 403

    run = tmp_path / "live" / "live-mlp-fashion-mnist"
    assert (Run(run).config.recipe, Run(run).config.dataset) == ("mlp-fashion", "mnist")
    page.get_by_role("button", name="k too small").click()
    until(lambda: Run(run).read_history()[-1]["discriminator_rate"] == 2e-3 / 32)
    page.get_by_role("button", name="k too large").click()
    until(lambda: Run(run).read_history()[-1]["k"] == 24)
    assert Run(run).read_history()[-1]["discriminator_rate"] == 2e-3
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".live .said")).to_contain_text("Paused", timeout=LONG)
    page.get_by_label("Learning rate, generator").press("ArrowRight")
    page.get_by_role("button", name="Go on").click()
    until(lambda: Run(run).read_history()[-1]["generator_rate"] == 4e-3)
    page.get_by_label("Learning rate, generator").press("ArrowLeft")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".live .said")).to_contain_text("everything is saved", timeout=LONG)
    steps = Run(run).steps
    expect(page.locator(".live .push")).to_contain_text(f"--steps {steps[-1]} --push-to-hub USER/mlp-fashion-mnist")
    page.get_by_role("button", name="Replay it").click()
    expect(page.locator("#model input")).to_have_value("MLP GAN on MNIST")
    page.reload()  # it came after the server had begun
    expect(page.locator("#model input")).to_have_value("MLP GAN on MNIST")
    expect(page.locator(".notice p")).to_have_count(0)
    expect(page.locator("#film .scrub")).to_have_attribute("max", str(len(steps) - 1))
    assert json.loads((run / "film.json").read_text())["steps"] == steps
    last = speaker.tiles()
    speaker.scrub(0)
    expect(page.locator("#film .now")).to_contain_text("Step 0")
    assert np.abs(speaker.tiles() - last).max() > 1

    beside = visit(stage).open(model="b-classes", beside=speaker.state("model")).page
    expect(beside.locator("#film canvas")).to_have_count(2)
    expect(beside.locator(".notice p")).to_have_count(0)  # though the page came without that run

    page.get_by_role("tab", name="Live").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()  # a hand is not there before it either
    page.get_by_label("k, D steps").press("Home")  # what is turned after the end counts when it goes on
    page.get_by_role("button", name="Go on").click()
    until(lambda: Run(run).steps[-1] > steps[-1])
    until(lambda: Run(run).read_history()[-1]["k"] == 1)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".live .said")).to_contain_text("everything is saved", timeout=LONG)
    page.get_by_role("button", name="Replay it").click()  # it has grown since it was replayed
    expect(page.locator("#film .scrub")).to_have_attribute("max", str(len(Run(run).steps) - 1))


def test_pictures_that_came_meanwhile_are_offered(launch, runs, visit, tmp_path):
    app = launch(runs / "b-classes", options=("--data", str(tmp_path / "data"), "--out", str(tmp_path / "live")))
    page = visit(app).open(wait=".live .start", tab="live").page
    expect(page.locator(".live .data option:checked")).to_have_text("MNIST (downloaded first)")
    (tmp_path / "data" / "MNIST" / "raw").mkdir(parents=True)
    expect(page.locator(".live .data option:checked")).to_have_text("MNIST")


def shown(page) -> str:
    return page.locator(".live").get_attribute("data-shown")


def until(true) -> None:
    give_up = time.monotonic() + LONG / 1000
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.2)


def test_ones_own_pictures_and_the_end_of_the_app(stage, visit, tmp_path):
    """Without classes a recipe is chosen that needs none. A folder with classes is dropped, of fewer pictures than a
    batch: it takes half of them; the app is told to end while it trains, and the training's state is saved."""
    for index in range(40):
        path = tmp_path / "mine" / ("cats", "dogs")[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 20), 6 * index, np.uint8)).save(path)
    page = visit(stage).open(wait=".live .start", tab="live").page
    expect(page.get_by_label("Recipe")).to_have_value("cdcgan-mnist/slim")
    page.locator(".live .files").set_input_files([str(path) for path in (tmp_path / "mine").rglob("*.png")][1:])
    expect(page.locator(".live .data option:checked")).to_have_text("Your pictures (39)")
    expect(page.get_by_label("Recipe")).to_have_value("dcgan-mnist/slim")
    page.locator(".live .folder").set_input_files(tmp_path / "mine")  # for whom there is no dragging
    expect(page.locator(".live .data option:checked")).to_have_text("Your pictures (40)")
    page.get_by_label("Recipe").select_option("toy-mixture")
    expect(page.locator(".live .data option")).to_have_text(["Eight clouds of points"])
    page.get_by_label("Recipe").select_option("cdcgan-mnist/slim")
    (tmp_path / "mine" / "cover.png").write_bytes((tmp_path / "mine" / "cats" / "0.png").read_bytes())
    drop(page, tmp_path / "mine")  # the picture beside the classes is left out, as train.py leaves it
    expect(page.locator(".live .data option:checked")).to_have_text("Your pictures (40)")
    expect(page.get_by_label("Recipe")).to_have_value("cdcgan-mnist/slim")
    expect(page.locator("#notice")).to_contain_text("One picture in no class folder left out.")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(LIVE, timeout=LONG)
    expect(page.locator("#class")).to_be_hidden()  # it is that of the run behind, which has digits
    with page.expect_request(lambda one: "class=1" in one.url, timeout=LONG):
        page.keyboard.press("1")  # dogs
    expect(page).not_to_have_url(re.compile("class="))
    run = Run(tmp_path / "live" / "live-cdcgan-mnist-slim")
    assert (run.config.classes, run.config.dataset_images) == (["cats", "dogs"], 40)
    assert run.config.as_recipe().batch_size == 20
    page.close()
    stage.process.send_signal(signal.SIGTERM)
    assert stage.process.wait(60) == -signal.SIGTERM
    ended = Run(run.path)
    assert ended.steps[-1] == ended.config.steps
    assert (run.path / "state" / "state.pt").exists()
    assert not (run.path / "state" / "lock").exists()


def drop(page, folder: Path) -> None:
    """Drop the folder's files, as a browser hands them over: entries that are walked."""
    files = {path.relative_to(folder.parent).as_posix(): list(path.read_bytes()) for path in folder.rglob("*.png")}
    page.evaluate(
        """(files) => {
          const root = { isFile: false, name: "mine", children: {} };
          for (const [path, bytes] of Object.entries(files)) {
            const [, ...below] = path.split("/");
            const name = below.pop();
            const [group] = below;
            const box = group ? (root.children[group] ??= { isFile: false, name: group, children: {} }) : root;
            const file = new File([new Uint8Array(bytes)], name);
            box.children[name] = { isFile: true, name, file: (done) => done(file) };
          }
          const reading = (entry) => {
            let rest = Object.values(entry.children ?? {}).map(reading);
            if (entry.isFile) return entry;
            return { ...entry, createReader: () => ({ readEntries: (done) => done(rest.splice(0, 15)) }) };
          };
          const event = new Event("drop", { bubbles: true, cancelable: true });
          event.dataTransfer = { items: [{ webkitGetAsEntry: () => reading(root) }] };
          document.querySelector(".live").dispatchEvent(event);
        }""",
        files,
    )


def test_the_toy_s_points_move_over_the_verdict(stage, visit, tmp_path):
    """The answer to Start gets lost: who pressed it has the hands on the training all the same."""
    visitor = visit(stage).open(wait=".live .start", tab="live")
    page = visitor.page

    def lose(route):
        route.fetch()
        route.abort()

    page.route("**/live/start.json", lose)
    page.get_by_label("Recipe").select_option("toy-mixture")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(LIVE, timeout=LONG)
    colours = "() => { const c = document.querySelector('.live canvas'); const d = c.getContext('2d')"
    colours += ".getImageData(0, 0, c.width, c.height).data; return new Set(new Uint32Array(d.buffer)).size }"
    assert page.evaluate(colours) > 50  # a field and points: not one colour
    before = shown(page)
    page.wait_for_function(
        "before => document.querySelector('.live').dataset.shown !== before", arg=before, timeout=LONG
    )
    expect(page.locator(".live .aside")).to_contain_text("orange: D says real")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".live .said")).to_contain_text("everything is saved", timeout=LONG)
    assert Run(tmp_path / "live" / "live-toy-mixture").config.dataset == "mixture"
    visitor.forgive_the_network()


def test_rates_that_the_recipe_lowers_are_no_hand_on_the_knobs(runs, launch, visit, tmp_path):
    shutil.copytree(runs / "b-classes", tmp_path / "b-classes")
    run = Run(tmp_path / "b-classes")
    (run.path / "history.csv").unlink()
    for step in range(1, 61):
        stair = 1e-3 * 0.9 ** (step // 10) * (2 if step > 30 else 1)
        rates = {"k": 1, "generator_rate": stair, "discriminator_rate": 1e-3}
        run.append_history(
            {"step": step, "d_real": 0.7, "d_fake": 0.7, "g": 0.7, "real_score": 0.5, "fake_score": 0.5, **rates}
        )
    app = launch(run.path, options=("--data", str(DATA), "--out", str(tmp_path / "live")))
    told = {
        "phase": "done",
        "sentence": "Trained 60 steps.",
        "key": "b-classes",
        "sources": {},
        "recipe": "dcgan-mnist",
    }
    told |= {"option": None, "dataset": "mnist", "pictures": False, "steps": 60, "rates": [1e-3, 1e-3], "k": 1}
    told |= {"seconds": 1.0, "yours": False, "push": None, "resumable": False}
    visitor = visit(app)
    visitor.page.route("**/live/status.json", lambda route: route.fulfill(json=told))
    page = visitor.open(wait=LIVE, tab="live").page
    expect(page.locator(".live .marks > *")).to_have_count(1)
    expect(page.locator(".live .marks")).to_contain_text("G 1.5e-3")


def test_where_strangers_come_nobody_trains(runs, launch, visit):
    app = launch(runs / "a-plain", options=("--host", "0.0.0.0"))
    visitor = visit(app).open(tab="live")
    expect(visitor.page.get_by_role("tab")).to_have_text(["Replay", "Generate", "Walk"])
    expect(visitor.page.locator("#notice")).to_contain_text("can add live with --allow-training")
    with pytest.raises(HTTPError) as refused:
        urlopen(
            Request(f"{app.url}/gradio_api/live/start.json", b'{"recipe": "toy-ring"}', {"X-Gan-Live": "new"}),
            timeout=30,
        )
    assert refused.value.code in (404, 405)
