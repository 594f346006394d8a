"""The real images of a training: on its device, in an order that follows from the seed and the epoch alone."""

import hashlib
from functools import cached_property

import numpy as np
import torch

from gan_demo.devices import has_room
from gan_demo.ema import CALIBRATION
from gan_demo.losses import Batch
from gan_demo.parallel import World
from gan_demo.pictures import Images


def batches_per_epoch(images: int, batch_size: int) -> int:
    """Batches of real images in one pass over the data; the last, smaller one is left out."""
    return max(1, images // batch_size)


class RealImages:
    """A data set, held on the device where that has room for it, and else in the machine's memory."""

    def __init__(self, images: Images, classes: int, batch_size: int, seed: int, device: torch.device, world: World):
        """`classes`: how many the recipe has; 0 where it looks at none. `batch_size`: of all processes of the world."""
        self.images, self.classes, self.batch_size = images, classes, batch_size
        self.seed, self.device, self.world = seed, device, world
        labels = images.labels if classes else None
        pixels = torch.from_numpy(images.pixels)
        self.home = device if has_room(device, pixels.nbytes) else torch.device("cpu")
        self.pixels = pixels.to(self.home)
        self.labels = torch.zeros(len(pixels), dtype=torch.int64) if labels is None else torch.from_numpy(labels)
        self.labels = self.labels.to(self.home)
        self.order_epoch = -1

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def per_epoch(self) -> int:
        return batches_per_epoch(len(self), self.batch_size)

    @cached_property
    def digest(self) -> str:
        """The sha256 of all pixels and of the labels that are looked at: a resume wants the same."""
        known = hashlib.sha256(np.ascontiguousarray(self.images.pixels).data)
        known.update(self.labels.numpy(force=True).data)
        return known.hexdigest()

    def batch(self, number: int) -> Batch:
        """This process's share of batch `number`, on the device: uint8 images (N, C, H, W) and class indices (N,).

        The order of an epoch follows from the seed and the epoch's number alone, so a resume needs no more than those.
        """
        epoch, at = divmod(number, self.per_epoch)
        if epoch != self.order_epoch:
            shuffle = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self.order = torch.randperm(len(self), generator=shuffle).to(self.home)
            self.order_epoch = epoch
        return self._at(self.world.share(self.order[at * self.batch_size : (at + 1) * self.batch_size]))

    def some(self) -> Batch:
        """CALIBRATION of them, or all, the same at every step."""
        fixed = torch.Generator().manual_seed(self.seed)
        return self._at(torch.randperm(len(self), generator=fixed)[:CALIBRATION].to(self.home))

    def _at(self, chosen: torch.Tensor) -> Batch:
        return self.pixels[chosen].to(self.device), self.labels[chosen].to(self.device)

    def sixteen(self) -> np.ndarray:
        """Sixteen of them, one of each class in turn where there are classes: uint8 (16, H, W, C)."""
        order = np.random.Generator(np.random.Philox(self.seed)).permutation(len(self))
        if self.classes and self.images.labels is not None:
            by_class = [order[self.images.labels[order] == index] for index in range(self.classes)]
            pools = [pool for pool in by_class if len(pool)]
            order = np.array([pools[i % len(pools)][i // len(pools) % len(pools[i % len(pools)])] for i in range(16)])
        return self.images.pixels[order[:16]].transpose(0, 2, 3, 1)
