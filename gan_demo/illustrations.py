"""The card's pictures: a training as an animation, and its curves. Pillow only: a training machine may have no more."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

FRAME_MS, LAST_MS = 100, 2500
ANIMATION_SIDE = 320  # pixels at the least: sixteen digits alone would be a stamp
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1200, 400, 110, 30, 56, 50  # of a panel, and of the space around its curves
BLUE, ORANGE, GREY, INK, PAPER = "#2563eb", "#d9480f", "#9ca3af", "#1f2937", "#ffffff"
TITLES = {"frechet": "Frechet distance", "swd": "sliced Wasserstein distance"}  # of the judge's measures
ADVERSARIAL = ("d_real", "d_fake", "d_pair")  # the discriminator's loss terms but those of classes and penalties
MAX_POINTS = 400  # of a curve: more than it has pixels to show
UNITS = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
Curve = Sequence[tuple[float, float]]  # (step or time, value), ascending


def animation(frames: Sequence[Image.Image]) -> bytes:
    """An animated WebP of the frames, the last one held."""
    scale = max(1, round(ANIMATION_SIDE / frames[0].width))
    size = (frames[0].width * scale, frames[0].height * scale)
    large = [frame.convert("RGB").resize(size, Image.Resampling.NEAREST) for frame in frames]
    times = [FRAME_MS] * (len(large) - 1) + [LAST_MS]
    buffer = io.BytesIO()
    large[0].save(buffer, "WEBP", save_all=True, append_images=large[1:], duration=times, loop=0, quality=80, method=4)
    return buffer.getvalue()


def curves(
    history: Sequence[dict[str, float]], metrics: dict[str, Any] | None, seconds: Mapping[int, float]
) -> bytes | None:
    """A PNG of the losses by step and, where judged, of the quality by time; None where nothing was logged.

    `seconds` are those of training up to each snapshot, by its step.
    """
    panels: list[tuple[str, dict[str, Curve], bool, float | None]] = []
    if history:
        losses: dict[str, Curve] = {
            "discriminator": [(row["step"], sum(row.get(name, 0.0) for name in ADVERSARIAL)) for row in history],
            "generator": [(row["step"], row["g"]) for row in history if "g" in row],
        }
        panels.append(("loss by step", {name: _thinned(curve) for name, curve in losses.items() if curve}, False, None))
    judged = [row for row in metrics["snapshots"] if row["step"] in seconds] if metrics else []
    if metrics and judged:
        key = metrics["measure"]
        title = TITLES.get(key, key)
        took = seconds[judged[-1]["step"]]
        long, unit = next((unit for unit in UNITS if took > 2 * unit[0]), UNITS[-1])
        quality: dict[str, Curve] = {"generated images": [(seconds[row["step"]] / long, row[key]) for row in judged]}
        panels.append((f"{title} by {unit} of training, less is better", quality, True, metrics["floor"]))
    if not panels:
        return None
    image = Image.new("RGB", (WIDTH, HEIGHT * len(panels)), PAPER)
    for row, panel in enumerate(panels):
        _panel(ImageDraw.Draw(image), row * HEIGHT, *panel)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _thinned(curve: Curve) -> Curve:
    """The curve averaged over as many points as leave MAX_POINTS at the most."""
    width = math.ceil(len(curve) / MAX_POINTS)
    groups = [curve[at : at + width] for at in range(0, len(curve), width)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _panel(
    draw: ImageDraw.ImageDraw, top: int, title: str, lines: dict[str, Curve], logarithmic: bool, floor: float | None
) -> None:
    """Draw curves with axes below `top`; `floor` is the dashed level of real images."""
    font = ImageFont.load_default(22)
    values = [value for line in lines.values() for _, value in line] + ([floor] if floor else [])
    last = max(x for line in lines.values() for x, _ in line) or 1
    ticks = _decades(values) if logarithmic else _round_steps(min(0, *values), max(values))
    low, high = ticks[0], ticks[-1]
    span = math.log(high / low) if logarithmic else high - low

    def at(x: float, value: float) -> tuple[float, float]:
        share = math.log(max(value, low) / low) / span if logarithmic else (value - low) / span
        return LEFT + x / last * (WIDTH - LEFT - RIGHT), top + HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    for tick in ticks:
        draw.line([at(0, tick), at(last, tick)], "#e5e7eb")
        draw.text((LEFT - 12, at(0, tick)[1]), f"{tick:g}", INK, font, "rm")
    for tick in _round_steps(0, last):
        if tick <= last:
            x, y = at(tick, low)
            label = f"{tick:,.10g}"
            inside = x + draw.textlength(label, font) / 2 < WIDTH
            draw.text((x, y + 12), label, INK, font, "la" if not tick else "ma" if inside else "ra")
    if floor:
        for dash in range(0, 100, 2):
            draw.line([at(last * dash / 100, floor), at(last * (dash + 1) / 100, floor)], GREY, 3)
    for line, colour in zip(lines.values(), (BLUE, ORANGE), strict=False):
        draw.line([at(*point) for point in line], colour, 3, "curve")
    legend = [*zip(lines, (BLUE, ORANGE), strict=False), *([("real images", GREY)] if floor else [])]
    right: float = WIDTH - RIGHT
    for name, colour in reversed(legend if len(legend) > 1 else []):
        draw.text((right, top + 28), name, colour, font, "rm")
        right -= draw.textlength(name, font) + 30
    draw.text((LEFT, top + 28), title, INK, font, "lm")


def _round_steps(low: float, high: float) -> list[float]:
    """Four to nine round numbers from at or below `low` to at or above `high`."""
    rough = (high - low or 1) / 6
    unit = 10 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(count * step, 10) for count in range(first, max(last, first + 1) + 1)]


def _decades(values: Sequence[float]) -> list[float]:
    """Powers of ten around positive values; what is not positive lies on the lowest."""
    positive = [value for value in values if value > 0] or [1.0]
    first, last = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]
