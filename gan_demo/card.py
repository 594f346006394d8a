"""The model card: README.md of a run folder, filled with what was measured, around what a person wrote in it."""

import html
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from gan_demo import illustrations
from gan_demo.datasets import DATASETS
from gan_demo.machine import duration
from gan_demo.recipe import HYPERPARAMETERS, OWN, facts_table
from gan_demo.recipes import RECIPES
from gan_demo.run import Run

START = (
    "<!-- gan-demo: a push writes this part anew, down to the line that ends it; all else here stays as you left it -->"
)
END = "<!-- gan-demo: the end of that part -->"
OURS = re.compile(re.escape(START) + r"\n(?:(?!" + re.escape(START) + r").)*?" + re.escape(END), re.DOTALL)
KEY = re.compile(r"^(?=(?:#.*\n)*(?:[^\s#-]|\Z))", re.MULTILINE)  # where a key begins, with the comments above it
FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$\n?", re.DOTALL | re.MULTILINE)
MAX_FRAME = 640  # pixels of a frame of the animation, which a card shows 256 wide; there may be a thousand
ABOUT = ("license", "datasets", "tags")  # the keys of the front matter that say what was trained on what
# A data set's name on the Hub, and the licence that weights trained on it may carry; "unknown" where none is stated.
ON_THE_HUB = {
    "mnist": ("ylecun/mnist", "unknown"),
    "fashion-mnist": ("zalando-datasets/fashion_mnist", "mit"),
    "cifar10": ("uoft-cs/cifar10", "unknown"),
}
MEASURES = {
    "frechet": "Frechet distance in the judge's features",
    "swd": "sliced Wasserstein distance, times 1,000",
    "accuracy": "share of pictures that show the class asked for",
    "diversity": "diversity within the classes (1 is that of real images)",
}


def write(run: Run, metrics: dict[str, Any] | None) -> None:
    """Write README.md and its pictures from the run and `metrics` (those of judge.evaluate, or None).

    What a person wrote into the folder's card stays.
    """
    illustrate(run, metrics)
    path = run.path / "README.md"
    run.write(
        "README.md",
        text(run, metrics, existing=path.read_text(encoding="utf-8", errors="replace") if path.exists() else None),
    )


def illustrate(run: Run, metrics: dict[str, Any] | None) -> None:
    """Write samples/training.webp, the fixed latents through all snapshots, and curves.png."""
    samples = [run.path / f"samples/step-{step:08d}.png" for step in run.steps]
    frames = []
    for path in filter(Path.exists, samples):
        # A damaged one is left out; one at a time, for a process may have few files open.
        with suppress(OSError, SyntaxError, ValueError), Image.open(path) as frame:  # what Pillow raises for such
            frame.thumbnail((MAX_FRAME, MAX_FRAME))
            frames.append(frame.copy())
    if frames:
        run.write("samples/training.webp", illustrations.animation(frames))
    if picture := illustrations.curves(run.read_history(), metrics, {one.step: one.seconds for one in run.snapshots}):
        run.write("curves.png", picture)


def text(run: Run, metrics: dict[str, Any] | None, repo_id: str | None = None, existing: str | None = None) -> str:
    """The card of a run, for the repository `repo_id` where it has one, merged into the `existing` card.

    Our part stands between two comments and is replaced; what stands around them, and every key of the front matter
    that a person set, stays. Only our figures in `model-index` are renewed.
    """
    ours = f"{START}\n{_body(run, metrics, repo_id)}\n{END}"
    metadata = _metadata(run, metrics, repo_id)
    existing = (existing or "").lstrip("\ufeff").replace("\r\n", "\n")
    if not existing.strip():
        return _dump(metadata) + ours + "\n"
    front = FRONT.match(existing)
    theirs = existing[front.end() :] if front else existing
    found = list(OURS.finditer(theirs))
    if found:
        at = found[-1]
        theirs = theirs[: at.start()] + ours + theirs[at.end() :]
    else:
        theirs = (theirs.rstrip() + "\n\n" if theirs.strip() else "") + ours + "\n"
    names = {_plain(run.config.name), *(repo_id or "").split("/")[1:]}  # the folder's own card knows no repository
    return _merged(metadata, front, names) + theirs


def lost(run: Run, card: str, renewed: str) -> list[str]:
    """What a person wrote into a run's card and the renewed one lacks: lines around our part, front matter's keys."""
    (front, words), (new_front, new_words) = _own(card), _own(renewed)
    ours = _metadata(run, None, None)
    keys = [key for key, value in front.items() if value not in (new_front.get(key), ours.get(key))]
    return [line for line in words if line not in new_words] + [f"{key}: {front[key]}" for key in keys]


