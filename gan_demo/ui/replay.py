"""The first tab: the visitor's own seed through every snapshot of the training."""

from gan_demo.ui.piece import piece


def build() -> None:
    """Lay the tab out. It has no input of its own: replay.js follows the page's state."""
    piece("film", elem_id="film", kind="replay")
