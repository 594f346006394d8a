"""What a run's card tells the page: its facts, its curves, its quality by snapshot."""

import math
from typing import Any

from gan_demo.config import is_number
from gan_demo.errors import GanDemoError
from gan_demo.points import SHAPES
from gan_demo.run import Run

CURVE_POINTS = 400  # more than a curve has pixels to show


def facts_of(run: Run) -> dict[str, Any]:
    """What a card says that stays so until the run changes."""
    config = run.config
    try:
        history = run.read_history()
    except GanDemoError:  # the curves are left out, the pictures stay
        history = []
    return {
        "name": config.name,
        "source": run.label if run.fetch else None,  # user/name@commit
        "dataset": config.dataset,
        "points": config.dataset in SHAPES,  # each image is a dot that stands for a point in the plane
        "classes": config.classes,
        "guidance": config.hyperparameters.get("guidance", 1.0),
        "image_shape": config.image_shape,
        "latent_size": config.latent_size,
        "revision": run.revision,
        "snapshots": [
            {"step": one.step, "epoch": one.epoch, "images": one.images, "seconds": one.seconds}
            for one in run.snapshots
        ],
        "history": curves(history),
        "logged": int(history[-1]["step"]) if history else 0,
        "quality": quality(run),
        "film": run.film_plan,
        "verdict": run.can_judge,
    }


def curves(history: list[dict[str, float]]) -> dict[str, list[float]]:
    """The logged numbers by column, averaged over as many steps as leave CURVE_POINTS points at most."""
    if not history:
        return {}
    width = math.ceil(len(history) / CURVE_POINTS)
    groups = [history[at : at + width] for at in range(0, len(history), width)]
    columns = [name for name in history[0] if all(name in row for row in history)]
    return {name: [_mean([row[name] for row in group]) for group in groups] for name in columns}


def _mean(values: list[float]) -> float:
    """To five digits: enough for a curve, and for a learning rate of 6.25e-06."""
    return float(f"{sum(values) / len(values):.5g}")


def quality(run: Run) -> dict[str, Any] | None:
    """What metrics.json says of the snapshots that are there, or None where it says nothing that can be drawn."""
    metrics = run.read_metrics()
    if metrics is None or not isinstance(metrics.get("snapshots"), list):
        return None
    points: list[dict[str, float]] = []
    left = set(run.steps)
    for entry in metrics["snapshots"]:
        numbers = entry if isinstance(entry, dict) else {}
        point = {name: numbers[name] for name in ("step", "frechet", "swd", "accuracy") if is_number(numbers.get(name))}
        if point.get("step") in left and len(point) > 1:
            points.append(point)
            left.discard(point["step"])
    if not points:
        return None
    best, floor = metrics.get("best"), metrics.get("floor")
    return {
        "measure": "swd" if metrics.get("measure") == "swd" else "frechet",
        "points": points,
        "best": best if best in run.steps else None,
        "floor": floor if is_number(floor) else None,
    }
