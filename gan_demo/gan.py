"""Two networks and the updates of one training step."""

from collections.abc import Sequence

import torch
from torch import nn

from gan_demo.ema import MovingAverage
from gan_demo.losses import LOSSES, Terms
from gan_demo.networks import build
from gan_demo.parallel import World
from gan_demo.recipes import Range, Recipe

Batch = tuple[torch.Tensor, torch.Tensor]  # uint8 images (N, C, H, W) and int64 class indices (N,)


class GAN:
    """The generator, the discriminator, their optimisers, the moving average, and their random numbers."""

    def __init__(
        self, recipe: Recipe, classes: int, world: World, device: torch.device, precision: str = "fp32", seed: int = 0
    ):
        """Draw fresh weights from `seed`; `classes` is 0 for an unconditional run, `precision` fp32 or bf16."""
        self.recipe, self.classes, self.world, self.device, self.precision = recipe, classes, world, device, precision
        self.memory_format = torch.contiguous_format if recipe.network == "mlp" else torch.channels_last
        torch.manual_seed(seed)
        generator, discriminator = build(recipe, classes)
        self.generator = generator.to(device, memory_format=self.memory_format)  # type: ignore[call-overload]
        self.discriminator = discriminator.to(device, memory_format=self.memory_format)  # type: ignore[call-overload]
        self.average = MovingAverage(self.generator, recipe.ema)
        self.generator_adam, self.discriminator_adam = (
            torch.optim.Adam(network.parameters(), rate, recipe.betas, fused=device.type in ("cpu", "cuda"))
            for network, rate in zip((self.generator, self.discriminator), recipe.learning_rates, strict=True)
        )
        self.loss = LOSSES[recipe.loss]
        self.wrapped_generator, self.wrapped_discriminator = map(world.wrap, (self.generator, self.discriminator))
        # Latents, classes and labels come from a generator of their own, the same in every process; dropout from the
        # global one, which differs between processes.
        self.random = torch.Generator(device).manual_seed(seed)
        torch.manual_seed(seed + 1 + world.rank)
        self.steps = 0

    def step(self, batches: Sequence[Batch]) -> Terms:
        """One discriminator update for each real batch, one generator update, one of the moving average.

        Returns each loss term, D(real) and D(fake) of the last updates, scalars on the device.
        """
        for pixels, classes in batches:
            terms = self.train_discriminator(self.normalise(pixels), classes)
        terms |= self.train_generator()
        self.steps += 1
        self.average.update(self.steps)
        return terms

    def steer(self, recipe: Recipe) -> None:
        """Go on with another recipe's learning rates and k; the networks stay."""
        self.recipe = recipe
        for adam, rate in zip((self.generator_adam, self.discriminator_adam), recipe.learning_rates, strict=True):
            for group in adam.param_groups:
                group["lr"] = rate

    def train_discriminator(self, real: torch.Tensor, classes: torch.Tensor) -> Terms:
        """One update towards telling real images (N, C, H, W) with class indices (N,) from fakes of the same count."""
        z, fake_classes = self.latents(len(real))
        with self._autocast():
            with torch.no_grad():
                fake = self.generator(z, self.one_hot(fake_classes))
            on_real = self.wrapped_discriminator(real, self.one_hot(classes))
            on_fake = self.wrapped_discriminator(fake, self.one_hot(fake_classes))
        terms = self.loss.discriminator(self.recipe, on_real, on_fake, classes, fake_classes, self.draw)
        self._descend(self.discriminator_adam, terms)
        with torch.no_grad():
            scores = {"real_score": on_real.source, "fake_score": on_fake.source}
            return terms | {name: torch.sigmoid(logits.float()).mean() for name, logits in scores.items()}

    def train_generator(self) -> Terms:
        """One update towards fakes that the discriminator takes for real."""
        z, classes = self.latents(self.recipe.batch_size // self.world.size)
        self.discriminator.requires_grad_(False)
        with self._autocast():
            on_fake = self.discriminator(self.wrapped_generator(z, self.one_hot(classes)), self.one_hot(classes))
        terms = self.loss.generator(self.recipe, on_fake, classes, self.draw)
        self._descend(self.generator_adam, terms)
        self.discriminator.requires_grad_(True)
        return terms

    def _descend(self, optimizer: torch.optim.Optimizer, terms: Terms) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 images as float in [-1, 1], laid out as the networks like them."""
        return pixels.to(memory_format=self.memory_format).float().div_(127.5).sub_(1)

    def latents(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's share of a batch of latents (N, latent_size) and class indices (N,)."""
        whole = count * self.world.size
        z = torch.randn(whole, self.recipe.latent_size, generator=self.random, device=self.device)
        classes = torch.randint(self.classes or 1, (whole,), generator=self.random, device=self.device)
        return self.world.share(z), self.world.share(classes)

    def draw(self, bounds: Range, like: torch.Tensor) -> torch.Tensor:
        """Labels for the verdicts `like` (N,), drawn evenly between the bounds."""
        low, high = bounds
        if low == high:
            return torch.full(like.shape, low, device=like.device)
        even = torch.rand(len(like) * self.world.size, generator=self.random, device=self.device)
        return self.world.share(even).mul_(high - low).add_(low)

    def one_hot(self, classes: torch.Tensor) -> torch.Tensor | None:
        """Class weights (N, classes) of class indices (N,); None for an unconditional run."""
        return nn.functional.one_hot(classes, self.classes).float() if self.classes else None
