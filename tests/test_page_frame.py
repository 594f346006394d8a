"""The page as a Space shows it: framed by huggingface.co, which has the address bar and sets the height of it."""

import re

from playwright.sync_api import expect

HEADER = 64
# What huggingface.co does with a Space's frame, after iframe-resizer 4.3 (MIT), which Gradio's page answers to.
SPACE = """<!doctype html><style>
body { margin: 0 } header { height: %dpx }
iframe { display: block; width: 100%%; height: calc(100vh - %dpx); border: 0 }
</style><header></header><iframe id="space" src="%s"></iframe><script>
const frame = document.getElementById("space");
const send = (text) => frame.contentWindow.postMessage("[iFrameSizer]" + text, "*");
const hello = () => send("space:8:false:false:32:true:true:null:bodyOffset:null:null:0:false:parent:scroll:false");
const posted = [];
frame.addEventListener("load", hello);
setInterval(hello, 500);
addEventListener("message", ({ data }) => {
  if (data?.queryString !== undefined) posted.push(data.queryString);
  const [, height, , kind] = /^\\[iFrameSizer\\]space:(.*)/.exec(data)?.[1].match(/^([^:]*):([^:]*):([^:]*)/) ?? [];
  if (kind === "pageInfo") {
    const { top } = frame.getBoundingClientRect();
    send("pageInfo:" + JSON.stringify({ clientHeight: innerHeight, offsetTop: top + scrollY, scrollTop: scrollY }));
  } else if (Number(height) > 0) frame.style.height = height + "px";
});
</script>"""


def framed(visitor, query: str):
    """The visitor at huggingface.co, with the app in its frame."""
    page = visitor.page
    page.context.grant_permissions(["local-network-access"])
    html = SPACE % (HEADER, HEADER, f"{visitor.url}/?{query}")
    page.route("https://huggingface.co/**", lambda route: route.fulfill(content_type="text/html", body=html))
    page.goto("https://huggingface.co/spaces/me/gan")
    return page.frame_locator("#space")


def test_the_picture_and_its_slider_are_in_sight_at_once_however_tall_the_frame_is(served, visit):
    visitor = visit(served, hosts=("https://huggingface.co/",))
    frame = framed(visitor, "model=a-plain&seed=4")
    frame.locator("#film .film[data-shown]").wait_for()
    page = visitor.page
    page.wait_for_function("document.getElementById('space').clientHeight > innerHeight")  # the curves too
    scrub = frame.locator("#film .scrub").bounding_box()
    stage = frame.locator("#film .current canvas").bounding_box()
    assert scrub["y"] + scrub["height"] <= 720 and 320 < stage["height"] < 450
    frame.locator("[data-do=talk]").first.click()
    expect(frame.locator("#seed")).to_be_hidden()
    stage = frame.locator("#film .current canvas").bounding_box()
    assert stage["y"] >= HEADER and stage["y"] + stage["height"] <= 720 and stage["height"] > 500
    scrub = frame.locator("#film .scrub").bounding_box()
    assert stage["y"] + stage["height"] < scrub["y"] and scrub["y"] + scrub["height"] <= 720


def test_the_bar_of_the_page_around_it_says_what_is_shown_and_nothing_of_the_visitor(app, visit):
    visitor = visit(app, hosts=("https://huggingface.co/",))
    frame = framed(visitor, "model=a-plain&seed=4&__theme=dark&__sign=a-visitors-own-key")
    frame.locator("#film .film[data-shown]").wait_for()
    frame.locator("#seed input").fill("5")
    page = visitor.page
    page.wait_for_function("posted.at(-1) === 'model=a-plain&seed=5'")
    frame.locator("body").evaluate("() => history.back()")
    page.wait_for_function("posted.at(-1) === 'model=a-plain&seed=4'")
    expect(frame.locator("body")).to_have_class(re.compile("dark"))
    assert not any("__" in query for query in page.evaluate("posted"))
