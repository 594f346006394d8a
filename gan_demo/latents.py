"""From a seed to a latent, and the ways between latents. NumPy only; no network is known here."""

from collections.abc import Sequence

import numpy as np

from gan_demo.errors import GanDemoError

MAX_SEED = 2**53 - 1  # the largest integer that survives JSON and a browser
MAX_GUIDANCE = 3


def check_seed(seed: object) -> int:
    """Return `seed` as an int, or raise GanDemoError if it is no whole number from 0 to MAX_SEED."""
    try:
        value = int(seed)  # type: ignore[call-overload]
        whole = not isinstance(seed, bool | str) and value == seed
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole or not 0 <= value <= MAX_SEED:
        raise GanDemoError(f"seed {str(seed)[:40]!r} will not do: give a whole number from 0 to {MAX_SEED}")
    return value


def seeds_from(first: object, count: int) -> list[int]:
    """`count` seeds from `first` on; after the largest comes 0. GanDemoError as check_seed raises it."""
    seed = check_seed(first)
    return [(seed + more) % (MAX_SEED + 1) for more in range(count)]


def own_class(seed: object, classes: int) -> int:
    """The class that a seed has where none is chosen for it, of so many (or 0). Raises as check_seed."""
    return check_seed(seed) % (classes or 1)


def latent(seed: int, size: int) -> np.ndarray:
    """The standard normal latent of a seed, float32 (size,).

    Box-Muller over the raw 64-bit stream of Philox: NumPy guarantees that stream for ever (NEP 19), but not that of
    `standard_normal`, so no release of NumPy can change what a seed looks like. Raises as check_seed.
    """
    pairs = (size + 1) // 2
    raw = np.random.Philox(key=check_seed(seed)).random_raw(2 * pairs)
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # inside (0, 1), never 0
    radius, angle = np.sqrt(-2 * np.log(uniform[:pairs])), 2 * np.pi * uniform[pairs:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size].astype(np.float32)


def latents(seeds: Sequence[int], size: int) -> np.ndarray:
    """The latents of several seeds, float32 (len(seeds), size). Raises as check_seed."""
    return np.stack([latent(seed, size) for seed in seeds]) if len(seeds) else np.zeros((0, size), np.float32)


def truncate(z: np.ndarray, truncation: float) -> np.ndarray:
    """Pull latents towards their mean, the origin: 1 leaves them, 0 makes all alike (arXiv:1812.04948, section B).

    Raises GanDemoError where `truncation` is no number from 0 to 1.
    """
    return (z * np.float32(_between("truncation", truncation, 1))).astype(np.float32)


def guide(weights: np.ndarray, guidance: float) -> np.ndarray:
    """Move class weights (N, classes) away from the mean of all classes: 1 leaves them, 0 makes all alike, more than 1
    goes beyond, so that what tells a class from the others is stronger.

    Classifier-free guidance (arXiv:2207.12598, equation 6, where `guidance` is 1 + w) with the mean class in the place
    of none, on the way into the generator, which is linear in the weights there. Raises GanDemoError where `guidance`
    is no number from 0 to MAX_GUIDANCE.
    """
    share = _between("guidance", guidance, MAX_GUIDANCE)
    return (share * weights + (1 - share) / weights.shape[1]).astype(np.float32)


def _between(name: str, value: object, most: float) -> float:
    """`value` as a float, or GanDemoError if it is no number from 0 to `most`."""
    try:
        number = float("nan") if isinstance(value, str) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not 0 <= number <= most:
        raise GanDemoError(f"{name} {str(value)[:40]!r} will not do: give a number from 0 to {most}")
    return number


def lerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Straight line from a to b, (size,) each, at the fractions t (N,): float32 (N, size)."""
    t = np.asarray(t, np.float64)[:, None]
    return ((1 - t) * a + t * b).astype(np.float32)


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Great arc from a to b, (size,) each, at the fractions t (N,): float32 (N, size) (arXiv:1609.04468).

    Normal latents lie near a sphere; a straight line leaves it half-way, where no training sample ever was.
    """
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(a64) * np.linalg.norm(b64)
    omega = np.arccos(np.clip(a64 @ b64 / lengths, -1, 1)) if lengths else 0.0
    if np.sin(omega) < 1e-6:  # parallel or opposite: no arc is defined
        return lerp(a, b, t)
    t = np.asarray(t, np.float64)[:, None]
    return ((np.sin((1 - t) * omega) * a64 + np.sin(t * omega) * b64) / np.sin(omega)).astype(np.float32)


def class_weights(classes: Sequence[int], count: int) -> np.ndarray:
    """One-hot rows, float32 (len(classes), count). Rows may be mixed to walk from one class to another.

    Raises GanDemoError for an index that is no class.
    """
    for index in classes:
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < count:
            raise GanDemoError(f"class {str(index)[:40]!r} will not do: this run has the classes 0 to {count - 1}")
    return np.eye(count, dtype=np.float32)[np.asarray(classes, np.int64)]
