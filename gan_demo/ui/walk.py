"""The third tab: a walk from seed to seed, as a film with another axis, or as a pad between four."""

from pathlib import Path

import gradio as gr

from gan_demo.ui.film import film

HERE = Path(__file__).parent


def build() -> None:
    """Lay the tab out; walk.js fills it from the page's state and feeds the film."""
    with gr.Row(elem_id="walk-row"):
        gr.HTML(
            html_template=(HERE / "walk.html").read_text(encoding="utf-8"),
            js_on_load=(HERE / "walk.js").read_text(encoding="utf-8"),
            apply_default_css=False,
            elem_id="walk",
        )
        film("walk", elem_id="walk-film")
