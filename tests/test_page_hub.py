"""What a person would lose: a training that grows before their eyes, and runs from the Hub, whatever the Hub does."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import ROOT, STEPS, App
from gradio_client import Client
from gradio_client.exceptions import AppError
from hub_double import HubDouble, wait_until
from playwright.sync_api import expect

from gan_demo import hub, wire
from gan_demo.errors import GanDemoError
from gan_demo.player import open_run
from gan_demo.run import Run
from gan_demo.ui.library import Library

SOON = 30_000  # ms: a page looks at a folder every 3 s, at the Hub every 15
IMPATIENT = (  # app.py, but for asking every second or two, the folders and the Hub
    "-c",
    "import sys, app; from gan_demo.ui import sources; sources.HUB_SECONDS = sources.FIRST_SECONDS = 2;"
    "sources.Folder.pause = lambda *_: 1; sources.Repository.pause = lambda self, _: None if self.pinned else 1;"
    "sys.exit(app.main(sys.argv[1:]))",
)


class Growing:
    """A finished run, and a copy of it that has come to its first `count` snapshots and goes on when told."""

    def __init__(self, whole: Path, path: Path, count: int):
        self.whole, self.path = Run(whole), path
        shutil.copytree(whole, path)
        for name in ("film.json", "film.webp", "metrics.json"):
            (path / name).unlink(missing_ok=True)
        run = Run(path)
        run.rewind(STEPS[count - 1])
        run.write_config(dataclasses.replace(run.config, steps=STEPS[count - 1]))

    def grow(self) -> None:
        run = Run(self.path)
        entry = self.whole.snapshots[len(run.snapshots)]
        run.append_history(next(row for row in self.whole.read_history() if row["step"] >= entry.step))
        stored = self.whole.read_snapshot(entry.step)
        run.add_snapshot(stored, entry.step, entry.epoch, entry.images, entry.seconds)

    def files(self) -> dict[str, bytes]:
        """What a push while training sends."""
        run = Run(self.path)
        return {name: (self.path / name).read_bytes() for name in hub.files_of(run)}


@pytest.fixture
def growing(runs, tmp_path) -> Growing:
    return Growing(runs / "a-plain", tmp_path / "at-work", 3)


@pytest.fixture
def serve(launch, tmp_path):
    """`serve(*arguments, hub=url)` starts app.py on a machine with an empty cache."""

    def start(*arguments: str, hub: str = "http://127.0.0.1:9") -> App:
        own = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
        return launch(arguments[0], program=IMPATIENT, options=arguments[1:], environment=own)

    return start


@pytest.fixture
def silent() -> HubDouble:
    with HubDouble() as double:
        double.stall()
        yield double


@pytest.fixture
def stocked(growing) -> HubDouble:
    """A Hub that has the growing run as me/digits."""
    with HubDouble() as double:
        double.add("me/digits", growing.files())
        yield double


def open_by_name(app: App, name: str) -> tuple[int, dict]:
    try:
        with urlopen(Request(f"{app.url}/gradio_api/film/open.json?run={name}", method="POST"), timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        return refused.code, json.load(refused)


# ---------------------------------------------------------------- a folder that grows


def test_a_training_grows_on_the_page_and_disturbs_nobody(growing, serve, visit):
    run = Run(growing.path)
    planned = run.config
    run.write_config(dataclasses.replace(planned, length=planned.steps))
    visitor = visit(serve(str(growing.path))).open()
    scrub, words = visitor.page.locator("#film .scrub"), visitor.page.locator("#film .now")
    film = open_run(growing.whole.path).film(range(16))
    visitor.sees(film[2])
    expect(words).not_to_contain_text(re.compile("training,|stopped"))  # it is finished
    run.write_config(planned)  # and resumed, to go on
    expect(words).to_contain_text("training, step 40 of 4,000", timeout=SOON)
    growing.grow()
    expect(scrub).to_have_attribute("max", "3", timeout=SOON)  # who rests at the end goes along
    visitor.sees(film[3])
    expect(words).to_contain_text("training, step 120 of 4,000")  # what it has logged since
    assert "step=" not in visitor.page.url
    visitor.scrub(1)
    growing.grow()
    expect(scrub).to_have_attribute("max", "4", timeout=SOON)  # who has chosen a step stays there
    visitor.sees(film[1])
    expect(visitor.page).to_have_url(re.compile("step=10$"))
    visitor.page.keyboard.press("End")
    visitor.sees(film[4])
    visitor.page.get_by_role("button", name="Pin").click()
    growing.grow()
    expect(scrub).to_have_attribute("max", "5", timeout=SOON)  # and so does who compares
    visitor.sees(film[4])
    visitor.sees(film[4], "#film .pinned canvas")


def test_a_training_beside_another_run_grows_too(runs, growing, serve, visit, players):
    visitor = visit(serve(str(runs / "b-classes"), str(growing.path))).open(model="b-classes", beside="a-plain")
    film = players["a-plain"].film(range(16))
    for arrived in (2, 3):
        visitor.sees(film[arrived], "#film .beside canvas")
        growing.grow()


def test_no_film_takes_anothers_place_under_a_finger(growing, serve, visit):
    visitor = visit(serve(str(growing.path))).open()
    page, film = visitor.page, open_run(growing.whole.path).film(range(16))
    box = page.locator("#film .seek").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    page.mouse.down()
    visitor.sees(film[1])
    with page.expect_response(re.compile("film.webp")):
        growing.grow()
    visitor.settle()
    expect(page.locator("#film .scrub")).to_have_attribute("max", "2")
    page.mouse.up()
    expect(page.locator("#film .scrub")).to_have_attribute("max", "3")
    visitor.sees(film[1])


def test_a_film_that_plays_goes_on_where_it_is(growing, serve, visit):
    visitor = visit(serve(str(growing.path))).open()
    page, scrub = visitor.page, visitor.page.locator("#film .scrub")
    page.get_by_label("Loop").click()
    page.get_by_label("Speed").select_option("0.25")
    page.get_by_role("button", name="Play").click()
    growing.grow()
    expect(scrub).to_have_attribute("max", "3", timeout=SOON)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator("#film .now")).to_contain_text("Step 100")  # it comes to the new one by itself
    page.keyboard.press("End")  # from where it would play on to the start
    page.get_by_role("tab", name="Generate").click()
    page.wait_for_selector(".generate[data-shown]")
    growing.grow()
    expect(page.locator(".generate .step-value")).to_have_text("400", timeout=SOON)


def test_a_folder_that_is_damaged_or_gone_for_a_moment_keeps_its_last_good_state(growing, monkeypatch):
    monkeypatch.setattr("gan_demo.ui.sources.FOLDER_SECONDS", 0)
    library = Library([str(growing.path)])
    [key] = library.runs
    before = library.card(key)
    index = growing.path / "snapshots/index.json"
    good = index.read_bytes()
    index.write_text("{")
    damaged = library.card(key)
    assert "no valid JSON" in damaged["trouble"] and str(growing.path) not in damaged["trouble"]
    aside = growing.path.rename(growing.path.with_name("aside"))
    gone = library.card(key)
    assert "no run folder" in gone["trouble"]
    assert damaged["snapshots"] == gone["snapshots"] == before["snapshots"] and gone["history"] == before["history"]
    aside.rename(growing.path)
    index.write_bytes(good)
    growing.grow()
    after = library.card(key)
    assert not after["trouble"] and len(after["snapshots"]) == 4 and after["revision"] != before["revision"]


@pytest.mark.parametrize("others", [["b-classes"], []])
def test_a_run_without_a_snapshot_appears_with_its_first(others, runs, growing, serve, visit):
    index = growing.path / "snapshots/index.json"
    first = index.read_bytes()
    index.unlink()
    app = serve(*(str(runs / name) for name in others), str(growing.path))
    if not others:  # nothing to show but the wait for it
        visitor = visit(app).open(wait="#waiting .sentences p")
        expect(visitor.page.locator("#waiting")).to_contain_text(
            "at-work has no snapshot yet: it appears with its first."
        )
        index.write_bytes(first)
        return visitor.sees(open_run(growing.whole.path).film(range(16))[2])
    visitor = visit(app).open()
    notice = visitor.page.locator("#notice")
    expect(notice).to_contain_text("at-work has no snapshot yet")
    expect(notice).not_to_contain_text(str(growing.path))
    index.write_bytes(first)
    expect(notice).to_be_hidden(timeout=SOON)
    visitor.choose("model", "DCGAN on MNIST")
    visitor.sees(open_run(growing.whole.path).film(range(16))[2])


# ---------------------------------------------------------------- the Hub as a source


def test_a_run_from_the_hub_plays_names_its_commit_and_grows(growing, stocked, serve, visit):
    app = serve("me/digits", hub=stocked.url)
    asked = stocked.asked("snapshots/")
    visitor = visit(app).open()
    film = open_run(growing.whole.path).film(range(16))
    visitor.sees(film[2])
    words = visitor.page.locator("#film .now")
    expect(words).to_contain_text(f"me/digits@{stocked.repos['me/digits'].commits[-1].id[:7]}")
    assert stocked.asked("snapshots/") > asked  # only the film needs more than the last
    growing.grow()
    newest = stocked.add("me/digits", growing.files())
    expect(words).to_contain_text(f"me/digits@{newest.id[:7]}", timeout=SOON)
    visitor.sees(film[3])


def test_a_silent_hub_keeps_nobody_waiting_and_is_told(runs, growing, silent, serve, visit):
    began = time.monotonic()
    app = serve(str(runs / "a-plain"), "me/digits", hub=silent.url)
    assert time.monotonic() - began < 60
    visitor = visit(app).open(model="me/digits")
    visitor.sees(open_run(runs / "a-plain").film(range(16))[-1])
    expect(visitor.page.locator("#notice")).to_contain_text("me/digits cannot be opened: the Hub does not answer.")
    silent.add("me/digits", growing.files())
    silent.recover()
    silent.released.set()
    expect(visitor.page.locator("#notice")).to_be_hidden(timeout=SOON)  # it came, and joined the list
    expect(visitor.page.locator("#film .now")).to_contain_text("me/digits@")  # shown, as the address asks for it
    expect(visitor.page.locator("#model input")).to_have_value("DCGAN on MNIST (me/digits)")


def test_where_a_slow_hub_is_all_there_is_the_page_waits_and_fills_itself(growing, silent, serve, visit):
    app = serve("me/digits", hub=silent.url)  # it answers; the Hub has not
    visitor = visit(app).open(wait="#waiting .sentences p", model="me/digits", seed=7, step=10, tab="walk")
    page, waiting = visitor.page, visitor.page.locator("#waiting")
    expect(waiting).to_be_visible()
    expect(waiting).to_contain_text(re.compile("me/digits (is not here yet|cannot be opened): ?.*the Hub"))
    expect(page.locator("#notice")).to_be_hidden()
    assert silent.requests and not silent.repos
    for tab in ("Generate", "Walk", "Replay"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel")).to_have_count(0)
        expect(waiting).to_be_visible()
    page.get_by_role("tab", name="Live").click()  # which needs no run, and would make the first
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    expect(waiting).to_be_hidden()
    page.get_by_role("tab", name="Replay").click()
    expect(waiting).to_be_visible()
    for key in ("p", " ", "Home", "7", "ArrowRight", "Escape"):  # nothing to play: nothing happens, and nothing fails
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile(r"\?model=me%2Fdigits&seed=7&step=10$"))
    client = Client(app.url, verbose=False)
    assert client.predict(api_name="/models") == []
    for call in ({"api_name": "/generate"}, {"api_name": "/history"}):
        with pytest.raises(AppError, match="no run is here yet, ask again later: me/digits "):
            client.predict("me/digits", **call)
    page.evaluate("window.sameVisit = true")
    silent.add("me/digits", growing.files())
    silent.recover()
    silent.released.set()
    film = open_run(growing.whole.path).film(range(7, 23))
    visitor.sees(film[1])
    expect(waiting).to_be_hidden()
    expect(page.locator("#model input")).to_have_value("DCGAN on MNIST")
    assert page.evaluate("sameVisit")
    visit(app).open(model="me/digits", seed=7).sees(film[2])  # who comes later finds it there


def test_a_hub_that_refuses_for_good_is_named_on_the_empty_page(serve, visit):
    with HubDouble() as refusing:
        refusing.answer(403)
        visitor = visit(serve("me/digits", hub=refusing.url)).open(wait="#waiting .sentences p", talk=1)
        expect(visitor.page.locator("#waiting")).to_contain_text("me/digits cannot be opened: the Hub refuses it (403)")
        expect(visitor.page.locator("#waiting")).to_be_in_viewport(ratio=0.99)
        visitor.page.set_viewport_size({"width": 390, "height": 844})
        visitor.page.keyboard.press("Escape")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390
        visitor.page.wait_for_function("getComputedStyle(document.querySelector('.waiting')).opacity === '1'")
        assert not Axe().run(visitor.page).response["violations"]


def test_a_name_that_neither_this_machine_nor_the_hub_knows_is_one_line(tmp_path):
    with HubDouble() as double:
        own = {"HF_ENDPOINT": double.url, "HF_HOME": str(tmp_path), "GAN_DEMO_RUNS": "me/digits"}
        command, environment = [sys.executable, "app.py"], {**os.environ, **own}
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
    [line] = ended.stderr.strip().splitlines()
    assert ended.returncode == 2 and line.startswith(
        "app.py: me/digits is no folder here and cannot be opened: there is no such repository"
    )


def test_no_hub_no_hub_library(runs):
    code = "import sys; from gan_demo.ui.library import Library; Library([sys.argv[1]]); print(*sys.modules)"
    command = [sys.executable, "-c", code, str(runs)]
    modules = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "huggingface_hub" not in modules and "torch" not in modules


# ---------------------------------------------------------------- a repository that a visitor names


def test_a_visitor_opens_nothing_where_the_host_does_not_allow_it(app, visit):
    status, told = open_by_name(app, "me/digits")
    assert status == 403 and "--allow-hub" in told["error"]
    visitor = visit(app).open(model="me/digits")
    expect(visitor.page.locator("#notice")).to_contain_text("there are a-plain")
    expect(visitor.page.locator(".open-hub")).to_have_count(0)


def test_where_it_is_allowed_a_visitor_opens_one_and_a_link_restores_it(runs, growing, stocked, serve, visit):
    app = serve(str(runs / "b-classes"), "--allow-hub", hub=stocked.url)
    film = open_run(growing.whole.path).film(range(7, 23))
    visitor = visit(app).open(seed=7)
    page = visitor.page
    page.get_by_role("button", name="Hub …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Repository").fill("me/nothing")
    dialog.get_by_role("button", name="Open").click()
    expect(dialog).to_contain_text("there is no such repository")
    visitor.complaints.clear()  # the browser itself notes the refusal
    dialog.get_by_label("Repository").fill("me/digits")
    dialog.get_by_role("button", name="Open").click()
    expect(dialog).to_be_hidden()
    visitor.sees(film[2])
    expect(page.locator("#model input")).to_have_value("DCGAN on MNIST (me/digits)")
    assert not any(token for _, path, token in stocked.requests if "me/" in path)
    other = visit(app).open(model="me/digits", seed=7, step=10)
    other.sees(film[1])
    with urlopen(f"{app.url}/gradio_api/film/runs.json") as answer:
        assert json.load(answer) == ["b-classes"]  # no one else's list
    for name in ("..%2F..%2Fetc", "me", "me/digits@", "a/b/c", "%00/x", "x" * 3000):
        status, told = open_by_name(app, name)
        assert (status, "USER/NAME" in told["error"]) == (403, True)


def test_what_visitors_opened_leaves_the_disk_when_it_makes_way(growing, own_cache, stocked, monkeypatch):
    monkeypatch.setattr(hub, "connect", lambda token, _: wire.connect(token, stocked.url))
    monkeypatch.setattr(wire, "READ_SECONDS", 10)
    monkeypatch.setattr("gan_demo.ui.library.MAX_GUESTS", 2)
    monkeypatch.setattr("gan_demo.ui.sources.HUB_SECONDS", 0)
    from gan_demo.lock import only_one
    from gan_demo.ui.guests import Guests

    place = own_cache.with_name("gan-demo-guests")
    for name in ("left-by-a-killed-page", "of-another-page"):
        shutil.copytree(growing.path, place / name / "cache")
    library = Library([str(growing.path)], allow_hub=True)
    guests = Guests(library)
    stocked.add("me/broken", {"config.json": b"{"})
    with only_one(place / "of-another-page"):
        for number in range(4):
            stocked.add(f"me/number-{number}", growing.files())
            guests.open(f"me/number-{number}").result(60)
        with pytest.raises(GanDemoError, match="no valid JSON"):
            guests.open("me/broken").result(60)
    assert list(library.guests) == ["me/number-2", "me/number-3"]
    on_disk = sorted(path.name for path in place.glob("*/*/models--*"))
    assert on_disk == ["models--me--number-2", "models--me--number-3"]
    assert {path.name for path in place.iterdir()} - {"of-another-page"} == {guests._home.name}
    assert not own_cache.exists()  # the person's own holds nothing of it
    for more in (4, 5, 6):
        growing.grow()
        stocked.add("me/number-3", growing.files())
        wait_until(lambda more=more: len(library.card("me/number-3")["snapshots"]) == more, 60)
    library.player("me/number-3").film([1])  # what is left is whole
    [commits] = place.rglob("models--me--number-3/snapshots")
    assert len(list(commits.iterdir())) == 2  # the one on show, and the one before, which somebody may still be reading
    blobs = [path.read_bytes() for path in (commits.parent / "blobs").iterdir()]
    assert sum(blob.startswith(b"step,") for blob in blobs) == 2  # history.csv, of which there were four


def test_of_what_visitors_open_the_oldest_makes_way(growing, own_cache, stocked, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", stocked.url)
    from gan_demo.ui.guests import Guests
    from gan_demo.ui.sources import Repository

    library = Library([str(growing.path)], allow_hub=True)
    guests = Guests(library)
    run = Run(growing.path)
    for number in range(9):
        library.admit(Repository(f"me/number-{number}", guest=True), run)
    assert list(library.guests) == [f"me/number-{number}" for number in range(1, 9)]
    assert guests.open("me/number-5").result(1) == "me/number-5"
    assert list(library.runs) == ["a-plain"]
