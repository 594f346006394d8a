"""A talk, a phone, a keyboard, a screen reader: the page for those who cannot or will not use a mouse at a desk."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import STEPS
from playwright.sync_api import expect

TABS = {
    "replay": "#film .film[data-shown]",
    "generate": ".generate[data-shown]",
    "walk": "#walk-film [data-shown]",
    "live": ".live .start",
}


def test_keys_move_the_film_and_choose(far_app, visit, players):
    visitor = visit(far_app).open(model="b-classes", seed=4)
    page = visitor.page
    film = players["b-classes"].film(range(4, 20))
    page.keyboard.press("Home")
    visitor.sees(film[0])
    page.keyboard.press("ArrowRight")
    visitor.sees(film[1])
    page.keyboard.press("End")
    visitor.sees(film[-1])
    page.keyboard.press("ArrowLeft")
    visitor.sees(film[-2])
    page.keyboard.press("7")
    visitor.sees(players["b-classes"].film(range(4, 20), [7] * 16)[-2])
    page.keyboard.press("7")
    visitor.sees(film[-2])
    page.keyboard.press("End")
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.locator("#film .scrub").focus()  # as after a drag: a range has no use for the space bar
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press(" ")
    page.keyboard.press("r")
    expect(page).not_to_have_url(re.compile("seed=4&"))
    drawn = visitor.state("seed")
    page.get_by_role("button", name="Random").click()
    page.wait_for_function("before => gan.state.seed !== before", arg=drawn)
    expect(page.locator("#seed input")).to_have_value(str(visitor.state("seed")))


def test_a_talk_keeps_the_screen_awake(app, visit):
    page = visit(app).open(model="a-plain").page
    page.evaluate("""() => {
      window.awake = 0;
      const request = async () => (window.awake++, Object.assign(new EventTarget(), { release: () => window.awake-- }));
      Object.defineProperty(navigator, "wakeLock", { value: { request } });
    }""")
    page.keyboard.press("p")
    page.wait_for_function("window.awake === 1")
    page.keyboard.press("Escape")
    page.wait_for_function("window.awake === 0")


def test_keys_rest_while_a_person_types(app, visit):
    visitor = visit(app).open(model="b-classes", seed=4)
    field = visitor.page.locator("#seed input")
    field.focus()
    for key in ("End", "7", "?", "p", "r"):
        visitor.page.keyboard.press(key)
    expect(visitor.page).to_have_url(re.compile("seed=47$"))
    expect(visitor.page.locator("dialog.help")).to_be_hidden()
    assert visitor.state("talk") is False
    assert visitor.state("class") is None


def test_talk_mode_leaves_the_stage_alone_and_is_in_the_link(far_app, visit, players):
    visitor = visit(far_app).open(model="a-plain", seed=4)
    page = visitor.page
    page.keyboard.press("p")
    expect(page).to_have_url(re.compile("talk=1"))
    for gone in ("#model", "#seed", ".tools button", "[role=tablist]", "#film .transport", "#film .seek", "footer"):
        expect(page.locator(gone).first).to_be_hidden()
    stage = page.locator("#film .current canvas").bounding_box()
    assert stage["height"] > 600
    assert stage["y"] >= 0
    assert stage["y"] + stage["height"] <= 720
    expect(page.locator("#film figcaption")).to_have_text("DCGAN on MNIST")  # nothing else names it
    page.keyboard.press("Home")
    visitor.sees(players["a-plain"].film(range(4, 20))[0])
    page.keyboard.press("Escape")
    expect(page.locator("#seed")).to_be_visible()
    linked = visit(far_app).open(model="a-plain", talk=1)
    expect(linked.page.locator("#seed")).to_be_hidden()
    linked.page.keyboard.press("PageUp")  # a presenter's clicker
    expect(linked.page).to_have_url(re.compile(f"step={STEPS[-2]}"))


def test_keys_are_the_pages_again_once_a_control_was_used_by_pointer(app, visit):
    visitor = visit(app).open(model="a-plain", seed=4)
    page = visitor.page
    page.get_by_role("button", name="Loop").click()  # it would soon end by itself
    page.get_by_role("button", name="Pin").click()
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("button", name="Pin")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press(" ")
    page.locator("#seed input").fill("7")
    page.keyboard.press("Enter")
    page.keyboard.press("Home")
    expect(page).to_have_url(re.compile("seed=7.*step=0"))
    page.keyboard.press("End")
    page.get_by_role("tab", name="Walk").click()
    page.wait_for_selector("#walk-film [data-shown]")
    page.keyboard.press("End")
    expect(page.locator("#walk-film .frame")).to_have_text("100 %")


def test_a_contrast_theme_shows_what_is_pressed(app, visit):
    page = visit(app, forced_colors="active").open().page
    page.locator("#film .pin").click()
    looks = [page.locator(f"#film {button}").evaluate(GROUND) for button in ('.pin[aria-pressed="true"]', ".ends")]
    assert looks[0] != looks[1]
    assert page.locator("#film .playhead").evaluate(GROUND) == page.evaluate(INK)


GROUND = "one => getComputedStyle(one).backgroundColor"
INK = "getComputedStyle(document.body).color"  # CanvasText, in such a theme


def test_help_lists_the_keys_and_f_fills_the_screen(far_app, visit):
    visitor = visit(far_app).open()
    page = visitor.page
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="What you see")
    expect(dialog).to_contain_text("play and pause")
    dialog.get_by_label("Letters and digits are keys").click()  # who dictates would press them unawares
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    for key in ("?", "p", "f", "7", "End", "Home"):
        page.keyboard.press(key)
    expect(dialog).to_be_hidden()
    assert (visitor.state("talk"), visitor.state("class")) == (False, None)
    expect(page.locator("#film .now")).to_contain_text("Step 0")  # which no letter does
    page.reload()
    visitor.settle()
    page.get_by_role("button", name="Help and keys").click()
    expect(dialog.get_by_label("Letters and digits are keys")).not_to_be_checked()
    dialog.get_by_label("Letters and digits are keys").click()
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement?.classList.contains('film')")
    page.evaluate("gan.say('The film says what is wrong.')")
    expect(page.locator("#film .notice")).to_be_visible()
    page.evaluate("gan.hush()")
    page.keyboard.press("f")
    page.wait_for_function("!document.fullscreenElement")
    page.keyboard.press("p")
    page.keyboard.press("?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#seed")).to_be_hidden()  # the talk goes on
    page.keyboard.press("p")
    visitor.open(wait=TABS["generate"], tab="generate")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement === document.documentElement")
    page.keyboard.press("f")
    page.wait_for_function("!document.fullscreenElement")


def test_the_scrub_bar_is_in_sight_on_a_projector(app, visit):
    visitor = visit(app).open()
    bar = visitor.page.locator("#film .scrub").bounding_box()
    assert bar["y"] + bar["height"] <= 720


OUT_OF_SIGHT = """() => [...document.querySelectorAll(".gradio-container *")]
  .map((one) => [one, one.getBoundingClientRect()])
  .filter(([one, box]) => box.width > 1 && (box.right > innerWidth + 1 || box.left < -1))
  .map(([one]) => one.outerHTML.slice(0, 80))"""


def test_two_pictures_side_by_side_leave_their_words_in_sight(app, visit):
    visitor = visit(app, width=960, height=950).open(model="b-classes", pin=STEPS[0])  # half a screen
    expect(visitor.page.locator("#film .pinned")).to_be_visible()
    assert visitor.page.evaluate(OUT_OF_SIGHT) == []
    assert all(one.bounding_box()["width"] > 60 for one in visitor.page.locator("#film .words").all())


SMALL = """() => [...document.querySelectorAll("#masthead button, .tabitem :is(button, select, input[type=range])")]
  .filter((one) => !one.matches(".tile"))
  .map((one) => [one, one.getBoundingClientRect()])
  .filter(([one, box]) => one.offsetParent && Math.min(box.width, box.height) < 44)
  .map(([one]) => one.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("tab", TABS)
def test_a_phone_shows_every_tab_without_scrolling_sideways(app, visit, tab):
    visitor = visit(app, width=390, height=844, has_touch=True, is_mobile=True)
    for width in (390, 320):
        visitor.page.set_viewport_size({"width": width, "height": 844})
        visitor.open(wait=TABS[tab], model="b-classes", tab=tab)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
        assert visitor.page.evaluate(OUT_OF_SIGHT) == []
        assert visitor.page.locator(".tabitem :is(button, select, input[type=range])").count()
        assert visitor.page.evaluate(SMALL) == []


def wrong(page):
    """What axe finds."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("tab", TABS)
def test_axe_finds_nothing_wrong(app, visit, tab):
    visitor = visit(app, reduced_motion="reduce")  # no colour is on its way to another
    page = visitor.open(wait=TABS[tab], model="b-classes", tab=tab, step=STEPS[3]).page
    assert wrong(page) == []
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("body.dark")).to_have_count(1)
    assert wrong(page) == []
    page.get_by_role("button", name="Talk").click()
    assert wrong(page) == []


def test_axe_finds_nothing_wrong_with_the_help(app, visit):
    page = visit(app).open(model="a-plain").page
    page.keyboard.press("?")
    expect(page.locator("dialog.help")).to_be_visible()
    assert wrong(page) == []


def test_a_page_can_be_used_by_keyboard_alone(app, visit, players):
    visitor = visit(app).open(model="a-plain")
    page = visitor.page
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#film .scrub')"):
            break
    assert page.evaluate("document.activeElement.matches('#film .scrub')")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("ArrowLeft")
    visitor.sees(players["a-plain"].film(range(16))[-2])


def test_what_is_behind_a_dialog_hears_no_keys(app, visit):
    visitor = visit(app).open(model="a-plain", seed=4, talk=1)
    page, dialog = visitor.page, visitor.page.locator("dialog.help")
    page.keyboard.press("?")
    dialog.locator("h2").last.click()  # the focus goes to the page's body
    for key in ("r", "p", " "):
        page.keyboard.press(key)
    assert (visitor.state("seed"), visitor.state("talk")) == (4, True)
    page.keyboard.press("?")
    expect(dialog).to_be_hidden()
    page.keyboard.press("?")
    dialog.locator("h2").last.click()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert visitor.state("talk") is True
    page.keyboard.press("Escape")
    assert visitor.state("talk") is False


def test_a_digit_that_is_held_chooses_once(app, visit):
    visitor = visit(app).open(model="b-classes", seed=4)
    for _ in range(4):  # the first, and what the keyboard repeats
        visitor.page.keyboard.down("7")
    visitor.page.keyboard.up("7")
    assert visitor.state("class") == 7


def test_a_theme_chosen_by_hand_stays_in_the_address(app, visit):
    visitor = visit(app).open(model="a-plain", seed=4)
    page = visitor.page
    page.locator("#seed input").fill("5")
    expect(page).to_have_url(re.compile("seed=5"))
    page.locator("[data-do=theme]").click()
    expect(page).to_have_url(re.compile("__theme=dark"))
    page.go_back()
    expect(page).to_have_url(re.compile("seed=4.*__theme=dark"))
    expect(page.locator("body.dark")).to_be_visible()
