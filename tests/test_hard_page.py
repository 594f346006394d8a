"""What visitors would lose to one who asks for anything, and the host to one who looks where nothing is shown."""

import http.client
import json
import os
import platform
import sys
from urllib.parse import quote, urlsplit

import pytest
from browser import FILM, ROOT, App, ask, revision, toy_run
from gradio_client import Client
from gradio_client.exceptions import AppError
from hard import NUMBERS, ODD_TEXT, VALUES, hard, one_line
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gan_demo.errors import GanDemoError
from gan_demo.run import Run
from gan_demo.ui.guard import Guard
from gan_demo.ui.pictures import FILES
from gan_demo.ui.query import Query

JSON = {"Content-Type": "application/json"}
WORDS = (
    "seed",
    "class",
    "step",
    "tiles",
    "truncation",
    "guidance",
    "rows",
    "columns",
    "stops",
    "frames",
    "straight",
    "closed",
    "side",
)


# ---------------------------------------------------------------- addresses

numbers = NUMBERS.map(str)
stops = st.lists(st.one_of(numbers, st.tuples(numbers, numbers).map(":".join)), max_size=10).map(",".join)
values = st.one_of(numbers, ODD_TEXT, stops, st.sampled_from(["1", "0", "0.5", "7", "1,2", "1:2,3"]))
queries = st.dictionaries(st.one_of(st.sampled_from(WORDS), ODD_TEXT), values, max_size=4)


@hard(300)
@given(given_=queries, count=st.integers(1, 100))
def test_a_query_of_anything_is_read_within_bounds_or_refused_in_one_line(given_, count):
    query = Query(given_)
    for read in (
        lambda: query.seeds(count),
        lambda: query.stops(None),
        lambda: query.stops(["a", "b"]),
        lambda: query.number("truncation", 1),
        lambda: query.index("class", ["a", "b"]),
        lambda: query.index("class", None),
        lambda: query.flag("rows"),
        query.done,
    ):
        try:
            found = read()
        except GanDemoError as error:
            one_line(error)
            continue
        assert not isinstance(found, float) or 0 <= found <= 1
        assert not isinstance(found, list) or (len(found) <= 100 and "--" not in str(found))


@hard(60)
@given(
    file=st.one_of(st.sampled_from(sorted(FILES)), ODD_TEXT),
    query=queries,
    where=st.sampled_from(["right", "odd"]),
    odd=ODD_TEXT,
)
def test_an_address_of_anything_is_a_picture_or_one_line(app, runs, file, query, where, odd):
    name = revision(app, "b-classes") if where == "right" else quote(odd, safe="", errors="replace")
    text = "&".join(f"{quote(key, errors='replace')}={quote(value, errors='replace')}" for key, value in query.items())
    path = f"{FILM}/b-classes/{name}/{quote(file, safe='', errors='replace')}?{text}"
    status, headers, body = ask(app, path)
    assert status in (200, 307, 400, 404, 405), body[:300]  # 307: an empty name is a slash too many
    if status == 200:
        assert headers["content-type"].startswith(("image/", "application/json")) and len(body) < 20e6
    else:
        one_line(f"{status} {body.decode()} {headers}", hidden=runs)


# ---------------------------------------------------------------- the named endpoints


@pytest.fixture(scope="module")
def client(app) -> Client:
    return Client(app.url, verbose=False)


ARGUMENTS = {
    "/generate": ("seed", "count", "class_index", "step", "truncation", "guidance"),
    "/interpolate": ("start", "end", "frames", "start_class", "end_class", "step", "straight"),
    "/film": ("seed", "class_index"),
    "/history": (),
}
ENOUGH = {"/interpolate": {"start": 1, "end": 2}}


