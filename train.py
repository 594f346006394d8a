"""Train a GAN into a run folder: `python train.py dcgan-mnist`. `--help` shows the options, `--list` the recipes."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from gan_demo import recipes
from gan_demo.errors import GanDemoError


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or not 1 <= int(text) < 2**40:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} will not do: give a whole number from 1")
    return int(text)


def fraction(text: str) -> float:
    """A number from 0 to below 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} will not do: give a number from 0 to below 1, such as 0.999")
    return value


def seed(text: str) -> int:
    """A whole number from 0 to 2^31 - 1."""
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} will not do: give a whole number from 0 to {2**31 - 1}")
    return int(text)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser("train.py", description="Train a GAN and keep its history as a run folder, which app.py replays.")
    add = parser.add_argument
    add("recipe", nargs="?", metavar="RECIPE", help="one of --list")
    add("--list", action="store_true", help="show the recipes with data set, size, parameters and published length")
    add(
        "--data",
        default="data",
        metavar="PATH",
        help="data folder (downloads go there), or a folder or zip of pictures",
    )
    add("--image-size", type=positive, metavar="N", help="scale the pictures to NxN; the recipe's size by default")
    add("--out", type=Path, metavar="DIR", help="the run folder; runs/RECIPE by default")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=positive, metavar="N", help="steps of the generator to train in all")
    length.add_argument(
        "--epochs", type=positive, metavar="N", help="passes over the data; the published length by default"
    )
    add(
        "--batch-size", type=positive, metavar="N", help="images of a step, over all processes; the recipe's by default"
    )
    add("--k", type=positive, metavar="N", help="discriminator steps for each generator step; the recipe's by default")
    add(
        "--snapshots",
        type=positive,
        default=32,
        metavar="N",
        help="snapshots to keep, early ones closer; 32 by default",
    )
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="where to train")
    add("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 where the hardware has it")
    add(
        "--ema",
        type=fraction,
        metavar="D",
        help="decay of the moving average; 0 keeps the raw generator; 0.999 by default",
    )
    add(
        "--seed",
        type=seed,
        metavar="N",
        help="the run's seed: the same seed and device give the same run; 0 by default",
    )
    add("--resume", action="store_true", help="go on with the run in --out, exactly where it stopped")
    add("--evaluate", action=argparse.BooleanOptionalAction, default=True, help="judge every snapshot at the end")
    add("--fit-judge", metavar="DATASET", help="train the judge of mnist, fashion-mnist or cifar10 instead")
    options = parser.parse_args(arguments)
    if not (options.recipe or options.list or options.fit_judge):
        parser.error(f"name a recipe to train: one of {', '.join(recipes.RECIPES)}")
    return options


def show_recipes() -> None:
    """Print a table of the recipes."""
    import torch

    from gan_demo.data import DATASETS
    from gan_demo.networks import build

    print(
        f"{'recipe':15}{'what':38}{'data set':15}{'image':10}{'G parameters':>13}{'D parameters':>14}  published length"
    )
    for recipe in recipes.RECIPES.values():
        with torch.device("meta"):
            networks = build(recipe, len(DATASETS[recipe.dataset].classes) if recipe.conditional else 0)
        counts = [sum(weights.numel() for weights in network.parameters()) for network in networks]
        image = f"{recipe.image_size}x{recipe.image_size}x{recipe.channels}"
        length = f"{recipe.epochs} epochs of batch {recipe.batch_size}"
        title = DATASETS[recipe.dataset].title
        print(f"{recipe.name:15}{recipe.title:38}{title:15}{image:10}{counts[0]:13,}{counts[1]:14,}  {length}")


def settle(options: argparse.Namespace) -> tuple[recipes.Recipe, int, str]:
    """The recipe with the person's own settings, the seed and the precision; those of the folder when resuming."""
    recipe = recipes.get(options.recipe)
    own = {
        "image_size": options.image_size,
        "batch_size": options.batch_size,
        "discriminator_steps": options.k,
        "ema": options.ema,
    }
    if not options.resume:
        return replace(recipe, **{k: v for k, v in own.items() if v is not None}), options.seed or 0, options.precision
    from gan_demo.run import Run

    config = Run(options.out).config
    before = config.as_recipe()
    if config.recipe != recipe.name:
        raise GanDemoError(f"{options.out} holds a run of {config.recipe}: resume that recipe, or choose another --out")
    for name, value in (*own.items(), ("seed", options.seed)):
        kept = config.seed if name == "seed" else getattr(before, name)
        if value not in (None, kept):
            raise GanDemoError(f"{options.out} was trained with {name} {kept}: --resume keeps it, leave the option out")
    return before, config.seed, config.precision


def train(options: argparse.Namespace) -> None:
    """Load the data, fit, judge, and say what came of it."""
    from gan_demo import data, machine, training

    options.out = options.out or Path("runs") / str(options.recipe)
    recipe, run_seed, precision = settle(options)
    device = machine.choose_device(options.device)
    if not options.resume and (options.out / "config.json").exists():
        raise GanDemoError(
            f"{options.out} holds a run already: go on with --resume, or choose another folder with --out"
        )
    images, recipe = data.load(recipe, options.data)
    length = options.steps or training.steps_of(options.epochs or recipe.epochs, len(images.pixels), recipe)
    trainer = training.Trainer(
        recipe,
        images,
        training.Options(
            out=options.out,
            length=length,
            snapshots=options.snapshots,
            seed=run_seed,
            device=device,
            precision=machine.choose_precision(precision, device, recipe),
            resume=options.resume,
        ),
    )
    try:
        trainer.fit()
        if trainer.world.first:
            finish(trainer, options, images)
    finally:
        trainer.world.leave()


def finish(trainer, options: argparse.Namespace, images) -> None:
    """Judge the snapshots, write the ready film, and print a summary that a person can read."""
    from gan_demo import card
    from gan_demo.machine import duration
    from gan_demo.player import Player

    run, player = trainer.run, Player(trainer.run)
    player.write_ready_film()
    metrics = None
    if options.evaluate and not trainer.stopped_by:
        from gan_demo import judge

        metrics = judge.evaluate(run, player.generate, images)
    card.write(run, metrics)
    took = f"{trainer.step:,} of {trainer.options.length:,} steps in {duration(trainer.seconds)} on {run.config.device}"
    print(f"\n{run.config.name}: {took}")
    print(f"  folder    {run.path} ({len(run.snapshots)} snapshots)")
    if metrics:
        print(f"  quality   {judge.describe(metrics)}")
    print(f"  open it   python app.py --runs {run.path}")
    print(f"  push it   hf upload USER/{run.config.name} {run.path} --exclude 'state/*'")
    if trainer.stopped_by:
        print(
            f"  stopped by {trainer.stopped_by}; go on with  python train.py {options.recipe} --out {run.path} --resume"
        )


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        if options.list:
            show_recipes()
        elif options.fit_judge:
            from gan_demo import judge

            judge.fit(options.fit_judge, options.data)
        else:
            train(options)
    except GanDemoError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train.py: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
