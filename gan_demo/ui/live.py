"""The fourth tab, where the host allows it: a training before everybody's eyes."""

from gan_demo.ui.piece import piece


def build() -> None:
    """Lay the tab out; live.js asks what runs, and follows it."""
    piece("live", elem_id="live")
