"""What the tab Live asks for: who trains what, and the hands on it.

    GET  /gradio_api/live/status.json      what runs, or how it ended
    POST /gradio_api/live/start.json       begin one: {"recipe", "option", "dataset", "steps", "rates", "k", "pictures"}
    POST /gradio_api/live/{act}.json       pause, go-on, stop or turn what runs: for whoever started it
    POST /gradio_api/live/pictures.json    add files to a collection of one's own pictures

Who starts a training brings a token, made in the browser, so that a lost answer leaves nobody without hands; the others
watch. All else about the run comes by the routes of any other run.
"""

import json
import re
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gan_demo import recipes
from gan_demo.control import MAX_RATE
from gan_demo.data import suits
from gan_demo.datasets import DATASETS
from gan_demo.errors import GanDemoError
from gan_demo.live import LENGTHS, Live, Wish
from gan_demo.machine import is_loopback
from gan_demo.points import SHAPES
from gan_demo.ui.library import Library
from gan_demo.ui.uploads import Uploads

ROOT = "/gradio_api/live"
HEADER = "X-Gan-Live"  # every POST bears it, with the token of who has the hands on a training
TOKEN = re.compile(r"[\w-]{32,64}", re.ASCII)
MAX_BODY = 10_000
MAX_SENT = 2**20  # bytes of pictures in one request
MAX_FILES = 500  # in one request
NO_STORE = {"Cache-Control": "no-store"}


class Stage:
    """One `Live` before its audience: its runs join the library, and who started the last has the hands on it."""

    def __init__(self, live: Live, library: Library):
        self.live, self._library = live, library
        self._uploads = Uploads(live.out)
        self._token = ""
        self._downloads = False  # whether the training at work began without its data set here

    def offers(self) -> dict[str, Any]:
        """What can be trained here, for the page's head."""
        ways = [
            (recipe.having(option), option) for recipe in recipes.RECIPES.values() for option in (None, *recipe.options)
        ]
        return {
            "recipes": [
                {
                    "name": recipe.name,
                    "option": option,
                    "title": recipe.title,
                    "why": recipe.options[option].why if option else "",
                    "data": recipe.dataset,
                    "pictures": recipe.dataset not in SHAPES,  # of one's own
                    "suits": [name for name in DATASETS if suits(recipe, name)],
                    "rates": recipe.learning_rates,
                    "k": recipe.discriminator_steps,
                    "conditional": recipe.conditional,
                }
                for recipe, option in ways
            ],
            "data": {
                name: {"title": DATASETS[name].title, "source": source} for name, source in self._sources().items()
            },
            "lengths": LENGTHS,
            "most": MAX_RATE,
            "limit": self.live.limit,
        }

    def status(self, token: str, here: bool = True) -> dict[str, Any]:
        """What runs, or how the last one ended; `yours` where the token has the hands on it.

        `here`: whoever asks may be told of this machine's folders.
        """
        job = self.live.job
        if job is None:
            return {"phase": "idle", "key": None, "sources": self._sources()}
        key = self._library.take_in(job.path)
        phase, sentence = job.ended or self._phase(key)
        return {
            "phase": phase,
            "sentence": sentence,
            "key": key,
            "sources": self._sources(),
            "recipe": job.wish.recipe,
            "option": job.wish.option,
            "dataset": _dataset(job.wish),
            "pictures": job.wish.pictures is not None,
            "steps": job.wish.steps,
            "rates": job.control.learning_rates,
            "k": job.control.discriminator_steps,
            "seconds": round(self.live.seconds(), 1),
            "yours": self._has_hands(token),
            "push": self.live.push_command() if job.ended and key and here else None,
            "resumable": job.resumable and not self.live.had_its_hour(job),
        }

    def _sources(self) -> dict[str, str]:
        """Where each published data set would come from now; a training may have downloaded it."""
        return {name: self.live.source(name) for name in DATASETS}

    def _phase(self, key: str | None) -> tuple[str, str]:
        job = self.live.job
        assert job
        if job.stopping:
            return "ending", "Saving everything."
        if key is None:
            title = "your pictures" if job.wish.pictures else DATASETS[_dataset(job.wish)].title
            return "starting", f"Starting; {'downloading' if self._downloads else 'reading'} {title}."
        if job.control.paused:
            return "paused", "Paused; everything is saved."
        return "training", ""

    def start(self, asked: dict[str, Any], token: str) -> dict[str, Any]:
        """Begin a training as a visitor asks; the token has the hands on it."""
        if not TOKEN.fullmatch(token):
            raise GanDemoError(f"a training wants a token in {HEADER}: use the page, or give 32 letters and digits")
        pictures = asked.get("pictures")
        wish = Wish(
            recipe=str(asked.get("recipe")),
            option=None if asked.get("option") is None else str(asked["option"]),
            dataset=None if asked.get("dataset") is None else str(asked["dataset"]),
            steps=asked.get("steps", LENGTHS[2]),
            pictures=None if pictures is None else self._uploads.filled(str(pictures)),
            learning_rates=_rates(asked),
            discriminator_steps=asked.get("k"),
        )
        self._downloads = wish.pictures is None and self.live.source(_dataset(wish)) == "download"
        self.live.start(wish)
        self._token = token
        return {}

    def act(self, name: str, asked: dict[str, Any], token: str) -> dict[str, Any]:
        """Do one of ACTS. GanDemoError where there is none of that name, or other hands are on the training."""
        if name not in ACTS:
            raise GanDemoError(f"{name[:40]!r} cannot be done: choose one of {', '.join(ACTS)}")
        if not self._has_hands(token):
            raise GanDemoError("this training is another visitor's: watch it, and start yours when it has ended")
        ACTS[name](self.live, asked)
        return {}

    def add(self, identity: str | None, files: list[tuple[str, bytes]]) -> dict[str, Any]:
        """Add pictures to a collection, a new one where `identity` is None."""
        job = self.live.job
        identity = identity or self._uploads.begin(job.wish.pictures if job else None)
        return {"pictures": identity, "count": self._uploads.add(identity, files)}

    def _has_hands(self, token: str) -> bool:
        return bool(self._token) and secrets.compare_digest(token.encode(), self._token.encode())