@hard(60)
@given(data=st.data())
def test_an_endpoint_given_anything_answers_or_says_why_not(app, client, runs, data):
    name = data.draw(st.sampled_from(sorted(ARGUMENTS)))
    arguments = {"model": "b-classes", **ENOUGH.get(name, {})}
    chosen = data.draw(st.lists(st.sampled_from(("model", *ARGUMENTS[name])), unique=True, max_size=3))
    for argument in chosen:
        arguments[argument] = data.draw(st.one_of(NUMBERS, ODD_TEXT, VALUES))
    try:
        json.dumps(arguments, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:  # gradio_client would not send it; a stranger can
        said = call(app, name, arguments)
        assert "event: complete" in said or "event: error" in said or "detail" in said, said
        one_line(said.replace("\n", " "), hidden=runs)
        return
    try:
        client.predict(**arguments, api_name=name)
    except (AppError, ValueError) as error:  # its own ValueError: an argument is missing
        one_line(error, hidden=runs)
        assert any(word in str(error) for word in ("will not do", "choose one of", "classes", "starts at step")), error


def call(app: App, name: str, arguments: dict) -> str:
    """An endpoint as any program may call it: what the server sends, to the end."""
    status, _, body = ask(app, f"/gradio_api/call/v2{name}", "POST", json.dumps(arguments).encode(), **JSON)
    if status != 200:
        return body.decode()
    return ask(app, f"/gradio_api/call{name}/{json.loads(body)['event_id']}")[2].decode()


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("/generate", {"count": 10**9}, "from 1 to 100"),
        ("/generate", {"count": 101}, "from 1 to 100"),
        ("/generate", {"seed": 2**63}, f"from 0 to {2**53 - 1}"),
        ("/interpolate", {"start": 1, "end": 2, "frames": 10**9}, "from 2 to 585"),
        ("/interpolate", {"start": 1, "end": 2, "step": -1}, "give a whole number from 0 on"),
        ("/film", {"seed": 0, "class_index": 10**9}, "the classes 0 to 9"),
    ],
)
def test_who_asks_an_endpoint_for_too_much_is_told_the_limit(client, name, arguments, says):
    with pytest.raises(AppError, match=says):
        client.predict("b-classes", **arguments, api_name=name)


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize(
    "foreign",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"},
        {"Origin": "http://["},
    ],
)
def test_another_site_s_page_can_ask_nothing_of_this_one(app, foreign):
    for path in (f"{FILM}/open.json?run=a/b", "/gradio_api/live/start.json"):
        status, _, body = ask(app, path, "POST", b"{}", **{"X-Gan-Live": "new"}, **JSON, **foreign)
        assert status == 403 and b"another site's page" in body, body
        _, _, body = ask(app, path, "POST", b"{}", Origin=app.url, **JSON)
        assert b"another site's page" not in body, body


@pytest.mark.parametrize("served", ["app", "ssr_app"])
@pytest.mark.parametrize("address", ["http://93.184.215.14/", "https://example.com/a.html", "http:%2f%2fexample.com/"])
def test_nobody_has_the_server_fetch_an_address_for_them(served, request, address):
    for sign in ("=", "/"):
        status, _, body = ask(request.getfixturevalue(served), f"/gradio_api/file{sign}{address}")
        assert status == 403 and b"nothing is fetched from elsewhere" in body, body


@pytest.mark.parametrize("prefix", ["", "/gan"])
def test_a_proxy_s_prefix_neither_shuts_the_page_nor_opens_what_is_shut(prefix):
    """GRADIO_ROOT_PATH: Starlette routes without it, and so it is asked without it."""

    async def answer(request):
        return PlainTextResponse("here")

    server = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])], middleware=[Middleware(Guard)])
    with TestClient(server, root_path=prefix) as browser:
        assert browser.post(f"{prefix}/gradio_api/queue/join", json={}).text == "here"
        assert browser.get(f"{prefix}/gradio_api/file=https://example.org/x").status_code == 403
        assert browser.post(f"{prefix}/gradio_api/upload").status_code == 403


@pytest.mark.parametrize("served", ["app", "ssr_app"])
def test_nothing_can_be_uploaded_and_no_request_is_larger_than_a_question(served, request):
    app = request.getfixturevalue(served)
    form = b"--x\r\nContent-Disposition: form-data; name=files; filename=a.txt\r\n\r\nx\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    for path in ("upload", "upload/", "process_recording", "vibe-edit", "vibe-code", "stream/x", "run-history/connect"):
        status, _, body = ask(app, f"/gradio_api/{path}", "POST", form, **kind)
        assert status == 403 and b"nothing can be uploaded" in body, path
    for path in ("deep_link?session_hash=x", "proxy=http://example.com/"):
        status, _, body = ask(app, f"/gradio_api/{path}")
        assert status == 403 and b"no use for that" in body, path
    for path in ("/gradio_api/queue/join", "/gradio_api/call/generate", "/gradio_api/run/generate"):
        status, _, body = ask(app, path, "POST", b" " * (2**20 + 1), **JSON)
        assert status == 413 and b"send at most 1,048,576 bytes" in body
    chunks = iter([b"[" * 2**18] * 5)
    connection = http.client.HTTPConnection(urlsplit(app.url).netloc, timeout=60)
    connection.request(
        "POST", "/gradio_api/queue/join", chunks, {"Transfer-Encoding": "chunked", **JSON}, encode_chunked=True
    )
    assert connection.getresponse().status == 413


# ---------------------------------------------------------------- what nobody may see


@pytest.fixture(scope="module")
def secrets(runs) -> list[bytes]:
    """Paths and names of this host. Gradio's folder of files to download is told: its client asks for them by it."""
    places = {str(ROOT), str(runs), str(runs.resolve()), sys.prefix, os.path.expanduser("~"), platform.node()}
    return [place.encode() for place in places if len(place) > 3]


PLACES = (
    "/", "/config", "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/startup-events", "/monitoring",
    "/gradio_api/app_id", "/manifest.json", "/robots.txt", "/theme.css", "/docs", "/redoc", "/openapi.json",
    "/gradio_api/film/library.json", "/gradio_api/film/d-damaged/run.json",
    "/gradio_api/film/a-plain/run.json", "/nowhere", "/gradio_api/nowhere", "/static/nowhere", "/assets/nowhere.js",
    "/gradio_api/film/a-plain/x/config.json", "/gradio_api/run/nobody", "/gradio_api/deep_link?session_hash=x",
)  # fmt: skip


