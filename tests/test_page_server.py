"""What the app serves beside the page: pictures by address, the named endpoints, and its own start and end."""

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from browser import DIGITS, ROOT, STEPS, toy_run
from gradio_client import Client
from gradio_client.exceptions import AppError
from hard import one_line
from PIL import Image

from gan_demo.ui import endpoints
from gan_demo.ui.pictures import FILES


def get(app, path: str) -> tuple[int, dict[str, str], bytes]:
    """A GET with the path exactly as written."""
    connection = http.client.HTTPConnection(urlsplit(app.url).netloc, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def address(app, run: str, file: str) -> str:
    card = json.loads(get(app, f"/gradio_api/film/{run}/run.json")[2])
    return f"/gradio_api/film/{run}/{card['revision']}/{file}"


# ---------------------------------------------------------------- pictures by address


@pytest.mark.parametrize("served", ["app", "ssr_app"])
def test_a_sheet_holds_the_film_and_may_be_kept_for_ever(served, request, players):
    app = request.getfixturevalue(served)
    status, headers, data = get(app, address(app, "b-classes", "film.webp?seed=5&class=3"))
    assert status == 200
    assert "immutable" in {name.lower(): value for name, value in headers.items()}["cache-control"]
    sheet = np.array(Image.open(io.BytesIO(data)).convert("L")).astype(float)
    card = json.loads(get(app, "/gradio_api/film/b-classes/run.json")[2])
    layout, film = card["film"], players["b-classes"].film(range(5, 21), [3] * 16)
    for frame in range(layout["frames"]):
        top = frame // layout["frame_columns"] * layout["frame_height"]
        left = frame % layout["frame_columns"] * layout["frame_width"]
        tile = sheet[top : top + 28, left : left + 28]
        assert np.abs(tile - film[frame, 0, :, :, 0]).mean() < 12  # WebP's loss on noise
    assert [snapshot["step"] for snapshot in card["snapshots"]] == STEPS


def test_a_film_keeps_its_colours(app, players):
    data = get(app, address(app, "c-colour", "film.webp?seed=5"))[2]
    sheet = np.array(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)
    layout = json.loads(get(app, "/gradio_api/film/c-colour/run.json")[2])["film"]
    wanted = players["c-colour"].film(range(5, 21))[:, 0].mean((1, 2))  # of the first tile: (steps, 3)
    assert np.ptp(wanted, axis=1).max() > 20  # else it would tell nothing
    for frame, colour in enumerate(wanted):
        top = frame // layout["frame_columns"] * layout["frame_height"]
        left = frame % layout["frame_columns"] * layout["frame_width"]
        assert np.abs(sheet[top : top + 32, left : left + 32].mean((0, 1)) - colour).max() < 8


def test_a_grid_is_lossless(app, players):
    data = get(app, address(app, "c-colour", "grid.png?seed=9007199254740991&tiles=4&class=2&step=450"))[2]
    seeds = [2**53 - 1, 0, 1, 2]
    images = players["c-colour"].generate(seeds, [2] * 4, step=400)
    assert np.array_equal(np.array(Image.open(io.BytesIO(data)))[:32, 32:], images[1])


@pytest.mark.parametrize(
    "query",
    [
        *("film.webp?seed=-1", "film.webp?seed=1.5", "film.webp?seed=9007199254740992", "film.webp?seed=%00"),
        *("film.webp?class=10", "film.webp?class=x", "film.webp?colour=1", "film.webp?seed=" + "1" * 2000),
        "grid.json?seed=1&seed=2",
        *("grid.png?tiles=0", "grid.png?tiles=101", "grid.png?truncation=2", "grid.png?truncation=nan"),
        *("grid.png?guidance=3.01", "grid.png?guidance=-1", "grid.json?guidance=1e0"),
        *("grid.png?step=-1", "grid.json?rows=2", "walk.webp", "walk.webp?stops=1:99", "walk.webp?stops=1,"),
        *("walk.webp?stops=1,2&frames=1000000", "walk.gif?stops=1,2,3,4,5,6,7,8,9", "pad.webp?stops=1,2,3"),
        *("pad.webp?stops=1,2,3,4&side=999", "config.json", "..%2fconfig.json", "film.webp%2f..%2f..%2fconfig.json"),
    ],
)
def test_an_address_that_will_not_do_is_one_sentence(app, runs, query):
    status, _, data = get(app, address(app, "b-classes", query))
    assert status == (400 if query.split("?")[0] in FILES else 404)
    if "%2f" not in query:  # which leads to no room of ours
        one_line(json.loads(data)["error"], hidden=runs)
    assert b"Traceback" not in data
    assert str(runs).encode() not in data
    assert b'"format"' not in data  # nothing of config.json


def test_an_unknown_run_or_revision_is_not_found(app):
    assert get(app, "/gradio_api/film/nobody/run.json")[0] == 404
    assert get(app, "/gradio_api/film/..%2f..%2fetc/run.json")[0] == 404
    status, _, data = get(app, "/gradio_api/film/b-classes/000000000000/film.webp?seed=1")
    assert status == 404
    assert "load the page again" in json.loads(data)["error"]


def test_an_unconditional_run_refuses_a_class(app):
    status, _, data = get(app, address(app, "a-plain", "film.webp?seed=1&class=0"))
    assert (status, "no classes" in json.loads(data)["error"]) == (400, True)


def test_twenty_visitors_at_once_all_get_their_film(app):
    first = address(app, "a-plain", "film.webp?seed=")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda seed: get(app, f"{first}{seed}"), range(5000, 5020)))
    assert {status for status, _, _ in answers} == {200}
    assert len({data for _, _, data in answers}) == 20


