"""The training loop: steps, log lines, snapshots, a run folder that grows, and an exact resume."""

import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from tqdm import tqdm

from gan_demo import control, film, latents, resume
from gan_demo.batches import RealImages, batches_per_epoch
from gan_demo.config import MOVED, Config
from gan_demo.devices import describe
from gan_demo.ema import CALIBRATION
from gan_demo.errors import GanDemoError
from gan_demo.gan import GAN
from gan_demo.losses import Terms
from gan_demo.networks import output_axes, weights_of
from gan_demo.parallel import World
from gan_demo.pictures import Images
from gan_demo.recipe import Recipe
from gan_demo.run import Run, disk_explained
from gan_demo.weights import quantize

LOGS = 1000  # rows of history.csv over the whole length, at the least every 100 steps
SIDES = {"D": ("d_", "r1", "r2"), "G": ("g",)}  # how the names of each network's loss terms start
CPU = torch.device("cpu")
LARGE = 10_000_000  # bytes of a discriminator's file from which on it is stored in 8 bit
SNAPSHOTS = 32
SAVE_SECONDS = 60  # at most this much work is lost by a kill
ASK_SECONDS = 5  # until each of several processes knows of a signal: torchrun waits for 30
LOOK_SECONDS = 1  # a training that is steered logs and obeys at least so often,
PICTURE_SECONDS = 10  # and shows what it makes


@dataclass(frozen=True)
class Options:
    """How to run a recipe, beside what it is."""

    out: Path
    length: int  # steps of the generator
    snapshots: int | None = None  # SNAPSHOTS, or when resuming as many as were planned before
    seed: int = 0
    device: torch.device = CPU
    precision: str = "fp32"  # or "bf16"
    resume: bool = False


def schedule(length: int, count: int) -> list[int]:
    """The steps that get a snapshot: 0, `length`, and between them ever wider apart, in even ratios past 100 steps.

    `count` at the most; fewer where the length has no more steps.
    """
    knee = min(100, max(length, 1))
    fractions = np.linspace(0, 1, max(count, 2))
    return sorted({round(knee * ((1 + length / knee) ** fraction - 1)) for fraction in fractions} | {0, length})


def steps_of(epochs: float, images: int, recipe: Recipe) -> int:
    """Training steps in so many passes; a step takes one real batch for each discriminator update."""
    return max(1, round(epochs * batches_per_epoch(images, recipe.batch_size) / recipe.discriminator_steps))