def _own(card: str) -> tuple[dict[str, Any], list[str]]:
    """A card's front matter without our figures, and the lines around our part."""
    text = card.lstrip("\ufeff").replace("\r\n", "\n")
    front = FRONT.match(text)
    keys = (_load(front[1]) or {}) if front else {}
    lines = OURS.sub("", text[front.end() if front else 0 :]).splitlines()
    return {key: keys[key] for key in keys if key != "model-index"}, [line for line in lines if line.strip()]


# ---------------------------------------------------------------- front matter


def _metadata(run: Run, metrics: dict[str, Any] | None, repo_id: str | None) -> dict[str, Any]:
    dataset, licence = ON_THE_HUB.get(run.config.dataset, (None, "unknown"))
    metadata: dict[str, Any] = {
        "license": licence,
        "library_name": "gan-demo",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["gan", _plain(run.config.recipe)],
    }
    if dataset:
        metadata["datasets"] = [dataset]
    return metadata | (_model_index(run, metrics, repo_id, dataset) if metrics else {})


def _model_index(run: Run, metrics: dict[str, Any], repo_id: str | None, dataset: str | None) -> dict[str, Any]:
    """The last snapshot's figures as `model-index`; none where huggingface_hub is missing or too old to write it."""
    try:
        from huggingface_hub import EvalResult, ModelCardData
    except ImportError:
        return {}
    known = DATASETS.get(run.config.dataset)
    last = metrics["snapshots"][-1]
    results = [
        EvalResult(
            task_type="unconditional-image-generation",
            dataset_type=dataset or _plain(run.config.dataset),
            dataset_name=known.title if known else "a person's own pictures",
            metric_type=name,
            metric_name=f"{MEASURES[name]}, {metrics['images']:,} images, step {last['step']:,}",
            metric_value=last[name],
        )
        for name in MEASURES
        if name in last
    ]
    name = repo_id.split("/")[1] if repo_id else _plain(run.config.name)
    return {"model-index": ModelCardData(model_name=name, eval_results=results).to_dict()["model-index"]}


def _merged(ours: dict[str, Any], front: re.Match[str] | None, names: set[str]) -> str:
    """Front matter with every line that is theirs, the keys that it lacks, and our figures renewed.

    `names`: those of the run, without a repository and in it.
    """
    if not front:
        return _dump(ours)
    theirs, as_it_is = _load(front[1]), front[0].removesuffix("\n") + "\n"
    if theirs is None:  # it cannot be read: what a person broke, a person mends
        return as_it_is
    outdated = {key for key in ABOUT if theirs.get(key) != ours.get(key)} if _is_of_a_run(theirs) else set()
    added = {key: value for key, value in ours.items() if key not in theirs or key in outdated}
    if "model-index" in theirs:
        renewed = _renewed(ours.get("model-index", []), theirs["model-index"], names)
        if renewed != theirs["model-index"]:
            outdated.add("model-index")
            added |= {"model-index": renewed} if renewed else {}
    lines = "".join(part for part in KEY.split(front[1]) if part.partition(":")[0] not in outdated)
    if not (added or outdated):
        return as_it_is
    return "---\n" + lines + (_dump(added).removeprefix("---\n") if added else "---\n")


def _load(lines: str) -> dict[str, Any] | None:
    try:
        import yaml
    except ImportError:
        return None
    try:
        loaded = yaml.safe_load(lines) or {}
    except (yaml.YAMLError, ValueError):  # the latter of a date that is none
        return None
    return loaded if isinstance(loaded, dict) else None


def _is_of_a_run(theirs: dict[str, Any]) -> bool:
    """Whether ABOUT stands there as we write it of one run or another, and so was chosen by no person."""
    kinds = [(licence, [dataset]) for dataset, licence in ON_THE_HUB.values()] + [("unknown", None)]
    tags = [["gan", name] for name in RECIPES]
    return (theirs.get("license"), theirs.get("datasets")) in kinds and theirs.get("tags") in tags


