"""The fourth tab, where the host allows it: a training before everybody's eyes."""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent


def build() -> None:
    """Lay the tab out; live.js asks what runs, and follows it."""
    gr.HTML(
        html_template=(HERE / "live.html").read_text(encoding="utf-8"),
        js_on_load=(HERE / "live.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id="live",
    )
