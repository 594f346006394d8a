"""What train.py does once it has understood: load, fit, judge, push, and say what came of it."""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gan_demo import card, data, devices, recipes, training
from gan_demo.cost import discriminator_of, generator_of
from gan_demo.datasets import DATASETS
from gan_demo.errors import GanDemoError
from gan_demo.lock import only_one
from gan_demo.machine import duration
from gan_demo.naming import parse_target
from gan_demo.networks import build
from gan_demo.parallel import World, place
from gan_demo.pictures import Images
from gan_demo.player import Player
from gan_demo.precision import choose
from gan_demo.publish import Publisher
from gan_demo.recipe import Recipe, full_name
from gan_demo.run import Run, check_free, disk_explained

# What torch says, beside OutOfMemoryError, of a GPU that other programs have filled.
GPU_FULL = ("MPS backend out of memory", "CUDA error: out of memory", "_ALLOC_FAILED", "device(s) is/are busy")


def show_recipes() -> None:
    """Print a table of the recipes."""
    print(f"{'recipe':15}{'what':38}{'data set':23}{'image':10}{'G parameters':>13}{'D parameters':>14}  length")
    for recipe in recipes.RECIPES.values():
        with torch.device("meta"):
            networks = build(recipe, len(DATASETS[recipe.dataset].classes) if recipe.conditional else 0)
        counts = [sum(weights.numel() for weights in network.parameters()) for network in networks]
        image = f"{recipe.image_size}x{recipe.image_size}x{recipe.channels}"
        length = f"{recipe.epochs} epochs of batch {recipe.batch_size}"
        title = DATASETS[recipe.dataset].title
        print(f"{recipe.name:15}{recipe.title:38}{title:23}{image:10}{counts[0]:13,}{counts[1]:14,}  {length}")
        for name, option in recipe.options.items():
            print(f"  --with {name}: {option.why}")


def folder(options: argparse.Namespace) -> Path:
    """Where a run without --out goes: runs/RECIPE[-OPTION][-DATASET]; on a resume the only option's that is there."""
    recipe = recipes.get(options.recipe)
    out = Path("runs") / full_name(recipe.name, options.option, options.dataset)
    if not options.resume or options.option or options.dataset or os.path.exists(out):
        return out
    others = (Path("runs") / full_name(recipe.name, name) for name in recipe.options)
    there = [other for other in others if os.path.exists(other)]
    return there[0] if len(there) == 1 else out


def settle(options: argparse.Namespace) -> tuple[Recipe, int, str]:
    """The recipe with the person's own settings, the seed and the precision; those of the folder when resuming.

    Raises GanDemoError where an option contradicts the folder, or the networks cannot have that size.
    """
    recipe = data.on(recipes.get(options.recipe).having(options.option), options.dataset)
    if options.image_size:  # a size that will not do is told before thousands of pictures are scaled to it
        _check_size(replace(recipe, image_size=options.image_size), 1 if recipe.conditional else 0)
    own = {
        "dataset": options.dataset,
        "image_size": options.image_size,
        "batch_size": options.batch_size,
        "discriminator_steps": options.k,
        "ema": options.ema,
    }
    precision = None if options.precision == "auto" else options.precision
    if not options.resume:
        return replace(recipe, **{k: v for k, v in own.items() if v is not None}), options.seed or 0, options.precision
    config = Run(options.out).config
    before = config.as_recipe()
    if config.recipe != recipe.name:
        raise GanDemoError(f"{options.out} holds a run of {config.recipe}: resume that recipe, or choose another --out")
    if options.option and options.option != recipes.get(options.recipe).option_of(before):
        raise GanDemoError(
            f"{options.out} was not trained with {options.option}: --resume keeps what it had, leave --with out"
        )
    for name, value in (*own.items(), ("seed", options.seed), ("precision", precision)):
        kept = getattr(config if name in ("seed", "precision") else before, name)
        if value not in (None, kept):
            raise GanDemoError(f"{options.out} was trained with {name} {kept}: --resume keeps it, leave the option out")
    return before, config.seed, config.precision


