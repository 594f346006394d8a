"""What a visitor would lose who goes back, mistypes, or has no network for a moment: what is shown is what is said."""

from browser import DIGITS
from playwright.sync_api import expect

GENERATE = ".generate[data-shown]"


def tab(visitor, name: str) -> None:
    """Bring a tab to the front, as an entry of the history of its own: presses in quick succession share one."""
    visitor.page.wait_for_timeout(1100)
    visitor.page.get_by_role("tab", name=name).click()


def test_the_class_pictures_are_the_new_run_s_before_they_are_painted(app, visit):
    visitor = visit(app).open(wait=GENERATE, model="b-classes", tab="generate")
    page = visitor.page
    page.route("**/c-colour/**/grid.png*columns=1*", lambda route: None)  # as a server that is busy
    visitor.choose("model", "ACGAN on CIFAR-10")
    chips = page.locator(".chip")
    expect(chips).to_have_text(["mixed", "airplane", "automobile", *DIGITS[2:]])
    chips.nth(2).click()
    assert visitor.state("class") == 1
    expect(chips.nth(2)).to_have_attribute("aria-pressed", "true")


def test_a_run_that_grows_leaves_the_class_under_a_hand_where_it_is(app, visit):
    visitor = visit(app).open(wait=GENERATE, model="b-classes", tab="generate", rows=1)
    page = visitor.page
    page.wait_for_selector(".classes[data-painted]")
    page.evaluate("window.kept = ['.chip', '.tile', '.edge'].map((selector) => document.querySelector(selector))")
    page.evaluate("gan.refresh(['card'])")  # as when its history has a row more
    visitor.settle()
    page.wait_for_function("document.querySelector('.generate').ariaBusy === 'false'")
    assert page.evaluate("kept.every((one) => one.isConnected)")


def test_walk_has_its_controls_though_the_first_request_failed(app, visit):
    visitor = visit(app).open(model="a-plain")
    page = visitor.page
    page.route("**/b-classes/run.json", lambda route: route.abort(), times=3)
    tab(visitor, "Walk")
    visitor.choose("model", "Conditional DCGAN on MNIST")
    expect(page.get_by_label("Class of stop A")).to_be_visible(timeout=30_000)
    page.get_by_role("checkbox", name="Pad").check()
    expect(page.locator(".pad canvas")).to_be_visible()
    visitor.forgive_the_network()


def test_a_pin_goes_with_the_entry_that_had_it(app, visit):
    visitor = visit(app).open(model="a-plain", step=1000)
    page = visitor.page
    tab(visitor, "Generate")
    tab(visitor, "Replay")
    page.get_by_role("button", name="Pin").click()
    expect(page.locator("#film canvas")).to_have_count(2)
    for _ in range(4):  # as far back as Replay without a pin
        page.go_back()
        page.wait_for_timeout(300)
        if visitor.state("tab") == "replay" and visitor.state("pin") is None:
            break
    expect(page.locator("#film canvas")).to_have_count(1)


def test_back_ends_a_film_that_plays_and_keeps_the_step_of_the_entry(app, visit):
    visitor = visit(app).open(model="a-plain", seed=3, step=1000)
    page = visitor.page
    page.wait_for_timeout(1100)
    page.locator("#seed input").fill("8")
    page.wait_for_selector("#film .film[data-shown*='seed=8']")
    page.locator("#film .play").click()
    expect(page.locator("#film .film.playing")).to_have_count(1)
    page.go_back()
    page.wait_for_selector("#film .film[data-shown*='seed=3']")
    expect(page.locator("#film .film.playing")).to_have_count(0)
    assert (visitor.state("seed"), visitor.state("step")) == (3, 1000)
    expect(page.locator("#film .now .headline")).to_have_text("Step 1,000")


def test_a_run_beside_that_is_not_there_is_told_once_and_let_go(app, visit):
    visitor = visit(app).open(model="a-plain", beside="lost")
    page = visitor.page
    expect(page.locator("#notice")).to_contain_text("There is no run “lost”")
    page.locator("#seed input").fill("7")
    page.wait_for_selector("#film .film[data-shown*='seed=7']")
    expect(page.locator("#notice")).not_to_contain_text("lost")
    page.locator("#film .other").select_option(label="No comparison")
    assert visitor.state("beside") is None


def test_a_run_is_not_shown_beside_itself(app, visit):
    visitor = visit(app).open(model="a-plain", beside="a-plain")
    assert visitor.state("beside") is None
    visitor.page.evaluate("gan.set({ beside: 'a-plain' })")
    assert visitor.state("beside") is None


def test_a_seed_that_was_refused_gives_way_when_its_field_is_left(app, visit):
    visitor = visit(app).open(model="a-plain", seed=3)
    field = visitor.page.locator("#seed input")
    for typed in ("-5", ""):
        field.fill(typed)
        visitor.page.get_by_role("tab", name="Replay").focus()
        expect(field).to_have_value("3")


def test_a_link_to_a_run_that_came_later_survives_a_network_that_was_away(app, visit):
    """The list is asked for again: the address goes on asking for the run meanwhile."""
    visitor = visit(app)
    asked = []

    def away(route):
        asked.append(route.request.url)
        route.abort() if len(asked) < 3 else route.continue_()

    visitor.page.route("**/library.json", away)
    visitor.open(model="trained-later", seed=5)
    visitor.page.wait_for_timeout(1000)
    assert "model=trained-later" in visitor.page.url
    expect(visitor.page.locator("#notice")).to_contain_text("asks for the model “trained-later”", timeout=30_000)
    assert len(asked) >= 3
    visitor.forgive_the_network()


def test_the_stage_fills_the_screen_of_a_talk_that_began_full(app, visit):
    visitor = visit(app).open(model="a-plain")
    page = visitor.page
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement")
    page.keyboard.press("p")
    page.wait_for_function(
        """() => { const canvas = document.querySelector("#film .current canvas");
                   return canvas.width === Math.round(canvas.clientWidth * devicePixelRatio); }"""
    )


def test_a_request_that_hangs_holds_up_no_later_one(app, visit, players):
    visitor = visit(app).open(model="a-plain", seed=3)
    visitor.page.route("**/film.webp?seed=5", lambda route: None)  # as when a hall's network swallows it
    with visitor.page.expect_request("**/film.webp?seed=5"):
        visitor.page.locator("#seed input").fill("5")
    visitor.page.locator("#seed input").fill("6")
    visitor.sees(players["a-plain"].film(range(6, 22))[-1])
    visitor.forgive_the_network()  # the browser's own word on the one that was given up


def test_a_right_click_moves_nothing_and_the_next_film_comes(app, visit, players):
    visitor = visit(app).open(model="a-plain", seed=3)
    visitor.page.locator("#film .seek").hover(position={"x": 5, "y": 5})
    visitor.page.mouse.down(button="right")  # its end is the menu's
    visitor.sees(players["a-plain"].film(range(3, 19))[-1])
    visitor.page.locator("#seed input").fill("4")
    visitor.sees(players["a-plain"].film(range(4, 20))[-1])
    visitor.page.mouse.up(button="right")
    visitor.sees(players["a-plain"].film(range(4, 20))[-1])
