"""Two networks and the updates of one training step."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import nn

from gan_demo.augment import WAYS, augmentation, mirror
from gan_demo.capture import Captured
from gan_demo.ema import BATCH, MovingAverage, settle
from gan_demo.errors import GanDemoError
from gan_demo.latents import guide
from gan_demo.losses import LOSSES, Batch, Look, Terms
from gan_demo.networks import build
from gan_demo.parallel import World
from gan_demo.recipe import Pair, Range, Recipe


class GAN:
    """The generator, the discriminator, their optimisers, the moving average, and their random numbers."""

    def __init__(
        self, recipe: Recipe, classes: int, world: World, device: torch.device, precision: str = "fp32", seed: int = 0
    ):
        """Draw fresh weights from `seed`; `classes` is 0 for an unconditional run, `precision` fp32 or bf16.

        Raises GanDemoError where the recipe is of a version that knows other losses, augmentations or networks.
        """
        if unknown := {recipe.loss} - {*LOSSES} | {*recipe.augment} - {*WAYS}:
            raise GanDemoError(
                f"this version knows no {sorted(unknown)[0][:60]!r}, which {recipe.name} was trained with: update it"
            )
        self.recipe, self.classes, self.world, self.device, self.precision = recipe, classes, world, device, precision
        self.memory_format = torch.contiguous_format if recipe.network == "mlp" else torch.channels_last
        torch.manual_seed(seed)
        generator, discriminator = build(recipe, classes)
        self.generator = generator.to(device, memory_format=self.memory_format)  # type: ignore[call-overload]
        self.discriminator = discriminator.to(device, memory_format=self.memory_format)  # type: ignore[call-overload]
        self.average = MovingAverage(self.generator, recipe.ema)
        self.generator_adam, self.discriminator_adam = (
            torch.optim.Adam(
                network.parameters(),
                rate,
                recipe.betas,
                fused=device.type in ("cpu", "cuda"),
                capturable=device.type == "cuda",
            )
            for network, rate in zip((self.generator, self.discriminator), recipe.learning_rates, strict=True)
        )
        self.loss = LOSSES[recipe.loss]
        self.wrapped_generator, self.wrapped_discriminator = map(world.wrap, (self.generator, self.discriminator))
        # Latents, classes and labels come from a generator of their own, the same in every process; dropout from the
        # global one, which differs between processes.
        self.random = torch.Generator(device).manual_seed(seed)
        torch.manual_seed(seed + 1 + world.rank)
        self.steps = 0
        self.batches = 0  # of real images, taken so far: several a step where k is more than 1
        self.updates: Callable[[Recipe, Sequence[Batch]], Terms] = self.update
        self.way = "eager"
        if device.type == "cuda" and world.size == 1:  # gradients that processes share cannot be captured
            self.updates, self.way = Captured(self), "captured"

    def step(self, batches: Sequence[Batch]) -> Terms:
        """One discriminator update for each batch of real images in uint8, one generator update, one of the average.

        Returns each loss term, D(real) and D(fake) of the last updates, scalars on the device.
        """
        recipe = self.recipe.annealed(self.batches * self.recipe.batch_size)
        for optimizer, rate in zip((self.generator_adam, self.discriminator_adam), recipe.learning_rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate
        terms = self.updates(recipe, batches)
        self.steps, self.batches = self.steps + 1, self.batches + len(batches)
        self.average.update(self.steps)
        return terms

    def update(self, recipe: Recipe, batches: Sequence[Batch]) -> Terms:
        """The updates of both networks, by the recipe as it is at this moment."""
        for pixels, classes in batches:
            real = self.real_images(pixels), classes
            terms = self.train_discriminator(recipe, real)
        return terms | self.train_generator(recipe, real)

    @property
    def learning_rates(self) -> Pair:
        """Those of the last step, generator and discriminator."""
        generator, discriminator = (
            adam.param_groups[0]["lr"] for adam in (self.generator_adam, self.discriminator_adam)
        )
        return float(generator), float(discriminator)

    def train_discriminator(self, recipe: Recipe, real: Batch) -> Terms:
        """One update towards telling real images, in [-1, 1], from fakes of the same count."""
        z, fake_classes = self.latents(real[1])
        with self._autocast():
            with torch.no_grad():
                fake = self.generator(z, self.one_hot(fake_classes)), fake_classes
            look = self._look(self.wrapped_discriminator, len(real[0]))
            terms, scores = self.loss.discriminator(recipe, look, real, fake, self.draw)
        self._descend(self.discriminator_adam, terms)
        return terms | scores

    def train_generator(self, recipe: Recipe, real: Batch) -> Terms:
        """One update towards fakes that the discriminator takes for real."""
        z, classes = self.latents(real[1])
        self.discriminator.requires_grad_(False)
        with self._autocast():
            fake = self.wrapped_generator(z, self.one_hot(classes)), classes
            look = self._look(self.discriminator, len(z))
            terms = self.loss.generator(recipe, look, real, fake, self.draw)
        self._descend(self.generator_adam, terms)
        self.discriminator.requires_grad_(True)
        return terms

    def judging(self, pixels: torch.Tensor, classes: torch.Tensor) -> nn.Module:
        """The discriminator as it judges one image alone: with batch norm statistics of these real images.

        Its running ones are those of the last batches, most of them generated; dropout shifts them, so there they stay.
        """
        if self.recipe.discriminator_dropout or not self.recipe.judges_alone:
            return self.discriminator
        network = copy.deepcopy(self.discriminator)
        parts = zip(pixels.split(BATCH), classes.split(BATCH), strict=True)
        settle(network, ((self.normalise(images), self.one_hot(of)) for images, of in parts))
        return network

    def _look(self, discriminator: nn.Module, count: int) -> Look:
        """The discriminator behind one augmentation, drawn for `count` rows and the same for all that it is shown."""
        names = tuple(name for name in self.recipe.augment if name != "mirror")
        augment = augmentation(names, lambda numbers: self._uniform(count, numbers))
        return lambda images, classes, first=0: discriminator(augment(images, first), self.one_hot(classes))

    def _descend(self, optimizer: torch.optim.Optimizer, terms: Terms) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 images as float in [-1, 1], laid out as the networks like them."""
        return pixels.to(memory_format=self.memory_format).float().div_(127.5).sub_(1)

    def real_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 images (N, C, H, W) as the networks like them, half of them mirrored where the recipe says so."""
        images = self.normalise(pixels)
        return mirror(images, self._uniform(len(images), 1)) if "mirror" in self.recipe.augment else images

    def latents(self, real_classes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (N, latent_size) and class indices (N,) for fakes, as many as there are real images.

        The classes are drawn; where the loss compares pairs they are those of the real images.
        """
        whole = len(real_classes) * self.world.size
        z = torch.randn(whole, self.recipe.latent_size, generator=self.random, device=self.device)
        drawn = torch.randint(self.classes or 1, (whole,), generator=self.random, device=self.device)
        return self.world.share(z), real_classes if self.loss.paired else self.world.share(drawn)

    def draw(self, bounds: Range, like: torch.Tensor) -> torch.Tensor:
        """Labels for the verdicts `like` (N,), drawn evenly between the bounds."""
        low, high = bounds
        if low == high:
            return torch.full(like.shape, low, device=like.device)
        return self._uniform(len(like)).mul_(high - low).add_(low)

    def _uniform(self, count: int, *shape: int) -> torch.Tensor:
        """This process's share of a batch of numbers (N, *shape), drawn evenly from 0 to 1."""
        whole = torch.rand(count * self.world.size, *shape, generator=self.random, device=self.device)
        return self.world.share(whole)

    def one_hot(self, classes: torch.Tensor) -> torch.Tensor | None:
        """Class weights (N, classes) of class indices (N,); None for an unconditional run."""
        return classes[:, None].eq(torch.arange(self.classes, device=self.device)).float() if self.classes else None

    def guided(self, classes: torch.Tensor) -> torch.Tensor | None:
        """Class weights as pictures are drawn with them: those of one_hot, moved by the recipe's guidance."""
        weights = self.one_hot(classes)
        if weights is None:
            return None
        return torch.from_numpy(guide(weights.cpu().numpy(), self.recipe.guidance)).to(self.device)
