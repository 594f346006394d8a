"""Real images: a published data set, or anyone's own folder or zip, as one uint8 array."""

import os
import re
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from gan_demo import points
from gan_demo.datasets import DATASETS, MAX_CLASSES, Dataset
from gan_demo.errors import GanDemoError
from gan_demo.machine import cores, memory
from gan_demo.recipe import Recipe

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
MAX_PIXELS = 64_000_000  # of one picture, before it is scaled down: a larger one is a mistake or a bomb
BAR = {"unit": " images", "delay": 1, "leave": False, "disable": None}  # on a terminal, while it takes long
NAMED = 10  # unreadable files named one by one
SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
UNREAD = (".heic", ".heif", ".avif", ".jxl", ".dng", ".zip")  # what a person may take for a folder of pictures


@dataclass(frozen=True)
class Images:
    """A data set in memory."""

    pixels: np.ndarray  # uint8 (N, C, H, W)
    labels: np.ndarray | None  # int64 (N,), or None where there are no classes
    classes: list[str]  # in order of the labels; empty where there are none
    name: str


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
    return replace(recipe, dataset=name, channels=DATASETS[name].channels)


def load(recipe: Recipe, path: str | Path = "data", train: bool = True) -> tuple[Images, Recipe]:
    """Read the recipe's images, and return them with the recipe fitted to them (channels, data set).

    `path` is a data folder that holds the recipe's data set or will (it is downloaded by torchvision where absent), or
    a folder or zip of pictures, with class folders or without. `train=False` reads the published test split.
    Raises GanDemoError where nothing can be read or downloaded, or the pictures do not suit the recipe.
    """
    path = Path(os.path.expanduser(path))
    if recipe.dataset in points.SHAPES:
        drawn = points.draw(points.SHAPES[recipe.dataset](points.COUNT), recipe.image_size)
        images = Images(drawn.transpose(0, 3, 1, 2), None, [], recipe.dataset)
    else:
        try:
            images = _read(recipe, path, train)
        except OSError as error:
            raise GanDemoError(
                f"{error.filename or path} cannot be read ({error.strerror or error}): give what can with --data"
            ) from None
    own = images.name != recipe.dataset
    fitted = replace(recipe, dataset=images.name, channels=images.pixels.shape[1])
    _check(images, fitted, path)
    if own:
        title = DATASETS[recipe.dataset].title
        classes = f", in {len(images.classes)} classes: {', '.join(images.classes)}" if recipe.conditional else ""
        told = f"{len(images.pixels):,} in the place of {title}{classes}"
        print(f"{path} holds pictures of its own: {told if len(told) < 200 else told[:200] + ' ...'}", file=sys.stderr)
    return images, fitted


def _read(recipe: Recipe, path: Path, train: bool) -> Images:
    dataset = DATASETS.get(recipe.dataset)
    packed, found = ((path / name if name and (path / name).is_dir() else None) for name in _places(dataset))
    if dataset is None or (not packed and not found and is_of_its_own(path)):
        return read_pictures(path, recipe.image_size, by_folder=recipe.conditional)
    if packed or (dataset.torchvision and not found):
        return _torchvision(dataset, path, recipe, not packed, train)
    if found is None:
        raise GanDemoError(
            f"{dataset.title} is not in {path} and cannot be downloaded: put its pictures into "
            f"{path / str(dataset.pictures)}, or give a folder or zip of your own with --data"
        )
    images = read_pictures(found, recipe.image_size, recipe.channels, by_folder=recipe.conditional)
    if dataset.classes and images.classes and images.classes != list(dataset.classes):
        raise GanDemoError(
            f"{found} has the class folders {', '.join(images.classes)[:120]} where {dataset.title} has "
            f"{', '.join(dataset.classes)}: keep your own pictures in a folder of another name, and give it with --data"
        )
    return replace(images, name=recipe.dataset)


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
    if download:
        print(f"{dataset.title} is not in {path}: downloading it", file=sys.stderr)
    try:
        try:
            read = reader(str(path), train=train, download=False)
        except RuntimeError:  # not there, or still packed
            read = reader(str(path), train=train, download=True)
        pixels, labels = np.asarray(read.data), np.asarray(read.targets, np.int64)
        if len(pixels) != len(labels) or not len(pixels):
            raise ValueError(f"{len(pixels)} images but {len(labels)} labels")
    except Exception as error:  # torchvision and urllib raise many kinds; each means the same here
        if download:
            _remove_empty(path / dataset.packed)
            raise GanDemoError(
                f"{dataset.title} is not in {path} and could not be downloaded ({_reason(error)}): "
                f"check the network, or give the folder that holds {dataset.packed} with --data"
            ) from None
        raise GanDemoError(
            f"{dataset.title} in {path} is damaged ({_reason(error)}): "
            f"delete {path / dataset.packed} to download it anew"
        ) from None
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    pixels = resize(pixels, recipe.image_size)
    return Images(np.ascontiguousarray(pixels), labels, list(dataset.classes), recipe.dataset)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120].rstrip(".: ") or type(error).__name__


