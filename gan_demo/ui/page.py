"""The page: one row of inputs that all tabs share, the tabs below it, and the server that shows them."""

import json
import os
import socket
import threading
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from gan_demo.errors import GanDemoError
from gan_demo.live import Live
from gan_demo.ui import generate, replay, stage, walk
from gan_demo.ui import live as live_tab
from gan_demo.ui.endpoints import declare_zero_gpu, endpoints
from gan_demo.ui.guard import Guard, dress_node
from gan_demo.ui.library import Library
from gan_demo.ui.piece import HERE, piece
from gan_demo.ui.routes import routes
from gan_demo.ui.theme import theme

SCRIPTS = (
    "state.js",
    "frame.js",
    "words.js",
    "pictures.js",
    "library.js",
    "curves.js",
    "video.js",
    "replay.js",
    "painting.js",
    "snapshot.js",
    "parcels.js",
    "livestage.js",
    "knobs.js",
    "talk.js",
)
STYLES = (
    "page.css",
    "masthead.css",
    "dialogs.css",
    "film.css",
    "tabs.css",
    "generate.css",
    "walk.css",
    "live.css",
    "waiting.css",
    "talk.css",
    "contrast.css",
)
TABS = {"replay": replay, "generate": generate, "walk": walk, "live": live_tab}
QUEUE_SECONDS = (
    0.05  # between two looks at who waits for a named endpoint: Gradio's thousand a second take 8% of a core
)
TITLE = "GAN, replayed"
WHAT = "Watch two networks learn to draw"


def build(library: Library, live: Live | None = None) -> gr.Blocks:
    """The page over a library of runs. All that a visitor chooses stays in the visitor's browser."""
    titles = library.titles()
    classes = next((run.config.classes for run in library.runs.values()), None)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)) as page:
        with gr.Row(elem_id="masthead"):
            gr.HTML(f"<h1>{TITLE}</h1><p>{WHAT}</p>", elem_id="title", apply_default_css=False, js_on_load=None)
            model = gr.Dropdown([(titles[key], key) for key in titles], label="Run", elem_id="model", min_width=220)
            if library.allow_hub:
                piece("open", elem_id="open")
            seed = gr.Number(0, label="Seed", precision=0, elem_id="seed", min_width=130)
            random = gr.Button("Random", elem_id="random", min_width=96)
            chosen = gr.Dropdown(
                [("mixed", -1), *((name, index) for index, name in enumerate(classes or ()))],
                value=-1,
                label="Class",
                elem_id="class",
                min_width=150,
            )
            piece("tools", elem_id="tools")
        notice = piece("notice", "notice", "gan.attach((event) => trigger(event)); // it asks for: 'restore'")
        with gr.Tabs(elem_id="tabs") as tabs:
            for name, tab in TABS.items():
                if name == "live" and live is None:
                    continue
                with gr.Tab(name.capitalize(), id=name) as front:
                    tab.build()
                front.select(fn=None, js=f"() => gan.input('tab', '{name}')")
        if not library.runs:
            piece("waiting", elem_id="waiting")

        model.change(fn=None, inputs=model, js="(value) => gan.input('model', value)")
        seed.change(fn=None, inputs=seed, js="(value) => gan.input('seed', value)")
        chosen.change(fn=None, inputs=chosen, js="(value) => gan.input('class', value)")
        random.click(fn=None, outputs=seed, js="() => gan.randomSeed()")
        notice.restore(fn=None, outputs=[model, seed, chosen, tabs], js="() => gan.inputs()")
        endpoints(library, page)
    return page


def head(library: Library, on_stage: stage.Stage | None = None) -> str:
    """What stands in the page's head: the list of runs, the styles and the scripts, in that order."""
    parts = [_data("gan-library", library.listing())]
    parts += [_data("gan-live", on_stage.offers())] if on_stage else []
    parts += [f"<style>\n{(HERE / name).read_text(encoding='utf-8')}</style>" for name in STYLES]
    parts += [f"<script>\n{(HERE / name).read_text(encoding='utf-8')}</script>" for name in SCRIPTS]
    return "\n".join(parts)


def _data(elem_id: str, data: Any) -> str:
    text = json.dumps(data).replace("<", "\\u003c")  # a name must not end the script element
    return f'<script type="application/json" id="{elem_id}">{text}</script>'


def launch_options(library: Library, live: Live | None = None) -> dict[str, Any]:
    """How the page wants to be launched, wherever it is served. `live`: where visitors may train, if they may."""
    on_stage = stage.Stage(live, library) if live else None
    return {
        "theme": theme(),
        "head": head(library, on_stage),
        "app_kwargs": {
            "routes": [*(stage.routes(on_stage) if on_stage else ()), *routes(library)],
            "middleware": [Middleware(Guard)],
        },
        "footer_links": ["api"],
    }


def serve(library: Library, live: Live | None, host: str, port: int | None, share: bool) -> None:
    """Serve the page until it is interrupted; GanDemoError where that address cannot be had."""
    _check_address(host)
    _ask_no_proxy_for_this_machine(host)
    declare_zero_gpu()
    dress_node()
    page, options = build(library, live), launch_options(library, live)
    try:
        page.launch(
            server_name=f"[{host}]" if ":" in host else host,
            server_port=port,
            share=share,
            prevent_thread_lock=True,
            num_workers=0,  # GRADIO_NUM_WORKERS would have processes answer that know nothing of the routes below
            _frontend=False,  # else Gradio asks for its own page and ends in a traceback where that takes three seconds
            **options,
        )
    except OSError as error:
        where = f"port {port}" if port else "any port from 7860 on"
        raise GanDemoError(f"{host} cannot be served at {where} ({error}): choose another with --port") from None
    page._queue.sleep_when_free = QUEUE_SECONDS
    threading.Thread(target=library.warm_up, daemon=True).start()
    page.block_thread()


def _ask_no_proxy_for_this_machine(host: str) -> None:
    """Gradio asks its own server whether it answers, and would ask a company's proxy for it."""
    here = ["127.0.0.1", "localhost", "::1", host]
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), *here]))


def _check_address(host: str) -> None:
    """Raise GanDemoError where it is none of this machine's: Gradio would try it at a hundred ports, for minutes."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(address)
    except (OSError, UnicodeError):  # the latter of a name that none can be
        raise GanDemoError(
            f"{host[:60]!r} is no address of this machine: give 127.0.0.1, or 0.0.0.0 for all of them, with --host"
        ) from None
