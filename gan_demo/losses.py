"""What the two networks minimise, as named terms whose sum is the loss; history.csv records each apart."""

from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F

from gan_demo.recipes import Range, Recipe

if TYPE_CHECKING:
    from gan_demo.networks import Verdict

Terms = dict[str, torch.Tensor]


class Draw(Protocol):
    """Draws (N,) numbers evenly from a range, from the training's own random generator."""

    def __call__(self, bounds: Range, like: torch.Tensor) -> torch.Tensor: ...


class BCE:
    """Binary cross-entropy on logits, with hard, smoothed or noisy labels, and an auxiliary class loss where asked for.

    The generator's loss is the non-saturating one (arXiv:1406.2661, section 3): BCE against flipped labels. The class
    loss is L_C of arXiv:1610.09585, equation 3, which both networks work for.
    """

    @staticmethod
    def discriminator(
        recipe: Recipe,
        real: "Verdict",
        fake: "Verdict",
        real_classes: torch.Tensor,
        fake_classes: torch.Tensor,
        draw: Draw,
    ) -> Terms:
        """Terms from the verdicts on N real and N fake images and their class indices, int64 (N,)."""
        weight = recipe.adversarial_weight
        terms = {
            "d_real": weight * _bce(real.source, draw(recipe.real_labels, real.source)),
            "d_fake": weight * _bce(fake.source, draw(recipe.fake_labels, fake.source)),
        }
        if real.classes is not None and fake.classes is not None:
            losses = _class_loss(real.classes, real_classes) + _class_loss(fake.classes, fake_classes)
            terms["d_class"] = recipe.class_weight * losses
        return terms

    @staticmethod
    def generator(recipe: Recipe, fake: "Verdict", fake_classes: torch.Tensor, draw: Draw) -> Terms:
        """Terms from the verdict on N fake images."""
        terms = {"g": _bce(fake.source, draw(recipe.generator_labels, fake.source))}
        if fake.classes is not None:
            terms["g_class"] = recipe.class_weight * _class_loss(fake.classes, fake_classes)
        return terms


def _bce(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), labels)


def _class_loss(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.float(), classes)


LOSSES = {"bce": BCE}
