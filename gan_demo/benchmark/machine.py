"""What the figures were measured on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from gan_demo.machine import cores, cpu, memory

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # what decides how fast a core multiplies


def facts() -> dict[str, str]:
    """The machine and the libraries, in words."""
    told, there = cpu(), memory()
    return {
        "CPU": told.get("model name", platform.processor() or platform.machine()),
        "cores": str(cores()),
        "flags": " ".join(flag for flag in FLAGS if flag in told.get("flags", "").split()) or "-",
        "RAM": f"{there / 2**30:.0f} GiB" if there else "unknown",
        "GPU": _gpu(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "gradio", "pillow")},
    }


def load() -> str:
    """How many processes wanted a core over the last minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
