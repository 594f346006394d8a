"""Pictures by GET: each URL names all that decides its picture, so a browser may keep it for ever.

`/gradio_api/film/{run}/run.json` tells what a run is; `/gradio_api/film/{run}/{revision}/{file}?...` is one of FILES.
The prefix is Gradio's own because a Space serves no other path. These routes stand outside of Gradio's login and
validation: every part of the URL is checked here, and an error is one sentence without a path of this machine.
"""

import re
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gan_demo import film
from gan_demo.errors import GanDemoError
from gan_demo.latents import MAX_SEED, check_seed
from gan_demo.ui.library import Library

ROOT = "/gradio_api/film"
MAX_TILES = 100
MAX_QUERY = 1000  # characters
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class Query:
    """The values of a URL's query, checked as they are read; `done` refuses those that nobody read."""

    def __init__(self, params: QueryParams):
        self._given = dict(params)
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        self._read.add(name)
        return self._given.get(name)

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int | None:
        """A whole number from low to high; `default` where the URL has none."""
        text = self.text(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,16}", text) or not low <= int(text) <= high:
            raise GanDemoError(f"{name} {text[:40]!r} will not do: give a whole number from {low} to {high}")
        return int(text)

    def fraction(self, name: str, default: float) -> float:
        """A number from 0 to 1."""
        text = self.text(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]?(\.[0-9]{1,6})?", text) or not text or not 0 <= float(text) <= 1:
            raise GanDemoError(f"{name} {text[:40]!r} will not do: give a number from 0 to 1")
        return float(text)

    def seeds(self, count: int) -> list[int]:
        """`count` seeds from `seed` on; after the largest comes 0."""
        first = check_seed(self.whole("seed", 0, MAX_SEED, 0))
        return [(first + tile) % (MAX_SEED + 1) for tile in range(count)]

    def done(self) -> None:
        if unknown := sorted(set(self._given) - self._read):
            raise GanDemoError(f"{unknown[0][:40]!r} is no parameter here: use {', '.join(sorted(self._read))}")


def _film(library: Library, key: str, query: Query) -> bytes:
    """The film of `tiles` seeds from `seed` on, all of one `class` or each of its own: a WebP sprite sheet."""
    tiles = query.whole("tiles", 1, MAX_TILES, film.TILES) or 1
    seeds, chosen, truncation = query.seeds(tiles), _class(library, key, query), query.fraction("truncation", 1.0)
    query.done()
    if chosen is None and tiles == film.TILES and truncation == 1 and (ready := library.ready_film(key, seeds[0])):
        return ready
    classes = None if chosen is None else [chosen] * tiles
    return film.sheet(library.player(key).film(seeds, classes, truncation))[0]


def _class(library: Library, key: str, query: Query) -> int | None:
    classes = library.run(key).config.classes
    chosen = query.whole("class", 0, len(classes or ()) - 1) if classes else query.text("class")
    if isinstance(chosen, str):
        raise GanDemoError(f"{key} knows no classes: leave the class out")
    return chosen


FILES: dict[str, Callable[[Library, str, Query], bytes]] = {"film.webp": _film}
TYPES = {".webp": "image/webp", ".png": "image/png", ".gif": "image/gif", ".json": "application/json"}


def routes(library: Library) -> list[Route]:
    """The routes to hand to `launch(app_kwargs={"routes": ...})`."""

    def card(request: Request) -> Response:
        key = request.path_params["run"]
        if key not in library.runs:
            return _refusal(404, f"no run is called {key[:60]!r} here: choose one of {', '.join(library.runs)}")
        return JSONResponse(library.card(key), headers={"Cache-Control": "no-cache"})

    def picture(request: Request) -> Response:
        key, revision, file = (request.path_params[part] for part in ("run", "revision", "file"))
        if key not in library.runs:
            return _refusal(404, f"no run is called {key[:60]!r} here: choose one of {', '.join(library.runs)}")
        run = library.run(key)
        if revision != run.revision:
            return _refusal(404, f"the run {key} has changed: load the page again")
        if file not in FILES:
            return _refusal(404, f"{file[:40]!r} is no file here: choose one of {', '.join(FILES)}")
        if len(request.url.query) > MAX_QUERY:
            return _refusal(400, f"the address is too long: at most {MAX_QUERY} characters after the question mark")
        what = (file, tuple(sorted(request.query_params.multi_items())))
        try:
            data = library.picture(key, what, lambda: FILES[file](library, key, Query(request.query_params)))
        except GanDemoError as error:
            return _refusal(400, str(error).replace(str(run.path), key))
        return Response(data, media_type=TYPES[Path(file).suffix], headers=FOR_EVER)

    return [Route(f"{ROOT}/{{run}}/run.json", card), Route(f"{ROOT}/{{run}}/{{revision}}/{{file}}", picture)]


def _refusal(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status, headers={"Cache-Control": "no-store"})
