"""The files that a run's URL can name: films, grids, walks. Each is made of its query alone."""

import io
import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from gan_demo import film, points
from gan_demo.errors import GanDemoError
from gan_demo.latents import MAX_GUIDANCE, MAX_SEED, own_class
from gan_demo.ui.library import Library
from gan_demo.ui.query import Query

MAX_TILES = 100
MAX_FRAMES = 120
MAX_WORK = 2**42  # multiplications a film: half a minute of two cores
MAX_PAD = 16
FIELD_SIDE, FIELD_POINTS = 32, 256
GIF_SIDE = 320  # pixels, about
GIF_FRAME = 66  # ms


def film_webp(library: Library, key: str, query: Query) -> bytes:
    """The film of 16 seeds from `seed` on, all of one `class` or each of its own, as a sprite sheet."""
    seeds, chosen = query.seeds(film.TILES), query.index("class", library.run(key).config.classes)
    query.done()
    if chosen is None and (ready := library.run(key).ready_film(seeds[0])):
        return ready
    seeds = seeds[: fitting_tiles(library, key)]
    return film.sheet(library.player(key).film(seeds, None if chosen is None else [chosen] * len(seeds)))[0]


def fitting_tiles(library: Library, key: str) -> int:
    """How many tiles of a run's film are on its sheet: no others are worth painting.

    GanDemoError where one is too much.
    """
    run = library.run(key)
    height, width, _ = run.config.image_shape
    plan = run.film_plan
    if not film.fits(plan):
        raise GanDemoError(
            f"{len(run.steps):,} snapshots of {width}x{height} pixels are more than a film here can hold: "
            "ask for single steps"
        )
    if library.player(key).takes_more(len(run.steps) * film.TILES, MAX_WORK):
        raise GanDemoError(
            f"a film of {len(run.steps):,} snapshots of so large a network would hold up everybody else: "
            "ask for single steps"
        )
    return plan["tiles"]


class Grid(NamedTuple):
    """A grid of tiles at one step: a seed and a class (or None) for each."""

    seeds: list[int]
    classes: list[int] | None
    columns: int
    step: int | None
    truncation: float
    guidance: float | None  # None is the run's own


def grid_png(library: Library, key: str, query: Query) -> bytes:
    """The grid, lossless, a tile for each seed without gaps."""
    return film.encode(film.grid(_tiles(library, key, grid := read_grid(library, key, query)), grid.columns), "PNG")


def grid_json(library: Library, key: str, query: Query) -> bytes:
    """Each tile's seed and class, and the last discriminator's verdict: the probability that it is real, or null."""
    grid = read_grid(library, key, query)
    verdict = None
    if library.run(key).can_judge:  # else nothing is painted for it
        verdict = library.player(key).verdict(_tiles(library, key, grid), grid.classes)
    if verdict is not None and not np.isfinite(verdict).all():  # the weights are, but not what comes of them
        verdict = None
    facts = {
        "seeds": grid.seeds,
        "classes": grid.classes,
        "columns": grid.columns,
        "verdict": None if verdict is None else [round(float(value), 4) for value in verdict],
    }
    return json.dumps(facts).encode()


