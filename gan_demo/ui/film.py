"""The film as a Gradio component: film.html, film.css and film.js beside this file are what a browser gets."""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent


def film(kind: str, elem_id: str) -> gr.HTML:
    """A film to be scrubbed, fed by `gan.films[kind]` of the page's own scripts; it takes no value from Python.

    A function and no subclass: Gradio writes a stub file beside the source of every subclass of a component.
    """
    return gr.HTML(
        html_template=(HERE / "film.html").read_text(encoding="utf-8"),
        js_on_load=(HERE / "film.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
        kind=kind,
    )
