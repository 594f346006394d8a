"""What a contributor would lose: a repository that stays as it claims to be."""

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

import app
import train
from gan_demo import card, data, judge, recipes
from gan_demo.run import Run

FLOORS = {
    "errors": 0, "install": 0, "needed": 0, "arguments": 0, "machine": 0,
    "lock": 1, "files": 1, "datasets": 1, "pictures": 1,
    "recipe": 1, "recipes": 1, "latents": 1, "weights": 1, "film": 1, "wire": 1, "illustrations": 1, "points": 1,
    "control": 2, "networks": 2, "losses": 2, "augment": 2, "capture": 2, "data": 2, "ema": 2, "parallel": 2,
    "devices": 2, "config": 2, "run": 3, "naming": 3, "gan": 3, "batches": 3, "inference": 3, "cost": 3,
    "training": 4, "resume": 4, "live": 4, "judge": 4, "player": 4, "hub": 4, "card": 4, "precision": 4,
    "ui": 5, "publish": 5, "reproduce": 5, "job": 6, "benchmark": 6,
}  # fmt: skip
PAIRS = {
    ("training", "resume"), ("resume", "training"),  # one room's two halves
    ("recipes", "recipe"),  # the table, and what its rows are
    ("player", "hub"),  # open_run takes a Hub id
    ("naming", "run"),  # a run's files are a repository's
}  # fmt: skip

TRAINING = ("training", "resume", "losses", "gan", "ema", "augment", "capture", "parallel", "precision", "judge", "job")


def tracked(*patterns: str) -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name]


