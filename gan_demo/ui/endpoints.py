"""The named endpoints, for gradio_client and other programs: what the page shows, as files and plain JSON.

Each docstring is what `client.view_api()` and the page's "Use via API" print.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import hash_bytes
from gradio.utils import get_upload_folder
from starlette.concurrency import run_in_threadpool

from gan_demo import film as films
from gan_demo.errors import GanDemoError
from gan_demo.files import write_file
from gan_demo.latents import seeds_from
from gan_demo.ui.library import Library
from gan_demo.ui.pictures import MAX_TILES, MAX_WORK, fitting_tiles
from gan_demo.ui.turns import visitor

MAX_UNREAD = 100  # messages to gradio_client that wait to be fetched, all sessions together
ONE_ANSWER = 3  # messages: in line, begun, done
MAX_NUMBERS = 200_000  # of a history: some ten megabytes of JSON
MAX_WIDTH = 16_384  # pixels of a strip
SHELF_BYTES = 256 * 2**20  # on the disk; Gradio deletes what is an hour old besides
File = dict[str, Any]


def endpoints(library: Library, page: gr.Blocks) -> None:
    """Add /models, /generate, /interpolate, /film and /history to the page that is being built."""
    here = Endpoints(library, page)
    for function in (here.models, here.generate, here.interpolate, here.film, here.history):
        gr.api(function, api_name=function.__name__, concurrency_limit=None)


class Endpoints:
    """A method for each endpoint, of its name."""

    def __init__(self, library: Library, page: gr.Blocks):
        self._library, self._page, self._shelf = library, page, Shelf()

    async def _answer(self, request: gr.Request, model: str, make: Callable[[], Any]) -> Any:
        """What `make` makes, in one's turn; gr.Error with a sentence where it cannot be made."""
        forget_unread(self._page)
        try:
            self._library.run(model := str(model))
            async with self._library.turns(model).turn(visitor(request)):
                return await run_in_threadpool(make)
        except GanDemoError as error:
            raise gr.Error(self._library.public(model, error), print_exception=False) from None

    def models(self) -> list[dict]:
        """List the runs: model (the name that the other endpoints take), title, classes in order (or null for an
        unconditional run), steps (those with a snapshot), image_shape (height, width, channels) and revision."""
        forget_unread(self._page)
        self._library.look_for_more()
        cards = [self._library.card(key) for key in self._library.runs]
        return [
            {
                "model": card["key"],
                **{name: card[name] for name in ("title", "classes", "image_shape", "revision")},
                "steps": [snapshot["step"] for snapshot in card["snapshots"]],
            }
            for card in cards
        ]

    async def generate(
        self,
        request: gr.Request,
        model: str,
        seed: int = 0,
        count: int = 1,
        class_index: int | None = None,
        step: int | None = None,
        truncation: float = 1.0,
        guidance: float | None = None,
    ) -> dict:
        """Generate `count` (1 to 100) images of the seeds from `seed` on: a lossless PNG, a grid as square as can be,
        filled in rows. `class_index`: one class for all, by its place in the list of /models; null gives each seed its
        own. `step`: null is the last; a step between two snapshots is the one before it. `truncation`: 0 to 1.
        `guidance` of a conditional run: 0 to 3; 1 is the class as trained, more makes it more pronounced; null is the
        run's own."""

        def make() -> File:
            seeds = seeds_from(seed, _whole("count", count, 1, MAX_TILES))
            classes = None if class_index is None else [class_index] * len(seeds)
            images = self._library.player(model).generate(seeds, classes, step, truncation, guidance)
            return self._shelf.png(films.grid(images, films.square(len(seeds))), f"{model}-seed-{seed}")

        return await self._answer(request, model, make)

    async def interpolate(
        self,
        request: gr.Request,
        model: str,
        start: int,
        end: int,
        frames: int = 16,
        start_class: int | None = None,
        end_class: int | None = None,
        step: int | None = None,
        straight: bool = False,
    ) -> dict:
        """Walk through latent space from the seed `start` to the seed `end`: a lossless PNG, `frames` images side by
        side, both ends included. `start_class`, `end_class`: walk between classes too. The way is the great arc
        (slerp), or `straight`. `step` as in /generate."""

        def make() -> File:
            player = self._library.player(model)
            count = _whole("frames", frames, 2, MAX_WIDTH // player.image_shape[1])
            if player.takes_more(count, MAX_WORK):
                raise GanDemoError("so many frames of so large a network would hold up everybody else: ask for fewer")
            images = player.walk([(start, start_class), (end, end_class)], count, step, straight=bool(straight))
            return self._shelf.png(films.grid(images, len(images)), f"{model}-{start}-{end}")

        return await self._answer(request, model, make)

    async def film(
        self, request: gr.Request, model: str, seed: int = 0, class_index: int | None = None
    ) -> tuple[dict, dict]:
        """Replay the training: a WebP sprite sheet with a frame for each snapshot, each a grid of 16 seeds from `seed`
        on (fewer where the sheet would be too large), and its layout: frames, frame_columns, frame_width, frame_height,
        tiles, tile_columns, tile_width, tile_height in pixels, and the steps in order. `class_index` as in
        /generate."""

        def make() -> tuple[File, dict]:
            seeds = seeds_from(seed, fitting_tiles(self._library, model))
            classes = None if class_index is None else [class_index] * len(seeds)
            player = self._library.player(model)
            sheet, layout = films.sheet(player.film(seeds, classes))
            return self._shelf.file(sheet, f"{model}-film-{seed}.webp"), {**layout, "steps": player.steps}

        return await self._answer(request, model, make)

    async def history(self, request: gr.Request, model: str) -> list[dict]:
        """What training logged, a row a logged step, ascending: step, the loss terms (d_real, d_fake, g; with an
        auxiliary classifier d_class, g_class; for a discriminator that compares d_pair, r1, r2 for the first two), the
        discriminator's mean verdict on real and generated images (real_score, fake_score: probabilities), and
        images_per_second; of a run trained on the page also generator_rate, discriminator_rate and k. Of a very long
        training every second, third ... row."""

        def make() -> list[dict]:
            rows = self._library.run(model).read_history()
            return rows[:: 1 + sum(map(len, rows)) // MAX_NUMBERS]

        return await self._answer(request, model, make)


def forget_unread(page: gr.Blocks) -> None:
    """Gradio keeps an answer until its session fetches it, for ever where it never does: the oldest go.

    Whoever reads has no whole answer lying about, and keeps what is on its way.
    """
    lines = list(page._queue.pending_messages_per_session.values())  # in the order in which they were opened
    unread = sum(line.qsize() for line in lines)
    for line in lines:
        if unread > MAX_UNREAD and line.qsize() >= ONE_ANSWER:
            unread -= line.qsize()
            while not line.empty():
                line.get_nowait()


class Shelf:
    """Files that gradio_client downloads and hands over as paths; the oldest make way once they hold SHELF_BYTES."""

    def __init__(self) -> None:
        self._sizes: OrderedDict[Path, int] = OrderedDict()
        self._lock = threading.Lock()

    def png(self, pixels: np.ndarray, name: str) -> File:
        return self.file(films.encode(pixels, "PNG"), f"{name}.png")

    def file(self, data: bytes, name: str) -> File:
        name = name.replace("/", "-")  # of a Hub id
        path = Path(get_upload_folder()) / hash_bytes(data) / name
        with self._lock:
            if path.exists():
                os.utime(path)  # Gradio sweeps what is old
            else:
                write_file(path, data)  # in one piece: another visitor may be reading the same
            self._sizes[path] = len(data)
            self._sizes.move_to_end(path)
            while sum(self._sizes.values()) > SHELF_BYTES:
                gone, _ = self._sizes.popitem(last=False)
                with suppress(OSError):
                    gone.unlink(missing_ok=True)
                    gone.parent.rmdir()
        return gr.FileData(path=str(path), orig_name=name, size=len(data)).model_dump()


def declare_zero_gpu() -> None:
    """Let the app start on a ZeroGPU Space, which refuses one where no function asks for a GPU.

    Nothing here does: a film takes a CPU less time than it takes to get hold of a GPU, and costs no visitor's quota.
    """
    if find_spec("spaces"):
        import spaces

        spaces.GPU(lambda: None)


def _whole(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise GanDemoError(f"{name} {str(value)[:40]!r} will not do: give a whole number from {low} to {high}")
    return value
