"""A piece of the page of our own making: its HTML, and what runs once it is there, are files beside this one."""

from pathlib import Path
from typing import Any

import gradio as gr

HERE = Path(__file__).parent


def piece(name: str, elem_id: str, script: str | None = None, **props: Any) -> gr.HTML:
    """NAME.html as a component; `script`, or else NAME.js where there is one, runs when it has been put on the page.

    It takes no value from Python. `props` are what the script reads as its own. A function and no subclass: Gradio
    writes a stub file beside the source of every subclass of a component.
    """
    own = HERE / f"{name}.js"
    return gr.HTML(
        html_template=(HERE / f"{name}.html").read_text(encoding="utf-8"),
        js_on_load=script or (own.read_text(encoding="utf-8") if own.exists() else None),
        apply_default_css=False,
        elem_id=elem_id,
        **props,
    )
