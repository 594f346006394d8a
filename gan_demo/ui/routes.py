"""Pictures by GET: each URL names all that decides its picture, so a browser may keep it for ever.

    /gradio_api/film/library.json                    the runs, and why others are not there
    /gradio_api/film/open.json?run=user/name         POST: fetch that one from the Hub, where the host allows it
    /gradio_api/film/{run}/run.json                  what one is
    /gradio_api/film/{run}/{revision}/{file}?...     one of FILES, as the query asks

The prefix is Gradio's own because a Space serves no other path. These routes stand outside of Gradio's login and
validation: every part of the URL is checked here, and an error is one sentence without a path of this machine.
"""

import asyncio
import hashlib
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gan_demo.errors import GanDemoError
from gan_demo.ui.guests import Guests
from gan_demo.ui.library import Library
from gan_demo.ui.pictures import FILES, TYPES
from gan_demo.ui.query import Query
from gan_demo.ui.turns import TooManyError, visitor

ROOT = "/gradio_api/film"
MAX_QUERY = 1000  # characters
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def routes(library: Library) -> list[Route]:
    """The routes to hand to `launch(app_kwargs={"routes": ...})`."""
    answers = Answers(library)
    return [
        Route(f"{ROOT}/library.json", answers.listing),
        Route(f"{ROOT}/open.json", answers.open_run, methods=["POST"]),
        Route(f"{ROOT}/{{run:path}}/run.json", answers.card),
        Route(f"{ROOT}/{{run:path}}/{{revision}}/{{file}}", answers.picture),
    ]


class Answers:
    """What each route answers."""

    def __init__(self, library: Library):
        self._library, self._guests = library, Guests(library)

    def listing(self, request: Request) -> Response:
        self._library.look_for_more()
        return JSONResponse(self._library.listing(), headers={"Cache-Control": "no-cache"})

    async def open_run(self, request: Request) -> Response:
        try:
            coming = self._guests.open(request.query_params.get("run", ""))
            key = await asyncio.shield(asyncio.wrap_future(coming))  # others may wait for it too
            classes = self._library.run(key).config.classes
        except GanDemoError as error:
            return _refusal(403, str(error))
        entry = {"key": key, "title": self._library.titles().get(key, key), "classes": classes}
        return JSONResponse(entry, headers={"Cache-Control": "no-store"})

    def card(self, request: Request) -> Response:
        try:
            answer = JSONResponse(self._library.card(request.path_params["run"]))
        except GanDemoError as error:
            return _refusal(404, str(error))
        # Who asks again is told "unchanged" in no words.
        tag = f'"{hashlib.sha256(bytes(answer.body)).hexdigest()[:16]}"'
        headers = {"Cache-Control": "no-cache", "ETag": tag}
        if request.headers.get("If-None-Match", "").removeprefix("W/") == tag:
            return Response(status_code=304, headers=headers)
        answer.headers.update(headers)
        return answer

    async def picture(self, request: Request) -> Response:
        key, revision, file = (request.path_params[part] for part in ("run", "revision", "file"))
        if refused := self._refused(request, key, revision, file):
            return refused
        library, what = self._library, (file, *sorted(request.query_params.items()))

        def paint() -> bytes:
            return library.picture(key, revision, what, lambda: FILES[file](library, key, Query(request.query_params)))

        try:
            if (data := library.kept(key, revision, what)) is None:
                async with library.turns(key).turn(visitor(request)):
                    data = await run_in_threadpool(paint)
        except TooManyError as error:
            return _refusal(429, str(error))
        except GanDemoError as error:
            changed = await run_in_threadpool(library.has_changed, key, revision)
            return _refusal(400, library.public(key, error), changed=changed)
        return Response(data, media_type=TYPES[Path(file).suffix], headers=FOR_EVER)

    def _refused(self, request: Request, key: str, revision: str, file: str) -> Response | None:
        """What is answered where an address names nothing that is here, or says too much; None where it may be."""
        try:
            run = self._library.run(key)
        except GanDemoError as error:
            return _refusal(404, str(error))
        if revision != run.revision:
            return _refusal(404, f"the run {key} has changed: load the page again", changed=True)
        if file not in FILES:
            return _refusal(404, f"{file[:40]!r} is no file here: choose one of {', '.join(FILES)}")
        if len(request.url.query) > MAX_QUERY:
            return _refusal(400, f"the address is too long: at most {MAX_QUERY} characters after the question mark")
        if len(request.query_params.multi_items()) != len(request.query_params):
            return _refusal(400, "a name stands twice in the address: give each once")
        return None


def _refusal(status: int, sentence: str, changed: bool = False) -> Response:
    """`changed`: the run has, so that whoever asks for its card again will be served."""
    return JSONResponse(
        {"error": sentence, "changed": changed}, status_code=status, headers={"Cache-Control": "no-store"}
    )
