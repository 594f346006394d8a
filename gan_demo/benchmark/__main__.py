"""`python -m gan_demo.benchmark [SECTION ...] [--runs SOURCE] [--json FILE]`."""

import json
import sys
from argparse import Namespace
from importlib import import_module
from pathlib import Path
from typing import Any

from gan_demo.arguments import Parser, between, minutes
from gan_demo.benchmark.machine import facts, load
from gan_demo.benchmark.report import Options, print_table
from gan_demo.benchmark.server import ROOT
from gan_demo.errors import GanDemoError

SECTIONS = {
    "start": "from python app.py to the page and to its first film, cold and warm",
    "page": "scrubbing, and a new seed's film, near and far from the server",
    "slider": "gr.Slider to gr.Image against the film, for one visitor and for twenty at once",
    "memory": "the app with every run opened",
    "load": "visitors who come at once and stay: failures, waits, memory",
    "soak": "browser sessions opened and closed: what the app keeps of them",
    "generation": "a film's arithmetic against the machine's peak, and how many threads hold under load",
    "codec": "which file brings a film to the screen soonest",
    "growth": "films, memory and page weight by snapshots, tiles, image size and runs",
    "live": "a training on the page: from the button to digits, and what other visitors notice",
    "training": "a step of each recipe beside the published eager loop with its DataLoader",
}


def parse() -> Namespace:
    """The options; a wrong one ends the program with one line and status 2."""
    parser = Parser(
        "python -m gan_demo.benchmark",
        description="Measure what a person waits for.",
        epilog="sections: " + "; ".join(f"{name}: {what}" for name, what in SECTIONS.items()),
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="what to measure (default: everything)")
    parser.add_argument(
        "--runs",
        default=str(ROOT / "checkpoints"),
        metavar="SOURCE",
        help="a run, or a folder of runs (default: the shipped ones)",
    )
    parser.add_argument(
        "--visitors",
        type=between(1, 1000),
        default=Options("").visitors,
        metavar="N",
        help="of load (default: %(default)s)",
    )
    parser.add_argument(
        "--minutes",
        type=minutes,
        default=Options("").minutes,
        metavar="N",
        help="of load and soak (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    chosen = parser.parse_args()
    chosen.sections = chosen.sections or list(SECTIONS)
    if unknown := [name for name in chosen.sections if name not in SECTIONS]:
        parser.error(f"no section is called {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    if chosen.json and (chosen.json.is_dir() or not chosen.json.parent.is_dir()):
        parser.error(f"{chosen.json} cannot be written: give a file in a folder that is there")
    return chosen


def main() -> int:
    chosen = parse()
    options = Options(chosen.runs, chosen.visitors, chosen.minutes)
    machine = facts()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    report: dict[str, Any] = {"machine": machine, "sections": {}}
    for name in chosen.sections:
        before = load()
        try:
            rows = []
            for row in import_module(f"gan_demo.benchmark.{name}").measure(options):
                print(f"  {row.name}: {row.cells()[0]}", file=sys.stderr)
                rows.append(row)
        except GanDemoError as error:
            print(f"benchmark: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("benchmark: interrupted", file=sys.stderr)
            return 130
        print(f"\n{name} (load {before} before, {load()} after)\n")
        print_table(rows)
        report["sections"][name] = {"load": [before, load()], "figures": {row.name: row.facts() for row in rows}}
        if chosen.json:
            chosen.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