def train(options: argparse.Namespace) -> None:
    """Fit, judge, push, and print a summary; the data is not even read where there is only a push left to do."""
    _, processes = place()
    options.recipe = options.recipe or Run(options.out).config.recipe
    options.out = options.out or folder(options)
    settled = settle(options)
    with only_one(options.out) if _is_first() else nullcontext():
        try:
            with _memory_explained(settled[0]):
                _train(options, *settled)
        except GanDemoError as error:
            if processes == 1:
                raise
            sys.stdout.flush()
            print(f"train.py: {error}", file=sys.stderr, flush=True)
            os._exit(2)  # NCCL would wait for the others before it lets this process end, and they for this one


@contextmanager
def _memory_explained(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except MemoryError:  # numpy's: torch has words of its own
        raise GanDemoError(
            "this machine has too little memory for the pictures: give fewer with --data, or a smaller --image-size"
        ) from None
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        gpu = isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in GPU_FULL)
        if not gpu and not any(words in str(error) for words in ("can't allocate memory", "not enough memory")):
            raise
        raise GanDemoError(
            f"{'the GPU' if gpu else 'this machine'} has too little memory for {recipe.name} in batches of "
            f"{recipe.batch_size}: give a smaller --batch-size or --precision bf16, end what else is at work there, "
            "and give another --out where this one holds a run by now"
        ) from None


def _is_first() -> bool:
    """Whether this is the first of torchrun's processes, or the only one there is."""
    return place()[0] == 0


def _train(options: argparse.Namespace, recipe: Recipe, run_seed: int, precision: str) -> None:
    device = devices.choose_device(options.device)
    if options.push_to_hub:
        parse_target(options.push_to_hub)  # a wrong name is told before anything is downloaded
    if not options.resume:
        check_free(options.out)
    if _was_only_to_push(options, recipe):
        return
    images, recipe = _load(options, recipe, World(device))
    # After the images, and of a resume after the folder: where those will not do no repository is made.
    publisher = None if options.resume else _publisher(options)
    length = planned(options, recipe, len(images.pixels))
    trainer = training.Trainer(
        recipe,
        images,
        training.Options(
            out=options.out,
            length=length,
            snapshots=options.snapshots,
            seed=run_seed,
            device=device,
            precision=choose(precision, device, recipe, len(images.classes) if recipe.conditional else 0),
            resume=options.resume,
        ),
    )
    publisher = publisher or _publisher(options)
    if publisher and publisher.snapshots:
        trainer.listeners.append(publisher.snapshots)
    if trainer.world.first:
        print(f"training into {options.out}; to watch it: {_app_command(options.out)}", file=sys.stderr)
    trainer.fit()
    trainer.world.leave()
    with disk_explained(options.out):
        finish(trainer, options, images, publisher)


def _was_only_to_push(options: argparse.Namespace, recipe: Recipe) -> bool:
    """Push a run that is trained and judged already; False where there is more to do than that."""
    if not (options.push_to_hub and options.resume) or (metrics := _finished(options, recipe)) is None:
        return False
    if publisher := _publisher(options):
        run = Run(options.out)
        with disk_explained(options.out):
            if run.ready_film() is None:  # killed before it was written
                Player(run).write_ready_film()
            card.write(run, metrics)
        _tell(f"pushed to {publisher.publish(run, metrics)}")
    return True


def _publisher(options: argparse.Namespace) -> Publisher | None:
    """What pushes this training's run; None without --push-to-hub, and in all processes but the first."""
    if not options.push_to_hub or not _is_first():
        return None
    return Publisher(options.push_to_hub, options.private, options.push_every_snapshot)


