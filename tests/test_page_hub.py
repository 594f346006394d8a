"""What a person would lose with runs from the Hub, whatever the Hub does, and with what visitors name."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import ROOT, App
from gradio_client import Client
from gradio_client.exceptions import AppError
from growing import SOON
from hub_double import HubDouble, wait_until
from playwright.sync_api import expect

from gan_demo import hub, wire
from gan_demo.errors import GanDemoError
from gan_demo.player import open_run
from gan_demo.run import Run
from gan_demo.ui.library import Library


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
    visitor.scrub(1)  # meanwhile the address goes on asking for it
    silent.add("me/digits", growing.files())
    silent.recover()
    silent.released.set()
    expect(visitor.page.locator("#notice")).to_be_hidden(timeout=SOON)  # it came, and joined the list
    expect(visitor.page.locator("#film .now")).to_contain_text("me/digits@")  # shown, as the address asks for it
    expect(visitor.page.locator("#model input")).to_have_value("DCGAN on MNIST (me/digits)")


def test_a_start_waits_no_longer_for_the_hub_than_it_shall(runs, double, monkeypatch):
    monkeypatch.setattr(hub, "connect", lambda token, _: wire.connect(token, double.url))
    monkeypatch.setattr(wire, "READ_SECONDS", 60)
    double.stall()
    library = Library([str(runs / "a-plain"), "me/digits"])
    library.settle(0.2)
    assert not double.released.is_set() and list(library.runs) == ["a-plain"]
    assert "me/digits is not here yet, the Hub is slow: it appears when it comes" in library.problems()
    double.released.set()


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
    visitor.forgive_the_network()  # the browser itself notes the refusal
    dialog.get_by_label("Repository").fill("me/digits")
    dialog.get_by_role("button", name="Open").click()
    expect(dialog).to_be_hidden()
    visitor.sees(film[2])
    expect(page.locator("#model input")).to_have_value("DCGAN on MNIST (me/digits)")
    assert not any(token for _, path, token in stocked.requests if "me/" in path)
    gone = json.dumps({"error": "me/digits made way"})
    page.route("**/film.webp*seed=8*", lambda route: route.fulfill(status=404, body=gone))
    page.locator("#seed input").fill("8")
    expect(page.locator("#notice")).to_contain_text("made way")
    visitor.forgive_the_network()
    page.unroute("**/film.webp*seed=8*")
    page.get_by_role("button", name="Hub …").click()
    dialog.get_by_role("button", name="Open").click()  # it is the page's run already
    visitor.sees(open_run(growing.whole.path).film(range(8, 24))[2])
    other = visit(app).open(model="me/digits@main", seed=7, step=10)  # which is what names no revision
    other.sees(film[1])
    with urlopen(f"{app.url}/gradio_api/film/library.json") as answer:
        assert [run["key"] for run in json.load(answer)["runs"]] == ["b-classes"]  # no one else's list
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
    stocked.add("me/broken", {**growing.files(), "config.json": b"{"})
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


def test_of_what_visitors_open_the_least_recently_watched_makes_way(growing, own_cache, stocked, monkeypatch):
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
    library.turns("me/number-1")  # somebody has pictures of it made
    library.admit(Repository("me/number-9", guest=True), run)
    assert list(library.guests) == [f"me/number-{number}" for number in (3, 4, 5, 6, 7, 8, 1, 9)]
    with pytest.raises(GanDemoError, match="me/number-2 made way for runs that others opened, or is public no longer"):
        library.card("me/number-2")
    with pytest.raises(GanDemoError, match="no run is called 'me/number-10' here"):
        library.card("me/number-10")
    assert list(library.runs) == ["a-plain"]


def test_a_visitor_takes_no_name_that_the_host_waits_for(growing, own_cache, double, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", double.url)
    from gan_demo.ui.guests import Guests

    library = Library([str(growing.path), "me/late"], allow_hub=True)
    with pytest.raises(GanDemoError, match="me/late"):
        Guests(library).open("me/late")
