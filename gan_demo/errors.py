"""The one exception that reaches a person, and what of a sentence is no stranger's business."""

from pathlib import Path


class GanDemoError(ValueError):
    """One line for a person: what is wrong, where, and what would work.

    `train.py` and `app.py` print it and exit with status 2; the page shows it as a sentence.
    """


def without_path(sentence: str, path: Path, name: str) -> str:
    """The sentence with a name for a path of this machine; "." is none, and stands in every sentence."""
    return sentence.replace(str(path), name) if path.name else sentence
