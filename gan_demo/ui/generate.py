"""The second tab: a grid of generated images, each with its own seed."""

from gan_demo.ui.piece import piece


def build() -> None:
    """Lay the tab out; generate.js fills it from the page's state."""
    piece("generate", elem_id="generate")
