"""Points in the plane as pictures of one dot each, so that a toy GAN of points fits every room of this house.

A picture holds its point to a hundredth of a pixel: as the centre of mass of its dot. NumPy only.
"""

from collections.abc import Callable

import numpy as np

WIDTH = 1.2  # standard deviation of a dot, in pixels
REACH = 0.8  # of the half picture, where the plane's 1 lies: no dot hangs over the edge
COUNT = 10_000  # points of a data set


def axis(size: int) -> np.ndarray:
    """The plane's coordinate of each column's centre, from left to right, float32 (size,); rows go up alike."""
    return ((np.arange(size) + 0.5) * (2 / size) - 1).astype(np.float32) / np.float32(REACH)


def draw(points: np.ndarray, size: int) -> np.ndarray:
    """Points (N, 2) in [-1, 1], x right and y up, as white dots on black: uint8 (N, size, size, 1)."""
    at = axis(size)
    width = WIDTH * 2 / size / REACH
    across = np.exp(-((at - points[:, :1]) ** 2) / (2 * width**2))
    upward = np.exp(-((at[::-1] - points[:, 1:]) ** 2) / (2 * width**2))
    return (upward[:, :, None] * across[:, None, :] * 255).round().astype(np.uint8)[..., None]


def read(pictures: np.ndarray) -> np.ndarray:
    """The points of such pictures, uint8 (N, size, size, 1): float32 (N, 2)."""
    mass = pictures[..., 0].astype(np.float64)
    total = np.maximum(mass.sum((1, 2)), 1)
    at = axis(pictures.shape[1])
    return np.stack([mass.sum(1) @ at, mass.sum(2) @ at[::-1]], 1).astype(np.float32) / total[:, None].astype(
        np.float32
    )


def ring(count: int) -> np.ndarray:
    """Points near a circle: float32 (count, 2)."""
    rng = np.random.Generator(np.random.Philox(0))
    angle, radius = rng.uniform(0, 2 * np.pi, count), rng.normal(0.8, 0.03, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).astype(np.float32)


def mixture(count: int) -> np.ndarray:
    """Points of eight normal clouds on a circle: float32 (count, 2)."""
    rng = np.random.Generator(np.random.Philox(0))
    angle = rng.integers(8, size=count) * (np.pi / 4)
    centres = 0.8 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return (centres + rng.normal(0, 0.04, (count, 2))).astype(np.float32)


SHAPES: dict[str, Callable[[int], np.ndarray]] = {"ring": ring, "mixture": mixture}
