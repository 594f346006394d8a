"""The whole way once: real digits, train.py as a process, the run folder, app.py as a process, a real browser."""

import subprocess
import sys

import numpy as np
from conftest import DATA, ROOT
from playwright.sync_api import expect

from gan_demo import open_run
from gan_demo.run import Run


def test_from_real_digits_to_a_film_scrubbed_in_the_browser(tmp_path, launch, visit):
    out = tmp_path / "runs" / "first-light"
    size = ["--steps", "20", "--snapshots", "3", "--batch-size", "16", "--device", "cpu"]
    where = ["--data", str(DATA), "--out", str(out)]
    command = [sys.executable, str(ROOT / "train.py"), "dcgan-mnist", "--with", "slim", *where, *size]
    trained = subprocess.run(command, capture_output=True, text=True, check=False)
    assert trained.returncode == 0, trained.stderr

    player = open_run(out)
    film = player.film(range(16))
    assert len(player.steps) == 3 and (np.diff(film.astype(int), axis=0) != 0).any((1, 2, 3, 4)).all()

    app = launch(out)
    visitor = visit(app).open()
    visitor.sees(film[player.steps.index(Run(out).read_json("metrics.json")["best"])])
    visitor.page.wait_for_load_state("networkidle")
    before = len(visitor.requests)
    for index in (0, 2, 1, 2):
        visitor.scrub(index)
        visitor.sees(film[index])
    assert visitor.requests[before:] == []  # that the console holds no error is asserted by `visit`
    expect(visitor.page.locator("#class")).to_be_hidden()
    visitor.page.locator("#seed input").fill("40")
    visitor.sees(player.film(range(40, 56))[-1])
