"""What a person would lose while a training grows before their eyes: the film, their place in it, the page itself."""

import dataclasses
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import STEPS, App, toy_run
from growing import IMPATIENT, SOON, Growing
from playwright.sync_api import expect
from waiting import wait_until

from gan_demo.player import open_run
from gan_demo.run import Run
from gan_demo.ui import sources
from gan_demo.ui.library import Library

NEWER = """async () => {
  const card = await gan.card(gan.state.model);
  (await gan.bitmap(gan.url(card, "film.webp", { seed: gan.state.seed }))).close();
}"""


@pytest.fixture(scope="module")
def watched(runs, tmp_path_factory) -> Iterator[tuple[App, Iterator[Growing]]]:
    """An impatient app with runs that grow, each test's own."""
    folder = tmp_path_factory.mktemp("trainings")
    names = [f"at-work-{number}" for number in range(1, 6)]
    trainings = [Growing(runs / "a-plain", folder / name, 3, name) for name in names]
    served = App(folder, program=IMPATIENT, options=(str(runs / "b-classes"),)).start()
    yield served, iter(trainings)
    served.stop()


@pytest.fixture
def training(watched) -> Growing:
    """One that no test has looked at yet."""
    return next(watched[1])


@pytest.fixture
def look(watched, training, visit):
    """`look(...)` opens the page, at that training where no model is named."""
    return lambda **query: visit(watched[0]).open(**{"model": training.path.name} | query)


def test_a_snapshot_that_a_training_dropped_in_this_moment_is_a_change_and_no_damage(growing):
    library = Library([str(growing.path)])
    [(key, run)] = library.runs.items()
    assert not library.has_changed(key, run.revision)
    changed = Run(growing.path)
    changed.drop(changed.steps[-1:])
    assert library.has_changed(key, run.revision)  # however short ago the folder was looked into


def test_a_training_grows_on_the_page_and_disturbs_nobody(training, look):
    run = Run(training.path)
    planned = run.config
    run.write_config(dataclasses.replace(planned, length=planned.steps))
    visitor = look()
    scrub, words = visitor.page.locator("#film .scrub"), visitor.page.locator("#film .now")
    film = open_run(training.whole.path).film(range(16))
    visitor.sees(film[2])
    expect(words).not_to_contain_text(re.compile("training,|stopped"))  # it is finished
    run.write_config(planned)  # and resumed, to go on
    expect(words).to_contain_text("training, step 40 of 4,000", timeout=SOON)
    training.grow()
    expect(scrub).to_have_attribute("max", "3", timeout=SOON)  # who rests at the end goes along
    visitor.sees(film[3])
    expect(words).to_contain_text("training, step 120 of 4,000")  # what it has logged since
    assert "step=" not in visitor.page.url
    visitor.scrub(1)
    training.grow()
    expect(scrub).to_have_attribute("max", "4", timeout=SOON)  # who has chosen a step stays there
    visitor.sees(film[1])
    expect(visitor.page).to_have_url(re.compile("step=10$"))
    visitor.page.keyboard.press("End")
    visitor.sees(film[4])
    visitor.page.get_by_role("button", name="Pin").click()
    training.grow()
    expect(scrub).to_have_attribute("max", "5", timeout=SOON)  # and so does who compares
    visitor.sees(film[4])
    visitor.sees(film[4], "#film .pinned canvas")


def test_a_training_beside_another_run_grows_too(training, look, players):
    visitor = look(model="b-classes", beside=training.path.name)
    film = players["a-plain"].film(range(16))
    for arrived in (2, 3):
        visitor.sees(film[arrived], "#film .beside canvas")
        training.grow()


def test_no_film_takes_anothers_place_under_a_finger(training, look):
    visitor = look()
    page, film = visitor.page, open_run(training.whole.path).film(range(16))
    box = page.locator("#film .seek").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    page.mouse.down()
    visitor.sees(film[1])
    training.grow()
    known = "async () => (await gan.card(gan.state.model)).snapshots.length"
    wait_until(lambda: page.evaluate(known) == 4)
    page.evaluate(NEWER)  # the sheet that could take its place is there
    visitor.settle()
    expect(page.locator("#film .scrub")).to_have_attribute("max", "2")
    page.mouse.up()
    expect(page.locator("#film .scrub")).to_have_attribute("max", "3")
    visitor.sees(film[1])


def test_the_ends_stay_the_ends_and_a_pinned_view_s_address_is_its_own(training, look):
    visitor = look()
    page, scrub = visitor.page, visitor.page.locator("#film .scrub")
    film = open_run(training.whole.path).film(range(16))
    ends = page.get_by_role("button", name="First | last")
    ends.click()
    training.grow()
    expect(scrub).to_have_attribute("max", "3", timeout=SOON)
    visitor.sees(film[3])
    visitor.sees(film[0], "#film .pinned canvas")
    expect(ends).to_have_attribute("aria-pressed", "true")
    ends.click()
    page.get_by_role("button", name="Pin").click()
    training.grow()
    expect(scrub).to_have_attribute("max", "4", timeout=SOON)
    visitor.sees(film[3])  # who compares stays
    expect(page).to_have_url(re.compile(f"step={STEPS[3]}(&|$)"))
    page.reload()
    visitor.sees(film[3])
    visitor.sees(film[3], "#film .pinned canvas")


def test_a_film_that_plays_goes_on_where_it_is(training, look):
    visitor = look()
    page, scrub = visitor.page, visitor.page.locator("#film .scrub")
    page.get_by_label("Loop").click()
    page.get_by_label("Speed").select_option("0.25")
    page.get_by_role("button", name="Play").click()
    training.grow()
    expect(scrub).to_have_attribute("max", "3", timeout=SOON)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator("#film .now")).to_contain_text("Step 100")  # it comes to the new one by itself
    page.keyboard.press("End")  # from where it would play on to the start
    page.get_by_role("tab", name="Generate").click()
    page.wait_for_selector(".generate[data-shown]")
    training.grow()
    expect(page.locator(".generate .step-value")).to_have_text("400", timeout=SOON)


def test_a_folder_that_is_damaged_or_gone_for_a_moment_keeps_its_last_good_state(growing, monkeypatch):
    monkeypatch.setattr("gan_demo.ui.sources.FOLDER_SECONDS", 0)
    library = Library([str(growing.path)])
    [key] = library.runs
    before = library.card(key)
    aside = growing.path.rename(growing.path.with_name("aside"))
    assert "no run folder" in library.card(key)["trouble"]
    aside.rename(growing.path)
    assert not library.card(key)["trouble"]
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


def test_a_training_that_was_killed_is_not_told_as_one_at_work(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_demo.ui.sources.FOLDER_SECONDS", 0)
    path = toy_run(tmp_path / "run", "mlp-mnist")
    folder = sources.Folder(path)
    assert folder.news() and not folder.live()  # a clone's files are all new, and nothing trains there
    Run(path).append_history({"step": 5000, "g": 1.0})
    assert folder.news() and folder.live()  # a copy that grows
    (path / "state").mkdir()
    assert not folder.live()  # it has ended: no lock
    (path / "state" / "lock").touch()
    assert folder.live()
    for written in filter(Path.exists, (path / name for name in sources.WATCHED)):
        os.utime(written, (time.time() - sources.QUIET_SECONDS - 1,) * 2)
    assert not folder.live()  # killed: its lock stays, and nothing is written
