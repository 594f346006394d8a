"""What a host would lose who serves the page from several processes: visitors that live on when one of them dies."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import URLError
from urllib.request import HTTPCookieProcessor, build_opener, urlopen

import pytest
from browser import App, free_port
from conftest import ROOT
from gradio_client import Client
from PIL import Image
from waiting import wait_until

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
VISITORS, FILMS = 6, 6  # how many ask at once, and each for how many films
WRAPPER = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    log_format who "$cookie_copy $upstream_addr"; access_log {folder}/access.log who;
    include {folder}/site.conf;
}}
"""


class Copies:
    """Two copies of the app behind nginx, in the configuration of tests/nginx.conf."""

    def __init__(self, runs: Path, folder: Path):
        self.log, self.errors = folder / "access.log", folder / "error.log"
        self.apps = [App(runs).start(), App(runs).start()]
        self.url = f"http://127.0.0.1:{free_port()}"
        site = (ROOT / "tests" / "nginx.conf").read_text()
        for shown, here in zip(("7861", "7862", "7860"), (*(app.url for app in self.apps), self.url), strict=True):
            site = site.replace(f"127.0.0.1:{shown}", here.removeprefix("http://"))
        (folder / "site.conf").write_text(site)
        (folder / "nginx.conf").write_text(WRAPPER.format(folder=folder))
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(self.errors)]
        self.nginx = subprocess.Popen(command)
        give_up = time.monotonic() + 30
        while not self.answers():
            assert self.nginx.poll() is None and time.monotonic() < give_up, self.errors.read_text()
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            urlopen(self.url, timeout=30).close()
        except URLError:
            return False
        return True

    def stop(self) -> None:
        self.nginx.terminate()
        self.nginx.wait(20)
        for app in self.apps:
            app.stop()

    def of(self, cookie: str) -> set[str]:
        """The copies that answered a visitor since their first request."""
        lines = [line.split(" ", 1) for line in self.log.read_text().splitlines()]
        return {copies for visitor, copies in lines if visitor == cookie}

    def broken_off(self) -> list[str]:
        """The films that a copy was at work on when it died; later ones it refuses to be asked for."""
        lines = self.errors.read_text().splitlines()
        return [line for line in lines if "while reading response header" in line and "/film.webp" in line]


@pytest.fixture
def copies(runs, tmp_path) -> Iterator[Copies]:
    if NGINX is None:
        pytest.skip("there is no nginx here: apt install nginx-light")
    served = Copies(runs, tmp_path)
    yield served
    served.stop()


class Guest:
    """A visitor without a browser: an address and a cookie."""

    def __init__(self, url: str):
        self.url, self.jar = url, CookieJar()
        self.opener = build_opener(HTTPCookieProcessor(self.jar))
        self.opener.open(url, timeout=60).close()
        self.cookie = next(iter(self.jar)).value or ""

    def get(self, path: str) -> bytes:
        with self.opener.open(f"{self.url}/gradio_api/film/{path}", timeout=120) as answer:
            return answer.read()


def is_asked(port: int) -> bool:
    """Whether a question waits there that the program, which is stopped, has not read."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established = [
        queues for _, local, _, state, queues, *_ in rows if state == "01" and local.endswith(f":{port:04X}")
    ]
    return any(int(queues.rpartition(":")[2], 16) for queues in established)


def test_a_copy_killed_under_load_takes_no_visitor_along(copies, visit, players):
    browser = visit(copies).open(model="a-plain", seed=3)
    browser.sees(players["a-plain"].film(range(3, 19))[-1])
    (cookie,) = (cookie["value"] for cookie in browser.page.context.cookies() if cookie["name"] == "copy")
    (home,) = copies.of(cookie)
    killed = next(app for app in copies.apps if app.url.endswith(home))
    survivor = next(app for app in copies.apps if app is not killed)

    guests = [Guest(copies.url)]
    film = f"a-plain/{json.loads(guests[0].get('a-plain/run.json'))['revision']}/film.webp?seed="
    while len(guests) < VISITORS or not any(copies.of(guest.cookie) == {home} for guest in guests):
        assert len(guests) < 40, "nginx sends every visitor to one copy"
        guests.append(Guest(copies.url))
        guests[-1].get(f"{film}1")
    # The copy answers nobody from the moment when all have come half-way.
    half = threading.Barrier(len(guests) + 1, action=lambda: killed.process.send_signal(signal.SIGSTOP))

    def ask(number: int) -> list[bytes]:
        seen = []
        for index in range(FILMS):
            if index == FILMS // 2:
                half.wait(120)
            seen.append(guests[number].get(f"{film}{1000 * number + 16 * index}"))
        return seen

    with ThreadPoolExecutor(len(guests)) as pool:
        asking = [pool.submit(ask, number) for number in range(len(guests))]
        half.wait(120)
        before = [copies.of(guest.cookie) for guest in guests]
        wait_until(lambda: is_asked(int(home.rpartition(":")[2])))
        killed.process.kill()  # while all of them wait for a film
        films = [answers.result() for answers in asking]
    assert all(len(homes) == 1 for homes in before[1:]), "a visitor wandered between the copies"
    assert copies.broken_off(), "none of them had anything to lose"
    for number, answers in enumerate(films):
        for index, answer in enumerate(answers):
            with urlopen(f"{survivor.url}/gradio_api/film/{film}{1000 * number + 16 * index}") as same:
                assert answer == same.read()

    browser.page.locator("#seed input").fill("40")
    browser.sees(players["a-plain"].film(range(40, 56))[-1])
    browser.forgive_the_network()  # the dead copy's events

    sheet, layout = Client(copies.url, verbose=False).predict("a-plain", seed=7, api_name="/film")
    assert Image.open(sheet).size[0] == layout["frame_columns"] * layout["frame_width"]