class Trainer:
    """Trains one recipe on one data set into one run folder."""

    def __init__(self, recipe: Recipe, images: Images, options: Options):
        """Make the networks, or read them back from the folder's state where `options.resume`.

        Raises GanDemoError where the folder holds another run, none to resume, or cannot be written.
        """
        self.follower = control.Follower(options.out)
        recipe = self.follower.now.fitted(recipe) if self.follower.now else recipe
        self.recipe, self.images, self.options = recipe, images, options
        self.device = options.device
        self.world = World(self.device)
        self.world.check_batch(recipe.batch_size)
        self.classes = images.classes if recipe.conditional else []
        self.step, self.seconds, self.stopped_by = 0, 0.0, ""
        self.listeners: list[Callable[[Run], None]] = []  # called after each snapshot; they must return at once
        self.unscheduled: int | None = None  # the snapshot of a stop, which goes when a later one is there
        self.gan = GAN(recipe, len(self.classes), self.world, self.device, options.precision, options.seed)
        self.snapshots = options.snapshots or SNAPSHOTS
        self.sums: Terms = {}  # of the steps since the last log line, on the device
        self.summed = 0
        self.carried = 0  # of these, how many an earlier session took: no part of this one's speed
        self.finite = torch.zeros((), dtype=torch.int64, device=self.device)  # of these, how many before one not finite
        self.idle = 0.0  # seconds of pauses, for which all clocks stand still
        self.real = RealImages(images, len(self.classes), recipe.batch_size, options.seed, self.device, self.world)
        self.run = self._open_folder()
        self.last_snapshot = self.run.steps[-1] if self.run.steps else None  # every process keeps count
        self.schedule = set(schedule(options.length, self.snapshots))
        self.log_every = max(1, min(100, options.length // LOGS))
        self.ask_every = 1  # steps between two questions of several processes to each other

    # ---------------------------------------------------------------- making

    def _open_folder(self) -> Run:
        run = self._take_up() if self.options.resume else self._make_folder()
        self.world.gather(None)  # the others wait until it is there, or rewound
        return run if run and self.world.first else Run(self.options.out)

    def _take_up(self) -> Run:
        options = self.options
        run = Run(options.out)
        self._check_images(run.config)
        resume.read(self, run)
        config = replace(run.config, length=options.length, steps=min(run.config.steps, self.step))
        if self.world.first and config != run.config:
            with disk_explained(options.out):  # at once: a kill before the next snapshot would forget it
                run.write_config(config)
        return run

    def _make_folder(self) -> Run | None:
        if not self.world.first:
            return None
        options = self.options
        config = Config.of(
            self.recipe,
            name=options.out.resolve().name.encode(errors="replace").decode(),  # a folder's name need not be text
            dataset=self.images.name,
            dataset_images=len(self.images.pixels),
            classes=self.classes or None,
            seed=options.seed,
            length=options.length,
            steps=0,
            seconds=0.0,
            device=describe(self.device, self.world.size),
            precision=options.precision,
            versions={"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        )
        run = Run.create(options.out, config)
        with disk_explained(options.out):
            run.write("samples/real.png", film.encode(film.grid(self.real.sixteen(), 4), "PNG"))
        return run

    def _check_images(self, config: Config) -> None:
        """Raise GanDemoError where these are not the images that the run was trained on."""
        images = self.images
        these = images.name, len(images.pixels), self.classes or None, images.pixels.shape[1]
        if these != (config.dataset, config.dataset_images, config.classes, config.image_shape[2]):
            raise GanDemoError(
                f"{self.options.out} was trained on {config.dataset_images:,} images of {config.dataset}, and these "
                f"are {len(images.pixels):,} of {images.name}, or with other classes or colours: give the same "
                "--data as before"
            )

    # ---------------------------------------------------------------- one step

    def train_step(self) -> None:
        """One step of the networks on as many real batches as the discriminator has updates."""
        k = self.recipe.discriminator_steps
        terms = self.gan.step([self.real.batch(self.gan.batches + i) for i in range(k)])
        self.step += 1
        self._sum(terms)

    # ---------------------------------------------------------------- the loop

    def fit(self) -> None:
        """Train to the end, or until SIGINT or SIGTERM; either way all that was done is on the disk afterwards.

        Raises GanDemoError where a loss is no longer finite or the folder cannot be written; it then opens at its last
        good snapshot.
        """
        self._session = self._logged = self._saved = self._pictured = self._now()
        self._before, self.carried = self.seconds, self.summed
        with disk_explained(self.run.path), self._signals(), self._bar() as bar:
            if self.step == 0 and not self.run.snapshots:
                self._save(snapshot=True)
            while self.step < self.options.length and not self._stopping():
                self.train_step()
                bar.update()
                due = self.step % self.log_every == 0 or self.step == self.options.length
                if due or self._late(self._logged, LOOK_SECONDS):
                    self._log(bar)
                if self.step in self.schedule or self._late(self._pictured, PICTURE_SECONDS):
                    self._save(snapshot=True)
                elif self._save_is_due():
                    self._save(snapshot=False)
            # At the end all processes leave the loop by themselves: a signal that only one has heard counts no more.
            stopped = self.stopped_by and (self.world.size == 1 or self.step < self.options.length)
            apart = self.step != self.last_snapshot or self.step == self.unscheduled  # of an earlier stop, just resumed
            if stopped or apart:
                self._save(snapshot=True, unscheduled=apart and bool(self.stopped_by))

    def _now(self) -> float:
        return time.monotonic() - self.idle

    def _late(self, since: float, seconds: float) -> bool:
        """Whether a page shows this training and has seen nothing new for so many seconds."""
        return self.follower.steered and self.world.size == 1 and self._now() - since > seconds

    def _save_is_due(self) -> bool:
        """Whether the last save is so long ago; several processes ask each other."""
        late = self._now() - self._saved > SAVE_SECONDS
        if self.world.size == 1:
            return late
        return self.step % self.ask_every == 0 and self.world.any(late)

    def _stopping(self) -> bool:
        if self.world.size == 1:
            return bool(self.stopped_by)
        if self.step % self.ask_every or not self.world.any(bool(self.stopped_by)):
            return False  # also where a signal came since: who left the loop alone would wait for the others
        self.stopped_by = self.stopped_by or "another process"
        return True

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the loop after the step at hand; a second one ends the process at once."""

        def stop(number: int, _: object) -> None:
            self.stopped_by = signal.Signals(number).name
            signal.signal(number, before[signal.Signals(number)])

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _title(self) -> str:
        way = f", {self.gan.way}" if self.device.type == "cuda" else ""
        return f"{self.recipe.name}, {self.options.precision}{way}"

    def _bar(self) -> tqdm:
        return tqdm(
            desc=self._title(),
            total=self.options.length,
            initial=self.step,
            unit="step",
            disable=not self.world.first,
            dynamic_ncols=True,
            mininterval=0.5,
        )

    def _sum(self, terms: Terms) -> None:
        """Add a step's terms up on the device: nothing is read from it between two log lines."""
        values = torch.stack([value.detach() for value in terms.values()])
        if self.sums:
            values += torch.stack(list(self.sums.values()))
        self.sums = dict(zip(terms, values.unbind(), strict=True))
        self.summed += 1
        self.finite += values.isfinite().all()  # a sum that is not finite stays so

    def _log(self, bar: tqdm) -> None:
        self._check_finite()
        means = {name: float(value) / self.summed for name, value in self.sums.items()}
        steps = self.summed - self.carried
        images = steps * self.recipe.batch_size * self.recipe.discriminator_steps
        self.sums, self.summed, self.carried = {}, 0, 0
        self.finite.zero_()
        now = self._now()
        speed = images / max(now - self._logged, 1e-9)
        slowest = max(self.world.gather((now - self._logged) / max(steps, 1)))
        self.ask_every = max(1, min(self.log_every, int(ASK_SECONDS / max(slowest, 1e-9))))
        self._logged = now
        if self.world.first:
            self.run.check_there()
            steered = self.follower.now.columns(self.gan.learning_rates) if self.follower.now else {}
            self.run.append_history({"step": self.step, **means, "images_per_second": speed, **steered})
        losses = {side: sum(v for name, v in means.items() if name.startswith(of)) for side, of in SIDES.items()}
        bar.set_description(self._title(), refresh=False)
        bar.set_postfix({**losses, "img/s": f"{speed:,.0f}"}, refresh=False)
        if self.world.size == 1:
            self._obey()

    def _obey(self) -> None:
        """Go on as state/control.json asks: wait out a pause, take its learning rates and k, stop at its time."""
        self.follower.news()
        if self.follower.paused:
            self._save(snapshot=False)
            start = time.monotonic()
            if not self.follower.wait(lambda: bool(self.stopped_by) or self.follower.orphaned):
                self.stopped_by = "a pause that nobody ended"
            self.idle += time.monotonic() - start
        if (now := self.follower.now) is None:
            return
        self.recipe = self.gan.recipe = now.fitted(self.recipe)
        if self._before + self._now() - self._session > now.seconds:
            self.stopped_by = self.stopped_by or "its limit of time"
        if self.follower.orphaned:
            self.stopped_by = self.stopped_by or "the end of the page that began it"

    def _check_finite(self) -> None:
        if (finite := int(self.finite)) < self.summed:
            self._give_up("a loss", self.step - self.summed + finite + 1)

    def _give_up(self, what: str, step: int) -> NoReturn:
        raise GanDemoError(
            f"{what} of {self.recipe.name} is no longer finite at step {step}: {self.run.path} keeps what came "
            f"before (last snapshot: step {self.last_snapshot}); train anew into another --out, with "
            "--precision fp32 or another --seed"
        )

    # ---------------------------------------------------------------- saving

    def _save(self, snapshot: bool, unscheduled: bool = False) -> None:
        """Write a snapshot with all that goes with it, then the state, which vouches for the rest."""
        self._check_finite()
        if not all(bool(weights.isfinite().all()) for weights in self.gan.generator.parameters()):
            self._give_up("a weight", self.step)  # of the last update, which no loss has seen
        self.seconds = self._before + self._now() - self._session
        random_states = self.world.gather(resume.random_states(self.device))
        if self.world.first:
            self.run.check_there()
            if snapshot:
                self._write_snapshot()
                if self.unscheduled not in (None, self.step):
                    self.run.drop([self.unscheduled])
                self.unscheduled = self.step if unscheduled else None
            resume.write(self, random_states)
            for listener in self.listeners if snapshot else ():
                listener(self.run)
        self._saved = self._now()
        if snapshot:
            self.last_snapshot, self._pictured = self.step, self._saved

    def _write_snapshot(self) -> None:
        self.gan.average.calibrate(*self._calibration())
        averaged, axes = weights_of(self.gan.average.module), output_axes(self.gan.average.module)
        images = self.gan.batches * self.recipe.batch_size
        epoch = self.gan.batches / self.real.per_epoch
        self.run.write(f"samples/step-{self.step:08d}.png", film.encode(film.grid(self._samples(), 4), "PNG"))
        discriminator = weights_of(self.gan.judging(*self.real.some()))
        if sum(value.nbytes for value in discriminator.values()) > LARGE:
            discriminator = quantize(discriminator, output_axes(self.gan.discriminator))
        self.run.write_model(averaged, discriminator, self.step)
        # Last, for its index names a new state of the run: who then reads what goes with it finds it there.
        self.run.add_snapshot(quantize(averaged, axes), self.step, epoch, images, self.seconds)
        # The config after it: killed between the two, the run is one to go on with, and is not taken for finished.
        here, before = describe(self.device, self.world.size), self.run.config.device
        config = replace(
            self.run.config,
            steps=self.step,
            length=self.options.length,
            device=before if here in before.split(MOVED) else f"{before}{MOVED}{here}",
            seconds=round(self.seconds, 2),
            hyperparameters=self.recipe.hyperparameters(),
        )
        self.run.write_config(config)

    @torch.no_grad()
    def _samples(self) -> np.ndarray:
        """The fixed latents, those of seeds 0 to 15, as pictures: (16, H, W, C)."""
        seeds = range(film.TILES)
        z = torch.from_numpy(latents.latents(seeds, self.recipe.latent_size)).to(self.device)
        classes = torch.tensor([latents.own_class(seed, len(self.classes)) for seed in seeds], device=self.device)
        module = self.gan.average.module.eval()
        pictures = module(z, self.gan.guided(classes)).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        self.gan.generator.train()
        return pictures.permute(0, 2, 3, 1).cpu().numpy()

    def _calibration(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        fixed = torch.Generator().manual_seed(self.options.seed)
        z = torch.randn(CALIBRATION, self.recipe.latent_size, generator=fixed).to(self.device)
        classes = torch.randint(len(self.classes) or 1, (CALIBRATION,), generator=fixed).to(self.device)
        return z, self.gan.one_hot(classes)
