"""A training before an audience: train.py as a process of its own, started, steered and ended from elsewhere.

There is no second loop and no second format: what trains is the very command that a person would type, and all that is
known of it comes from its run folder. It yields to whoever serves pages, and ends at a limit of time and with them.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gan_demo import recipes
from gan_demo.control import PARENT, Control
from gan_demo.data import on
from gan_demo.datasets import DATASETS
from gan_demo.errors import GanDemoError, without_path
from gan_demo.machine import cores
from gan_demo.points import SHAPES
from gan_demo.recipe import Pair, full_name
from gan_demo.run import Run

PROGRAM = Path(__file__).parent.parent / "train.py"
LIMIT_SECONDS = 600  # of training, pauses left out
SLOT_SECONDS = 3600  # from its start, in which one of several visitors may pause a training and go on with it
SNAPSHOTS = 64
NICENESS = 10
FREE_BYTES = 10**9  # that stay free on the disk
END_SECONDS = 20  # to save everything in, before the process is killed
LOST_SECONDS = 120  # past its limit, or since it was told to stop, after which a process is killed
LENGTHS = (300, 1000, 3000, 10_000, 30_000)


@dataclass(frozen=True)
class Wish:
    """What to train; None is the recipe's own, or no option."""

    recipe: str
    steps: int = LENGTHS[2]
    pictures: Path | None = None  # a folder or zip of a person's own
    learning_rates: Pair | None = None  # generator, discriminator
    discriminator_steps: int | None = None  # k
    seed: int = 0
    option: str | None = None
    dataset: str | None = None  # another published one

    @property
    def name(self) -> str:
        """Recipe, option and data set in one word."""
        return full_name(self.recipe, self.option, self.dataset)


@dataclass
class Job:
    """A training: its folder, its process, and how it is steered. `ended` is None while the process is there."""

    wish: Wish
    path: Path
    control: Control
    process: subprocess.Popen = field(init=False)
    stopping: bool = False
    stopped_at: float = 0.0  # when it was told to stop
    overdue: bool = False  # told by nobody, but for its time was over
    ended: tuple[str, str] | None = None  # "done", "stopped" or "failed", and a sentence
    log_start: int = 0  # where this process's words begin in the log
    since: float = 0.0  # when the clock last began to run
    before: float = 0.0  # seconds of training until then
    began: float = field(default_factory=time.monotonic)

    @property
    def resumable(self) -> bool:
        """Whether it ended before its end, and left what it can go on from."""
        return bool(self.ended and self.ended[0] != "done") and (self.path / "state" / "state.pt").exists()

    def log(self) -> str:
        """What train.py has said since it was started, or went on."""
        try:
            return (self.path / "state" / "train.log").read_bytes()[self.log_start :].decode(errors="replace")
        except OSError:
            return ""