# ---------------------------------------------------------------- the named endpoints


@pytest.fixture(scope="module")
def client(app) -> Client:
    return Client(app.url, verbose=False)


def test_models_lists_the_runs(client):
    models = {one["model"]: one for one in client.predict(api_name="/models")}
    assert list(models) == ["a-plain", "b-classes", "c-colour"]
    assert models["a-plain"]["classes"] is None
    assert models["b-classes"]["classes"] == DIGITS
    assert models["c-colour"]["image_shape"] == [32, 32, 3]
    assert models["a-plain"]["steps"] == STEPS


def test_generate_gives_the_player_s_own_pixels(client, players):
    asked = {"step": 100, "truncation": 0.5, "guidance": 2.0}
    path = client.predict("b-classes", seed=7, class_index=2, **asked, api_name="/generate")
    wanted = players["b-classes"].generate([7], [2], **asked)[0, :, :, 0]
    assert np.array_equal(np.array(Image.open(path)), wanted)


def test_interpolate_gives_a_strip_with_both_ends(client, players):
    path = client.predict("b-classes", 3, 8, frames=5, start_class=3, end_class=8, api_name="/interpolate")
    strip = np.array(Image.open(path))
    wanted = players["b-classes"].interpolate((3, 3), (8, 8), 5)[:, :, :, 0]
    assert np.array_equal(strip, np.concatenate(list(wanted), 1))


def test_film_and_history(client, players):
    path, layout = client.predict("c-colour", seed=4, api_name="/film")
    assert layout["steps"] == STEPS
    assert Image.open(path).width == layout["frame_columns"] * layout["frame_width"]
    rows = client.predict("a-plain", api_name="/history")
    assert rows == players["a-plain"].run.read_history()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"model": "nobody"}, "choose one of a-plain, b-classes, c-colour"),
        ({"seed": -1}, "give a whole number from 0"),
        ({"seed": "one"}, "give a whole number from 0"),
        ({"count": 10**9}, "from 1 to 100"),
        ({"class_index": 10}, "the classes 0 to 9"),
        ({"step": "last"}, "give a whole number from 0 on"),
        ({"truncation": 7}, "from 0 to 1"),
        ({"guidance": 3.5}, "from 0 to 3"),
        ({"model": "a-plain", "guidance": 1}, "knows no classes: leave guidance out"),
    ],
)
def test_a_wrong_call_is_one_sentence(client, wrong, sentence):
    with pytest.raises(AppError, match=sentence):
        client.predict(**{"model": "b-classes", **wrong}, api_name="/generate")


