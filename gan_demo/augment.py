"""Differentiable augmentation (arXiv:2006.10738): what the discriminator sees is moved, hidden and tinted at random.

Each way takes images x (N, C, H, W) and numbers (N, k), even from 0 to 1, k as WAYS says. Real and
generated images alike are shown so to the discriminator, row by row by the same numbers, so that a small data set is
not learnt by heart; but for the mirror, which makes more of the data set.
"""

from collections.abc import Callable

import torch

Augmentation = Callable[[torch.Tensor, int], torch.Tensor]  # images (N, C, H, W) and the place of the first, to images


def mirror(x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Half of the images, left to right: for real ones alone.

    Of generated ones the discriminator could no longer tell which way they look (arXiv:2006.06676, section 3.1). Tried
    on the anime faces, all of them came to look one way.
    """
    return torch.where(numbers[:, :1, None, None] < 0.5, x.flip(3), x)


def translation(x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """By up to an eighth of the size along both axes, zeros in from outside."""
    size = x.shape[2]
    reach = size // 8
    shift = (numbers * (2 * reach + 1)).floor() - reach
    at = torch.arange(size, device=x.device)
    apart = at[:, None] - at  # of a pixel where it goes to from where it came
    rows, columns = ((apart == shift[:, axis, None, None]).to(x.dtype)[:, None] for axis in (0, 1))
    return rows @ x @ columns.transpose(2, 3)  # a product with ones and zeros has gradients of every order


def cutout(x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """A square of half the size is zero, its centre anywhere."""
    size = x.shape[2]
    at = torch.arange(size, device=x.device)
    start = (numbers * (size + 1)).floor()[:, :, None] - size // 4
    inside = (at >= start) & (at < start + size // 2)  # (N, 2, size)
    hidden = inside[:, 0, :, None] & inside[:, 1, None, :]
    return x * ~hidden[:, None]


def colour(x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Brightness by up to a half, saturation from none to twice, contrast from a half to one and a half."""
    brightness, saturation, contrast = (one[:, None, None, None] for one in numbers.unbind(1))
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * 2 * saturation
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (0.5 + contrast)


WAYS = {"mirror": (mirror, 1), "colour": (colour, 3), "translation": (translation, 2), "cutout": (cutout, 2)}


def augmentation(names: tuple[str, ...], draw: Callable[[int], torch.Tensor]) -> Augmentation:
    """One augmentation for a batch: `draw(n)` gives (N, n) numbers, even from 0 to 1. No names leave images alone.

    It takes the whole batch, or some rows of it and the place of the first.
    """
    drawn = [(WAYS[name][0], draw(WAYS[name][1])) for name in names]

    def augment(images: torch.Tensor, first: int = 0) -> torch.Tensor:
        for way, numbers in drawn:
            images = way(images, numbers[first : first + len(images)])
        return images

    return augment