def _load(options: argparse.Namespace, recipe: Recipe, world: World) -> tuple[Images, Recipe]:
    """The images, and the recipe fitted to them; of several processes the first reads before the others.

    It may have to download them. Raises GanDemoError where the images or the networks for them will not do.
    """
    found, problem = None, ""
    if world.first:
        try:
            _check_apart(options.out, os.path.expanduser(options.data))
            found = data.load(recipe, options.data)
        except GanDemoError as error:
            problem = str(error)
    if problem := world.gather(problem)[0]:
        raise GanDemoError(problem)
    images, recipe = found or data.load(recipe, options.data)
    if options.dataset and images.name != options.dataset:
        raise GanDemoError(
            f"{options.data} holds pictures of its own: leave --dataset {options.dataset} out, or --data"
        )
    _check_size(recipe, len(images.classes) if recipe.conditional else 0)
    return images, recipe


def _check_apart(out: Path, pictures: str) -> None:
    """Raise GanDemoError where what is drawn in the run folder would become pictures to train on."""
    inside = Path(os.path.realpath(out)).is_relative_to(os.path.realpath(pictures))
    if inside and data.is_of_its_own(Path(pictures)):
        raise GanDemoError(
            f"{out} lies in {pictures}, and what is drawn there would be trained on: choose another folder with --out"
        )


def _check_size(recipe: Recipe, classes: int) -> None:
    """Raise GanDemoError where the networks cannot have that size: what no page would play need not be trained."""
    for network_of in (generator_of, discriminator_of):
        network_of(recipe, classes, f"{recipe.name} at {recipe.image_size}x{recipe.image_size}x{recipe.channels}")


def planned(options: argparse.Namespace, recipe: Recipe, images: int) -> int:
    """Steps to train in all: as asked for, else as the folder planned when resuming, else the recipe's length."""
    if options.steps or (options.resume and not options.epochs):
        return options.steps or Run(options.out).config.length
    return training.steps_of(options.epochs or recipe.epochs, images, recipe)


def _finished(options: argparse.Namespace, recipe: Recipe) -> dict[str, Any] | None:
    """The metrics of a run that is trained and judged already ({} where no judging is wanted), else None."""
    run = Run(options.out)
    if run.config.steps < planned(options, recipe, run.config.dataset_images):
        return None
    return run.read_verdict() or (None if options.evaluate else {})


def finish(trainer: training.Trainer, options: argparse.Namespace, images: Images, publisher: Publisher | None) -> None:
    """Judge the snapshots, write the ready film and the card, push, and print a summary that a person can read."""
    from gan_demo import judge

    run, player = trainer.run, Player(trainer.run)
    player.write_ready_film()
    metrics = run.read_verdict()
    if metrics is None and options.evaluate and not trainer.stopped_by:
        metrics = judge.evaluate(run, player.generate, images)
    card.write(run, metrics)
    took = f"{trainer.step:,} of {trainer.options.length:,} steps in {duration(trainer.seconds)} on {run.config.device}"
    _tell(f"\n{run.config.name}: {took}")
    _tell(f"  folder    {run.path} ({len(run.snapshots)} snapshots)")
    if metrics:
        _tell(f"  quality   {judge.describe(metrics)}")
    _tell(f"  open it   {_app_command(run.path)}")
    where = "" if options.data == "data" else f" --data {shlex.quote(options.data)}"
    device = "" if options.device == "auto" else f" --device {options.device}"
    again = f"python train.py {options.recipe} --out {shlex.quote(str(run.path))}{where}{device} --resume"
    if trainer.stopped_by:
        _tell(f"  stopped by {trainer.stopped_by}; go on with  {again}")
    if publisher:
        _tell(f"  pushed to {publisher.publish(run, metrics)}")
    elif not trainer.stopped_by:
        name = re.sub(r"[^\w.]+", "-", run.config.name, flags=re.ASCII).strip("-.") or options.recipe
        _tell(f"  push it   {again} --push-to-hub USER/{name}")


def _tell(line: str) -> None:
    with suppress(BrokenPipeError):  # whoever read along (`| head`) has seen enough, and the push is still to come
        print(line, flush=True)


def _app_command(path: Path) -> str:
    return f"python app.py --runs {shlex.quote(str(path))}"
