"""Where to train, what it can do, and how to say so."""

import os
import platform

import torch

from gan_demo.errors import GanDemoError
from gan_demo.machine import cpu, cpu_has


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
        index, count = _local_rank(), torch.cuda.device_count()
        if index >= count:
            raise GanDemoError(
                f"{count} GPUs are here for {index + 1} processes or more: give torchrun as many as GPUs"
            )
        torch.cuda.set_device(index)
        torch.backends.cudnn.deterministic = True
        return torch.device("cuda", index)
    return torch.device(name)


def _local_rank() -> int:
    word = os.environ.get("LOCAL_RANK", "").strip() or "0"
    if not word.isdecimal() or len(word) > 6:
        raise GanDemoError(f"LOCAL_RANK {word[:40]!r} names no GPU: start it with torchrun, or unset it")
    return int(word)


def has_room(device: torch.device, size: int) -> bool:
    """Whether so many bytes of pictures may lie on the device: half of what is free there, for the networks want some.

    A CPU and MPS share the machine's memory, in which the pictures are anyway.
    """
    return device.type != "cuda" or size <= torch.cuda.mem_get_info(device)[0] // 2


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 and does not merely imitate it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and cpu_has("avx512_bf16")


def describe(device: torch.device, processes: int = 1) -> str:
    """The device in words: "cpu, 2 threads, AMD EPYC", or "NVIDIA H100, in 16 processes on 2 machines"."""
    words = [torch.cuda.get_device_name(device) if device.type == "cuda" else device.type]
    if device.type == "cpu":
        threads = torch.get_num_threads()
        words += [f"{threads} thread{'s' * (threads > 1)}", cpu().get("model name", platform.processor())]
    if processes > 1:
        here = os.environ.get("LOCAL_WORLD_SIZE", "")
        machines = processes // int(here) if here.isdecimal() and 0 < int(here) < processes else 1
        words.append(f"in {processes} processes" + (f" on {machines} machines" if machines > 1 else ""))
    return ", ".join(filter(None, words))
