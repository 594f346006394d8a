"""The app as a process of its own, and a browser that visits it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from gan_demo.errors import GanDemoError

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 180  # seconds for a start: the first one reads some gigabytes from the disk


@dataclass
class Server:
    """A program that serves a page at `url`; `started` is the moment when its process was."""

    program: str
    url: str
    process: subprocess.Popen
    started: float

    def wait(self) -> float:
        """The moment at which the page is first answered with HTTP 200."""
        while True:
            try:
                with urlopen(self.url, timeout=60) as answer:
                    answer.read()
                return time.perf_counter()
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - self.started > PATIENCE:
                    raise GanDemoError(f"{self.program} does not answer: run it by hand to see why") from None
                time.sleep(0.01)

    def get(self, path: str) -> bytes:
        """A file below the routes of films."""
        with urlopen(f"{self.url}/gradio_api/film/{path}", timeout=60) as answer:
            return answer.read()

    def film_url(self, key: str) -> str:
        """The path of a run's films, up to the seed."""
        revision = json.loads(self.get(f"{key}/run.json"))["revision"]
        return f"{key}/{revision}/film.webp?seed="

    def memory(self, what: str = "VmRSS") -> list[float]:
        """MiB of memory now (or "VmHWM": at the most so far); nothing where there is no /proc."""
        return memory(self.process.pid, what)

    def keys(self) -> list[str]:
        return [run["key"] for run in json.loads(self.get("library.json"))["runs"]]


def memory(process: int, what: str = "VmRSS") -> list[float]:
    """One line of a process's /proc/PID/status in MiB, or nothing where there is none."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) / 1024 for line in lines if line.startswith(what)]


@contextmanager
def serving(*program: str, **environment: str) -> Iterator[Server]:
    """Start `python PROGRAM --port ...` on the loopback, and end it afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", **environment}
    command = [sys.executable, *program, "--port", str(port)]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.DEVNULL)
    try:
        yield Server(" ".join(program), f"http://127.0.0.1:{port}", process, started)
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def visiting() -> Iterator[Any]:
    """A page of Debian's Chromium where there is one, else of Playwright's own."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise GanDemoError("there is no Playwright here: run python3 tests once, which installs it") from None
    with sync_playwright() as playwright:
        found = os.environ.get("GAN_DEMO_BROWSER") or shutil.which("chromium")
        try:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        except Error:
            raise GanDemoError(f"no browser starts here ({found}): run python3 tests once, which finds one") from None
        yield browser.new_page(viewport={"width": 1280, "height": 720})
        browser.close()
