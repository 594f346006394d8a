"""The third tab: a walk from seed to seed, as a film with another axis, or as a pad between four."""

import gradio as gr

from gan_demo.ui.piece import piece


def build() -> None:
    """Lay the tab out; walk.js fills it from the page's state and feeds the film."""
    with gr.Row(elem_id="walk-row"):
        piece("walk", elem_id="walk")
        piece("film", elem_id="walk-film", kind="walk")