def test_only_the_named_endpoints_are_documented(client):
    described = client.view_api(return_format="dict")
    assert set(described["named_endpoints"]) == {"/models", "/generate", "/interpolate", "/film", "/history"}
    assert not described["unnamed_endpoints"]
    assert all(one["description"] for one in described["named_endpoints"].values())


# ---------------------------------------------------------------- start and end


def started(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """app.py where it cannot start: run to its end."""
    command = [sys.executable, "app.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ("nothing", "give a run folder"),
        ("empty", "holds no run"),
        ("damaged", "no valid JSON"),
        ("newer", "newer than this version reads"),
    ],
)
def test_a_source_that_will_not_do_ends_in_one_line(made, sentence, runs, tmp_path):
    source = tmp_path / "source"
    if made != "nothing":
        source.mkdir()
    if made == "damaged":
        (source / "config.json").write_text("{")
    if made == "newer":
        config = json.loads((runs / "a-plain" / "config.json").read_text())
        (source / "config.json").write_text(json.dumps({**config, "format": 99}))
    for ended in (started("--runs", str(source)), started(GAN_DEMO_RUNS=str(source))):
        assert ended.returncode == 2
        assert len(ended.stderr.strip().splitlines()) == 1
        assert str(source) in ended.stderr
        assert sentence in ended.stderr


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--port", "99999"], ["--surprise"], ["--runs"]])
def test_wrong_options_of_the_app_end_in_one_line(arguments):
    ended = started(*arguments)
    assert ended.returncode == 2 and not ended.stdout
    assert ended.stderr.startswith("app.py: ") and len(ended.stderr.strip().splitlines()) == 1
    assert arguments[0] in ended.stderr


def test_an_address_that_is_not_this_machine_s_ends_in_one_line(runs):
    for host in ("203.0.113.1", "a..b"):
        ended = started("--runs", str(runs / "a-plain"), "--host", host)
        assert ended.returncode == 2
        says = f"'{host}' is no address of this machine: give 127.0.0.1, or 0.0.0.0 for all of them, with --host"
        assert ended.stderr == f"app.py: {says}\n"


def test_a_stray_folder_beside_the_shipped_runs_stops_nothing(tmp_path, monkeypatch):
    import app
    from gan_demo.ui.library import Library

    monkeypatch.delenv("GAN_DEMO_RUNS", raising=False)
    monkeypatch.setattr(app, "CHECKPOINTS", tmp_path)
    toy_run(tmp_path / "a-plain", "mlp-mnist")
    toy_run(tmp_path / app.FIRST, "mlp-mnist")
    for name in (".ipynb_checkpoints", "half/state"):
        (tmp_path / name).mkdir(parents=True)
    assert list(Library(app.default_sources()).runs) == [app.FIRST, "a-plain"]


def test_a_company_s_proxy_is_not_asked_for_this_machine(launch, runs):
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    none = dict.fromkeys(("NO_PROXY", "no_proxy"), "")
    assert launch(runs, environment=proxies | none).process.poll() is None


def test_a_port_in_use_ends_in_one_line(runs):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = started("--runs", str(runs / "a-plain"), "--port", port)
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert f"port {port}" in ended.stderr


