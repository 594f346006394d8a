"""A run, played: its generator at any saved step, for any seed and class, as pictures, walks and films."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gan_demo import film as films
from gan_demo import latents as lat
from gan_demo.errors import GanDemoError
from gan_demo.networks import build_generator
from gan_demo.run import Config, Run, Weights, dequantize

# Every forward pass has this many rows, short ones padded: kernels then round alike for a picture alone and in a batch.
ROWS = 16
MAX_PARAMETERS = 100_000_000
Seeds = Sequence[int]
End = int | tuple[int, int]


class Player:
    """Plays one run. Safe to share between threads: the network is one, and its weights are swapped under a lock."""

    def __init__(self, run: Run):
        """Build the generator's shape; no weights are read before they are asked for.

        Raises GanDemoError where the run has no snapshot yet or its network is too large to be honest.
        """
        if not run.snapshots:
            raise GanDemoError(f"{run.path} has no snapshot yet: train it for some steps with train.py --resume")
        self.run = run
        self._recipe = run.config.as_recipe()
        with torch.device("meta"):
            self._generator = build_generator(self._recipe, len(self.classes or ())).eval().requires_grad_(False)
        if sum(parameter.numel() for parameter in self._generator.parameters()) > MAX_PARAMETERS:
            raise GanDemoError(f"{run.path} asks for a network of over {MAX_PARAMETERS:,} parameters: refused")
        self._shapes = {
            name: tuple(value.shape)
            for name, value in self._generator.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        self._stored: dict[int, Weights] = {}
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

    # ---------------------------------------------------------------- what can be asked for

    def generate(
        self, seeds: Seeds, classes: Sequence[int] | None = None, step: int | None = None, truncation: float = 1.0
    ) -> np.ndarray:
        """Pictures of some seeds: uint8 (N, H, W, C).

        `classes`: an index for each seed; None gives a conditional run the class seed modulo the number of classes.
        `step`: None is the last; a step between two snapshots means the one before it.
        `truncation`: 1 leaves the latents, smaller pulls them to the mean. The same seed is the same picture on every
        machine (to the rounding of its arithmetic), alone or in a batch.
        Raises GanDemoError for a seed, class, step or truncation that will not do.
        """
        z, weights = self._inputs(seeds, classes, truncation)
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
    ) -> np.ndarray:
        """A walk from one seed to another, both ends included: uint8 (frames, H, W, C).

        `start`, `end`: seeds, or (seed, class) pairs to walk between classes too. `classes` names the class of the
        whole walk instead, or its first and last. Latents move on the great arc, or `straight`; classes are mixed.
        """
        if isinstance(frames, bool) or not isinstance(frames, int | np.integer) or frames < 1:
            raise GanDemoError(f"frames {str(frames)[:40]!r} will not do: give a whole number from 1")
        seeds, ends = zip(*(self._end(point) for point in (start, end)), strict=True)
        if classes is not None:
            ends = (classes, classes) if isinstance(classes, int | np.integer) else (classes[0], classes[-1])
        named = None if all(index is None for index in ends) else [0 if index is None else index for index in ends]
        z, weights = self._inputs(seeds, named, truncation)
        fractions = np.linspace(0, 1, frames)
        path = (lat.lerp if straight else lat.slerp)(z[0], z[1], fractions)
        mix = None if weights is None else lat.lerp(weights[0], weights[1], fractions)
        return self._render(path, mix, [self.snapshot_at(step)])[0]

    def film(self, seeds: Seeds, classes: Sequence[int] | None = None, truncation: float = 1.0) -> np.ndarray:
        """The same seeds through every snapshot: uint8 (steps, N, H, W, C)."""
        z, weights = self._inputs(seeds, classes, truncation)
        return self._render(z, weights, self.steps)

    def snapshot_at(self, step: int | None) -> int:
        """The step of the snapshot that stands for `step`: the last at or before it; None means the last of all."""
        if step is None:
            return self.steps[-1]
        if isinstance(step, bool) or not isinstance(step, int | np.integer) or step < self.steps[0]:
            raise GanDemoError(f"step {str(step)[:40]!r} will not do: this run starts at step {self.steps[0]}")
        return max(saved for saved in self.steps if saved <= step)

    def write_ready_film(self) -> None:
        """Write film.webp and film.json: the default seed's film, which a page shows before torch is imported."""
        seeds = list(range(films.TILES))
        data, layout = films.sheet(self.film(seeds))
        self.run.write("film.webp", data)
        self.run.write("film.json", {"seed": 0, "steps": self.steps, **layout, "revision": self.run.revision})

    # ---------------------------------------------------------------- how it is made

    def _end(self, point: Any) -> tuple[int, int | None]:
        if isinstance(point, tuple | list) and len(point) == 2:
            return point[0], point[1]
        return point, None

    def _inputs(
        self, seeds: Seeds, classes: Sequence[int] | None, truncation: float
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Latents (N, latent_size) and class weights (N, classes), the latter None for an unconditional run."""
        z = lat.truncate(lat.latents(seeds, self.config.latent_size), truncation)
        if self.classes is None:
            if classes is not None and len(classes):
                raise GanDemoError(f"{self.name} knows no classes: leave the class out")
            return z, None
        chosen = [int(seed) % len(self.classes) for seed in seeds] if classes is None else list(classes)
        if len(chosen) != len(seeds):
            raise GanDemoError(f"{len(chosen)} classes for {len(seeds)} seeds will not do: give one class a seed")
        return z, lat.class_weights(chosen, len(self.classes))

    def _render(self, z: np.ndarray, weights: np.ndarray | None, steps: Sequence[int]) -> np.ndarray:
        """Run the generator at each step on all rows: uint8 (steps, N, H, W, C)."""
        count = len(z)
        out = np.empty((len(steps), count, *self.image_shape), np.uint8)
        with self._lock, torch.inference_mode():
            inputs = [
                tuple(None if rows is None else _padded(rows[at : at + ROWS]) for rows in (z, weights))
                for at in range(0, count, ROWS)
            ]
            for frame, step in enumerate(steps):
                self._load(step)
                for at, (chunk, mix) in zip(range(0, count, ROWS), inputs, strict=True):
                    images = self._generator(chunk, mix).add_(1).mul_(127.5).round_().clamp_(0, 255)
                    rows = images.to(torch.uint8).permute(0, 2, 3, 1).numpy()
                    out[frame, at : at + ROWS] = rows[: count - at]
        return out

    def _load(self, step: int) -> None:
        """Put a snapshot's weights into the network, after holding their names and shapes against it."""
        if step not in self._stored:
            stored = self.run.read_snapshot(step)
            if {name: value.shape for name, value in dequantize(stored).items()} != self._shapes:
                raise GanDemoError(f"{self.run.path}: the snapshot at step {step} does not fit the network of config.json")
            self._stored[step] = stored
        weights = {name: torch.from_numpy(value) for name, value in dequantize(self._stored[step]).items()}
        self._generator.load_state_dict(weights, strict=False, assign=True)


def _padded(rows: np.ndarray) -> torch.Tensor:
    full = np.zeros((ROWS, rows.shape[1]), np.float32)
    full[: len(rows)] = rows
    return torch.from_numpy(full)


def open_run(source: str | Path, revision: str | None = None) -> Player:
    """Open a run folder, or a Hub repository `user/name[@revision]`, and play it.

    Raises GanDemoError, in one line, where it cannot be opened.
    """
    return Player(Run(source))
