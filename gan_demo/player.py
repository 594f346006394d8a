"""A run, played: its generator at any saved step, for any seed and class, as pictures, walks and films."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gan_demo import film as films
from gan_demo import hub, naming
from gan_demo import latents as lat
from gan_demo.config import Config
from gan_demo.cost import Cost, cost, discriminator_of, generator_of, most_products
from gan_demo.errors import GanDemoError
from gan_demo.inference import Replica, arranged
from gan_demo.machine import cores
from gan_demo.networks import state_of
from gan_demo.run import Run
from gan_demo.weights import Weights, dequantize, load_weights

# Each pass of a generator has this many rows, short ones padded: kernels round alike then, alone and in a batch.
ROWS = 16
CORES = cores()
PAINTERS = ThreadPoolExecutor(CORES, "painter")  # all runs share it: as many paint at once as there are cores
Seeds = Sequence[int]
End = int | tuple[int, int | None]  # a seed, or a seed and its class


class Player:
    """Plays one run. Safe to share between threads: each that paints has a network of its own, with swapped weights."""

    def __init__(self, run: Run, before: "Player | None" = None):
        """Build the generator's shape; no weights are read before they are asked for.

        `before`: a player of the same run when it was shorter, whose weights need not be read again.
        Raises GanDemoError where the run has no snapshot yet or its network is too large to be honest.
        """
        if not run.snapshots:
            raise GanDemoError(f"{run.label} has no snapshot yet: wait for its training, or remove it and train anew")
        self.run = run
        self._recipe = run.config.as_recipe()
        self._generator = generator_of(self._recipe, len(self.classes or ()), run.label)
        self._shapes = {name: tuple(value.shape) for name, value in state_of(self._generator).items()}
        self._stored: dict[int, Weights] = {}
        if before and before._shapes == self._shapes:
            same = {one.step for one in set(run.snapshots) & set(before.run.snapshots)}
            self._stored = {step: weights for step, weights in list(before._stored.items()) if step in same}
        self._discriminator: torch.nn.Module | None = None
        self._idle: list[Replica] = []
        self._replicas = 0  # made so far
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.run.config.name

    @property
    def config(self) -> Config:
        return self.run.config

    @property
    def recipe(self) -> str:
        """The recipe's name, such as "dcgan-mnist"."""
        return self.run.config.recipe

    @property
    def classes(self) -> list[str] | None:
        """The classes' names in order, or None where the run cannot be told a class."""
        return self.run.config.classes

    @property
    def steps(self) -> list[int]:
        """The training steps that have a snapshot, ascending."""
        return self.run.steps

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        height, width, channels = self.run.config.image_shape
        return height, width, channels

    def takes_more(self, pictures: int, products: int) -> bool:
        """Whether so many pictures take more multiplications of an input with a weight than `products`."""
        most = most_products(self._generator, self._recipe)
        return pictures * most > products and pictures * self._cost.products > products

    @cached_property
    def _cost(self) -> Cost:
        z = torch.empty(1, self.config.latent_size, device="meta")
        return cost(self._generator, z, len(self.classes or ()))

    @property
    def bytes(self) -> int:
        """What it takes of memory, about: all its snapshots, the networks that paint, the discriminator."""
        networks = [self._generator] * self._replicas + ([self._discriminator] if self._discriminator else [])
        numbers = sum(weights.numel() for network in networks for weights in network.parameters())
        return sum(snapshot.bytes for snapshot in self.run.snapshots) + 4 * numbers

    # ---------------------------------------------------------------- what can be asked for

    def generate(
        self,
        seeds: Seeds,
        classes: Sequence[int] | None = None,
        step: int | None = None,
        truncation: float = 1.0,
        guidance: float | None = None,
    ) -> np.ndarray:
        """Pictures of some seeds: uint8 (N, H, W, C).

        `classes`: an index for each seed; None gives a conditional run the class seed modulo the number of classes.
        `step`: None is the last; a step between two snapshots means the one before it.
        `truncation`: 1 leaves the latents, smaller pulls them to the mean. `guidance`: 1 leaves the classes, more makes
        them more pronounced (latents.guide); None is the run's own. The same seed is the same picture on every machine
        (to the rounding of its arithmetic), alone or in a batch.
        Raises GanDemoError for a seed, class, step, truncation or guidance that will not do.
        """
        z, weights = self._inputs(seeds, classes, truncation, guidance)
        return self._render(z, weights, [self.snapshot_at(step)])[0]

    def interpolate(
        self,
        start: End,
        end: End,
        frames: int,
        classes: int | Sequence[int] | None = None,
        step: int | None = None,
        truncation: float = 1.0,
        straight: bool = False,
        guidance: float | None = None,
    ) -> np.ndarray:
        """A walk from one seed to another, both ends included: uint8 (frames, H, W, C).

        `start`, `end`: seeds, or (seed, class) pairs to walk between classes too. `classes` names the class of the
        whole walk instead, or its first and last. Latents move on the great arc, or `straight`; classes are mixed.
        Raises GanDemoError as `walk` does.
        """
        (first, a), (last, b) = self._end(start), self._end(end)
        if classes is not None:
            named = [classes] if isinstance(classes, int | np.integer) else list(classes)
            if not named:
                raise GanDemoError("no class is named: give one, or the first and the last of the walk")
            a, b = named[0], named[-1]
        return self.walk([(first, a), (last, b)], frames, step, truncation, straight, guidance=guidance)

    def walk(
        self,
        stops: Sequence[End],
        frames: int,
        step: int | None = None,
        truncation: float = 1.0,
        straight: bool = False,
        closed: bool = False,
        guidance: float | None = None,
    ) -> np.ndarray:
        """A walk through several stops, seeds or (seed, class) pairs, evenly paced: uint8 (frames, H, W, C).

        `closed` goes on from the last stop to the first and leaves out the frame that would repeat it.
        Raises GanDemoError for no stop, a number of frames below 1, or what `generate` raises it for.
        """
        seeds, classes = self._stops(stops, frames)
        z, weights = self._inputs(seeds, classes, truncation, guidance)
        if closed:
            z, weights = np.concatenate([z, z[:1]]), None if weights is None else np.concatenate([weights, weights[:1]])
        at = np.linspace(0, len(z) - 1, frames, endpoint=not closed)
        before = np.minimum(at.astype(int), max(0, len(z) - 2))
        after = np.minimum(before + 1, len(z) - 1)

        def along(rows: np.ndarray, way: Callable[..., np.ndarray]) -> np.ndarray:
            pairs = zip(before, after, (at - before)[:, None], strict=True)
            return np.concatenate([way(rows[a], rows[b], t) for a, b, t in pairs])

        mix = None if weights is None else along(weights, lat.lerp)
        return self._render(along(z, lat.lerp if straight else lat.slerp), mix, [self.snapshot_at(step)])[0]

    def pad(
        self,
        corners: Sequence[End],
        side: int,
        step: int | None = None,
        truncation: float = 1.0,
        guidance: float | None = None,
    ) -> np.ndarray:
        """All between four corners (upper left, upper right, lower left, lower right): uint8 (side * side, H, W, C).

        Raises GanDemoError for another number of corners, a side below 1, or what `generate` raises it for.
        """
        if len(corners) != 4:
            raise GanDemoError(f"{len(corners)} corners will not do: give four, upper left to lower right")
        seeds, classes = self._stops(corners, side, "side")
        z, weights = self._inputs(seeds, classes, truncation, guidance)
        at = np.linspace(0, 1, side)

        def between(rows: np.ndarray, way: Callable[..., np.ndarray]) -> np.ndarray:
            left, right = way(rows[0], rows[2], at), way(rows[1], rows[3], at)
            return np.concatenate([way(*ends, at) for ends in zip(left, right, strict=True)])

        mix = None if weights is None else between(weights, lat.lerp)
        return self._render(between(z, lat.slerp), mix, [self.snapshot_at(step)])[0]

    def film(
        self, seeds: Seeds, classes: Sequence[int] | None = None, truncation: float = 1.0, guidance: float | None = None
    ) -> np.ndarray:
        """The same seeds through every snapshot: uint8 (steps, N, H, W, C). Raises GanDemoError as `generate` does."""
        z, weights = self._inputs(seeds, classes, truncation, guidance)
        return self._render(z, weights, self.steps)

    def verdict(self, images: np.ndarray, classes: Sequence[int] | None = None) -> np.ndarray | None:
        """How probable the last step's discriminator finds it that images are real: float32 (N,), 0 to 1.

        `images`: uint8 (N, H, W, C); `classes`: one index an image, for a conditional run alone. None where the run
        holds no discriminator, or one that only compares. Raises GanDemoError where a conditional run is given no
        class for each, or the discriminator is damaged or takes no such images.
        """
        if not self._recipe.judges_alone or (network := self._read_discriminator()) is None:
            return None
        weights = None
        if self.classes is not None:
            if classes is None or len(classes) != len(images):
                raise GanDemoError(f"{self.name} is conditional: give one class an image to be judged")
            weights = torch.from_numpy(lat.class_weights(classes, len(self.classes)))
        verdicts = []
        try:
            for at in range(0, len(images), ROWS):
                pixels = torch.from_numpy(np.ascontiguousarray(images[at : at + ROWS])).permute(0, 3, 1, 2)
                some = None if weights is None else weights[at : at + ROWS]
                with torch.inference_mode():
                    verdicts.append(torch.sigmoid(network(pixels.float().div_(127.5).sub_(1), some).source))
        except RuntimeError:  # such as an image that is halved until nothing is left
            raise GanDemoError(
                f"the discriminator of {self.run.label} takes no such pictures: train it again"
            ) from None
        return torch.cat(verdicts or [torch.empty(0)]).numpy()

    def snapshot_at(self, step: int | None) -> int:
        """The step of the snapshot that stands for `step`: the last at or before it; None means the last of all.

        Raises GanDemoError for a step before the first, or what is no whole number.
        """
        if step is None:
            return self.steps[-1]
        if isinstance(step, bool) or not isinstance(step, int | np.integer) or step < self.steps[0]:
            raise GanDemoError(f"step {str(step)[:40]!r} will not do: give a whole number from {self.steps[0]} on")
        return max(saved for saved in self.steps if saved <= step)

    def write_ready_film(self) -> None:
        """Write film.webp and film.json: the default seed's film, which a page shows before torch is imported.

        A film that fits on no sheet is left out, and with it the one of when the run was shorter.
        """
        plan = self.run.film_plan
        if not films.fits(plan):
            for name in ("film.json", "film.webp"):
                (self.run.path / name).unlink(missing_ok=True)
            return
        data, _ = films.sheet(self.film(range(plan["tiles"])))
        self.run.write("film.webp", data)
        self.run.write("film.json", {**self.run.film_facts(), "sha256": hashlib.sha256(data).hexdigest()})

    # ---------------------------------------------------------------- how it is made

    def _end(self, point: Any) -> tuple[int, int | None]:
        if isinstance(point, tuple | list) and len(point) == 2:
            return point[0], point[1]
        return point, None

    def _stops(self, stops: Sequence[End], frames: int, called: str = "frames") -> tuple[list[int], list[int] | None]:
        """Seeds and classes of the stops; a stop of a conditional run that names no class has its seed's."""
        if isinstance(frames, bool) or not isinstance(frames, int | np.integer) or frames < 1:
            raise GanDemoError(f"{called} {str(frames)[:40]!r} will not do: give a whole number from 1")
        if not len(stops):
            raise GanDemoError("a walk needs a stop: give seeds, or (seed, class) pairs")
        seeds, classes = zip(*(self._end(stop) for stop in stops), strict=True)
        if all(index is None for index in classes):
            return list(seeds), None
        count = len(self.classes or ())
        return list(seeds), [
            lat.own_class(seed, count) if index is None else index for seed, index in zip(seeds, classes, strict=True)
        ]

    def _read_discriminator(self) -> torch.nn.Module | None:
        """The last step's discriminator, read when first asked for; None where the run holds none."""
        name = "discriminator.safetensors"
        where = f"{self.run.label}/{name}"
        with self._lock:
            if self._discriminator is None and (self.run.path / name).exists():
                network = discriminator_of(self._recipe, len(self.classes or ()), self.run.label)
                stored = load_weights(self.run.read_bytes(name), where)
                weights = {name: torch.from_numpy(value) for name, value in dequantize(stored).items()}
                wanted = {name: value.shape for name, value in state_of(network).items()}
                if {name: value.shape for name, value in weights.items()} != wanted:
                    raise GanDemoError(f"{where} does not fit the network of config.json: fetch or train the run again")
                network.load_state_dict(weights, strict=False, assign=True)
                self._discriminator = network
            return self._discriminator

    def _inputs(
        self, seeds: Seeds, classes: Sequence[int] | None, truncation: float, guidance: float | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Latents (N, latent_size) and class weights (N, classes), the latter None for an unconditional run."""
        z = lat.truncate(lat.latents(seeds, self.config.latent_size), truncation)
        if self.classes is None:
            if classes is not None and len(classes):
                raise GanDemoError(f"{self.name} knows no classes: leave the class out")
            if guidance is not None:
                raise GanDemoError(f"{self.name} knows no classes: leave guidance out")
            return z, None
        chosen = [lat.own_class(seed, len(self.classes)) for seed in seeds] if classes is None else list(classes)
        if len(chosen) != len(seeds):
            raise GanDemoError(f"{len(chosen)} classes for {len(seeds)} seeds will not do: give one class a seed")
        weights = lat.class_weights(chosen, len(self.classes))
        return z, lat.guide(weights, self._recipe.guidance if guidance is None else guidance)

    def _render(self, z: np.ndarray, weights: np.ndarray | None, steps: Sequence[int]) -> np.ndarray:
        """Run the generator at each step on all rows: uint8 (steps, N, H, W, C)."""
        count = len(z)
        self.run.need(steps)
        out = np.empty((len(steps), count, *self.image_shape), np.uint8)
        inputs = [
            (_padded(z[at : at + ROWS]), None if weights is None else _padded(weights[at : at + ROWS]))
            for at in range(0, count, ROWS)
        ]

        def paint(frames: range) -> None:
            with self._replica() as replica, torch.inference_mode():
                for frame in frames:
                    replica.load(self._weights(steps[frame]))
                    for at, (chunk, mix) in zip(range(0, count, ROWS), inputs, strict=True):
                        out[frame, at : at + ROWS] = replica.paint(chunk, mix)[: count - at]

        # Either torch spreads one step over the cores, or we spread the steps: both at once only wait for each other.
        parts = CORES if torch.get_num_threads() == 1 else 1
        list(PAINTERS.map(paint, [range(part, len(steps), parts) for part in range(min(parts, len(steps)))]))
        return out

    @contextmanager
    def _replica(self) -> Iterator[Replica]:
        """A generator that no other thread uses meanwhile; its weights are whatever was loaded last."""
        try:
            replica = self._idle.pop()
        except IndexError:
            replica = Replica(self._generator)
            self._replicas += 1
        try:
            yield replica
        finally:
            self._idle.append(replica)

    def _weights(self, step: int) -> Weights:
        """A snapshot as it is stored, after holding its names and shapes against the network."""
        with self._lock:
            if step not in self._stored:
                stored = self.run.read_snapshot(step)
                shapes = {name: value.shape for name, value in stored.items() if not name.endswith(".scale")}
                if shapes != self._shapes:
                    raise GanDemoError(
                        f"{self.run.label}: the snapshot at step {step} does not fit the network of config.json:"
                        " fetch or train the run again"
                    )
                self._stored[step] = arranged(stored)
            return self._stored[step]


def _padded(rows: np.ndarray) -> torch.Tensor:
    full = np.zeros((ROWS, rows.shape[1]), np.float32)
    full[: len(rows)] = rows
    return torch.from_numpy(full)


def open_run(source: str | Path, revision: str | None = None) -> Player:
    """Open a run folder, or a Hub repository `user/name[@revision]`, and play it.

    Raises GanDemoError, in one line, where it cannot be opened.
    """
    if isinstance(source, str) and naming.is_hub_id(source):
        return Player(hub.fetch(source, revision).run)
    if revision is not None:
        raise GanDemoError(f"{source} is no repository of the Hub: a folder has no revisions, leave it out")
    return Player(Run(source))
