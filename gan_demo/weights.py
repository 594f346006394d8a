"""Weights on the disk: 8 bit with a scale for each output row, in safetensors. NumPy only."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import safetensors.numpy

from gan_demo.errors import GanDemoError

Weights = dict[str, np.ndarray]
HALF_MAX = float(np.finfo(np.float16).max)
MAX_HEADER = 2**18  # bytes, of ours 10,000: a stranger's of some megabytes would keep a page busy for seconds


def quantize(weights: Weights, axes: Mapping[str, int]) -> Weights:
    """Store each weight named in `axes` as int8 with a float32 scale for each output row; the rest stays as it is.

    `axes[name]` is the axis that counts the outputs. `name.scale` broadcasts against `name`; the error is at most half
    a step, 1/254 of the row's largest weight.
    """
    stored: Weights = {}
    for name, value in weights.items():
        if name in axes:
            others = tuple(axis for axis in range(value.ndim) if axis != axes[name])
            scale = np.abs(value).max(others, keepdims=True).astype(np.float32) / 127
            stored[name] = np.rint(value / np.where(scale == 0, 1, scale)).astype(np.int8)
            stored[f"{name}.scale"] = scale
        else:
            stored[name] = value.astype(np.float32)
    return stored


def dequantize(stored: Weights) -> Weights:
    """The float32 weights of a stored snapshot."""
    return {
        name: value * stored[f"{name}.scale"] if value.dtype == np.int8 else value
        for name, value in stored.items()
        if not name.endswith(".scale")
    }


def halve(weights: Weights) -> Weights:
    """Store matrices and kernels as float16 where they fit: half the bytes, and finer than a snapshot's 8 bit.

    Biases and batch norm stay as they are: few numbers, some too small or too large for it. So does what is in 8 bit.
    """

    def fits(name: str, value: np.ndarray) -> bool:
        in_8_bit = value.dtype == np.int8 or name.endswith(".scale")
        return not in_8_bit and value.ndim > 1 and bool(np.abs(value).max(initial=0) < HALF_MAX)

    return {name: value.astype(np.float16) if fits(name, value) else value for name, value in weights.items()}


def save_weights(stored: Weights, metadata: dict[str, str], signed: bool = False) -> bytes:
    """Safetensors bytes, the same for the same weights: the library alone would shuffle the metadata's keys.

    `signed` puts the numbers' sha256 into the metadata, for a file that no index vouches for.
    """
    data = safetensors.numpy.save(stored)
    end = 8 + int.from_bytes(data[:8], "little")
    if signed:
        metadata = {**metadata, "sha256": hashlib.sha256(data[end:]).hexdigest()}
    header = json.dumps({"__metadata__": metadata, **json.loads(data[8:end])}, separators=(",", ":"))
    padded = header.encode().ljust(-(-len(header.encode()) // 8) * 8)
    return len(padded).to_bytes(8, "little") + padded + data[end:]


def load_weights(data: bytes, where: str) -> Weights:
    """Read safetensors bytes, 8 bit as stored and float16 as float32.

    Raises GanDemoError where they are damaged or not finite, or hold a scale of nothing: `dequantize` drops scales
    unseen.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    if end > MAX_HEADER:
        raise GanDemoError(f"{where} is damaged (its header is too long): fetch or train the run again")
    try:
        stored = safetensors.numpy.load(data)
        signature = json.loads(data[8:end]).get("__metadata__", {}).get("sha256")
    except Exception as error:  # a stranger's file finds many ways to be none
        reason = str(error).partition("\n")[0][:120] or type(error).__name__
        raise GanDemoError(f"{where} is damaged ({reason}): fetch or train the run again") from None
    if signature not in (None, hashlib.sha256(data[end:]).hexdigest()):
        raise GanDemoError(f"{where} is damaged (its sha256 is another): fetch or train the run again")
    stored = {name: value.astype(np.float32) if value.dtype == np.float16 else value for name, value in stored.items()}
    for name, value in stored.items():
        if value.dtype == np.int8 and f"{name}.scale" in stored and not name.endswith(".scale"):
            scale = stored[f"{name}.scale"]
            if scale.ndim != value.ndim or any(a not in (1, b) for a, b in zip(scale.shape, value.shape, strict=True)):
                raise GanDemoError(
                    f"{where}: the scale of {name[:60]!r} does not fit its shape: fetch or train the run again"
                )
            continue
        scaled = stored.get(name.removesuffix(".scale"))
        if name.endswith(".scale") and (scaled is None or scaled.dtype != np.int8):
            raise GanDemoError(
                f"{where}: the tensor {name[:60]!r} is the scale of none in 8 bit: fetch or train the run again"
            )
        if value.dtype != np.float32 or not np.isfinite(value).all():
            raise GanDemoError(
                f"{where}: the tensor {name[:60]!r} holds numbers that are no finite float32: "
                "fetch or train the run again"
            )
    return stored
