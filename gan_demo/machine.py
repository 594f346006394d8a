"""Where to train, what it can do, and how to say so."""

import os
import platform
from pathlib import Path

import torch

from gan_demo.errors import GanDemoError


def choose_device(name: str) -> torch.device:
    """auto takes CUDA, then MPS, then the CPU; GanDemoError where the one asked for is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, found in there.items() if found)
    if not there.get(name):
        raise GanDemoError(
            f"there is no {name} device here: choose one of {', '.join(k for k, v in there.items() if v)}"
        )
    if name == "cuda":  # one GPU for each process of torchrun
        index, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if index >= count:
            raise GanDemoError(
                f"{count} GPUs are here for {index + 1} processes or more: give torchrun as many as GPUs"
            )
        torch.cuda.set_device(index)
        torch.backends.cudnn.deterministic = True
        return torch.device("cuda", index)
    return torch.device(name)


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 and does not merely imitate it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and _cpu_has("avx512_bf16")


def has_amx() -> bool:
    """Whether the CPU multiplies matrices of bf16 in units of their own; without them bf16 paints no faster."""
    return _cpu_has("amx_bf16")


def memory() -> int | None:
    """Bytes of memory that this machine has, or None where it does not say."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def cpu() -> dict[str, str]:
    """What Linux says of the first core, such as its "model name" and "flags"; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _cpu_has(flag: str) -> bool:
    return flag in cpu().get("flags", "").split()


def describe(device: torch.device, processes: int = 1) -> str:
    """The device in words, such as "cpu, 2 threads, AMD EPYC" or "NVIDIA H100, in 2 processes"."""
    words = [torch.cuda.get_device_name(device) if device.type == "cuda" else device.type]
    if device.type == "cpu":
        threads = torch.get_num_threads()
        words += [f"{threads} thread{'s' * (threads > 1)}", cpu().get("model name", platform.processor())]
    if processes > 1:
        words.append(f"in {processes} processes")
    return ", ".join(filter(None, words))


def duration(seconds: float) -> str:
    """Seconds in words: "48 s", "5 min 12 s", "2 h 3 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
