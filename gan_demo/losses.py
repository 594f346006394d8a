"""What the two networks minimise, as named terms whose sum is the loss; history.csv records each apart."""

import math
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F

from gan_demo.recipe import Range, Recipe

if TYPE_CHECKING:
    from gan_demo.networks import Verdict

Terms = dict[str, torch.Tensor]  # scalars by name


Batch = tuple[torch.Tensor, torch.Tensor]  # images (N, C, H, W) and int64 class indices (N,)


class Look(Protocol):
    """The discriminator behind an augmentation: images and classes to verdicts.

    `first` is the place in the batch of the first of these images: each place has an augmentation of its own.
    """

    def __call__(self, images: torch.Tensor, classes: torch.Tensor, first: int = 0) -> "Verdict": ...


class Draw(Protocol):
    """Draws (N,) numbers evenly from a range, from the training's own random generator."""

    def __call__(self, bounds: Range, like: torch.Tensor) -> torch.Tensor: ...


class BCE:
    """Binary cross-entropy on logits, with hard, smoothed or noisy labels, and an auxiliary class loss where asked for.

    The generator's loss is the non-saturating one (arXiv:1406.2661, section 3): BCE against flipped labels. The class
    loss is L_C of arXiv:1610.09585, equation 3, which both networks work for.
    """

    paired = False

    @staticmethod
    def discriminator(recipe: Recipe, look: Look, real: Batch, fake: Batch, draw: Draw) -> tuple[Terms, Terms]:
        """Terms from as many real as fake images, and how probable the real and the fake are real: D(real), D(fake)."""
        on_real, on_fake = look(*real), look(*fake)
        weight = recipe.adversarial_weight
        terms = {
            "d_real": weight * _bce(on_real.source, draw(recipe.real_labels, on_real.source)),
            "d_fake": weight * _bce(on_fake.source, draw(recipe.fake_labels, on_fake.source)),
        }
        terms |= _d_class(recipe, on_real, real, on_fake, fake)
        return terms, _scores(on_real.source, on_fake.source)

    @staticmethod
    def generator(recipe: Recipe, look: Look, real: Batch, fake: Batch, draw: Draw) -> Terms:
        """Terms from fake images; the real ones are not looked at."""
        on_fake = look(*fake)
        terms = {"g": _bce(on_fake.source, draw(recipe.generator_labels, on_fake.source))}
        return terms | _g_class(recipe, on_fake, fake)


class Relativistic:
    """Which of a pair is the real one, with both zero-centred gradient penalties (arXiv:2501.05441, section 2)."""

    paired = True  # a real and a fake image of one class

    @staticmethod
    def discriminator(recipe: Recipe, look: Look, real: Batch, fake: Batch, draw: Draw) -> tuple[Terms, Terms]:
        """The pairing term, R1 and R2; D(real) is how probable a real image is the real one of its pair."""
        (on_real, r1), (on_fake, r2) = (_penalised(recipe, look, *batch) for batch in (real, fake))
        ahead = on_real.source.float() - on_fake.source.float()
        terms = {"d_pair": F.softplus(-ahead).mean(), "r1": r1, "r2": r2}
        terms |= _d_class(recipe, on_real, real, on_fake, fake)
        return terms, _scores(ahead, -ahead)

    @staticmethod
    def generator(recipe: Recipe, look: Look, real: Batch, fake: Batch, draw: Draw) -> Terms:
        """The pairing term towards fakes that pass for the real one of their pair."""
        with torch.no_grad():
            on_real = look(*real)
        on_fake = look(*fake)
        ahead = on_real.source.float() - on_fake.source.float()
        return {"g": F.softplus(ahead).mean()} | _g_class(recipe, on_fake, fake)


def _penalised(
    recipe: Recipe, look: Look, images: torch.Tensor, classes: torch.Tensor
) -> tuple["Verdict", torch.Tensor]:
    """Verdicts on a batch, and the gradient penalty of the share of it that stands first.

    It estimates that of the whole batch, unbiased where no batch norm ties the images together; the second backward,
    half of a step, is then of that share alone.
    """
    images, few = images.detach(), math.ceil(recipe.penalty_share * len(images))
    penalised = images[:few].requires_grad_()
    verdict = look(penalised, classes[:few])
    penalty = recipe.gradient_penalty / 2 * squared_gradient_norm(verdict.source, penalised)
    if few < len(images):
        verdict = verdict.joined(look(images[few:], classes[few:], few))
    return verdict, penalty


def squared_gradient_norm(verdicts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Mean squared length of the gradient of all verdicts (N,) by each image (N, C, H, W); it has gradients itself.

    That is each verdict's own (arXiv:2501.05441, equation 8) unless a batch norm ties the images of a batch together.
    """
    with torch.autocast(images.device.type, enabled=False):
        (slopes,) = torch.autograd.grad(verdicts.sum(), images, create_graph=True)
        return slopes.float().square().sum((1, 2, 3)).mean()


def _scores(real: torch.Tensor, fake: torch.Tensor) -> Terms:
    with torch.no_grad():
        scores = {"real_score": real, "fake_score": fake}
        return {name: torch.sigmoid(logits.float()).mean() for name, logits in scores.items()}


def _bce(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), labels)


def _d_class(recipe: Recipe, on_real: "Verdict", real: Batch, on_fake: "Verdict", fake: Batch) -> Terms:
    """L_C of the discriminator (arXiv:1610.09585, equation 3), where it has an auxiliary classifier."""
    if on_real.classes is None or on_fake.classes is None:
        return {}
    loss = _class_loss(on_real.classes, real[1])
    if recipe.fake_class_weight:
        loss = loss + recipe.fake_class_weight * _class_loss(on_fake.classes, fake[1])
    return {"d_class": recipe.class_weight * loss}


def _g_class(recipe: Recipe, on_fake: "Verdict", fake: Batch) -> Terms:
    """L_C of the generator."""
    if on_fake.classes is None:
        return {}
    return {"g_class": recipe.class_weight * _class_loss(on_fake.classes, fake[1])}


def _class_loss(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.float(), classes)


LOSSES: dict[str, type[BCE] | type[Relativistic]] = {"bce": BCE, "relativistic": Relativistic}