def _remove_empty(folder: Path) -> None:
    """Take back the folders that a failed download left empty."""
    for place in (folder, *folder.parents):
        try:
            place.rmdir()
        except OSError:
            return


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """uint8 (N, C, H, W), cropped to the centre square and scaled; pictures that have the size are left alone."""
    if pixels.shape[2:] == (size, size):
        return pixels
    count, channels = pixels.shape[:2]
    scaled = _room(count, channels, size)
    for i, picture in enumerate(tqdm(pixels.transpose(0, 2, 3, 1), "scaling", **BAR)):
        square = np.asarray(_fit(Image.fromarray(picture.squeeze()), size))
        scaled[i] = square.reshape(size, size, channels).transpose(2, 0, 1)
    return scaled


def _room(count: int, channels: int, size: int) -> np.ndarray:
    """Room for so many pictures: uint8 (N, C, size, size); GanDemoError where this machine has too little memory."""
    need, there = count * size * size * channels, memory()
    if there and need > there // 2:  # the networks want some, too
        raise GanDemoError(
            f"{count:,} pictures of {size}x{size} take {need / 2**30:.1f} GiB, more than half of this machine's memory "
            f"({there / 2**30:.1f} GiB): choose a smaller --image-size, or give fewer pictures with --data"
        )
    return np.empty((count, channels, size, size), np.uint8)


# ---------------------------------------------------------------- anyone's own pictures


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
    kinds = {file.suffix.lower() for file in _files_under(path)}
    if not kinds & set(SUFFIXES) and kinds & set(UNREAD):
        raise GanDemoError(
            f"{path} holds {', '.join(sorted(kinds & set(UNREAD)))} and no pictures that are read here "
            f"({', '.join(SUFFIXES)}): convert or unpack them, or give another folder with --data"
        )
    return bool(kinds & set(SUFFIXES))


def _files_under(folder: Path) -> Iterator[Path]:
    """Every file at any depth, but what is hidden and what systems keep for themselves."""
    seen = {str(above) for above in Path(os.path.realpath(folder)).parents}  # a link may lead to what holds it
    starts = [str(folder)]
    for start in starts:  # links come after all real folders, which keep their names
        for place, folders, files in os.walk(start, onerror=_unreadable):
            if (whole := os.path.realpath(place)) in seen:
                folders.clear()
                continue
            seen.add(whole)
            folders[:] = sorted(filter(is_wanted, folders))
            starts += [link for name in folders if os.path.islink(link := os.path.join(place, name))]
            yield from (Path(place, name) for name in files if is_wanted(name))


def is_wanted(name: str) -> bool:
    """Whether a file or folder of that name may be a person's picture or class."""
    return not name.startswith(".") and name not in SYSTEM_FOLDERS


def _unreadable(error: OSError) -> None:
    print(f"skipped {error.filename}: {error.strerror}", file=sys.stderr)


