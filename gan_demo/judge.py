"""How good each snapshot is: a small classifier for the data sets with classes, a distance of patches for the rest.

The classifiers are trained by this file (`python train.py --fit-judge mnist`) and shipped in gan_demo/judges/. They
never see a generated image in training, and no generator sees them.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm, trange

from gan_demo import data
from gan_demo.config import FORMAT
from gan_demo.datasets import DATASETS
from gan_demo.errors import GanDemoError
from gan_demo.files import write_file
from gan_demo.illustrations import TITLES
from gan_demo.latents import own_class
from gan_demo.networks import output_axes, weights_of
from gan_demo.pictures import Images, resize
from gan_demo.recipe import Recipe
from gan_demo.recipes import RECIPES
from gan_demo.run import Run
from gan_demo.weights import dequantize, load_weights, quantize, save_weights

JUDGES = Path(__file__).parent / "judges"
WIDTHS = {"mnist": 16, "fashion-mnist": 20, "cifar10": 32}
EPOCHS = {"mnist": 4, "fashion-mnist": 10, "cifar10": 14}
HELD_OUT = 10  # of CIFAR-10, whose test split is not everywhere: every tenth image of a class is kept for the test
IMAGES = 2000  # judged at each snapshot
ENOUGH = 100  # images that a classifier's verdict wants; of fewer some classes may have none
JUDGE_BATCH = 128
CHUNK = 100  # images cut into patches at a time: as floats all of a large size would fill the memory
FIRST_SEED = 1_000_000  # far from the seeds that people look at
GUIDANCES = 1.0, 1.25, 1.5, 2.0  # at which the best snapshot of a conditional run is judged besides


class Generate(Protocol):
    """Pictures of seeds and classes at a step, uint8 (N, H, W, C): Player.generate."""

    def __call__(
        self, seeds: Sequence[int], classes: Sequence[int] | None, step: int, *, guidance: float | None = None
    ) -> np.ndarray: ...


# ---------------------------------------------------------------- the classifier


def convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(convolution(width, width), convolution(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


class Classifier(nn.Module):
    """A residual network of seven convolutions for images (N, C, H, W) in [-1, 1]."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, width),  # w x 32 x 32
            convolution(width, 2 * width, 2),
            Residual(2 * width),  # 2w x 16 x 16
            convolution(2 * width, 4 * width, 2),
            Residual(4 * width),  # 4w x 8 x 8
        )
        self.head = nn.Linear(4 * width, 10)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What the Frechet distance is measured in: (N, 4 * width)."""
        return self.body(x).mean((2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


class Judge:
    """A trained classifier of a data set; `accuracy` is its own, on `tested` real images that it was not trained on."""

    def __init__(self, dataset: str):
        """Read gan_demo/judges/DATASET.safetensors; GanDemoError where there is none."""
        path = JUDGES / f"{dataset}.safetensors"
        if not path.exists():
            raise GanDemoError(f"there is no judge for {dataset}: train one with train.py --fit-judge {dataset}")
        with safetensors.safe_open(path, "np") as file:
            metadata = file.metadata()
        self.accuracy, self.tested = float(metadata["accuracy"]), int(metadata["tested"])
        self.size = _recipe(dataset).image_size
        self.network = Classifier(int(metadata["channels"]), WIDTHS[dataset])
        weights = {k: torch.from_numpy(v) for k, v in dequantize(load_weights(path.read_bytes(), str(path))).items()}
        self.network.load_state_dict(weights)
        self.network.eval()

    def look(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, 4 * width) and class probabilities (N, 10) of uint8 images (N, H, W, C), at any size."""
        return look(self.network, self.size, pixels)