def read_grid(library: Library, key: str, query: Query) -> Grid:
    """`tiles` seeds from `seed` on; with `rows=1` a row for each class, of `columns` seeds."""
    names = library.run(key).config.classes
    chosen, step = query.index("class", names), _step(query)
    truncation, guidance = query.number("truncation", 1), query.number("guidance", MAX_GUIDANCE)
    if names is None and guidance is not None:
        raise GanDemoError("this run knows no classes: leave guidance out")
    knobs = step, 1.0 if truncation is None else truncation, guidance
    if query.flag("rows"):
        if names is None:
            raise GanDemoError("this run knows no classes: leave rows out")
        columns = query.whole("columns", 1, 16) or 8
        rows = range(min(len(names), MAX_TILES // columns))
        seeds = query.seeds(columns)
        grid = Grid([s for _ in rows for s in seeds], [row for row in rows for _ in seeds], columns, *knobs)
    else:
        seeds = query.seeds(query.whole("tiles", 1, MAX_TILES) or film.TILES)
        classes = None
        if names is not None:
            classes = [own_class(seed, len(names)) if chosen is None else chosen for seed in seeds]
        grid = Grid(seeds, classes, film.square(len(seeds)), *knobs)
    query.done()
    return grid


def _tiles(library: Library, key: str, grid: Grid) -> np.ndarray:
    """The grid's tiles, painted once for its picture and its verdicts."""

    def paint() -> bytes:
        buffer = io.BytesIO()
        player = library.player(key)
        np.save(buffer, player.generate(grid.seeds, grid.classes, grid.step, grid.truncation, grid.guidance))
        return buffer.getvalue()

    classes = None if grid.classes is None else tuple(grid.classes)
    what = (tuple(grid.seeds), classes, grid.step, grid.truncation, grid.guidance)
    return np.load(io.BytesIO(library.tiles(key, what, paint)))


def walk_webp(library: Library, key: str, query: Query) -> bytes:
    """The frames of a walk as a sprite sheet."""
    return film.sheet(_walk(library, key, query)[:, None])[0]


def walk_gif(library: Library, key: str, query: Query) -> bytes:
    """The walk as an animation that repeats for ever; one that is not closed walks back as well."""
    closed = query.flag("closed")
    frames = _walk(library, key, query)
    if not closed:
        frames = np.concatenate([frames, frames[-2:0:-1]])
    scale = max(1, round(GIF_SIDE / frames.shape[1]))
    large = [film.picture(frame.repeat(scale, 0).repeat(scale, 1)) for frame in frames]
    pictures = [picture.convert("P", palette=Image.Palette.ADAPTIVE) for picture in large]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=GIF_FRAME, loop=0)
    return buffer.getvalue()


def _walk(library: Library, key: str, query: Query) -> np.ndarray:
    size = library.run(key).config.image_shape[0]
    stops, step = query.stops(library.run(key).config.classes), _step(query)
    frames = query.whole("frames", 2, min(MAX_FRAMES, (film.MAX_SIDE // size) ** 2)) or 60
    straight, closed = query.flag("straight"), query.flag("closed")
    query.done()
    return library.player(key).walk(stops, frames, step, straight=straight, closed=closed)


def pad_webp(library: Library, key: str, query: Query) -> bytes:
    """All between four `stops`, `side` by `side`, as one sheet."""
    size = library.run(key).config.image_shape[0]
    stops, step = query.stops(library.run(key).config.classes), _step(query)
    side = query.whole("side", 2, min(MAX_PAD, film.MAX_SIDE // size)) or 8
    query.done()
    return film.encode(film.grid(library.player(key).pad(stops, side, step), side), "WEBP")


def field_json(library: Library, key: str, query: Query) -> bytes:
    """Of a run of points: the last discriminator's verdict all over the plane, row by row from the top, as a
    probability; where the points of 256 seeds from `seed` on lie; and as many real ones."""
    config, seeds, step = library.run(key).config, query.seeds(FIELD_POINTS), _step(query)
    query.done()
    if config.dataset not in points.SHAPES or config.as_recipe().network != "point" or config.image_shape[2] != 1:
        raise GanDemoError("this run makes no points: ask for its pictures")
    player, size = library.player(key), config.image_shape[0]
    at = np.linspace(-1, 1, FIELD_SIDE, dtype=np.float32)
    everywhere = np.stack(np.meshgrid(at, at[::-1]), -1).reshape(-1, 2)
    rows = [player.verdict(points.draw(row, size)) for row in np.split(everywhere, FIELD_SIDE)]
    field = [float(value) for row in rows if row is not None for value in row]
    facts = {
        "side": FIELD_SIDE,
        "field": [round(value, 3) for value in field] if np.isfinite(field).all() else [],
        "generated": points.read(player.generate(seeds, step=step)).astype(float).round(4).tolist(),
        "real": points.SHAPES[config.dataset](FIELD_POINTS).astype(float).round(4).tolist(),
    }
    return json.dumps(facts).encode()


def _step(query: Query) -> int | None:
    return query.whole("step", 0, MAX_SEED)


FILES: dict[str, Callable[[Library, str, Query], bytes]] = {
    "film.webp": film_webp,
    "grid.png": grid_png,
    "grid.json": grid_json,
    "walk.webp": walk_webp,
    "walk.gif": walk_gif,
    "pad.webp": pad_webp,
    "field.json": field_json,
}
TYPES = {".webp": "image/webp", ".png": "image/png", ".gif": "image/gif", ".json": "application/json"}
