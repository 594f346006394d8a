"""Train a GAN into a run folder: `python train.py dcgan-mnist`. `--help` shows the options, `--list` the recipes."""

import argparse
import io
import os
import signal
import sys
from pathlib import Path

import gan_demo.needed  # noqa: F401 (it ends the program where the packages are missing)
from gan_demo import recipes
from gan_demo.arguments import Parser, between, fraction, given, path, positive
from gan_demo.config import IMAGE_SIZES
from gan_demo.control import MAX_K, PARENT
from gan_demo.errors import GanDemoError
from gan_demo.run import MAX_SNAPSHOTS


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options; a wrong one ends the program with one line and status 2."""
    parser = Parser("train.py", description="Train a GAN and keep its history as a run folder, which app.py replays.")
    for add_some in (_add_what, _add_length, _add_manner, _add_push, _add_others):
        add_some(parser)
    options = parser.parse_args(arguments)
    known = options.recipe or (options.resume and options.out)  # the folder says what it holds
    if not (known or options.list or options.fit_judge or options.reproduce):
        parser.error(f"name a recipe to train: one of {', '.join(recipes.RECIPES)}; or give --resume with --out DIR")
    if (options.push_every_snapshot or options.private) and not options.push_to_hub:
        parser.error("--push-every-snapshot and --private need --push-to-hub USER/NAME")
    return options


def _add_what(parser: Parser) -> None:
    add = parser.add_argument_group("what to train").add_argument
    add("recipe", nargs="?", metavar="RECIPE", help="one of --list; not needed with --resume --out DIR")
    add("--with", dest="option", metavar="OPTION", help="one of the recipe's options, which --list shows")
    add("--list", action="store_true", help="show the recipes with data set, size, parameters and length")
    add("--dataset", metavar="NAME", help="mnist, fashion-mnist, cifar10 or anime; the recipe's own by default")
    add(
        "--data",
        type=given,
        default="data",
        metavar="PATH",
        help="data folder (downloads go there), or a folder or zip of pictures; data/ by default",
    )
    add(
        "--image-size",
        type=between(*IMAGE_SIZES),
        metavar="N",
        help="scale the pictures to NxN; the recipe's size by default",
    )


def _add_length(parser: Parser) -> None:
    group = parser.add_argument_group("where to, and how long")
    add = group.add_argument
    add("--out", type=path, metavar="DIR", help="the run folder; runs/RECIPE[-OPTION][-DATASET] by default")
    length = group.add_mutually_exclusive_group()
    length.add_argument("--steps", type=positive, metavar="N", help="steps of the generator to train in all")
    length.add_argument(
        "--epochs", type=positive, metavar="N", help="passes over the data; the recipe's length by default"
    )
    add(
        "--batch-size",
        type=between(2, 2**20),
        metavar="N",
        help="images of a step, over all processes; the recipe's by default",
    )
    add(
        "--k",
        type=between(1, MAX_K),
        metavar="N",
        help="discriminator steps for each generator step; the recipe's by default",
    )
    add(
        "--snapshots",
        type=between(2, MAX_SNAPSHOTS),
        metavar="N",
        help="snapshots to keep, early ones closer; 32 by default",
    )


def _add_manner(parser: Parser) -> None:
    add = parser.add_argument_group("how").add_argument
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="auto: CUDA, else MPS, else the CPU")
    add(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="auto: bf16 where it trains a tenth faster, else fp32",
    )
    add(
        "--ema",
        type=fraction,
        metavar="D",
        help="decay of the moving average; 0 keeps the raw generator; the recipe's by default",
    )
    add(
        "--seed",
        type=between(0, 2**31 - 1),
        metavar="N",
        help="the run's seed: with the same machine, threads and precision it gives the same run; 0 by default",
    )
    add("--resume", action="store_true", help="go on with the run in --out, or its default, exactly where it stopped")
    add(
        "--evaluate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="judge every snapshot at the end; yes by default",
    )


def _add_push(parser: Parser) -> None:
    add = parser.add_argument_group("the Hugging Face Hub").add_argument
    add(
        "--push-to-hub",
        type=given,
        metavar="USER/NAME",
        help="push the run to that repository of the Hugging Face Hub at the end",
    )
    add("--push-every-snapshot", action="store_true", help="push each snapshot too, in the background while training")
    add("--private", action="store_true", help="make the repository private, where there is none yet")


def _add_others(parser: Parser) -> None:
    add = parser.add_argument_group("in the place of a training").add_argument
    add(
        "--fit-judge",
        metavar="DATASET",
        help="train the judge of mnist, fashion-mnist or cifar10 anew, over the shipped one",
    )
    add(
        "--reproduce",
        type=path,
        nargs="?",
        const=Path(__file__).parent / "checkpoints",
        metavar="DIR",
        help="say how each run of a folder was made: command, seed, machine, time; the shipped ones by default",
    )


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if PARENT in os.environ:  # what a shell's background program starts ignores Ctrl-C, and the page stops us by that
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a folder's name need not be text
    try:
        if options.list:
            from gan_demo import job

            job.show_recipes()
        elif options.reproduce:
            from gan_demo import reproduce

            reproduce.show(options.reproduce)
        elif options.fit_judge:
            from gan_demo import judge

            judge.fit(options.fit_judge, options.data)
        else:
            from gan_demo import job

            job.train(options)
        if sys.stdout:  # None where a program started us without one
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read along (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except GanDemoError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train.py: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