class Live:
    """At most one training at a time, into folders below `out`. Every method may be called from any thread."""

    def __init__(
        self, out: str | Path = "runs", data: str | Path = "data", limit: float = LIMIT_SECONDS, private: bool = True
    ):
        """`data`: where the published data sets lie or will be downloaded to; `limit`: seconds that a training gets.

        `private`: nobody but who sits at this machine is told anything, so paths outside of this folder may be.
        """
        self.out, self.data = Path(out), Path(os.path.expanduser(data))
        self.limit, self.private = limit, private
        self.job: Job | None = None
        self._lock = threading.RLock()

    # ---------------------------------------------------------------- what can be trained

    def source(self, name: str) -> str:
        """Where the data set of that name would come from: "there", "download", or "missing"."""
        dataset = DATASETS[name]
        if name in SHAPES:
            return "there"
        if dataset.pictures and os.path.isdir(self.data / dataset.pictures):  # False where it cannot be looked at
            return "there"
        if not dataset.packed or not find_spec("torchvision"):
            return "missing"
        return "there" if os.path.isdir(self.data / dataset.packed) else "download"

    # ---------------------------------------------------------------- starting

    def start(self, wish: Wish) -> Job:
        """Start a training. GanDemoError where one is at work already, or this one cannot be."""
        recipe = on(recipes.get(wish.recipe).having(wish.option), wish.dataset)
        if wish.steps not in LENGTHS:
            raise GanDemoError(
                f"{str(wish.steps)[:20]} steps will not do: choose one of {', '.join(map(str, LENGTHS))}"
            )
        steered = Control(
            wish.learning_rates or recipe.learning_rates,
            wish.discriminator_steps or recipe.discriminator_steps,
            seconds=self.limit,
        )
        if wish.pictures is None and self.source(recipe.dataset) == "missing":
            title = DATASETS[recipe.dataset].title
            raise GanDemoError(
                f"{title} is not here and cannot be downloaded: choose other pictures, or drop some of your own"
            )
        with self._lock:
            if self.running:
                raise GanDemoError("a training is at work here already: watch it, and start yours when it has ended")
            job = Job(wish, self._free_folder(wish.name), steered)
            try:
                self._launch(job)
            except GanDemoError:
                _remove_unless_run(job.path)
                raise
            return job

    def go_on(self) -> None:
        """End a pause, or resume a training that was stopped or killed. GanDemoError where there is none."""
        with self._lock:
            job = self._job()
            if job.ended is None:
                return self._steer(paused=False)
            if not job.resumable:
                raise GanDemoError("there is nothing to go on with: start another training")
            self._check_hour(job)
            before = job.control, job.stopping, job.ended
            job.control = replace(job.control, paused=False, seconds=self.seconds() + self.limit)
            job.stopping, job.overdue, job.ended = False, False, None
            try:
                self._launch(job, "--resume")
            except GanDemoError:
                job.control, job.stopping, job.ended = before
                raise

    def _launch(self, job: Job, *more: str) -> None:
        try:
            job.path.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(job.path).free < FREE_BYTES:
                raise GanDemoError("the disk has no room for a training: free some space and start again")
            job.control.write(job.path)
            with open(job.path / "state" / "train.log", "ab") as log:
                job.log_start = log.tell()
                job.process = subprocess.Popen(
                    [sys.executable, str(PROGRAM), *self.command(job), *more],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={
                        **os.environ,
                        PARENT: str(os.getpid()),
                        "OMP_NUM_THREADS": str(cores()),
                        "OMP_WAIT_POLICY": "passive",
                    },
                    start_new_session=True,  # Ctrl-C in the page's terminal reaches it through close() alone
                    creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),  # Windows
                )
        except OSError as error:
            why = f"({error.strerror}): see that {self._told(self.out)} can be written"
            raise GanDemoError(f"a training cannot be started {why}") from None
        if hasattr(os, "setpriority"):
            nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
            os.setpriority(os.PRIO_PROCESS, job.process.pid, nice)  # before it starts a thread: they inherit it
            with suppress(OSError):  # Linux may weigh sessions first, and the processes of each only after that
                Path(f"/proc/{job.process.pid}/autogroup").write_text(str(nice))
        job.since = time.monotonic()
        self.job = job
        threading.Thread(target=self._watch, args=(job, job.process), name="live", daemon=True).start()

    def command(self, job: Job) -> list[str]:
        """The arguments of train.py."""
        wish = job.wish
        size = ["--steps", str(wish.steps), "--snapshots", str(SNAPSHOTS), "--seed", str(wish.seed), "--no-evaluate"]
        recipe = [wish.recipe, *(["--with", wish.option] if wish.option else [])]
        recipe += ["--dataset", wish.dataset] if wish.dataset else []
        if wish.pictures and wish.pictures.is_dir():  # of few, batches of half: some may turn out to be unreadable
            count = sum(path.is_file() for path in wish.pictures.rglob("*"))
            if count < 2 * recipes.get(wish.recipe).having(wish.option).batch_size:
                size += ["--batch-size", str(max(2, count // 2))]
        return [*recipe, "--data", str(wish.pictures or self.data), "--out", str(job.path), *size]

    def _free_folder(self, name: str) -> Path:
        number = 1
        while (path := self.out / f"live-{name}{f'-{number}' if number > 1 else ''}").exists():
            number += 1
        return path

    # ---------------------------------------------------------------- while it runs

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.job is not None and self.job.ended is None

    def pause(self) -> None:
        """Have it wait, its state saved, from its next log line on. GanDemoError where none is running."""
        with self._lock:
            self._check_hour(self._running_job())
            self._steer(paused=True)

    def had_its_hour(self, job: Job) -> bool:
        """Whether others may wait for the stage, and this training has had it long enough."""
        return not self.private and time.monotonic() - job.began > SLOT_SECONDS

    def _check_hour(self, job: Job) -> None:
        if self.had_its_hour(job):
            raise GanDemoError("this training has had its hour here: let others have theirs, or start another")

    def turn(self, learning_rates: Pair, discriminator_steps: int) -> None:
        """Other learning rates (generator, discriminator) and k, from the next log line on, or when it goes on.

        Raises GanDemoError where there is no training, or a value will not do.
        """
        self._steer(learning_rates=learning_rates, discriminator_steps=discriminator_steps)

    def stop(self) -> None:
        """End it after the step at hand, everything saved. Returns at once. GanDemoError where none is running."""
        with self._lock:
            job = self._running_job()
            if job.stopping:  # a second signal would end it before it has saved
                return
            job.stopping, job.stopped_at = True, time.monotonic()
            if os.name == "nt":  # no signal there lets a process save first
                try:
                    self._steer(paused=False, seconds=0)
                except GanDemoError:
                    job.stopping = False  # it was not told
                    raise
            else:
                job.process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End what runs, its state saved, and wait for that."""
        job = self.job
        if job is None or job.ended:
            return
        with suppress(GanDemoError):  # it has ended in this moment
            self.stop()
        try:
            job.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            job.process.kill()

    def seconds(self) -> float:
        """How long it has been training since the button was pressed, pauses left out."""
        job = self._job()
        running = job.ended is None and not job.control.paused
        return job.before + (time.monotonic() - job.since if running else 0)

    def _steer(self, **changes: Any) -> None:
        """Change the control as it is at this moment: nobody else's turn in between is lost."""
        with self._lock:
            job = self._job()
            steered = replace(job.control, **changes)
            job.before, job.since = self.seconds(), time.monotonic()
            try:
                steered.write(job.path)
            except OSError as error:
                raise GanDemoError(
                    f"the training cannot be told ({error.strerror}): it goes on as it was, try again"
                ) from None
            job.control = steered

    def _job(self) -> Job:
        if self.job is None:
            raise GanDemoError("no training was started here: start one")
        return self.job

    def _running_job(self) -> Job:
        job = self._job()
        if job.ended:
            raise GanDemoError("the training has ended: go on with it, or start another")
        return job

    # ---------------------------------------------------------------- how it ends

    def _watch(self, job: Job, process: subprocess.Popen) -> None:
        """Wait for the end, and see to it that there is one."""
        while True:
            try:
                process.wait(1)
                break
            except subprocess.TimeoutExpired:
                # A process that was told to stop and did not hear it may be paused: only that clock goes on.
                over = time.monotonic() - job.stopped_at if job.stopping else self.seconds() - job.control.seconds
                if over > LOST_SECONDS:
                    process.kill()
                elif over > LOST_SECONDS / 2 and not job.stopping:
                    with suppress(GanDemoError):  # it has ended meanwhile, or its folder cannot be written
                        self.stop()
                        job.overdue = True
        with self._lock:
            job.before = self.seconds()
            ended = self._end(job, process.returncode)
            _remove_unless_run(job.path)  # before anybody is told
            job.ended = ended

    def _end(self, job: Job, status: int) -> tuple[str, str]:
        """What became of it, in a word and in a sentence."""
        try:
            run: Run | None = Run(job.path)
        except GanDemoError:
            run = None
        if status == 0 and run:
            reached, length = run.config.steps, run.config.length
            if reached >= length:
                return "done", f"Trained {reached:,} steps."
            limit = " at its limit of time" if "stopped by its limit of time" in job.log() else ""
            why = "" if job.stopping else " after a pause that nobody ended" if job.control.paused else limit
            return "stopped", f"Stopped{why} at step {reached:,} of {length:,}; everything is saved."
        if status in (130, -signal.SIGINT):
            if run:
                return "stopped", "Stopped; what was saved is there."
            why = " for its pictures took too long to come: fetch them with train.py, or choose others"
            return "stopped", f"Stopped before the first step{why if job.overdue else ''}."
        left = f"; it is saved up to step {run.steps[-1]:,}" if run and run.snapshots else ""
        if status < 0:
            name = signal.Signals(-status).name
            why = "for it did not end by itself" if job.stopping else "perhaps for want of memory"
            return "failed", f"The training was killed ({name}), {why}{left}."
        return "failed", self._last_words(job) or f"The training ended with status {status}{left}."

    def _last_words(self, job: Job) -> str:
        """The line that train.py ended with, without a path of this machine; nothing where it had no last word."""
        lines = [line.strip() for line in job.log().replace("\r", "\n").splitlines() if line.strip()]
        last = next((line for line in reversed(lines) if line.startswith("train.py: ")), None)
        if last is None:
            return ""  # a traceback, which names folders
        words = without_path(last.removeprefix("train.py: "), job.path, job.path.name)
        if job.wish.pictures:
            words = without_path(words, job.wish.pictures, "the pictures")
        words = without_path(words, self.data, self.data.name)
        if (ran := words.partition("; train anew"))[1]:  # by options that no page has
            words = f"{ran[0]}; turn the learning rates down, then go on or start anew"
        return f"{words[:1].upper()}{words[1:400].rstrip('.')}."

    # ---------------------------------------------------------------- afterwards

    def push_command(self) -> str | None:
        """What a person types to push the run, judged and as far as it came; None where that is no step, or gone."""
        job = self._job()
        try:
            steps = Run(job.path).config.steps
        except GanDemoError:
            return None
        if not steps:
            return None
        data, path = (self._told(place) for place in (job.wish.pictures or self.data, job.path))
        where = "" if data == "data" else f" --data {shlex.quote(data)}"
        done = f"--out {shlex.quote(path)} --resume --steps {steps} --push-to-hub USER/{job.wish.name}"
        return f"python train.py {job.wish.recipe}{where} {done}"

    def _told(self, path: Path) -> str:
        """The path as seen from here; one that lies elsewhere whole, or for strangers its name alone."""
        whole, here = path.resolve(), Path.cwd()
        elsewhere = str(whole) if self.private else path.name
        return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else elsewhere


def _remove_unless_run(path: Path) -> None:
    """Clear a training's folder away that never came to a run."""
    if not (path / "config.json").exists():
        shutil.rmtree(path, ignore_errors=True)
