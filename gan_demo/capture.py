"""A step's updates as one CUDA graph: captured once, then replayed with no Python between its kernels."""

import gc
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from gan_demo.gan import GAN
    from gan_demo.losses import Batch, Terms
    from gan_demo.recipe import Recipe

WARM_UP = 3  # steps that run as they are: what libraries set up at a first call has no place in a graph


class Captured:
    """`GAN.update`, captured. The same random numbers and the same results, from buffers that stay where they are.

    What depends on the step's number stays outside: a graph holds the numbers it was captured with, so a recipe that
    has changed (learning rates, gamma, k) is captured anew. A step that cannot be captured runs eagerly from then on.
    """

    def __init__(self, gan: "GAN"):
        self.gan, self.seen = gan, 0
        self.stream = torch.cuda.Stream(gan.device)
        self.recipe: Recipe | None = None  # what the graph was captured with
        self.graph: torch.cuda.CUDAGraph
        self.batches: list[Batch] = []
        self.terms: Terms = {}

    def __call__(self, recipe: "Recipe", batches: "Sequence[Batch]") -> "Terms":
        """The terms are overwritten by the next call."""
        self.seen += 1
        if self.seen <= WARM_UP:
            return self._aside(recipe, batches)
        if recipe != self.recipe and not self._capture(recipe, batches):
            return self.gan.update(recipe, batches)
        for held, new in zip(self.batches, batches, strict=True):
            held[0].copy_(new[0])
            held[1].copy_(new[1])
        self.graph.replay()
        return self.terms

    def _aside(self, recipe: "Recipe", batches: "Sequence[Batch]") -> "Terms":
        """As it is, but on the stream that will capture."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            terms = self.gan.update(recipe, batches)
        torch.cuda.current_stream().wait_stream(self.stream)
        return terms

    def _capture(self, recipe: "Recipe", batches: "Sequence[Batch]") -> bool:
        """Record a step without running it; False where that fails, and all is as it was."""
        gan = self.gan
        randoms = [gan.random, torch.cuda.default_generators[gan.device.index or 0]]
        before = [random.clone_state() for random in randoms]
        self.recipe, self.graph, self.terms = recipe, torch.cuda.CUDAGraph(), {}
        self.batches = [(pixels.clone(), classes.clone()) for pixels, classes in batches]
        for adam in (gan.generator_adam, gan.discriminator_adam):
            adam.zero_grad(set_to_none=True)  # so that gradients are made in the graph's own memory
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from torch 2.14 on the graph finds its random numbers by itself
            getattr(self.graph, "register_generator_state", lambda _: None)(gan.random)
        here = torch.cuda.current_stream()
        try:
            with _nothing_freed(), torch.cuda.graph(self.graph, stream=self.stream):
                terms = gan.update(recipe, self.batches)
        except RuntimeError as error:
            torch.cuda.set_stream(here)  # a capture that fails does not come back by itself
            for random, state in zip(randoms, before, strict=True):
                random.graphsafe_set_state(state)
            gan.discriminator.requires_grad_(True)
            gan.updates, gan.way = gan.update, "eager"
            reason = str(error.__context__ or error).partition("\n")[0]  # ending the capture fails too, and hides why
            print(f"a step of {recipe.name} cannot be captured, so it runs eagerly ({reason})", file=sys.stderr)
            return False
        self.terms = {name: value.detach() for name, value in terms.items()}
        return True


@contextmanager
def _nothing_freed() -> Iterator[None]:
    """Collect garbage before and not meanwhile: an old graph that is freed during a capture would end it."""
    gc.collect()
    at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if at_work:
            gc.enable()
