"""Open trained GANs in the browser: `python app.py [--runs SOURCE ...]`."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import gan_demo.needed  # noqa: F401 (it ends the program where the packages are missing)
from gan_demo.arguments import Parser, between, given, path
from gan_demo.errors import GanDemoError
from gan_demo.hub import ENDING
from gan_demo.live import Live
from gan_demo.machine import is_loopback
from gan_demo.run import folders
from gan_demo.ui.library import Library

CHECKPOINTS = Path(__file__).parent / "checkpoints"
FIRST = "modern-anime"  # of those: faces are what a stranger likes to see first
HUB_SECONDS = 3  # after its start the page is there without what the Hub has not sent by then


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options; on a Space, or with --share, strangers reach the page, and no training is allowed unless told."""
    on_a_space = "SPACE_ID" in os.environ
    parser = Parser("app.py", description="Replay trained GANs in the browser, snapshot by snapshot.")
    add = parser.add_argument
    add(
        "--runs",
        type=given,
        nargs="+",
        metavar="SOURCE",
        help="run folders, folders of them, or Hub ids USER/NAME[@REVISION] "
        "(default: the environment variable GAN_DEMO_RUNS, comma-separated, else checkpoints/)",
    )
    add("--host", default="0.0.0.0" if on_a_space else "127.0.0.1", help="address to serve at (default: %(default)s)")
    add(
        "--port",
        type=between(1, 65535),
        metavar="N",
        help="port to serve at (default: the first free one from 7860 on)",
    )
    add("--share", action="store_true", help="also make a public link through Gradio's servers")
    add(
        "--allow-hub",
        action="store_true",
        default=os.environ.get("GAN_DEMO_ALLOW_HUB") == "1",
        help="let visitors open public repositories of the Hub by name (or set GAN_DEMO_ALLOW_HUB=1)",
    )
    add(
        "--allow-training",
        action=argparse.BooleanOptionalAction,
        help="let visitors train, one at a time (default: only where this machine alone can reach the page)",
    )
    add(
        "--data",
        type=given,
        default="data",
        metavar="PATH",
        help="data folder of a training on the page (default: %(default)s)",
    )
    add("--out", type=path, default="runs", metavar="DIR", help="where its run folder goes (default: %(default)s)")
    options = parser.parse_args(arguments)
    options.host = options.host.strip("[]")  # of an IPv6 address, as a browser wants it
    alone = is_loopback(options.host) and not (on_a_space or options.share)
    options.private = alone and options.allow_training is None  # who allows it expressly may have a proxy before it
    if options.allow_training is None:
        options.allow_training = alone
    return options


def main(arguments: list[str] | None = None) -> int:
    """Open the runs and serve the page until Ctrl+C; the exit status is 2 where that cannot be done."""
    give_up = time.monotonic() + HUB_SECONDS
    options = parse(arguments)
    live = Live(options.out, options.data, private=options.private) if options.allow_training else None
    if live:
        end_with(live)
    try:
        library = Library(map(os.path.expanduser, options.runs or default_sources()), options.allow_hub)

        from gan_demo.ui.page import serve  # after the runs: a wrong source is told before seconds of import

        library.settle(give_up - time.monotonic())
        for sentence in library.problems():
            print(f"app.py: {sentence}", file=sys.stderr)
        serve(library, live, options.host, options.port, options.share)
    except GanDemoError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the page is there, which ends by itself
        print("app.py: interrupted", file=sys.stderr)
        return 130
    finally:
        if live:
            live.close()
    return 0


def end_with(live: Live) -> None:
    """Have SIGTERM, or a terminal that closes, end what trains, its state saved, before it ends this process."""

    def end(number: int, _: object) -> None:
        live.close()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP, and nohup wants none
        if number and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)


def default_sources() -> list[str]:
    """The runs of GAN_DEMO_RUNS, comma-separated; where it is unset, those that ship with the code.

    Raises GanDemoError where those are gone.
    """
    named = [source.strip() for source in os.environ.get("GAN_DEMO_RUNS", "").split(",")]
    if chosen := [source for source in named if source]:
        return chosen
    return [str(path) for path in sorted(folders(CHECKPOINTS), key=lambda path: (path.name != FIRST, path.name))]


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        ENDING.set()  # the interpreter waits for what the Hub is sending: let no file begin