@torch.inference_mode()
def look(network: Classifier, size: int, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a classifier of images of size x size makes of uint8 images (N, H, W, C): as Judge.look."""
    features, probabilities = [], []
    for at in range(0, len(pixels), 250):
        known = resize(pixels[at : at + 250].transpose(0, 3, 1, 2), size)
        x = torch.from_numpy(known).float() / 127.5 - 1
        features.append(network.features(x))
        probabilities.append(network.head(features[-1]).softmax(1))
    return torch.cat(features).double().numpy(), torch.cat(probabilities).numpy()


def _recipe(dataset: str) -> Recipe:
    """The first recipe of a data set: its image size is the one that the judge knows."""
    return next(recipe for recipe in RECIPES.values() if recipe.dataset == dataset)


def _split(images: Images, path: str | Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and test images and labels; CIFAR-10's test images are held out of its training split."""
    assert images.labels is not None
    if name == "cifar10":
        rank = np.zeros(len(images.labels), np.int64)
        for label in range(10):
            of_class = images.labels == label
            rank[of_class] = np.arange(of_class.sum())
        test = rank % HELD_OUT == 0
        return images.pixels[~test], images.labels[~test], images.pixels[test], images.labels[test]
    held, _ = data.load(_recipe(name), path, train=False)
    assert held.labels is not None
    return images.pixels, images.labels, held.pixels, held.labels


def fit(name: str, path: str | Path) -> None:
    """Train the judge of a data set and write it over gan_demo/judges/NAME.safetensors, in 8 bit.

    Its accuracy on real images kept apart goes with it. Raises GanDemoError for another name, or where `path` holds
    other pictures or too few.
    """
    if name not in WIDTHS:
        raise GanDemoError(f"no judge is called {name[:60]!r}: choose one of {', '.join(WIDTHS)}")
    if not os.access(JUDGES, os.W_OK):  # told before minutes of training
        raise GanDemoError(f"{JUDGES} cannot be written: make it writable, the judge goes there")
    recipe = _recipe(name)
    images, _ = data.load(recipe, path)
    if images.name != name:
        raise GanDemoError(
            f"{path} holds pictures of its own, not {DATASETS[name].title}: give the data folder, --data"
        )
    pixels, labels, test_pixels, test_labels = _split(images, path, name)
    if len(pixels) < JUDGE_BATCH:
        raise GanDemoError(f"{path} holds {len(pixels)} images to train a judge on: give {JUDGE_BATCH} or more")
    torch.manual_seed(0)
    network = Classifier(recipe.channels, WIDTHS[name]).to(memory_format=torch.channels_last)
    _train_classifier(network, pixels, labels, EPOCHS[name], flip=name != "mnist")
    stored = quantize(weights_of(network), output_axes(network))
    network.load_state_dict({k: torch.from_numpy(v) for k, v in dequantize(stored).items()})
    _, probabilities = look(network.eval(), recipe.image_size, test_pixels.transpose(0, 2, 3, 1))
    accuracy = float((probabilities.argmax(1) == test_labels).mean())
    metadata = {"accuracy": f"{accuracy:.4f}", "tested": str(len(test_labels)), "channels": str(recipe.channels)}
    target = JUDGES / f"{name}.safetensors"
    write_file(target, save_weights(stored, metadata))
    print(f"{target}: {accuracy:.2%} of {len(test_labels):,} real images that it was not trained on", file=sys.stderr)


def _train_classifier(network: Classifier, pixels: np.ndarray, labels: np.ndarray, epochs: int, flip: bool) -> None:
    batch, x_all, y_all = JUDGE_BATCH, torch.from_numpy(pixels), torch.from_numpy(labels)
    steps, order = epochs * (len(x_all) // batch), torch.empty(0)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, steps)
    network.train()
    bar = trange(steps, desc="judge", unit="step", mininterval=1)
    for step in bar:
        at = step % (len(x_all) // batch)
        order = torch.randperm(len(x_all)) if at == 0 else order
        chosen = order[at * batch : (at + 1) * batch]
        x = x_all[chosen].float().div_(127.5).sub_(1)
        x = x.flip(3) if flip and step % 2 else x
        down, right = torch.randint(-3, 4, (2,)).tolist()
        x = F.pad(x, (3 + right, 3 - right, 3 + down, 3 - down), value=-1)[..., 3:-3, 3:-3]
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(
                network(x.to(memory_format=torch.channels_last)).float(), y_all[chosen], label_smoothing=0.1
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{float(loss.detach()):.3f}", refresh=False)


# ---------------------------------------------------------------- distances


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance between features (N, D) and (M, D), as normal clouds (arXiv:1706.08500, equation 6).

    In the features of a classifier of the very data set, not of Inception: so it is no FID and compares with none.
    """
    mean = a.mean(0) - b.mean(0)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_b @ root), 0, None)).sum()
    return max(0.0, float(mean @ mean + np.trace(cov_a) + np.trace(cov_b) - 2 * cross))


def spread(pixels: np.ndarray, classes: np.ndarray) -> float:
    """Variance within a class, summed over the pixels, mean over the classes: (N, H, W, C) and (N,).

    Near 0 where every class is one picture.
    """
    groups = (pixels[classes == index] / 255 for index in np.unique(classes))
    return float(np.mean([group.var(0).sum() for group in groups if len(group) > 1] or [0.0]))


def descriptors(pixels: np.ndarray) -> list[torch.Tensor]:
    """Patches of 7x7 from each level of the Laplacian pyramid of uint8 (N, H, W, C) images, 32 an image, normalised.

    Each level is float (32 N, C * 49), of fewer numbers where it is smaller than 7x7.
    """
    chunks = [_patches(pixels[at : at + CHUNK]) for at in range(0, len(pixels), CHUNK)]
    levels = []
    for level in zip(*chunks, strict=True):
        patches = torch.cat(level)
        centred = (patches - patches.mean((0, 2), keepdim=True)) / patches.std((0, 2), keepdim=True).clamp_min(1e-6)
        levels.append(centred.flatten(1))
    return levels


def _patches(pixels: np.ndarray) -> list[torch.Tensor]:
    """The patches of some images, (N * 32, C, 49) a level; the places are the same ones at every call."""
    level = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    where = torch.Generator().manual_seed(0)
    levels = []
    last = False
    while not last:
        coarse = F.avg_pool2d(level, 2)
        last = coarse.shape[2] < 14
        detail = level if last else level - F.interpolate(coarse, size=level.shape[2:], mode="bilinear")
        count, channels, size, _ = detail.shape
        side = min(7, size)
        at = torch.randint(size - side + 1, (2, 32), generator=where).tolist()
        patches = torch.stack([detail[:, :, y : y + side, x : x + side] for y, x in zip(*at, strict=True)], 1)
        levels.append(patches.reshape(count * 32, channels, side * side))
        level = coarse
    return levels


def sliced_wasserstein(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> float:
    """Sliced Wasserstein distance of descriptors, times 1000, mean over levels (arXiv:1710.10196, section 5).

    It needs no labels and no trained network, so it suits any pictures: small where textures and shapes at every scale
    are as frequent as in the real ones.
    """
    distances = []
    for x, y in zip(a, b, strict=True):
        slices = torch.randn(x.shape[1], 256, generator=torch.Generator().manual_seed(1))
        slices /= slices.norm(dim=0)
        distances.append((torch.sort(x @ slices, 0)[0] - torch.sort(y @ slices, 0)[0]).abs().mean())
    return float(torch.stack(distances).mean()) * 1000


# ---------------------------------------------------------------- the verdict on a run


def evaluate(run: Run, generate: Generate, images: Images) -> dict[str, Any]:
    """Judge every snapshot on IMAGES pictures, or half as many as real ones where those are few; write metrics.json.

    With a judge for the data set: the Frechet distance, the diversity within the classes (1 is that of real images),
    how many classes make up at least 1% of the pictures and, for a conditional run, the share that shows the class
    asked for. Without: the sliced Wasserstein distance. The best snapshot of a conditional run is judged at GUIDANCES
    besides.
    """
    order = np.random.Generator(np.random.Philox(0)).permutation(len(images.pixels))
    count = min(IMAGES, len(order) // 2)
    by_class = count >= ENOUGH and images.name in WIDTHS and (JUDGES / f"{images.name}.safetensors").exists()
    reference, floor = (images.pixels[part].transpose(0, 2, 3, 1) for part in (order[:count], order[count : 2 * count]))
    measure = _Classified(images.name, reference) if by_class else _Sliced(reference)
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    names = run.config.classes
    classes = None if names is None else [own_class(seed, len(names)) for seed in seeds]
    steps = tqdm(run.steps, "judging", unit=" snapshots", leave=False, disable=None)
    rows = [{"step": step, **measure(generate(seeds, classes, step), classes)} for step in steps]
    key = measure.name
    best = min(rows, key=lambda row: row[key])
    metrics = {
        "format": FORMAT,
        "judge": measure.judge,
        "measure": key,
        "images": count,
        "floor": measure(floor, None)[key],
        "best": best["step"],
        "snapshots": rows,
    }
    if classes is not None:
        own = run.config.as_recipe().guidance
        metrics["guidance"] = [
            {"guidance": guidance, **measure(generate(seeds, classes, best["step"], guidance=guidance), classes)}
            for guidance in sorted({*GUIDANCES, own})
        ]
    run.write("metrics.json", metrics)
    return metrics


class _Classified:
    name = "frechet"

    def __init__(self, dataset: str, reference: np.ndarray):
        self.classifier = Judge(dataset)
        self.reference, probabilities = self.classifier.look(reference)
        self.real_spread = spread(reference, probabilities.argmax(1))
        self.judge = (
            f"classifier of {DATASETS[dataset].title}, {self.classifier.accuracy:.1%} right on "
            f"{self.classifier.tested:,} real images it was not trained on"
        )

    def __call__(self, pixels: np.ndarray, classes: Sequence[int] | None) -> dict[str, float]:
        features, probabilities = self.classifier.look(pixels)
        seen = probabilities.argmax(1)
        asked = seen if classes is None else np.asarray(classes)
        shares = np.bincount(seen, minlength=probabilities.shape[1]) / len(seen)
        row = {
            "frechet": round(frechet(features, self.reference), 4),
            "diversity": round(spread(pixels, asked) / self.real_spread, 4),
            "classes": int((shares >= 0.01).sum()),
        }
        return row if classes is None else row | {"accuracy": round(float((seen == asked).mean()), 4)}


class _Sliced:
    name = "swd"
    judge = "sliced Wasserstein distance of 7x7 patches, Laplacian pyramid"

    def __init__(self, reference: np.ndarray):
        self.reference = descriptors(reference)

    def __call__(self, pixels: np.ndarray, classes: Sequence[int] | None) -> dict[str, float]:
        return {"swd": round(sliced_wasserstein(descriptors(pixels), self.reference), 4)}


def describe(metrics: dict[str, Any]) -> str:
    """The best and the last snapshot in words."""
    key = metrics["measure"]
    last = metrics["snapshots"][-1]
    best = next(row for row in metrics["snapshots"] if row["step"] == metrics["best"])

    def words(row: dict[str, float]) -> str:
        accuracy = f", {row['accuracy']:.1%} of the classes as asked" if "accuracy" in row else ""
        return f"{row[key]:.3g} at step {int(row['step']):,}{accuracy}"

    images = f"real images {metrics['floor']:.3g}, {metrics['images']:,} images"
    return f"{TITLES[key]}: best {words(best)}; last {words(last)} ({images})"
