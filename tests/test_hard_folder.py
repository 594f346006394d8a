"""What a visitor would lose to a damaged run folder: the page, or the truth. It is told in one line, or it plays."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import STEPS, toy_run
from hard import VALUES, hard, one_line
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gan_demo import film
from gan_demo.errors import GanDemoError
from gan_demo.player import open_run
from gan_demo.run import Run
from gan_demo.ui import pictures
from gan_demo.ui.library import Library
from gan_demo.ui.query import Query
from gan_demo.ui.routes import ROOT, routes
from gan_demo.ui.sources import Repository

DOCUMENTS = ("config.json", "snapshots/index.json", "metrics.json", "film.json")
ASKED = ("film.webp", "grid.json?tiles=4", "walk.webp?stops=1,2&frames=4")
MADE_WAY = "me/first made way for runs that others opened, or is public no longer: open it again"
Damage = Callable[["Folder"], object]


class Folder:
    """A run folder that is damaged and mended again, and what it showed when it was whole."""

    def __init__(self, path: Path):
        self.path = path
        self.files = {
            file.relative_to(path).as_posix(): file.read_bytes()
            for file in sorted(path.rglob("*"))
            if file.is_file() and "state" not in file.parts
        }
        self.names = list(self.files)
        self.whole = self.use()
        assert set(self.whole) == {"pictures", *ASKED}

    def mend(self) -> None:
        for file in sorted(self.path.rglob("*"), reverse=True):
            name = file.relative_to(self.path).as_posix()
            if file.is_dir() and name in self.files:
                file.rmdir()
            elif file.is_file() and name not in self.files:
                file.unlink()
        for name, data in self.files.items():
            if not (self.path / name).is_file() or (self.path / name).read_bytes() != data:
                (self.path / name).write_bytes(data)

    def use(self) -> dict[str, bytes]:
        """What a program and a visitor get to see of it; GanDemoError where it cannot be opened at all."""
        seen = {}
        try:
            seen["pictures"] = open_run(self.path).film([0, 1]).tobytes()
        except GanDemoError as error:
            one_line(error)
        library = Library([str(self.path)])
        with TestClient(Starlette(routes=routes(library))) as browser:
            listing = browser.get(f"{ROOT}/library.json").json()
            if not listing["runs"]:  # it lacks its snapshots, as a run has that was started just now
                one_line(*listing["problems"], hidden=self.path)
                return seen
            key = listing["runs"][0]["key"]
            card = browser.get(f"{ROOT}/{key}/run.json").json()
            for name in ASKED:
                answer = browser.get(f"{ROOT}/{key}/{card['revision']}/{name}")
                if answer.status_code == 200:
                    seen[name] = answer.content
                else:
                    one_line(answer.json()["error"], hidden=self.path)
        return seen

    def survive(self) -> dict[str, bytes]:
        """`use`, where a refusal in one line is an answer too; mends the folder."""
        try:
            return self.use()
        except GanDemoError as error:
            one_line(error)
            return {}
        finally:
            self.mend()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Folder:
    """A conditional run of three snapshots with all that the page reads."""
    path = toy_run(tmp_path_factory.mktemp("hard") / "run", "cdcgan-mnist", list("0123456789"), best=1000)
    Run(path).rewind(STEPS[2])
    open_run(path).write_ready_film()
    return Folder(path)


# ---------------------------------------------------------------- bytes

at = st.floats(0, 1, exclude_max=True)


def cut(name: str, where: float) -> Damage:
    def damage(folder: Folder) -> None:
        data = folder.files[name]
        (folder.path / name).write_bytes(data[: int(where * len(data))])

    return damage


def flip(name: str, places: list[tuple[float, int]]) -> Damage:
    def damage(folder: Folder) -> None:
        data = bytearray(folder.files[name])
        for where, bit in places:
            data[int(where * len(data))] ^= 1 << bit
        (folder.path / name).write_bytes(data)

    return damage


def replace(name: str, data: bytes) -> Damage:
    return lambda folder: (folder.path / name).write_bytes(data)


def append(name: str, data: bytes) -> Damage:
    return lambda folder: (folder.path / name).write_bytes(folder.files[name] + data)


def remove(name: str) -> Damage:
    return lambda folder: (folder.path / name).unlink()


def rename(name: str, to: str) -> Damage:
    return lambda folder: (folder.path / name).rename((folder.path / name).with_name(to))


def bury(name: str) -> Damage:
    """A folder in the file's place."""

    def damage(folder: Folder) -> None:
        (folder.path / name).unlink()
        (folder.path / name).mkdir()

    return damage


