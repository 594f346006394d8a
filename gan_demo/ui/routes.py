"""Pictures by GET: each URL names all that decides its picture, so a browser may keep it for ever.

    /gradio_api/film/runs.json                       the runs
    /gradio_api/film/{run}/run.json                  what one is
    /gradio_api/film/{run}/{revision}/{file}?...     one of FILES, as the query asks

The prefix is Gradio's own because a Space serves no other path. These routes stand outside of Gradio's login and
validation: every part of the URL is checked here, and an error is one sentence without a path of this machine.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gan_demo.errors import GanDemoError
from gan_demo.ui.library import Library
from gan_demo.ui.pictures import FILES, TYPES
from gan_demo.ui.query import Query

ROOT = "/gradio_api/film"
MAX_QUERY = 1000  # characters
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def routes(library: Library) -> list[Route]:
    """The routes to hand to `launch(app_kwargs={"routes": ...})`."""

    def names(request: Request) -> Response:
        return JSONResponse(list(library.runs), headers={"Cache-Control": "no-cache"})

    def card(request: Request) -> Response:
        try:
            facts = library.card(request.path_params["run"])
        except GanDemoError as error:
            return _refusal(404, str(error))
        return JSONResponse(facts, headers={"Cache-Control": "no-cache"})

    def picture(request: Request) -> Response:
        key, revision, file = (request.path_params[part] for part in ("run", "revision", "file"))
        try:
            run = library.run(key)
        except GanDemoError as error:
            return _refusal(404, str(error))
        if revision != run.revision:
            return _refusal(404, f"the run {key} has changed: load the page again")
        if file not in FILES:
            return _refusal(404, f"{file[:40]!r} is no file here: choose one of {', '.join(FILES)}")
        if len(request.url.query) > MAX_QUERY:
            return _refusal(400, f"the address is too long: at most {MAX_QUERY} characters after the question mark")
        what = (file, *sorted(request.query_params.multi_items()))
        try:
            data = library.picture(key, what, lambda: FILES[file](library, key, Query(request.query_params)))
        except GanDemoError as error:
            return _refusal(400, str(error).replace(str(run.path), key))
        return Response(data, media_type=TYPES[Path(file).suffix], headers=FOR_EVER)

    return [
        Route(f"{ROOT}/runs.json", names),
        Route(f"{ROOT}/{{run}}/run.json", card),
        Route(f"{ROOT}/{{run}}/{{revision}}/{{file}}", picture),
    ]


def _refusal(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status, headers={"Cache-Control": "no-store"})