@pytest.mark.parametrize(("space", "served"), [("me/space", "0.0.0.0 untrained"), (None, "127.0.0.1 trained")])
def test_a_space_is_reached_from_outside_and_ones_own_machine_is_not(space, served, runs):
    """What app.py decides, with a page that only says it: nothing listens."""
    code = (
        "import sys, types, app;"
        "say = lambda library, live, host, *_: print(host, 'trained' if live else 'untrained');"
        "sys.modules['gan_demo.ui.page'] = types.SimpleNamespace(serve=say);"
        "sys.exit(app.main(['--runs', sys.argv[1]]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "SPACE_ID"}
    environment |= {"SPACE_ID": space} if space else {}
    command = [sys.executable, "-c", code, str(runs / "a-plain")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == served


@pytest.mark.parametrize(("value", "allowed"), [("1", True), ("0", False), (None, False)])
def test_a_space_opens_the_hub_to_visitors_by_a_variable(value, allowed, monkeypatch):
    """It starts the app without options."""
    import app

    monkeypatch.delenv("GAN_DEMO_ALLOW_HUB", raising=False)
    if value is not None:
        monkeypatch.setenv("GAN_DEMO_ALLOW_HUB", value)
    assert app.parse([]).allow_hub is allowed


def test_a_zero_gpu_space_finds_the_function_that_it_insists_on(tmp_path, monkeypatch):
    from gan_demo.ui.endpoints import declare_zero_gpu

    (tmp_path / "spaces.py").write_text("declared = []\nGPU = declared.append\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    declare_zero_gpu()
    import spaces

    assert len(spaces.declared) == 1


def test_a_curve_keeps_the_digits_of_a_small_learning_rate():
    from gan_demo.ui.facts import curves

    rows = [{"step": step, "rate": 6.25e-6, "g": 0.6931471} for step in (1.0, 2.0)]
    assert curves(rows) == {"step": [1, 2], "rate": [6.25e-6, 6.25e-6], "g": [0.69315, 0.69315]}


def test_two_runs_of_one_name_are_both_there(tmp_path):
    from gan_demo.ui.library import Library

    toy_run(tmp_path / "one" / "same", "dcgan-mnist")
    toy_run(tmp_path / "other" / "same", "dcgan-mnist")
    library = Library([str(tmp_path / "one"), str(tmp_path / "other" / "same")])
    assert list(library.runs) == ["same", "same-2"]
    assert len(set(library.titles().values())) == 2


def test_the_page_waits_for_no_torch_and_gradio_writes_no_type_stubs():
    """Each would cost every start over a second, and a read-only place could not hold the stubs."""
    code = (
        "import sys, app, gan_demo.ui.page, gradio.component_meta as meta;"
        "print(meta.create_or_modify_pyi(object, 'no component', []), meta.create_or_modify_pyi.__module__,"
        "'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["None", "gan_demo.ui", "False"], done.stderr


def test_the_stored_film_is_shown_without_torch(runs):
    code = (
        "import sys; from gan_demo.ui.library import Library; from gan_demo.ui.pictures import FILES;"
        "from gan_demo.ui.query import Query; data = FILES['film.webp'](Library(sys.argv[1:]), 'a-plain', Query({}));"
        "print('torch' in sys.modules, data == open(sys.argv[1] + '/film.webp', 'rb').read())"
    )
    command = [sys.executable, "-c", code, str(runs / "a-plain")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_app_py_as_a_person_starts_and_ends_it(runs, tmp_path):
    """At the next free port, which it prints, until Ctrl-C; and nothing is told to Gradio's makers."""
    hear = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # which a shell's background job ignores
    program = f"import app, signal, sys; {hear}; sys.exit(app.main(sys.argv[1:]))"
    command = [sys.executable, "-u", "-c", program, "--runs", str(runs / "a-plain"), "--out", str(tmp_path)]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "GAN_DEMO_"))}
    with socket.socket() as taken, suppress(OSError):  # another program's, where it cannot be taken
        taken.bind(("127.0.0.1", 7860))
        taken.listen()
        process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True)
        try:
            url = next(found[0] for line in process.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
            with urlopen(f"{url}/config", timeout=60) as answer:
                assert json.load(answer)["analytics_enabled"] is False
            assert not url.endswith(":7860")
            process.send_signal(signal.SIGINT)
            assert process.wait(30) in (0, 130)  # the latter where it had just begun to wait
        finally:
            process.kill()


def test_files_for_programs_do_not_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(endpoints, "get_upload_folder", lambda: str(tmp_path))
    monkeypatch.setattr(endpoints, "SHELF_BYTES", 250)
    shelf = endpoints.Shelf()
    paths = [shelf.file(bytes([number]) * 100, "a.png")["path"] for number in range(4)]
    assert [os.path.exists(path) for path in paths] == [False, False, True, True]
    assert len(list(tmp_path.iterdir())) == 2  # nor are their folders left


def test_a_file_for_programs_is_whole_whenever_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(endpoints, "get_upload_folder", lambda: str(tmp_path))
    shelf, data = endpoints.Shelf(), os.urandom(2_000_000)

    def ask(_: int) -> bool:
        return Path(shelf.file(data, "a.webp")["path"]).read_bytes() == data

    with ThreadPoolExecutor(8) as visitors:  # a class, with the same line
        assert all(visitors.map(ask, range(100)))
