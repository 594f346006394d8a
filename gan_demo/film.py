"""Pictures from uint8 frames: grids, and the sprite sheet that a browser scrubs. NumPy and Pillow only."""

import io
import math

import numpy as np
from PIL import Image

TILES = 16
MAX_SIDE = 4096  # pixels: what every browser's canvas and texture can hold
QUALITY = 80


def grid(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Lay tiles (N, H, W, C) out in rows of `columns`, black where the last row ends early: (rows*H, columns*W, C)."""
    count, height, width, channels = tiles.shape
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, height, width, channels), np.uint8)
    padded[:count] = tiles
    return (
        padded.reshape(rows, columns, height, width, channels)
        .transpose(0, 2, 1, 3, 4)
        .reshape(rows * height, columns * width, channels)
    )


def picture(pixels: np.ndarray) -> Image.Image:
    """A Pillow image of (H, W, 1) or (H, W, 3) pixels."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def encode(pixels: np.ndarray, kind: str) -> bytes:
    """Pixels (H, W, C) as the bytes of a PNG (lossless) or WebP (quality 80, the quickest method) file."""
    buffer = io.BytesIO()
    picture(pixels).save(buffer, kind, **({"quality": QUALITY, "method": 0} if kind == "WEBP" else {}))
    return buffer.getvalue()


def size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP file; None where it is none, or was cut off."""
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            return image.size if len(data) == 8 + int.from_bytes(data[4:8], "little") else None
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def sheet_size(plan: dict[str, int]) -> tuple[int, int]:
    """Width and height of a sheet of this layout, in pixels."""
    rows = -(-plan["frames"] // plan["frame_columns"])
    return plan["frame_columns"] * plan["frame_width"], rows * plan["frame_height"]


def square(count: int) -> int:
    """Columns that make a grid of `count` as square as can be, never taller than wide."""
    return max(1, math.ceil(math.sqrt(count)))


def layout(steps: int, count: int, height: int, width: int) -> dict[str, int]:
    """How a film of `steps` frames of `count` tiles lies on its sprite sheet, in pixels.

    Returns {frames, frame_columns, frame_width, frame_height, tiles, tile_columns, tile_width, tile_height}. Each frame
    is a grid of its tiles; the frames stand in rows. Tiles are left out from the end where the sheet would be wider or
    higher than MAX_SIDE; whether one tile is few enough, `fits` tells.
    """
    while count > 1:
        tile_columns = square(count)
        frame_width, frame_height = tile_columns * width, -(-count // tile_columns) * height
        frame_columns = max(1, min(steps, round(math.sqrt(steps * frame_height / frame_width))))
        if max(frame_columns * frame_width, -(-steps // frame_columns) * frame_height) <= MAX_SIDE:
            break
        count = min(count - 1, (tile_columns - 1) ** 2 or 1)
    else:
        tile_columns, frame_width, frame_height = 1, width, height
        frame_columns = square(steps)
    return {
        "frames": steps,
        "frame_columns": frame_columns,
        "frame_width": frame_width,
        "frame_height": frame_height,
        "tiles": count,
        "tile_columns": tile_columns,
        "tile_width": width,
        "tile_height": height,
    }


def fits(plan: dict[str, int]) -> bool:
    """Whether a sheet of this layout is within MAX_SIDE; a single large tile at very many steps is not."""
    return max(sheet_size(plan)) <= MAX_SIDE


def laid_out(frames: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """A film (steps, N, H, W, C) as one sprite sheet (H, W, C), and its `layout`."""
    steps, count, height, width, _ = frames.shape
    plan = layout(steps, count, height, width)
    pictures = np.stack([grid(frame[: plan["tiles"]], plan["tile_columns"]) for frame in frames])
    return grid(pictures, plan["frame_columns"]), plan


def sheet(frames: np.ndarray) -> tuple[bytes, dict[str, int]]:
    """A film (steps, N, H, W, C) as the bytes of a WebP sprite sheet, and its `layout`."""
    pixels, plan = laid_out(frames)
    return encode(pixels, "WEBP"), plan
