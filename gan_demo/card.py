"""The model card: README.md of a run folder, filled with what was measured."""

from typing import Any

from gan_demo.data import DATASETS
from gan_demo.machine import duration
from gan_demo.recipes import facts_table
from gan_demo.run import Run

FRONT_MATTER = """---
library_name: gan-demo
pipeline_tag: unconditional-image-generation
tags: [gan, {tag}]
---
"""


def write(run: Run, metrics: dict[str, Any] | None) -> None:
    """Write README.md from the run's config, its last samples and `metrics` (those of judge.evaluate, or None)."""
    config, recipe = run.config, run.config.as_recipe()
    dataset = DATASETS.get(config.dataset)
    data = f"{dataset.title}; licence: {dataset.licence}" if dataset else "a person's own pictures"
    times = run.snapshots[-1].images / config.dataset_images
    sections = [
        FRONT_MATTER.format(tag=config.recipe) + f"# {config.name}",
        f"{recipe.title}: {config.steps:,} steps of {recipe.batch_size} images ({run.snapshots[-1].epoch:.3g} epochs, "
        f"published: {recipe.epochs}), {duration(config.seconds)} on {config.device} in {config.precision}, "
        f"seed {config.seed}. {len(run.snapshots)} snapshots of its training are here, to be replayed.",
        f"| the fixed latents at step {config.steps:,} | real images |\n| --- | --- |\n"
        f"| ![samples](samples/step-{config.steps:08d}.png) | ![real images](samples/real.png) |",
        "## Load it\n\n```python\nfrom gan_demo import open_run\n\n"
        f'player = open_run("{config.name}")\npictures = player.generate(range(16))  # uint8 (16, H, W, C)\n```',
        "## Figures\n\n" + (_figures(metrics) if metrics else "Not judged yet: `train.py --resume` does it."),
        f"## Recipe\n\n{facts_table(recipe)}" if recipe.facts else "",
        f"## Data\n\n{data}. {config.dataset_images:,} images, each seen {times:.3g} times.",
        "## Limits\n\nIt makes pictures like its data and no others, at the data's size, with the data's own bias.",
    ]
    run.write("README.md", "\n\n".join(section for section in sections if section) + "\n")


def _figures(metrics: dict[str, Any]) -> str:
    """A table of the best and the last snapshot beside real images."""
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
    return "\n".join(lines) + f"\n\nJudge: {metrics['judge']}; {metrics['images']:,} images."
