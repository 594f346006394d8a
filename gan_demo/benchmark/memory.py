"""What the app keeps in memory with every run opened: its films, its discriminators, a picture of each."""

from collections.abc import Iterator

from gan_demo.benchmark.report import Figure, Options, Row
from gan_demo.benchmark.server import Server, serving


def measure(options: Options) -> Iterator[Row]:
    with serving("app.py", "--runs", options.runs) as app:
        app.wait()
        empty = app.memory()
        keys = app.keys()
        open_all(app, keys)
        full, files, peak = app.memory(), app.memory("RssFile"), app.memory("VmHWM")
    told = "" if full else "no /proc here"
    yield Figure("resident when the page is first answered", empty, "MiB", note=told)
    yield Figure(f"resident with {len(keys)} runs opened", full, "MiB", "1,229 MiB", told)
    yield Figure("of that, files of the libraries, which processes share", files, "MiB", note=told)
    yield Figure("at its highest", peak, "MiB", note=told)


def open_all(app: Server, keys: list[str]) -> None:
    """Ask for a new film of each run, and for its discriminator's verdict."""
    for key in keys:
        film = app.film_url(key)
        app.get(f"{film}12345")
        app.get(film.replace("film.webp", "grid.json") + "12345")
