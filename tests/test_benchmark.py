"""What a reader of the README's table would lose: figures that are what they are called."""

import json
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from inspect import isgeneratorfunction, signature
from threading import Thread
from urllib.parse import SplitResult, urlsplit
from urllib.request import urlopen

import pytest
from conftest import ROOT

from gan_demo.benchmark.__main__ import SECTIONS, main
from gan_demo.benchmark.distance import far
from gan_demo.benchmark.growth import Growth
from gan_demo.benchmark.report import Figure
from gan_demo.benchmark.server import serving


def benchmark(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "gan_demo.benchmark", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_section_runs_alone_and_its_table_is_in_the_json_too(runs, tmp_path):
    done = benchmark("memory", "--runs", runs, "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "figures.json").read_text())
    assert report["machine"]["cores"] and report["machine"]["torch"] and report["machine"]["gradio"]
    figures = report["sections"]["memory"]["figures"]
    empty, full = figures["resident when the page is first answered"], figures["resident with 3 runs opened"]
    assert full["unit"] == "MiB" and full["median"] > empty["median"] > 0
    assert f"| {full['median']:,.0f} MiB" in done.stdout


def test_wrong_input_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    for arguments, word in ((["speed"], "speed"), (["generation", "--runs", str(tmp_path)], "holds no run")):
        monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
        try:
            status = main()
        except SystemExit as left:
            status = left.code
        complaint = capsys.readouterr().err
        assert status == 2 and complaint.count("\n") == 1 and word in complaint


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_hands_its_rows_on_one_by_one_and_its_figures_are_told(name):
    """As main() takes them: what has been measured is shown while the rest is."""
    measure = import_module(f"gan_demo.benchmark.{name}").measure
    assert isgeneratorfunction(measure) and list(signature(measure).parameters) == ["options"]
    told = [(ROOT / where).read_text() for where in ("README.md", "gan_demo/benchmark/MEASURED.md")]
    assert any(f"`{name}" in text for text in told)


def test_what_was_not_measured_is_not_a_number():
    row = Figure("dcgan on CUDA", [], "images/s", "77,000 images/s", "there is no GPU here")
    assert row.cells() == ("not measured", "there is no GPU here", "77,000 images/s")
    assert row.facts()["median"] is None


def test_the_law_fits_the_points_and_says_how_far_it_is_off():
    assert Growth("area", [(1, 8.0), (2, 17.0), (8, 197.0)], "", 2).law == pytest.approx((5, 3, 0))
    assert Growth("constant", [(16, 5.0), (64, 5.0)], "").law == pytest.approx((5, 0, 0))
    assert Growth("neither", [(1, 1.0), (2, 4.0), (3, 9.0)], "").law[2] > 0.1


def connected(address: SplitResult) -> socket.socket:
    """A connection to a program that is just being started."""
    give_up = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection((address.hostname, address.port), timeout=30)
        except ConnectionRefusedError:
            assert time.monotonic() < give_up
            time.sleep(0.05)


def test_a_far_server_that_hangs_up_without_a_word_keeps_nobody_waiting():
    """As a server does that ends an idle connection in the moment in which a question comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            with suppress(OSError):  # the server is closed
                while True:
                    connection, _ = server.accept()
                    connection.recv(10)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()  # with more to read: a reset

        Thread(target=hang_up, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with (
            serving("-m", "gan_demo.benchmark.distance", url, "20") as proxy,
            connected(urlsplit(proxy.url)) as visitor,
        ):
            visitor.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert visitor.recv(10) == b""


def test_a_far_server_answers_the_same_a_round_trip_later():
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 500_000)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    with far(f"http://127.0.0.1:{server.server_port}", 300) as address:
        start = time.perf_counter()
        with urlopen(address) as answer:
            assert answer.read() == b"x" * 500_000
        assert time.perf_counter() - start >= 0.6, "a connection is one round trip, and a question another"
    server.shutdown()