def swap(name: str, other: str) -> Damage:
    def damage(folder: Folder) -> None:
        (folder.path / name).write_bytes(folder.files[other])
        (folder.path / other).write_bytes(folder.files[name])

    return damage


def damages(names: list[str]) -> st.SearchStrategy[tuple[str, Damage]]:
    name, others = st.sampled_from(names), st.sampled_from(names)
    junk = st.binary(max_size=40)
    places = st.lists(st.tuples(at, st.integers(0, 7)), min_size=1, max_size=3)
    kinds = [
        *(st.builds(lambda n, *rest, kind=kind: (n, kind(n, *rest)), name, *more) for kind, more in (
            (cut, [at]), (flip, [places]), (flip, [places]), (replace, [junk]), (append, [junk]), (remove, []),
            (rename, [st.sampled_from(["other", "CONFIG.JSON", "step-00000001.safetensors"])]), (bury, []),
        )),
        st.builds(lambda n, o: (f"{n} and {o}", swap(n, o)), name, others),
    ]  # fmt: skip
    return st.one_of(kinds)


@hard(40)
@given(data=st.data())
def test_a_damaged_file_is_told_in_one_line_or_changes_no_picture(folder, data):
    name, damage = data.draw(damages(folder.names))
    damage(folder)
    shown = folder.survive()
    if "config.json" in name:  # says how a picture is made: another setting is another picture
        return
    if name in ("history.csv", "metrics.json", "film.json", "film.webp", "model.safetensors"):
        assert set(shown) == set(folder.whole), f"{name} is damaged, and pictures are lost"
    for what, content in shown.items():
        unjudged = what.startswith("grid.json") and json.loads(content)["verdict"] is None
        assert unjudged or content == folder.whole[what], f"{name} is damaged, and {what} another"


# ---------------------------------------------------------------- documents that lie


def put(document: Any, where: list[float], value: Any) -> Any:
    """The document with a value in the place of one of its parts, or a key that nobody knows."""
    if not where or not isinstance(document, dict | list) or not document:
        return value
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = keys[int(where[0] * len(keys))]
    changed = document.copy()
    changed[key] = put(document[key], where[1:], value)
    return changed


@hard(40)
@given(name=st.sampled_from(DOCUMENTS), where=st.lists(at, max_size=4), value=VALUES)
def test_a_document_that_lies_is_told_in_one_line_or_plays(folder, name, where, value):
    text = json.dumps(put(json.loads(folder.files[name]), where, value))
    (folder.path / name).write_text(text)
    folder.survive()


@hard(50)
@given(rows=st.lists(st.lists(st.one_of(VALUES, st.floats()).map(str), max_size=8), max_size=6), torn=st.booleans())
def test_a_history_of_anything_is_numbers_or_left_out(folder, rows, torn):
    text = folder.files["history.csv"].decode() + "\n".join(map(",".join, rows)) + ("" if torn else "\n")
    (folder.path / "history.csv").write_text(text, errors="replace")
    card = Library([str(folder.path)]).card("run")
    json.dumps(card, allow_nan=False)
    assert len(card["history"]["step"]) >= 2
    folder.mend()


# ---------------------------------------------------------------- while it is shown