@pytest.mark.parametrize("command", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]])
def test_lint_format_and_types(command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def imported(path: Path) -> set[str]:
    """Modules that a file imports anywhere but under TYPE_CHECKING."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node) for block in ast.walk(tree) if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }  # fmt: skip
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_data_flows_one_way_through_the_floors():
    for path in tracked("gan_demo/*.py"):
        room = path.relative_to(ROOT / "gan_demo").parts[0].removesuffix(".py")
        if room.startswith("__"):
            continue
        for name in imported(path):
            if not name.startswith("gan_demo."):
                continue
            other = name.split(".")[1]
            if other in FLOORS and other != room and (room, other) not in PAIRS:
                assert FLOORS[other] < FLOORS[room], f"{path}: {name}"


def test_the_core_knows_no_web_and_the_web_no_training():
    for path in tracked("gan_demo/*.py"):
        names = imported(path)
        if "ui" in path.parts:
            rooms = {name.split(".")[1] for name in names if name.startswith("gan_demo.")}
            assert not rooms & set(TRAINING), path
        elif "benchmark" not in path.parts:
            assert not any(name.split(".")[0] in ("gradio", "gradio_client") for name in names), path


def test_what_is_imported_is_what_requirements_txt_installs():
    wanted = re.findall(r"^[\w-]+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    come_along = {"starlette": "gradio", "yaml": "huggingface-hub", "spaces": "gradio"}  # the last on a Space alone
    names = {"PIL": "pillow", "huggingface_hub": "huggingface-hub"} | come_along
    for path in tracked("app.py", "train.py", "gan_demo/*.py"):
        if "benchmark" not in path.parts:
            rooms = {name.split(".")[0] for name in imported(path)} - sys.stdlib_module_names - {"gan_demo"}
            assert {names.get(room, room) for room in rooms} <= set(wanted), path


def test_checkpoints_keep_their_budget_and_open():
    files = tracked("checkpoints")
    assert sum(path.stat().st_size for path in files) < 160 * 2**20
    assert max(path.stat().st_size for path in files) < 10e6
    assert not [path for path in files if "state" in path.parts]
    folders = {path.parent for path in files if path.name == "config.json"}
    assert folders
    for folder in folders:
        run = Run(folder)
        assert len(run.steps) >= 16 and run.steps[0] == 0 and run.steps[-1] == run.config.steps
        ready = json.loads((folder / "film.json").read_text())
        assert ready["revision"] == run.revision and ready["steps"] == run.steps
        for step in run.steps:
            run.read_snapshot(step)
        named = {"index.json", *(snapshot.file for snapshot in run.snapshots)}
        assert {path.name for path in (folder / "snapshots").iterdir()} == named


def test_the_shipped_cards_say_what_the_code_says_today():
    for path in tracked("checkpoints/*/README.md"):
        run = Run(path.parent)
        assert card.text(run, run.read_metrics(), existing=path.read_text()) == path.read_text(), path


def test_the_table_of_recipes_is_the_one_that_runs():
    assert (ROOT / "gan_demo" / "RECIPES.md").read_text() == recipes.markdown()


def test_the_readmes_commands_are_understood():
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    programs = {"train.py": train.parse, "app.py": app.parse}
    found = [
        (program, words[words.index(program) + 1 :]) for words in lines for program in programs if program in words
    ]
    assert {program for program, _ in found} == set(programs) and len(found) > 10
    for program, arguments in found:
        options = programs[program](arguments)
        if getattr(options, "recipe", None):
            data.on(recipes.get(options.recipe).having(options.option), options.dataset)


ROW = re.compile(
    r"^\| `([\w-]+)(?: --with ([\w-]+))?` \|.*\| ([\d.]+) at step ([\d,]+)(?:; ([\d.]+)%)?[^|]*\| ([\d.]+) \|$",
    re.MULTILINE,
)


def test_the_readmes_table_of_shipped_runs_says_what_was_measured():
    found = {name: facts for name, *facts in ROW.findall((ROOT / "README.md").read_text())}
    assert set(found) == {path.parent.name for path in (ROOT / "checkpoints").glob("*/metrics.json")}
    for name, (option, value, step, accuracy, floor) in found.items():
        run = Run(ROOT / "checkpoints" / name)
        metrics = run.read_json("metrics.json")
        rows = metrics["snapshots"]
        best = min(rows, key=lambda row: row[metrics["measure"]])
        assert int(step.replace(",", "")) == best["step"] == metrics["best"], name
        assert is_rounded(value, best[metrics["measure"]]) and is_rounded(floor, metrics["floor"]), name
        assert bool(accuracy) == ("accuracy" in best), name
        assert not accuracy or is_rounded(accuracy, 100 * best["accuracy"]), name
        assert recipes.get(name).option_of(run.config.as_recipe()) == (option or None), name


def test_the_readmes_other_figures_of_what_is_shipped_are_the_measured_ones():
    """How good the judges are, what class guidance does, how large the shipped runs are."""
    readme = (ROOT / "README.md").read_text()
    judges = re.findall(r"^\| ([\w-]+) \| ([\d.]+)% of ([\d,]+) \(", readme, re.MULTILINE)
    assert len(judges) == len(judge.WIDTHS)
    for title, accuracy, tested in judges:
        made = judge.Judge(title.lower().replace("cifar-10", "cifar10"))
        assert is_rounded(accuracy, 100 * made.accuracy) and int(tested.replace(",", "")) == made.tested
    table = readme[readme.index("| guidance | 1 | 1.25 | 1.5 | 2 |") :].partition("\n\n")[0]
    found = {row.split("`")[1].split()[0]: row.split(" | ")[1:] for row in table.splitlines()[2:]}
    metrics = {path.parent.name: json.loads(path.read_text()) for path in app.CHECKPOINTS.glob("*/metrics.json")}
    assert set(found) == {name for name, of_run in metrics.items() if "guidance" in of_run}
    for name, cells in found.items():
        rows = {row["guidance"]: row for row in metrics[name]["guidance"]}
        for guidance, cell in zip((1, 1.25, 1.5, 2), cells, strict=True):
            distance, accuracy, diversity = (part.strip(" %|") for part in cell.split(";"))
            assert is_rounded(distance, rows[guidance]["frechet"]), (name, guidance)
            assert is_rounded(accuracy, 100 * rows[guidance]["accuracy"]), (name, guidance)
            assert is_rounded(diversity, rows[guidance]["diversity"]), (name, guidance)
    size = re.search(r"`checkpoints/`; its largest file; [^|]*\| ([\d.]+) MiB; ([\d.]+) MB;", readme)
    bytes_of = [path.stat().st_size for path in tracked("checkpoints")]
    assert size and is_rounded(size[1], sum(bytes_of) / 2**20) and is_rounded(size[2], max(bytes_of) / 1e6)


def is_rounded(text: str, value: float) -> bool:
    """Whether a printed number is that value, as far as it is printed."""
    return abs(float(text) - value) < 0.501 * 10.0 ** -len(text.partition(".")[2])


def test_the_readmes_front_matter_and_pictures_are_true():
    text = (ROOT / "README.md").read_text()
    front = dict(re.findall(r"^(\w+): (.*)$", text.split("---")[1], re.MULTILINE))
    needed = map(Requirement, (ROOT / "requirements.txt").read_text().split())
    assert front["sdk"] == "gradio" and front["app_file"] == "app.py"
    assert front["sdk_version"] in next(one.specifier for one in needed if one.name == "gradio")
    assert "python3 -m gan_demo" in text and "python3 tests" in text
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("\npython3 tests")
    for picture in re.findall(r"!\[[^]]*\]\((?!http)([^)]+)\)", text):
        assert (ROOT / picture).exists(), picture
