"""A generator as it runs on this machine: a copy for each thread that paints, its weights swapped in place.

Where the processor has units for bf16 matrices (AMX), convolutions multiply bf16 numbers, 8 significant bits each, and
sum in fp32: a DCGAN paints three times as fast. The first layer keeps fp32, as what the latent loses shows most. Of
18 million numbers in films of the shipped DCGANs 0.07% were off by more than 1 of 255, and none by more than 5; in a
residual network errors add up from block to block: of 3 million of each 0.7% and 1.6% by more than 2, none by more
than 33.
"""

import copy

import numpy as np
import torch
from torch import nn

from gan_demo.machine import cpu_has
from gan_demo.weights import Weights, dequantize

BF16 = cpu_has("amx_bf16") and torch.backends.mkldnn.is_available()


class Replica:
    """One copy of a generator, for one thread at a time."""

    def __init__(self, generator: nn.Module):
        """`generator`: its shape, on the meta device. Nothing can be painted before `load`."""
        self._network = copy.deepcopy(generator).to_empty(device="cpu")
        if BF16:
            _use_bf16(self._network)
        self._own = self._network.state_dict()

    def load(self, stored: Weights) -> None:
        """Take over the weights of a snapshot; quickest from what `arranged` gives."""
        for name, value in dequantize(stored).items():
            self._own[name].copy_(torch.from_numpy(value))

    def paint(self, z: torch.Tensor, classes: torch.Tensor | None) -> np.ndarray:
        """Pictures of latents (N, latent_size) and class weights (N, classes) or None: uint8 (N, H, W, C)."""
        images = self._network(z, classes).add_(1).mul_(127.5).round_().clamp_(0, 255)
        return images.to(torch.uint8).permute(0, 2, 3, 1).numpy()


def arranged(stored: Weights) -> Weights:
    """The same snapshot, each convolution's weights in the order of memory that `Replica` keeps them in."""
    return {name: _channels_last(value) if BF16 and value.ndim == 4 else value for name, value in stored.items()}


def _channels_last(value: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(value.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _use_bf16(network: nn.Module) -> None:
    """Turn all convolutions to bf16 but a first layer; multi-layer perceptrons would gain nothing."""
    layers = [part for part in network.modules() if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    for layer in layers[1:]:
        if not isinstance(layer, nn.Linear):
            layer.to(torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
            layer.register_forward_pre_hook(_to_bf16)
    layers[-1].register_forward_hook(_to_fp32)  # before the tanh


def _to_bf16(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return inputs[0].to(torch.bfloat16, memory_format=torch.channels_last)


def _to_fp32(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
    return output.float()