def _rates(asked: dict[str, Any]) -> Any:
    return tuple(asked["rates"]) if isinstance(asked.get("rates"), list) else None


def _turn(live: Live, asked: dict[str, Any]) -> None:
    live.turn(_rates(asked) or (), asked.get("k"))  # type: ignore[arg-type]  # a Control refuses what will not do


ACTS: dict[str, Callable[[Live, dict[str, Any]], None]] = {
    "pause": lambda live, _: live.pause(),
    "go-on": lambda live, _: live.go_on(),
    "stop": lambda live, _: live.stop(),
    "turn": _turn,
}


def routes(stage: Stage) -> list[Route]:
    """The routes to add to those of the runs."""

    def status(request: Request) -> Response:
        here = not stage.live.private or _is_from_here(request)
        return JSONResponse(stage.status(request.headers.get(HEADER, ""), here), headers=NO_STORE)

    async def act(request: Request) -> Response:
        token = request.headers.get(HEADER)
        if token is None:
            return _refusal(403, f"a request without the header {HEADER} starts nothing here: use the page")
        if stage.live.private and not _is_from_here(request):
            way = "open it at http://127.0.0.1, or start it with --allow-training"
            return _refusal(403, f"this page trains for its own machine alone, and you come from another: {way}")
        name = request.path_params["act"]
        try:
            if name == "pictures":
                files = await _files(request)
                return await _answer(stage.add, request.query_params.get("to"), files)
            asked = await _json(request)
            if name == "start":
                return await _answer(stage.start, asked, token)
            return await _answer(stage.act, name, asked, token)
        except GanDemoError as error:
            return _refusal(400, str(error))

    return [Route(f"{ROOT}/status.json", status), Route(f"{ROOT}/{{act}}.json", act, methods=["POST"])]


def _dataset(wish: Wish) -> str:
    """The published data set that is trained on where no pictures of one's own are."""
    return wish.dataset or recipes.get(wish.recipe).dataset


def _is_from_here(request: Request) -> bool:
    """Whether a page of this machine asks: by the address that was asked, the one that asks, and the page's own.

    A proxy on this machine that names neither of the last two cannot be told from a person here.
    """
    try:
        origin = urlsplit(request.headers.get("Origin", "")).hostname
    except ValueError:
        return False
    names = [request.url.hostname, request.client.host if request.client else None, *([origin] if origin else [])]
    return all(is_loopback(name or "") for name in names)


async def _answer(function: Callable[..., dict[str, Any]], *given: Any) -> Response:
    return JSONResponse(await run_in_threadpool(function, *given), headers=NO_STORE)


async def _json(request: Request) -> dict[str, Any]:
    _check_length(request, MAX_BODY)
    try:
        asked = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise GanDemoError("the request holds no JSON object: use the page")
    return asked


async def _files(request: Request) -> list[tuple[str, bytes]]:
    _check_length(request, MAX_SENT)
    async with request.form(max_files=MAX_FILES) as form:
        sent = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        return [(part.filename or "", await part.read()) for part in sent]


def _check_length(request: Request, most: int) -> None:
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) > most:
        raise GanDemoError(f"the request is too large: send at most {most:,} bytes")


def _refusal(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status, headers=NO_STORE)
