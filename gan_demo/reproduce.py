"""How each run came to be: the command that makes it again, and where and how long that took."""

import re
import shlex
from dataclasses import replace
from functools import partial
from math import isclose
from pathlib import Path

from gan_demo.config import MOVED
from gan_demo.datasets import DATASETS
from gan_demo.errors import GanDemoError
from gan_demo.machine import duration
from gan_demo.recipe import HYPERPARAMETERS
from gan_demo.recipes import RECIPES
from gan_demo.run import MAX_SNAPSHOTS, Run, folders
from gan_demo.training import schedule

FLAGS = {"image_size": "--image-size", "batch_size": "--batch-size", "discriminator_steps": "--k", "ema": "--ema"}


def show(folder: Path) -> None:
    """Print, for each run of a folder of run folders, what command(), machine and time it had.

    Raises GanDemoError where there is none, or, after the others, where one is damaged.
    """
    damaged = []
    for path in folders(folder):
        try:
            _show(Run(path))
        except GanDemoError as error:
            damaged.append(str(error))
    if damaged:
        raise GanDemoError("; ".join(damaged))


def _show(run: Run) -> None:
    config = run.config
    versions = ", ".join(f"{name} {version}" for name, version in config.versions.items())
    done = "" if config.steps == config.length else f"stopped at step {config.steps:,}, "
    print(f"{run.path.name}\n  {command(run)}")
    print(f"  {done}{duration(config.seconds)} on {config.device}; {versions}")
    count = _snapshots(run)
    planned = {step for step in schedule(config.length, count or 2) if step <= config.steps}
    gone = len(planned - set(run.steps))
    if count is None:
        print(f"  its {len(run.steps)} snapshots were taken at steps of its own")
    elif gone:
        print(f"  {gone} of those snapshots were taken out since")
    if MOVED in config.device:
        print("  it went on with another machine or other threads: no command does that again, bit for bit")
    if _steered(run):
        print("  its learning rates or k were set on the page: no command does that again")
    elif other := changed(run):
        print(f"  the recipe has changed since: {other}")


def command(run: Run) -> str:
    """The train.py command that makes the run again: bit for bit with the same code, libraries and machine."""
    config, recipe = run.config, RECIPES.get(run.config.recipe)
    ran, device = config.as_recipe(), config.device.split(MOVED)[0]
    threads = re.match(r"cpu, (\d+) thread", device)  # sums are rounded by how they are split
    words = [f"OMP_NUM_THREADS={threads[1]}"] if threads else []
    words += _launcher(device)
    words += ["train.py", config.recipe]
    if recipe is not None and (option := recipe.option_of(ran)):
        words += ["--with", option]
        recipe = recipe.having(option)
    words += ["--steps", str(config.length)]
    if (count := _snapshots(run)) is not None:
        words += ["--snapshots", str(count)]
    words += ["--seed", str(config.seed)]
    words += ["--device", device.split(",")[0] if device.startswith(("cpu", "mps")) else "cuda"]
    words += ["--precision", config.precision]
    for name, flag in FLAGS.items():
        if recipe is None or getattr(ran, name) != getattr(recipe, name):
            words += [flag, str(getattr(ran, name))]
    if recipe is not None and config.dataset != recipe.dataset:
        words += ["--dataset", config.dataset] if config.dataset in DATASETS else ["--data", "PICTURES"]
    return shlex.join(words)


def _launcher(device: str) -> list[str]:
    """What starts the program in as many processes as that device says."""
    said = re.search(r"in (\d+) processes(?: on (\d+) machines)?", device)
    if said is None:
        return ["python"]
    machines = int(said[2] or 1)
    together = ["--nnodes", str(machines), "--rdzv-backend", "c10d", "--rdzv-endpoint", "HOST:29500"]
    return ["torchrun", *(together if machines > 1 else []), "--nproc-per-node", str(int(said[1]) // machines)]


def changed(run: Run) -> str:
    """What of the recipe the command cannot bring back, as "name was value", or nothing."""
    recipe = RECIPES.get(run.config.recipe)
    if recipe is None:
        return "it is gone"
    ran = run.config.as_recipe()
    as_commanded = replace(recipe.as_in(ran).at(ran.dataset), **{name: getattr(ran, name) for name in FLAGS})
    return ", ".join(
        f"{name} was {getattr(ran, name)}"
        for name in (*HYPERPARAMETERS, "latent_size")
        if name != "epochs" and getattr(ran, name) != getattr(as_commanded, name)
    )


def _steered(run: Run) -> bool:
    """Whether its rates were set on the page, or its k while it trained: history.csv tells of both where it can be."""
    ran, known = run.config.as_recipe(), RECIPES.get(run.config.recipe)
    planned, images, step = known.as_in(ran).at(ran.dataset) if known else ran, 0, 0
    for row in (row for row in run.read_history() if {"k", "generator_rate", "discriminator_rate"} <= row.keys()):
        taken = int(row["k"]) * ran.batch_size
        images, step = images + (int(row["step"]) - step) * taken, int(row["step"])
        rates = planned.annealed(images - taken).learning_rates  # as the last step found them
        found = row["generator_rate"], row["discriminator_rate"]
        if row["k"] != ran.discriminator_steps or not all(map(partial(isclose, rel_tol=1e-3), rates, found)):
            return True
    return False


def _snapshots(run: Run) -> int | None:
    """The --snapshots that plans the steps the run has; a stop adds one of its own, and some may be taken out since.

    None where no plan has them all and as many more at the most, for large enough plans have any steps: the run was
    made longer, or its snapshots chosen by hand.
    """
    config, steps = run.config, set(run.steps)
    planned = steps if config.steps == config.length else steps - {config.steps}
    holding = None
    for count in range(2, MAX_SNAPSHOTS + 1):
        plan = {one for one in schedule(config.length, count) if one <= config.steps}
        if plan in (planned, steps):
            return count
        if holding is None and planned <= plan and len(plan) <= 2 * len(steps):
            holding = count
        if len(plan) > 3 * len(steps):
            break  # a larger count plans more steps
    return holding
