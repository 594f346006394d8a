"""Training in several processes, started by torchrun; one process is a world of one."""

import os
import sys
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from gan_demo.errors import GanDemoError

WAIT = timedelta(hours=1)  # for the first process, which may have to download the data


def place() -> tuple[int, int]:
    """Which of how many processes this is, as torchrun says it: (0, 1) where it says nothing.

    Raises GanDemoError where what the environment says cannot be.
    """
    said = [os.environ.get(name, "").strip() or usual for name, usual in (("RANK", "0"), ("WORLD_SIZE", "1"))]
    rank, size = (int(word) if word.isdecimal() and len(word) < 7 else -1 for word in said)
    if not 0 <= rank < size:
        raise GanDemoError(
            f"RANK {said[0][:40]!r} and WORLD_SIZE {said[1][:40]!r} name no process: start it with torchrun, or "
            "unset both"
        )
    return rank, size


class World:
    """The processes that train together. Each holds a share of every batch; the first one writes the run folder."""

    def __init__(self, device: torch.device):
        """Join the others that torchrun started, if any: NCCL between GPUs, gloo between CPUs."""
        self.rank, self.size = place()
        if self.size > 1 and not dist.is_initialized():
            backend = "nccl" if device.type == "cuda" else "gloo"
            try:
                dist.init_process_group(backend, timeout=WAIT)
            except (ValueError, RuntimeError) as error:
                why = str(error).splitlines()[0][:120]
                raise GanDemoError(
                    f"the {self.size} processes of WORLD_SIZE do not find each other ({why}): "
                    "start them with torchrun, or unset WORLD_SIZE"
                ) from None

    @property
    def first(self) -> bool:
        return self.rank == 0

    def check_batch(self, batch_size: int) -> None:
        """Raise GanDemoError where the batch cannot be shared evenly, two images or more to each."""
        if batch_size % self.size or batch_size < 2 * self.size:
            raise GanDemoError(
                f"batch size {batch_size} cannot be shared by {self.size} processes: give --batch-size a "
                "multiple, two images or more to each process"
            )

    def share(self, whole: torch.Tensor) -> torch.Tensor:
        """This process's rows of a tensor that all processes hold alike."""
        count = len(whole) // self.size
        return whole[self.rank * count : (self.rank + 1) * count]

    def wrap(self, module: nn.Module) -> nn.Module:
        """Average the module's gradients over all processes whenever it goes backward."""
        if self.size == 1:
            return module
        wrapped = nn.parallel.DistributedDataParallel(module)
        # Each process normalises its own share of the batch; the first one's running statistics are kept.
        wrapped.broadcast_buffers = False  # no argument: torch 2.13 gave that another name
        return wrapped

    def any(self, flag: bool) -> bool:
        """Whether any process says so: all must ask at the same step."""
        return any(self.gather(flag))

    def gather(self, item: Any) -> list[Any]:
        """What every process holds, in order of rank."""
        if self.size == 1:
            return [item]
        items: list[Any] = [None] * self.size
        dist.all_gather_object(items, item)
        return items

    def leave(self) -> None:
        """Part from the others. Only the first process returns: the rest have nothing left to do, and end here.

        A thread of gloo's may still hold the last tensors. Let go of in an interpreter that is ending they abort
        the process, and torchrun then ends the first one too.
        """
        if self.size > 1:
            dist.destroy_process_group()
        if not self.first:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
