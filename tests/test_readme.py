"""What a newcomer would lose: examples that run as they stand."""

import re

from conftest import ROOT
from PIL import Image


def examples(needle: str) -> list[str]:
    """The README's Python examples that hold a word."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [block for block in blocks if needle in block]


def test_the_gradio_client_example_runs_against_the_app(app, runs):
    (example,) = examples("gradio_client")
    names: dict = {}
    exec(example.replace("http://127.0.0.1:7860", app.url), names)
    assert names["model"] == "a-plain"
    assert Image.open(names["picture"]).size == (4 * 28, 4 * 28)
    width = names["layout"]["frame_columns"] * names["layout"]["frame_width"]
    assert Image.open(names["sheet"]).size[0] == width and len(names["layout"]["steps"]) == names["layout"]["frames"]


def test_the_player_example_runs_on_the_shipped_run(monkeypatch):
    (example,) = examples("from gan_demo import open_run")
    monkeypatch.chdir(ROOT)
    names: dict = {}
    exec(example, names)
    player, told = names["player"], re.findall(r"^(player\.\S.*?)  # (uint8) (\(.*?\))", example, re.MULTILINE)
    assert player.recipe == "dcgan-mnist" and len(told) == 3
    for call, dtype, shape in told:
        made = eval(call, names)
        assert (str(made.dtype), made.shape) == (dtype, eval(shape, {"steps": len(player.steps)}))