def test_a_guest_that_makes_way_while_it_is_painted_says_so(folder, monkeypatch):
    library, run = Library([str(folder.path)], allow_hub=True), Run(folder.path)
    monkeypatch.setattr("gan_demo.ui.library.MAX_GUESTS", 1)
    library.admit(Repository("me/first", guest=True), run)

    def crowd_out(*_: object) -> bytes:
        library.admit(Repository("me/second", guest=True), run)
        return b"of nobody knows what"

    monkeypatch.setitem(pictures.FILES, "grid.png", crowd_out)
    with TestClient(Starlette(routes=routes(library))) as browser:
        answer = browser.get(f"{ROOT}/me/first/{run.revision}/grid.png")
        assert answer.status_code == 400
        assert answer.json() == {"error": MADE_WAY, "changed": False}
        assert browser.get(f"{ROOT}/me/first/run.json").json()["error"] == MADE_WAY


def test_a_grid_is_painted_once_for_its_picture_and_its_verdicts_and_not_for_verdicts_that_nobody_gives(
    folder, monkeypatch
):
    library, painted = Library([str(folder.path)]), []
    paint = library.player("run").generate
    monkeypatch.setattr(library.player("run"), "generate", lambda *asked: painted.append(asked) or paint(*asked))
    asked = {"seed": "5", "tiles": "4"}
    picture, facts = (pictures.FILES[name](library, "run", Query(asked)) for name in ("grid.png", "grid.json"))
    assert len(painted) == 1 and len(json.loads(facts)["verdict"]) == 4
    tiles = film.grid(paint([5, 6, 7, 8], [5, 6, 7, 8]), 2)[:, :, 0]
    assert np.array_equal(np.array(Image.open(io.BytesIO(picture))), tiles)
    monkeypatch.setattr(Run, "can_judge", False)
    facts = json.loads(pictures.FILES["grid.json"](library, "run", Query({"seed": "6"})))
    assert facts["verdict"] is None and facts["seeds"][0] == 6 and len(painted) == 1


def test_an_animation_keeps_its_colours(runs, players):
    data = pictures.FILES["walk.gif"](Library([str(runs / "c-colour")]), "c-colour", Query({"stops": "1,2,3"}))
    shown = np.array(Image.open(io.BytesIO(data)).convert("RGB").resize((32, 32), Image.Resampling.NEAREST))
    assert np.abs(shown.astype(float) - players["c-colour"].generate([1])[0]).mean() < 8  # of the web's 216: 13


def test_a_run_removed_or_rewritten_while_it_is_shown_says_so_and_the_others_play_on(tmp_path, monkeypatch):
    from gan_demo.ui import sources

    monkeypatch.setattr(sources, "FOLDER_SECONDS", 0)
    gone = toy_run(tmp_path / "gone", "mlp-mnist")
    toy_run(tmp_path / "stays", "mlp-mnist")
    library = Library([str(tmp_path)])
    with TestClient(Starlette(routes=routes(library))) as browser:

        def card(key: str) -> dict[str, Any]:
            return browser.get(f"{ROOT}/{key}/run.json").json()

        def film(key: str, seed: int, revision: str | None = None) -> Any:
            return browser.get(f"{ROOT}/{key}/{revision or card(key)['revision']}/film.webp?seed={seed}")

        first = card("gone")["revision"]
        gone.rename(tmp_path.parent / "moved")
        assert card("gone")["revision"] == first
        one_line(card("gone")["trouble"], hidden=tmp_path)
        one_line(film("gone", 7).json()["error"], hidden=tmp_path)
        assert film("stays", 7).status_code == 200 and not card("stays")["trouble"]

        other = toy_run(tmp_path / "gone", "cdcgan-mnist", list("0123456789"))
        assert card("gone")["revision"] != first and not card("gone")["trouble"]
        old = film("gone", 8, first)
        assert old.status_code == 404 and old.json()["changed"]
        assert film("gone", 8).status_code == 200 and card("gone")["classes"] == list("0123456789")

        for step in Run(other).steps[1:]:
            (other / "snapshots" / f"step-{step:08d}.safetensors").write_bytes(b"")
        assert film("gone", 9).status_code == 200  # what was read before plays on
        assert film("stays", 9).status_code == 200