def _renewed(ours: list[dict[str, Any]], theirs: Any, names: set[str]) -> list[dict[str, Any]]:
    """Our results, with those of other measures and models that a person added; an unjudged run has none of ours."""
    if not (isinstance(theirs, list) and all(isinstance(model, dict) for model in theirs)):
        return ours

    def is_same(model: dict[str, Any]) -> bool:  # it may have been pushed under another name before
        results = model.get("results")
        return model.get("name") in names or (
            isinstance(results, list) and results != [] and all(map(_is_ours, results))
        )

    others = [model for model in theirs if not is_same(model)]
    same = [model for model in theirs if is_same(model)]
    added = [result for model in same for result in model.get("results") or [] if not _is_ours(result)]
    if ours:
        return [{**ours[0], "results": [*ours[0]["results"], *added]}, *others]
    return [*([{**same[0], "results": added}] if added else []), *others]


def _is_ours(result: Any) -> bool:
    """Whether a result was written here, of this run or an earlier one: our measures under the names that we give."""
    found = result.get("metrics") if isinstance(result, dict) else None
    return isinstance(found, list) and all(
        isinstance(one, dict)
        and one.get("type") in MEASURES
        and str(one.get("name", "")).startswith(f"{MEASURES[one['type']]}, ")
        for one in found
    )


def _dump(metadata: dict[str, Any]) -> str:
    try:
        import yaml
    except ImportError:  # JSON is YAML too
        import json

        lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in metadata.items())
    else:
        lines = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{lines}---\n"


