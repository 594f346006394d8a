"""The second tab: a grid of generated images, each with its own seed."""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent


def build() -> None:
    """Lay the tab out; generate.js fills it from the page's state."""
    gr.HTML(
        html_template=(HERE / "generate.html").read_text(encoding="utf-8"),
        js_on_load=(HERE / "generate.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id="generate",
    )
