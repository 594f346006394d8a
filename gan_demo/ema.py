"""The moving average of a generator: the one that is kept, shown and pushed."""

import copy
from collections.abc import Iterable
from itertools import repeat
from typing import Any

import torch
from torch import nn

CALIBRATION = 512  # inputs that set a network's batch norm statistics
BATCH = 64


class MovingAverage:
    """An exponential moving average of a generator's weights, with batch norm statistics that belong to them.

    The decay is warmed up, min(decay, (1 + t) / (10 + t)), so that the random start is forgotten at once. The running
    statistics of the raw generator would belong to other weights, so they are computed anew, by `calibrate`.
    """

    def __init__(self, generator: nn.Module, decay: float):
        """`decay` a step, from 0 to below 1; 0 keeps the raw generator, its own statistics included."""
        self.raw, self.decay = generator, decay
        self.module = copy.deepcopy(generator).eval().requires_grad_(False) if decay else generator

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the raw weights after training step `step` (counted from 1)."""
        if self.decay:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.module.parameters()), list(self.raw.parameters()), 1 - decay)

    def calibrate(self, z: torch.Tensor, classes: torch.Tensor | None) -> None:
        """Set the batch norm statistics to those of the averaged weights over latents (N, size) and class weights."""
        if self.decay:
            given = repeat(None) if classes is None else classes.split(BATCH)
            settle(self.module, zip(z.split(BATCH), given, strict=False))


@torch.no_grad()
def settle(network: nn.Module, batches: Iterable[tuple[Any, ...]]) -> None:
    """Set a network's batch norm statistics to the plain mean over batches of its inputs; it is in eval mode after."""
    network.eval()
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
        norm.train()
    for batch in batches:
        network(*batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
