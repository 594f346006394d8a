"""The page's first tab, in a real browser: what a visitor sees of a run's training."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import DIGITS, STEPS, TOLERANCE, App, toy_run
from playwright.sync_api import expect

from gan_demo import open_run

SIZE = """async (base64) => {
  const video = document.createElement("video");
  video.src = URL.createObjectURL(await (await fetch(`data:video/mp4;base64,${base64}`)).blob());
  await new Promise((done, fail) => Object.assign(video, { onloadedmetadata: done, onerror: () => fail(video.error) }));
  return [video.videoWidth, video.videoHeight];
}"""


def test_scrubbing_paints_each_snapshot_and_asks_nobody(served, visit, players):
    visitor = visit(served).open(model="a-plain", seed=5)
    film = players["a-plain"].film(range(5, 21))
    visitor.sees(film[-1])
    visitor.page.wait_for_load_state("networkidle")
    before = len(visitor.requests)
    for index in (0, 3, 6, 1):
        visitor.scrub(index)
        wanted = film[index].reshape(16, -1).mean(1).reshape(4, 4)
        assert np.allclose(visitor.tiles(), wanted, atol=TOLERANCE)  # in the next frame, however far the server
    assert visitor.requests[before:] == []
    expect(visitor.page).to_have_url(re.compile(f"step={STEPS[1]}$"))


def test_another_seed_run_and_class_are_another_film(served, visit, players):
    visitor = visit(served).open()
    visitor.sees(players["a-plain"].film(range(16))[-1])
    visitor.page.locator("#seed input").fill("77")
    visitor.sees(players["a-plain"].film(range(77, 93))[-1])
    expect(visitor.page.locator("#class")).to_be_hidden()
    visitor.choose("model", "Conditional DCGAN on MNIST")
    visitor.sees(players["b-classes"].film(range(77, 93))[-1])
    visitor.choose("class", "3")
    visitor.sees(players["b-classes"].film(range(77, 93), [3] * 16)[-1])
    assert "seed=77" in visitor.page.url
    assert "class=3" in visitor.page.url
    visitor.choose("model", "DCGAN on MNIST")
    visitor.sees(players["a-plain"].film(range(77, 93))[-1])
    assert "class" not in visitor.page.url
    expect(visitor.page.locator("#class")).to_be_hidden()


def test_a_link_restores_what_was_seen_and_back_goes_back(served, visit, players):
    visitor = visit(served).open(model="b-classes", seed=9, step=450, **{"class": "4"})
    film = players["b-classes"].film(range(9, 25), [4] * 16)
    visitor.sees(film[STEPS.index(400)])
    expect(visitor.page.locator("#seed input")).to_have_value("9")
    expect(visitor.page.locator("#class input")).to_have_value("4")
    expect(visitor.page.locator("#model input")).to_have_value("Conditional DCGAN on MNIST")
    visitor.page.locator("#seed input").fill("10")
    visitor.sees(players["b-classes"].film(range(10, 26), [4] * 16)[STEPS.index(400)])
    visitor.page.go_back()
    visitor.sees(film[STEPS.index(400)])
    expect(visitor.page.locator("#seed input")).to_have_value("9")


def test_another_run_while_a_film_plays_starts_at_its_own_end(app, visit, players):
    visitor = visit(app).open(model="a-plain", step=40)
    visitor.page.get_by_role("button", name="Loop").click()
    visitor.page.get_by_role("button", name="Play").click()
    visitor.choose("model", "Conditional DCGAN on MNIST")
    visitor.sees(players["b-classes"].film(range(16))[-1])
    assert "step" not in visitor.page.url


def test_a_film_that_plays_when_its_tab_is_left_stays_where_it_was_left(app, visit, players):
    visitor = visit(app).open(model="a-plain", seed=3, step=40)
    page = visitor.page
    page.locator("#film .speed").select_option(index=0)
    page.locator("#film").get_by_role("button", name="Loop").click()
    page.locator("#film").get_by_role("button", name="Play").click()
    page.wait_for_function("at => document.querySelector('#film .scrub').value > at", arg=STEPS.index(40))
    page.get_by_role("tab", name="Generate").click()
    page.locator(".generate[data-shown]").wait_for()
    left = visitor.state("step")
    assert left != 40
    page.go_back()
    expect(page.get_by_role("tab", name="Replay")).to_have_attribute("aria-selected", "true")
    assert visitor.state("step") == left
    visitor.sees(players["a-plain"].film(range(3, 19))[-1 if left is None else STEPS.index(left)])


def test_a_film_plays_from_the_step_that_was_chosen_in_another_tab(app, visit):
    visitor = visit(app).open(model="a-plain")
    page = visitor.page
    page.get_by_role("tab", name="Generate").click()
    page.get_by_label("Snapshot, step").fill("5")
    page.get_by_role("tab", name="Replay").click()
    expect(page.locator("#film .scrub")).to_have_js_property("value", "5")
    page.locator("#film .speed").select_option(index=0)
    page.locator("#film").get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('#film .scrub').value > 5")


def test_a_second_run_that_fails_takes_the_first_one_not_along(app, visit, players):
    visitor = visit(app)
    visitor.page.route(
        "**/b-classes/*/film.webp*", lambda route: route.fulfill(status=400, json={"error": "It is gone."})
    )
    visitor.open(model="a-plain", beside="b-classes")
    visitor.sees(players["a-plain"].film(range(16))[-1])
    expect(visitor.page.locator("#notice")).to_contain_text("It is gone.")
    expect(visitor.page.locator("#film canvas")).to_have_count(1)
    visitor.page.get_by_label("Another run beside this one").select_option("ACGAN on CIFAR-10")
    visitor.sees(players["c-colour"].film(range(16))[-1], "#film .beside canvas")
    visitor.forgive_the_network()  # the browser's own word on the refused picture


def test_play_pause_steps_loop_and_speed(app, visit, players):
    visitor = visit(app).open(model="a-plain")
    page = visitor.page
    film = players["a-plain"].film(range(16))
    page.get_by_label("One frame back").click()
    visitor.sees(film[-2])
    page.get_by_label("One frame forward").click()
    visitor.sees(film[-1])
    page.get_by_label("Speed").select_option("4")
    page.get_by_role("button", name="Play").click()  # from the start, as it stood at the end
    expect(page.get_by_role("button", name="Play")).to_be_visible()  # it has come to the end and stopped
    visitor.sees(film[-1])
    page.get_by_label("Loop").click()
    page.get_by_label("Speed").select_option("0.25")
    page.get_by_role("button", name="Play").click()
    visitor.sees(film[0])
    visitor.sees(film[1])
    page.get_by_role("button", name="Pause").click()
    painted = visitor.tiles()
    page.wait_for_timeout(700)
    assert np.array_equal(visitor.tiles(), painted)


def test_the_curve_is_a_seek_bar_and_its_playhead_follows(far_app, visit, players):
    visitor = visit(far_app).open(model="a-plain")
    film = players["a-plain"].film(range(16))
    curves = visitor.page.locator("#film .seek")
    expect(curves).to_contain_text("D on generated")
    expect(curves).to_contain_text("Fréchet distance")
    box = curves.bounding_box()
    curves.click(position={"x": box["width"] * 2 / 7, "y": 20})
    visitor.sees(film[2])
    head, box = visitor.page.locator("#film .playhead").bounding_box(), curves.bounding_box()
    assert abs(head["x"] + head["width"] / 2 - box["x"] - box["width"] * 2 / 7) < 3
    box = curves.bounding_box()  # the click may have scrolled
    visitor.page.mouse.move(box["x"] + 5, box["y"] + 20)
    visitor.page.mouse.down()
    visitor.page.mouse.move(box["x"] + box["width"] * 5 / 7, box["y"] + 20, steps=5)
    visitor.sees(film[5])
    visitor.page.mouse.up()
    expect(visitor.page).to_have_url(re.compile("step=1000"))


def test_words_say_where_the_training_stands(app, visit):
    visitor = visit(app).open(model="a-plain", step=1000)
    words = visitor.page.locator("#film .now")
    for said in ("Step 1,000", "epoch 1.07", "64,000 images seen", "1 min 40 s of training"):
        expect(words).to_contain_text(said)
    expect(visitor.page.locator("#film .aside")).to_contain_text("Fréchet 305")
    expect(visitor.page.locator("#film .scrub")).to_have_attribute("aria-valuetext", "Step 1,000")


@pytest.fixture(scope="module")
def shelf(runs, tmp_path_factory) -> Iterator[App]:
    """An app with two runs more: `short`, a tenth as long as b-classes, and `judged`, best in its middle."""
    folder = tmp_path_factory.mktemp("shelf")
    toy_run(folder / "short", "cdcgan-mnist", DIGITS, steps=[0, 100, 200, 400])
    toy_run(folder / "judged", "mlp-mnist", best=1000)
    served = App(runs / "b-classes", options=(str(runs / "a-plain"), str(folder))).start()
    yield served
    served.stop()


def test_a_judged_run_opens_at_its_best(shelf, visit):
    """And says so, on every tab; it plays from the beginning all the same, and the button finds the best again."""
    judged = open_run(Path(shelf.options[-1]) / "judged")
    visitor = visit(shelf).open(model="judged")
    page = visitor.page
    film, best = judged.film(range(16)), STEPS.index(1000)
    visitor.sees(film[best])
    expect(page.locator("#film .aside")).to_contain_text("the best snapshot")
    for tab, place in (("Generate", "#generate .step-value"), ("Walk", "#walk-film .aside")):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(place)).to_contain_text("1,000")
    page.get_by_role("tab", name="Replay").click()
    play = "document.querySelector('#film .play').click(), document.querySelector('#film .scrub').value"
    assert page.evaluate(play) == "0"
    page.locator("#film .play").click()
    visitor.scrub(len(STEPS) - 1)
    expect(page).to_have_url(re.compile(f"step={STEPS[-1]}"))
    page.get_by_role("button", name="Best").click()
    visitor.sees(film[best])
    expect(page).not_to_have_url(re.compile("step="))
    at = page.evaluate("""async () => {
      document.querySelector("#film .play").click();
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      return Number(document.querySelector("#film .scrub").value);
    }""")
    assert at >= best, "who asked for the best wants to see what comes after it"


def test_a_click_on_the_slider_while_it_plays_stays_where_it_was(app, visit, players):
    visitor = visit(app).open(model="a-plain")
    page = visitor.page
    page.get_by_role("button", name="Loop").click()
    page.locator("#film .play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    bar = page.locator("#film .scrub")  # which moves when the page says that a run is damaged
    size = bar.bounding_box()
    bar.click(position={"x": size["width"] * 0.6, "y": size["height"] / 2})
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    at = int(page.locator("#film .scrub").input_value())
    assert 0 < at < len(STEPS) - 1
    expect(page).to_have_url(re.compile(f"step={STEPS[at]}"))
    visitor.sees(players["a-plain"].film(range(16))[at])


def test_a_crowd_that_is_told_to_wait_gets_its_pictures_by_itself(app, visit, players):
    visitor = visit(app).open(model="a-plain", seed=3)
    refusals = [503, 429]

    def crowded(route) -> None:
        if refusals:
            route.fulfill(status=refusals.pop(), json={"error": "Too many."})
        else:
            route.continue_()

    visitor.page.route("**/film.webp?seed=5", crowded)
    visitor.page.locator("#seed input").fill("5")
    expect(visitor.page.locator("#notice")).to_contain_text("Too many.")
    visitor.sees(players["a-plain"].film(range(5, 21))[-1])
    expect(visitor.page.locator("#notice")).not_to_contain_text("Too many.")
    assert not refusals
    visitor.forgive_the_network()


def test_a_film_that_was_refused_is_told_again_where_one_comes_back_to_it(app, visit):
    visitor = visit(app).open(model="a-plain", seed=3)
    visitor.page.route("**/film.webp?seed=5", lambda route: route.fulfill(status=400, json={"error": "It is gone."}))
    visitor.page.locator("#seed input").fill("5")
    expect(visitor.page.locator("#notice")).to_contain_text("It is gone.")
    visitor.page.get_by_role("tab", name="Generate").click()
    expect(visitor.page.locator("#notice")).not_to_contain_text("It is gone.")
    visitor.page.get_by_role("tab", name="Replay").click()
    expect(visitor.page.locator("#notice")).to_contain_text("It is gone.")
    visitor.forgive_the_network()


def test_times_are_said_as_a_person_says_them(app, visit):
    visitor = visit(app).open(model="a-plain")
    said = visitor.page.evaluate("[0.44, 9.96, 59.6, 119.7, 3599.7, 7260].map(gan.duration)")
    assert said == ["0.4 s", "10 s", "1 min", "2 min", "1 h 0 min", "2 h 1 min"]


def test_pin_and_first_against_last(app, visit, players):
    visitor = visit(app).open(model="a-plain", step=1000)
    page = visitor.page
    film = players["a-plain"].film(range(16))
    pin = page.get_by_role("button", name="Pin")
    visitor.scrub(0)
    pin.click()
    expect(pin).to_have_attribute("aria-pressed", "true")
    pin.click()
    expect(page.locator("#film canvas")).to_have_count(1)
    visitor.scrub(STEPS.index(1000))
    pin.click()
    visitor.scrub(1)
    visitor.sees(film[1])
    visitor.sees(film[STEPS.index(1000)], "#film .pinned canvas")
    expect(page).to_have_url(re.compile(f"step={STEPS[1]}&.*pin=1000"))
    page.reload()
    visitor.sees(film[1])
    visitor.sees(film[STEPS.index(1000)], "#film .pinned canvas")
    expect(pin).to_have_attribute("aria-pressed", "true")
    with page.expect_download() as download:
        page.locator("#film").get_by_role("button", name="Save video").click()
    layout = page.evaluate("gan.card(gan.state.model).then((card) => card.film)")
    video = page.evaluate(SIZE, base64.b64encode(download.value.path().read_bytes()).decode())
    assert video[0] / video[1] == pytest.approx(2 * layout["frame_width"] / layout["frame_height"], rel=0.02)
    page.get_by_role("button", name="First | last").click()
    visitor.sees(film[-1])
    visitor.sees(film[0], "#film .pinned canvas")
    page.get_by_role("button", name="First | last").click()
    expect(page.locator("#film canvas")).to_have_count(1)
    visitor.sees(film[-1])


def test_two_runs_are_replayed_side_by_side_by_fraction_of_training(shelf, players, visit):
    """The same seed and class; the second run is a tenth as long, and stands where the first is of its own length."""
    short = open_run(Path(shelf.options[-1]) / "short")
    visitor = visit(shelf).open(model="b-classes", seed=5, **{"class": "3"})
    other = visitor.page.get_by_label("Another run beside this one")
    other.select_option("Conditional DCGAN on MNIST (short)")
    expect(visitor.page).to_have_url(re.compile("beside=short"))
    film, beside = (one.film(range(5, 21), [3] * 16) for one in (players["b-classes"], short))
    for index, at in ((7, 3), (6, 2), (5, 1), (4, 0), (0, 0)):
        visitor.scrub(index)
        visitor.sees(film[index])
        visitor.sees(beside[at], "#film .beside canvas")
    expect(visitor.page.locator("#film .now")).to_contain_text("Step 0")
    expect(visitor.page.locator("#film figcaption")).to_have_text(
        ["Conditional DCGAN on MNIST (b-classes)", "Conditional DCGAN on MNIST (short)"]
    )
    with visitor.page.expect_download() as download:
        visitor.page.locator("#film").get_by_role("button", name="Save video").click()
    one = visitor.page.evaluate("gan.card(gan.state.model).then((card) => card.film)")
    video = visitor.page.evaluate(SIZE, base64.b64encode(download.value.path().read_bytes()).decode())
    assert video[0] / video[1] == pytest.approx(2 * one["frame_width"] / one["frame_height"], rel=0.02)  # both
    other.select_option("DCGAN on MNIST")  # it knows no classes
    visitor.sees(players["a-plain"].film(range(5, 21))[0], "#film .beside canvas")
    visitor.page.go_back()
    visitor.sees(beside[0], "#film .beside canvas")
    visitor.choose("model", "Conditional DCGAN on MNIST (short)")
    expect(visitor.page.locator("#film canvas")).to_have_count(1)
    visitor.sees(beside[-1])
    visit(shelf).open(model="short", beside="gone").page.get_by_text("There is no run “gone”").wait_for()


def test_the_film_scrubs_on_with_the_network_unplugged(app, visit, players):
    visitor = visit(app).open(model="a-plain", seed=3)
    film = players["a-plain"].film(range(3, 19))
    visitor.sees(film[-1])
    visitor.page.context.set_offline(True)
    visitor.scrub(2)
    visitor.sees(film[2])
    visitor.page.locator("#seed input").fill("4")
    expect(visitor.page.locator("#notice")).to_contain_text("The server does not answer")
    visitor.sees(film[2])  # the last good picture stays
    visitor.page.context.set_offline(False)
    visitor.sees(players["a-plain"].film(range(4, 20))[2])  # and the one that was asked for comes by itself
    expect(visitor.page.locator("#notice")).not_to_contain_text("does not answer")
    visitor.forgive_the_network()  # the browser itself notes the failed request


def test_a_wrong_address_is_a_sentence_and_still_a_film(app, visit):
    wrong = [
        ({"seed": "-4"}, "a seed is a whole number from 0 to 9007199254740991"),
        ({"seed": "<img src=x onerror=alert(1)>"}, "a seed is a whole number"),
        ({"model": "../../etc"}, "there are a-plain, b-classes, c-colour"),
        ({"model": "b-classes", "class": "99"}, "there are 0, 1, 2"),
        ({"step": "soon"}, "a step is a whole number"),
        ({"tab": "nowhere"}, "there are replay, generate, walk"),
        ({"truncation": "1e-7"}, "give a number from 0 to 1"),
        ({"guidance": "3.5"}, "give a number from 0 to 3"),
        ({"stops": "9007199254740993"}, "give seeds, or seed:class"),
    ]
    visitor = visit(app)
    for query, sentence in wrong:
        visitor.open(**query)
        expect(visitor.page.locator("#notice")).to_contain_text(sentence)
        assert visitor.tiles().std() > 0
        assert visitor.page.locator("#notice img").count() == 0


def test_a_wrong_seed_is_a_sentence_and_the_last_film_stays(far_app, visit, players):
    visitor = visit(far_app).open(model="a-plain", seed=8)
    film = players["a-plain"].film(range(8, 24))
    visitor.page.locator("#seed input").fill("-1")
    expect(visitor.page.locator("#notice")).to_contain_text("A seed is a whole number from 0 to 9007199254740991")
    visitor.sees(film[-1])
    visitor.page.locator("#seed input").fill("8")
    expect(visitor.page.locator("#notice")).not_to_contain_text("A seed is")


def test_a_damaged_run_is_told_and_the_others_work(app, visit, runs):
    visitor = visit(app).open()
    notice = visitor.page.locator("#notice")
    expect(notice).to_contain_text("d-damaged")
    expect(notice).not_to_contain_text(str(runs))


def test_two_visitors_do_not_meet(app, visit, players):
    one, other = visit(app).open(seed=1), visit(app).open(seed=2)
    one.page.locator("#seed input").fill("30")
    one.sees(players["a-plain"].film(range(30, 46))[-1])
    other.sees(players["a-plain"].film(range(2, 18))[-1])
    expect(other.page.locator("#seed input")).to_have_value("2")