def _plain(name: str) -> str:
    """A name that cannot end the front matter, or begin anything in it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80]


# ---------------------------------------------------------------- what it says


def escape(name: object) -> str:
    """A name that anybody may have chosen, as one line of Markdown that shows it and does nothing."""
    line = " ".join(str(name).split())[:200]
    return html.escape(re.sub(r"([\\`*_{}\[\]()#!|~:@])", r"\\\1", line))


def _body(run: Run, metrics: dict[str, Any] | None, repo_id: str | None) -> str:
    config, recipe = run.config, run.config.as_recipe()
    last = run.snapshots[-1]
    parts = [
        f"# {escape(config.name)}",
        f"{escape(recipe.title)}: {config.steps:,} steps, {last.images:,} images seen ({_times(last.epoch)} of the "
        f"recipe's {recipe.epochs} epochs), {duration(config.seconds)} on {escape(config.device)} in "
        f"{escape(config.precision)}, seed {config.seed}. The generator at {len(run.snapshots)} steps of its training "
        "is here, so that the training can be replayed for any seed.",
        _pictures(run),
        "## Load it\n\nThis needs a clone of the code that trained it, which no package index has. There `python "
        f"app.py --runs {repo_id or 'path/to/this/folder'}` replays the training in a browser; from Python:\n\n"
        "```python\nfrom gan_demo import open_run\n\n"
        f'player = open_run("{repo_id or "path/to/this/folder"}")\n'
        f"pictures = player.generate(range(16))  # uint8 (16, {', '.join(map(str, config.image_shape))})\n```",
        f"## Figures\n\n{_figures(run, metrics)}",
        _guidance(run, metrics),
        "![loss by step, quality by time](curves.png)" if (run.path / "curves.png").exists() else "",
        f"## Recipe\n\nWhat was published, and what the recipe runs.\n\n{facts_table(recipe)}" if recipe.facts else "",
        _otherwise(run),
        _options(run),
        f"## Data\n\n{_data(run)}",
        f"## Limits\n\n{_limits(run, metrics)}",
    ]
    return "\n\n".join(part for part in parts if part)


def _pictures(run: Run) -> str:
    cells = {
        f"the fixed latents at step {run.config.steps:,}": f"samples/step-{run.config.steps:08d}.png",
        "real images": "samples/real.png",
        "the training": "samples/training.webp",
    }
    there = {title: name for title, name in cells.items() if (run.path / name).exists()}
    pictures = (f'<img src="{name}" alt="{title}" width="256">' for title, name in there.items())
    return f"| {' | '.join(there)} |\n{'| --- ' * len(there)}|\n| {' | '.join(pictures)} |" if there else ""


def _figures(run: Run, metrics: dict[str, Any] | None) -> str:
    """A table of the best and the last snapshot beside real images, or how to come by one."""
    if not metrics:
        config = run.config
        pictures = "" if config.dataset in DATASETS else " --data PICTURES"
        steps = f" --steps {config.steps}" if 0 < config.steps < config.length else ""  # as far as it came
        command = f"python train.py {escape(config.recipe)}{pictures} --out FOLDER --resume{steps}"
        return f"Not judged yet: `{command}` does it where it was trained."
    key = metrics["measure"]
    names = [name for name in metrics["snapshots"][0] if name != "step"]
    rows = {row["step"]: row for row in metrics["snapshots"]}
    shown = [("best", rows[metrics["best"]]), ("last", metrics["snapshots"][-1])]
    lines = [f"| | step | {' | '.join(names)} |", "| --- " * (len(names) + 2) + "|"]
    lines += [
        f"| {what} | {row['step']:,} | {' | '.join(f'{row[name]:.4g}' for name in names)} |" for what, row in shown
    ]
    floor = " | ".join(f"{metrics['floor']:.4g}" if name == key else "" for name in names)
    lines.append(f"| real images | | {floor} |")
    meaning = MEASURES | {"classes": "how many of them make up 1% of the pictures or more"}
    meant = "; ".join(f"{name}: {meaning[name]}" for name in names if name in meaning)
    after = "" if metrics["best"] == shown[1][1]["step"] else " The best came before the last: the page opens there."
    (_, best), (_, last) = shown
    if last.get("classes", 0) < best.get("classes", 0):
        after += (
            f" Of the {best['classes']:.0f} classes that are seen there {last['classes']:.0f} are left at the end: "
            "each of the others makes up less than 1% of the pictures."
        )
    judge = f"Judge: {escape(metrics['judge'])}; {metrics['images']:,} images."
    return "\n".join(lines) + f"\n\n{judge} {meant}. The less {key}, the better.{after}"


def _guidance(run: Run, metrics: dict[str, Any] | None) -> str:
    """A table of the best snapshot by guidance, of a conditional run that was judged."""
    rows = (metrics or {}).get("guidance")
    if not metrics or not rows:
        return ""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]
    lines += [f"| {' | '.join(f'{row[name]:.4g}' for name in names)} |" for row in rows]
    own = run.config.as_recipe().guidance
    return (
        f"By class guidance, at step {metrics['best']:,}: 1 is the class as it was trained, more puts it further from "
        f"the mean of all classes. Where none is asked for it is {own:g}, in the table above, too. The page has a knob "
        "for it; in Python it is `player.generate([1, 2, 3], guidance=1.5)`.\n\n" + "\n".join(lines)
    )


def _otherwise(run: Run) -> str:
    """What this run has otherwise than the table of its recipe; of what was turned while it trained the last value."""
    if run.config.recipe not in RECIPES:
        return ""
    ran = run.config.as_recipe()
    planned = RECIPES[run.config.recipe].as_in(ran).at(ran.dataset)
    # Any of them: the recipe may have changed since.
    names = dict.fromkeys((*OWN, "guidance", "image_size", "latent_size", *HYPERPARAMETERS))
    values = {name: (getattr(ran, name), getattr(planned, name)) for name in names if name != "epochs"}
    told = {name: value for name, (value, usual) in values.items() if value != usual}
    other = "; ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in told.items())
    return f"Otherwise than in the table, this run has: {other}." if other else ""


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return " and ".join(map(_value, value)) or "none"
    return f"{value:.10g}" if isinstance(value, int | float) else escape(value)


def _options(run: Run) -> str:
    """The options of the recipe, where the run was made without any."""
    recipe = RECIPES.get(run.config.recipe)
    if recipe is None or recipe.option_of(run.config.as_recipe()):
        return ""
    return "\n\n".join(
        f"`python train.py {recipe.name} --with {name}`: {option.why}." for name, option in recipe.options.items()
    )


def _data(run: Run) -> str:
    config, dataset = run.config, DATASETS.get(run.config.dataset)
    times = run.snapshots[-1].images / config.dataset_images
    data = f"{dataset.title}; licence: {dataset.licence}" if dataset else "A person's own pictures; licence: not known"
    classes = f" Classes: {', '.join(map(escape, config.classes))}." if config.classes else ""
    return f"{data}. {config.dataset_images:,} images, each seen {_times(times)} times.{classes}"


def _times(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _limits(run: Run, metrics: dict[str, Any] | None) -> str:
    height, width, _ = run.config.image_shape
    told = "of the classes above and no others" if run.config.classes else "and cannot be told which"
    lines = [
        f"It makes pictures of {height}x{width} pixels, like its data and with its data's bias, {told}.",
        "A picture may be close to one that it was trained on: nothing here prevents that.",
    ]
    if metrics and metrics["measure"] == "frechet":
        lines.append("The Frechet distance is taken in the features of a small classifier: it compares with no FID.")
    return " ".join(lines)