@pytest.mark.parametrize("served", ["app", "ssr_app"])
def test_no_answer_names_a_place_of_this_host(served, request, secrets):
    app = request.getfixturevalue(served)
    for path in PLACES:
        status, headers, body = ask(app, path)
        for place in secrets:
            assert place not in body and place.decode() not in str(headers), f"{path} tells {place!r}"
        assert status < 500, path
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin", path
        assert "object-src 'none'" in headers["content-security-policy"], path
        assert "frame" not in headers["content-security-policy"] and "x-frame-options" not in headers, path
    for name, arguments in (("/generate", {"model": "nobody"}), ("/film", {"model": ["x"]}), ("/history", {})):
        said = call(app, name, arguments).encode()
        assert not any(place in said for place in secrets), said


def test_no_file_outside_of_the_runs_is_served_by_any_spelling(app, runs):
    outside = ["/etc/passwd", str(ROOT / "README.md"), str(runs / "a-plain" / "config.json"), "app.py", "../app.py"]
    marks = (b"root:x:", b"GanDemoError", b"sdk: gradio", b'"hyperparameters"')
    spellings = [
        *(f"/gradio_api/file={name}" for name in outside),
        *(f"/gradio_api/file={quote(name, safe='')}" for name in outside),
        *(f"/gradio_api/file/{name}" for name in outside),
        *(f"/static/{quote('../' * 12, safe='')}{name.lstrip('/')}" for name in outside),
        *(f"/{base}/{'../' * 12}{name.lstrip('/')}" for base in ("static", "assets", "svelte") for name in outside),
        *(f"/{base}/{'%2e%2e/' * 12}{name.lstrip('/')}" for base in ("static", "assets", "svelte") for name in outside),
        *(f"{FILM}/{quote(name, safe='')}/run.json" for name in (*outside, "../a-plain", "a-plain/../../..")),
        *(f"{FILM}/a-plain/{revision(app, 'a-plain')}/{quote(name, safe='')}" for name in outside),
        *(f"{FILM}/a-plain/..%2f..%2f{quote(name, safe='')}" for name in outside),
        "/gradio_api/proxy=http://127.0.0.1:1/", "/gradio_api/custom_component/1/client/component/..%2f..%2fapp.py",
    ]  # fmt: skip
    for path in spellings:
        status, _, body = ask(app, path)
        assert status < 500 and not any(mark in body for mark in marks), path


def test_a_film_that_is_a_link_to_another_file_is_not_served(tmp_path):

    run = toy_run(tmp_path / "run", "mlp-mnist")
    assert Run(run).ready_film()
    (run / "film.webp").unlink()
    (run / "film.webp").symlink_to("/etc/passwd")
    assert Run(run).ready_film() is None


SCRIPT = "<img src=x onerror=window.harm=1><script>window.harm=1</script>"


def test_no_script_runs_from_a_class_a_run_a_card_or_a_link(tmp_path, launch, visit):
    folder = tmp_path / "runs"
    folder.mkdir()
    run = toy_run(folder / "evil", "cdcgan-mnist", [SCRIPT, "</script>" + SCRIPT, "javascript:window.harm=1"])
    config = json.loads((run / "config.json").read_text())
    config.update(name=SCRIPT, recipe=SCRIPT, dataset=SCRIPT, device=SCRIPT)
    (run / "config.json").write_text(json.dumps(config))
    (run / "README.md").write_text(SCRIPT)
    history = (run / "history.csv").read_text().replace("d_real", "<img/src=x/onerror=window.harm=1>", 1)
    (run / "history.csv").write_text(history)
    toy_run(folder / "honest", "dcgan-mnist")
    damaged = folder / f"{SCRIPT.replace('/', '')}"
    damaged.mkdir()
    (damaged / "config.json").write_text(json.dumps({SCRIPT: 1}))
    app = launch(folder)
    visitor = visit(app)
    key = json.loads(ask(app, f"{FILM}/library.json")[2])["runs"][0]["key"]
    drawn = {
        "replay": "#film .film[data-shown]",
        "generate": ".chip[data-index='1']",
        "walk": "#walk-film [data-shown]",
    }
    for tab, what in drawn.items():
        links = [
            {"model": key, "class": 1, "seed": SCRIPT},
            {"model": SCRIPT, "tab": tab, "step": SCRIPT, "talk": SCRIPT},
        ]
        for link in links:
            visitor.open("#seed input", tab=tab, **{name: value for name, value in link.items() if name != "tab"})
            visitor.page.wait_for_selector(what, state="attached")
            visitor.settle()
            assert visitor.page.evaluate("window.harm") is None
            assert visitor.page.locator("img[src=x]").count() == 0