def read_pictures(path: Path, size: int, channels: int | None = None, by_folder: bool = True) -> Images:
    """Decode a folder or zip of pictures, cropped to the centre square and scaled: uint8 (N, C, size, size).

    Class folders become the classes in alphabetical order; where classes are wanted (`by_folder`) the pictures beside
    them are left out, else there are no classes where some lie beside. `channels` None takes grey where every picture
    is grey, else RGB. Unreadable files are named on standard error and skipped.
    Raises GanDemoError where no picture is there, or none can be read.
    """
    names, read = _listing(path)
    inside = [name for name in names if "/" in name]
    if inside and len(inside) < len(names) and by_folder:
        beside = len(names) - len(inside)
        print(f"left out {beside:,} pictures of {path} that are in no class folder", file=sys.stderr)
        names = inside
    if not names:
        raise GanDemoError(
            f"{path} has no picture ({', '.join(SUFFIXES)}): give a folder or zip of pictures with --data"
        )

    pixels = _room(len(names), 3, size)

    def decode(index: int) -> str:
        try:
            pixels[index] = _decode(read(names[index]), size).transpose(2, 0, 1)
        except UnidentifiedImageError:
            return f"{names[index]}: no picture"
        except Exception as error:  # Pillow raises many kinds for damaged files
            return f"{names[index]}: {_reason(error)}"
        return ""

    with ThreadPoolExecutor(cores()) as pool:
        wrong = list(tqdm(pool.map(decode, range(len(names))), "decoding", len(names), **BAR))
    bad, good = list(filter(None, wrong)), [index for index, reason in enumerate(wrong) if not reason]
    for line in bad[:NAMED] + ([f"{len(bad) - NAMED} more"] if len(bad) > NAMED else []):
        print(f"skipped {line}", file=sys.stderr)
    if not good:
        raise GanDemoError(f"none of the {len(names)} pictures in {path} can be read: give other pictures with --data")
    for to, index in enumerate(good if bad else ()):  # in place: a copy might be more than there is room for
        pixels[to] = pixels[index]
    names, pixels = [names[index] for index in good], pixels[: len(good)]
    if channels == 1 or (channels is None and all((picture == picture[:1]).all() for picture in pixels)):
        pixels = pixels[:, :1].copy()
    if not all("/" in name for name in names):
        return Images(pixels, None, [], "images")
    folders = [name.split("/")[0] for name in names]
    classes = sorted(set(folders))
    labels = np.array([classes.index(name) for name in folders], np.int64)
    written = [name.encode(errors="replace").decode() for name in classes]  # a folder's name need not be text
    return Images(pixels, labels, written, "images")


def _listing(path: Path) -> tuple[list[str], Callable[[str], bytes]]:
    """The pictures' names, sorted, `class/file` or `file`, and a function that reads one.

    A folder that holds all class folders is none itself.
    """
    if path.is_file():
        try:
            archive = zipfile.ZipFile(path)
        except OSError as error:
            raise GanDemoError(f"{path} cannot be read ({error.strerror}): give another zip with --data") from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError):  # the second is zipfile's for a newer kind of zip
            raise GanDemoError(f"{path} is neither a folder nor a zip: give a folder or zip of pictures") from None
        entries = {_inside(entry): entry for entry in _zip_names(archive)}
        flat = all(name.count("/") == 1 for name in entries)  # as a zip of a folder of pictures is
        entries = _unwrapped(entries, least=1 if flat else 2)
        one_at_a_time = threading.Lock()  # a ZipFile is not for many threads

        def read(name: str) -> bytes:
            with one_at_a_time:
                return archive.read(entries[name])

        return sorted(entries), read
    if not path.is_dir():
        raise GanDemoError(f"{path} does not exist: give a folder or zip of pictures with --data")
    files = {
        file.relative_to(path).as_posix(): file
        for file in _files_under(path)
        if file.suffix.lower() in SUFFIXES and file.is_file()
    }
    files = _unwrapped(files, least=2)  # a single folder of pictures is a class
    return sorted(files), lambda name: files[name].read_bytes()


def _unwrapped(files: dict[str, Any], least: int) -> dict[str, Any]:
    """Files by name, without the folders that hold all of them, as long as each name has `least` folders or more."""
    while files and len({name.split("/")[0] for name in files}) == 1 and all(n.count("/") >= least for n in files):
        files = {name.split("/", 1)[1]: file for name, file in files.items()}
    return files


def _inside(entry: str) -> str:
    """An entry's name as a path inside of the zip, however it is spelled: class/file or file."""
    return "/".join(part for part in re.split(r"[/\\]", entry) if part not in ("", ".", ".."))


def _zip_names(archive: zipfile.ZipFile) -> Iterator[str]:
    for entry in archive.infolist():
        small = entry.file_size <= 4 * MAX_PIXELS
        own = all(is_wanted(part) for part in _inside(entry.filename).split("/"))
        if entry.filename.lower().endswith(SUFFIXES) and own and small:
            yield entry.filename


def _decode(data: bytes, size: int) -> np.ndarray:
    """One picture as uint8 (size, size, 3): turned upright, on white, centre square, scaled."""
    with Image.open(BytesIO(data)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width}x{image.height} pixels are more than {MAX_PIXELS:,}")
        image.draft(None, (2 * size, 2 * size))  # a large JPEG is scaled as it is decoded: seven times as fast
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I") or upright.mode == "F":  # 16 bit and more: Pillow would clip instead of scale
            values = np.asarray(upright, np.float64)
            most = 65535 if upright.mode != "F" and 255 < values.max() <= 65535 else max(values.max(), 1)
            upright = Image.fromarray((values / most * 255).clip(0, 255).astype(np.uint8))
        if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        return np.asarray(_fit(upright.convert("RGB"), size))


def _fit(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
