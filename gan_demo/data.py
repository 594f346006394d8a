"""Real images as one uint8 array: a published data set, or pictures of one's own where those lie in its place."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from gan_demo import points
from gan_demo.datasets import DATASETS, MAX_CLASSES, Dataset
from gan_demo.errors import GanDemoError
from gan_demo.pictures import SUFFIXES, Images, files_under, is_wanted, read_pictures, reason, resize, room
from gan_demo.recipe import Recipe

DOWNLOAD_SECONDS = 1800  # after which another process's download is waited for no longer
DEFAULT = Path("data")  # the one data folder that is made where it is missing: another may be a slip of the hand
UNREAD = (".heic", ".heif", ".avif", ".jxl", ".dng", ".zip")  # what a person may take for a folder of pictures


def suits(recipe: Recipe, name: str) -> bool:
    """Whether a recipe can be trained on the published data set of that name: it has the classes, or is of points."""
    if name in points.SHAPES or recipe.dataset in points.SHAPES:
        return name == recipe.dataset
    return bool(DATASETS[name].classes) or not recipe.conditional


def on(recipe: Recipe, name: str | None) -> Recipe:
    """The recipe on another published data set, at its own image size; GanDemoError where that one does not suit."""
    if name is None:
        return recipe
    fitting = [other for other in DATASETS if suits(recipe, other)]
    if name not in fitting:
        raise GanDemoError(f"{recipe.name} cannot be trained on {name[:60]!r}: choose one of {', '.join(fitting)}")
    return replace(recipe.at(name), channels=DATASETS[name].channels)


def load(recipe: Recipe, path: str | Path = "data", train: bool = True) -> tuple[Images, Recipe]:
    """Read the recipe's images, and return them with the recipe fitted to them (channels, data set, guidance).

    `path` is a data folder that holds the recipe's data set or will (it is downloaded by torchvision where absent), or
    a folder or zip of pictures, with class folders or without. `train=False` reads the published test split.
    Raises GanDemoError where nothing can be read or downloaded, or the pictures do not suit the recipe.
    """
    path = Path(os.path.expanduser(path))
    try:
        images = _drawn(recipe, path) if recipe.dataset in points.SHAPES else _read(recipe, path, train)
    except OSError as error:
        raise GanDemoError(
            f"{error.filename or path} cannot be read ({error.strerror or error}): give what can with --data"
        ) from None
    own = images.name != recipe.dataset
    fitted = replace(recipe.at(images.name), channels=images.pixels.shape[1])
    _check(images, fitted, path)
    if own:
        title = DATASETS[recipe.dataset].title
        classes = f", in {len(images.classes)} classes: {', '.join(images.classes)}" if recipe.conditional else ""
        told = f"{len(images.pixels):,} in the place of {title}{classes}"
        print(f"{path} holds pictures of its own: {told if len(told) < 200 else told[:200] + ' ...'}", file=sys.stderr)
    return images, fitted


def _drawn(recipe: Recipe, path: Path) -> Images:
    """The points of a toy recipe, as pictures."""
    if path != DEFAULT and (not path.exists() or is_of_its_own(path)):
        raise GanDemoError(f"{recipe.name} draws its own points, and none of {path}: leave out --data")
    at = points.SHAPES[recipe.dataset](points.COUNT)
    pixels = room(len(at), 1, recipe.image_size)
    for start in range(0, len(at), 100):  # together they take eight times the memory
        some = slice(start, start + 100)
        pixels[some] = points.draw(at[some], recipe.image_size).transpose(0, 3, 1, 2)
    return Images(pixels, None, [], recipe.dataset)


def _read(recipe: Recipe, path: Path, train: bool) -> Images:
    dataset = DATASETS.get(recipe.dataset)
    packed, found = ((path / name if name and (path / name).is_dir() else None) for name in _places(dataset))
    if dataset is None or (not packed and not found and is_of_its_own(path)):
        return read_pictures(path, recipe.image_size, by_folder=recipe.conditional)
    if path.is_dir():
        _tell_left_out(path)
    if packed or (dataset.torchvision and not found):
        return _torchvision(dataset, path, recipe, not packed, train)
    if found is None:
        raise GanDemoError(
            f"{dataset.title} is not in {path} and cannot be downloaded: put its pictures into "
            f"{path / str(dataset.pictures)}, or give a folder or zip of your own with --data"
        )
    images = read_pictures(found, recipe.image_size, recipe.channels == 3, by_folder=recipe.conditional)
    if dataset.classes and images.classes and images.classes != list(dataset.classes):
        raise GanDemoError(
            f"{found} has the class folders {', '.join(images.classes)[:120]} where {dataset.title} has "
            f"{', '.join(dataset.classes)}: keep your own pictures in a folder of another name, and give it with --data"
        )
    return replace(images, name=recipe.dataset)


def _tell_left_out(path: Path) -> None:
    """Say which pictures and folders lie beside what makes `path` a data folder: a person may have meant them all."""
    inside = {child.name for child in path.iterdir() if is_wanted(child.name)}
    pictures = [
        name
        for name in sorted(inside - PUBLISHED)
        if any(file.suffix.lower() in SUFFIXES for file in _files(path / name))
    ]
    if pictures and inside & PUBLISHED:
        print(
            f"{path} holds {', '.join(sorted(inside & PUBLISHED))} and is taken for a data folder: left out are "
            f"{', '.join(pictures)[:120]}; to train on all of it rename what is called like a data set",
            file=sys.stderr,
        )


def _files(path: Path) -> Iterable[Path]:
    return files_under(path) if path.is_dir() else [path]


def _places(dataset: Dataset | None) -> tuple[str | None, str | None]:
    """Where a data set may lie under the data folder: as torchvision unpacks it, and as pictures."""
    return (dataset.packed, dataset.pictures) if dataset else (None, None)


def _check(images: Images, recipe: Recipe, path: Path) -> None:
    if len(images.pixels) < recipe.batch_size:
        where = path if images.name not in points.SHAPES else DATASETS[images.name].title
        raise GanDemoError(
            f"{where} has {len(images.pixels):,} readable pictures, fewer than one batch of {recipe.batch_size:,}: "
            "add pictures, or choose a smaller --batch-size"
        )
    if recipe.conditional and len(images.classes) > MAX_CLASSES:
        raise GanDemoError(
            f"{path} has {len(images.classes):,} class folders, more than {MAX_CLASSES:,}: give fewer, "
            "or choose a recipe without classes"
        )
    if recipe.conditional and images.labels is None:
        raise GanDemoError(
            f"{recipe.name} needs classes and {path} has no class folders: make one folder a class, "
            "or choose a recipe without classes"
        )


def _torchvision(dataset: Dataset, path: Path, recipe: Recipe, download: bool, train: bool) -> Images:
    """A data set through torchvision, which unpacks what lies there and downloads what does not."""
    import torchvision

    assert dataset.torchvision and dataset.packed
    reader = getattr(torchvision.datasets, dataset.torchvision)
    if download and not path.exists() and path != DEFAULT:
        raise GanDemoError(
            f"{path} does not exist: give a folder or zip of pictures with --data, or make that folder for "
            f"{dataset.title} to be downloaded into"
        )
    try:
        try:
            read = reader(str(path), train=train, download=False)
        except RuntimeError as error:  # not there, not whole, or still packed
            if "download=True" in str(error):  # torchvision's advice, which it gives of no file that it cannot read
                download = True
                print(f"{dataset.title} is not whole in {path}: unpacking or downloading it", file=sys.stderr)
            with _one_download(path, dataset):
                read = reader(str(path), train=train, download=True)
        pixels, labels = np.asarray(read.data), np.asarray(read.targets, np.int64)
        if len(pixels) != len(labels) or not len(pixels):
            raise ValueError(f"{len(pixels)} images but {len(labels)} labels")
    except Exception as error:  # torchvision and urllib raise many kinds; each means the same here
        if download:
            _remove_empty(path, dataset.packed)
            raise GanDemoError(
                f"{dataset.title} is not in {path} and could not be downloaded ({reason(error)}): "
                f"check the network, or give the folder that holds {dataset.packed} with --data"
            ) from None
        raise GanDemoError(
            f"{dataset.title} in {path} is damaged ({reason(error)}): "
            f"delete {path / dataset.packed} to download it anew"
        ) from None
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    pixels = resize(pixels, recipe.image_size)
    return Images(np.ascontiguousarray(pixels), labels, list(dataset.classes), recipe.dataset)


@contextmanager
def _one_download(path: Path, dataset: Dataset) -> Iterator[None]:
    """A data set is downloaded by one process at a time: the next one waits, and finds it there.

    Where the folder cannot be locked it goes on without; what else is wrong there, torchvision says.
    """
    lock = path / f".{dataset.torchvision}.lock"
    with ExitStack() as held:
        with suppress(ImportError, TypeError, OSError):
            from huggingface_hub.utils import WeakFileLock

            try:
                held.enter_context(WeakFileLock(lock, timeout=0.5))
            except TimeoutError:
                print(f"another process downloads {dataset.title} into {path}: waiting for it", file=sys.stderr)
                held.enter_context(WeakFileLock(lock, timeout=DOWNLOAD_SECONDS))
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()


def _remove_empty(path: Path, packed: str) -> None:
    """Take back the folders that a failed download left empty: not the data folder, where a person made that."""
    for place in (path / packed, *(path / packed).parents):
        if place == path != DEFAULT:
            return
        try:
            place.rmdir()
        except OSError:
            return


# What lies in a data folder by these names is a published data set.
PUBLISHED = {place.split("/")[0] for dataset in DATASETS.values() for place in _places(dataset) if place}
PUBLISHED.add("cifar-10-python.tar.gz")


def is_of_its_own(path: Path) -> bool:
    """Whether `path` is a zip or folder of pictures, and not a data folder that the published set may be put into.

    Raises GanDemoError where it holds nothing but pictures of other kinds: MNIST in their place would be a surprise.
    """
    if not path.is_dir():
        if path.suffix.lower() == ".zip" and not path.exists():
            raise GanDemoError(f"{path} does not exist: give a folder or zip of pictures with --data")
        return path.exists()
    inside = {child.name for child in path.iterdir() if is_wanted(child.name)}
    if not inside or inside & PUBLISHED:
        return False
    kinds = {file.suffix.lower() for file in files_under(path)}
    if not kinds & set(SUFFIXES) and kinds & set(UNREAD):
        raise GanDemoError(
            f"{path} holds {', '.join(sorted(kinds & set(UNREAD)))} and no pictures that are read here "
            f"({', '.join(SUFFIXES)}): convert or unpack them, or give another folder with --data"
        )
    return bool(kinds & set(SUFFIXES))
