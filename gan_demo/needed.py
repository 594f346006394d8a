"""Imported before all else by the programs: one line where this Python has not the packages that they need."""

import sys
from importlib.util import find_spec

if not find_spec("numpy"):
    print(
        "the packages are not in this Python: use that of .venv (`. .venv/bin/activate`, on Windows "
        r"`.venv\Scripts\activate`), or make it with `python3 -m gan_demo`",
        file=sys.stderr,
    )
    sys.exit(2)
