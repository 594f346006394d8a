"""`python3 tests`: install what the tests need, a browser included, then run them with pytest's options given."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gan_demo import install


def has_browser() -> bool:
    """Whether Debian's Chromium is here, or one that the tests were told of."""
    return bool(os.environ.get("GAN_DEMO_BROWSER") or shutil.which("chromium"))


if __name__ == "__main__":
    python = install.python_with("requirements.txt", "tests/requirements.txt")
    if not has_browser():
        try:
            subprocess.run([python, "-m", "playwright", "install", "chromium"], check=True)
        except subprocess.CalledProcessError as error:
            print(
                f"the browser could not be fetched (status {error.returncode}): check the network, or name one that is "
                "here with GAN_DEMO_BROWSER",
                file=sys.stderr,
            )
            sys.exit(2)
        except KeyboardInterrupt:
            sys.exit(130)
    # A file at a time to either of two processes, the longest first: a browser's test waits half of its time.
    sharing = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    sys.exit(install.run(python, "-m", "pytest", *sharing, *sys.argv[1:]))
