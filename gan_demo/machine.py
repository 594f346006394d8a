"""The machine, as far as it can be asked without torch."""

import ipaddress
import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")  # what a container may have of the machine, by either version of Linux's control groups


def cores() -> int:
    """The cores that this process may use: in a container as many as its share of their time fills."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = _allowed("cpu.max") or _allowed("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")
    return min(there, max(1, math.ceil(share[0] / share[1]))) if len(share) == 2 else there


def memory() -> int | None:
    """Bytes of memory that this machine has, or this container may take; None where neither is said."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([there, *(_allowed("memory.max") or _allowed("memory/memory.limit_in_bytes"))])


def _allowed(*names: str) -> list[int]:
    """The numbers of those files of CGROUP; none where one is not there or sets no limit ("max", -1)."""
    try:
        numbers = [int(word) for name in names for word in (CGROUP / name).read_text().split()]
    except (OSError, ValueError):
        return []
    return numbers if all(number > 0 for number in numbers) else []


def cpu() -> dict[str, str]:
    """What Linux says of the first core, such as its "model name" and "flags"; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def cpu_has(flag: str) -> bool:
    """Whether Linux names that among the flags of the first core."""
    return flag in cpu().get("flags", "").split()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def duration(seconds: float) -> str:
    """Seconds in words: "48 s", "5 min 12 s", "2 h 3 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
