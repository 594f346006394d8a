"""Anyone's own pictures, a folder or zip of them: found, decoded, cut to a square and scaled."""

import os
import re
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from gan_demo.errors import GanDemoError
from gan_demo.machine import cores, memory

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")  # for PostScript Pillow runs a program
MAX_PIXELS = 64_000_000  # of one picture, before it is scaled down: a larger one is a mistake or a bomb
MAX_BYTES = 4 * MAX_PIXELS  # of its file
CHUNK = 256  # pictures that are decoded as one task
BAR = {"unit": " images", "delay": 1, "leave": False, "disable": None}  # on a terminal, while it takes long
NAMED = 10  # unreadable files named one by one
SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")


@dataclass(frozen=True)
class Images:
    """A data set in memory."""

    pixels: np.ndarray  # uint8 (N, C, H, W)
    labels: np.ndarray | None  # int64 (N,), or None where there are no classes
    classes: list[str]  # in order of the labels; empty where there are none
    name: str


def read_pictures(path: Path, size: int, in_colour: bool = False, by_folder: bool = True) -> Images:
    """Decode a folder or zip of pictures, cropped to the centre square and scaled: uint8 (N, C, size, size).

    Class folders become the classes in alphabetical order; where classes are wanted (`by_folder`) the pictures beside
    them are left out, else there are no classes where some lie beside. One channel where every picture is grey and
    they are not wanted `in_colour`, else three. Unreadable files are named on standard error and skipped.
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

    names, pixels = _decoded(names, read, size, path)
    if not in_colour and all((picture == picture[:1]).all() for picture in pixels):
        pixels = pixels[:, :1].copy()
    if not all("/" in name for name in names):
        return Images(pixels, None, [], "images")
    folders = [name.split("/")[0] for name in names]
    classes = sorted(set(folders))
    place = {name: index for index, name in enumerate(classes)}
    labels = np.array([place[name] for name in folders], np.int64)
    written = [name.encode(errors="replace").decode() for name in classes]  # a folder's name need not be text
    return Images(pixels, labels, written, "images")


def _decoded(names: list[str], read: Callable[[str], bytes], size: int, path: Path) -> tuple[list[str], np.ndarray]:
    """The names of those that can be read, and their pixels: uint8 (N, 3, size, size). The others are named."""
    pixels = room(len(names), 3, size)

    def decode(index: int) -> str:
        try:
            pixels[index] = _decode(read(names[index]), size).transpose(2, 0, 1)
        except UnidentifiedImageError:
            return f"{names[index]}: no picture"
        except Exception as error:  # Pillow raises many kinds for damaged files
            return f"{names[index]}: {reason(error)}"
        return ""

    wrong: list[str] = []
    chunks = [range(len(names))[at : at + CHUNK] for at in range(0, len(names), CHUNK)]  # a task a picture takes 2 KB
    with ThreadPoolExecutor(cores()) as pool, tqdm(desc="decoding", total=len(names), **BAR) as bar:
        for done in pool.map(lambda chunk: [decode(index) for index in chunk], chunks):
            wrong += done
            bar.update(len(done))
    bad, good = list(filter(None, wrong)), [index for index, why in enumerate(wrong) if not why]
    for line in bad[:NAMED] + ([f"{len(bad) - NAMED} more"] if len(bad) > NAMED else []):
        print(f"skipped {line}", file=sys.stderr)
    if not good:
        raise GanDemoError(f"none of the {len(names)} pictures in {path} can be read: give other pictures with --data")
    for to, index in enumerate(good if bad else ()):  # in place: a copy might be more than there is room for
        pixels[to] = pixels[index]
    return [names[index] for index in good], pixels[: len(good)]


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
        entries = {"/".join(parts(entry)): entry for entry in _zip_names(archive)}
        flat = all(name.count("/") == 1 for name in entries)  # as a zip of a folder of pictures is
        entries = _unwrapped(entries, least=1 if flat else 2)
        one_at_a_time = threading.Lock()  # a ZipFile is not for many threads

        def read(name: str) -> bytes:
            _check_bytes(archive.getinfo(entries[name]).file_size)
            with one_at_a_time:
                return archive.read(entries[name])

        return sorted(entries), read
    if not path.is_dir():
        raise GanDemoError(f"{path} does not exist: give a folder or zip of pictures with --data")
    files = {
        file.relative_to(path).as_posix(): file
        for file in files_under(path)
        if file.suffix.lower() in SUFFIXES and file.is_file()
    }
    files = _unwrapped(files, least=2)  # a single folder of pictures is a class

    def read_file(name: str) -> bytes:
        _check_bytes(files[name].stat().st_size)
        return files[name].read_bytes()

    return sorted(files), read_file


def _unwrapped(files: dict[str, Any], least: int) -> dict[str, Any]:
    """Files by name, without the folders that hold all of them, as long as each name has `least` folders or more.

    Or some do, in folders of several names: these are the classes, and what has fewer lies beside them.
    """
    while files and len({name.split("/")[0] for name in files}) == 1:
        inside = {name.split("/")[1] for name in files if name.count("/") >= 2}
        if len(inside) < 2 and not all(name.count("/") >= least for name in files):
            break
        files = {name.split("/", 1)[1]: file for name, file in files.items()}
    return files


def _check_bytes(size: int) -> None:
    if size > MAX_BYTES:
        raise ValueError(f"{size / 1e6:,.0f} MB are more than {MAX_BYTES / 1e6:,.0f}")


def parts(name: str) -> list[str]:
    """The parts of a path that a stranger named, however it is spelled; none of them leads upward."""
    return [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]


def _zip_names(archive: zipfile.ZipFile) -> Iterator[str]:
    for entry in archive.infolist():
        if entry.filename.lower().endswith(SUFFIXES) and all(map(is_wanted, parts(entry.filename))):
            yield entry.filename


def _decode(data: bytes, size: int) -> np.ndarray:
    """One picture as uint8 (size, size, 3): turned upright, on white, centre square, scaled."""
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width}x{image.height} pixels are more than {MAX_PIXELS:,}")
        image.draft(None, (2 * size, 2 * size))  # a large JPEG is scaled as it is decoded: seven times as fast
        upright = _upright(image)
        if upright.mode.startswith("I") or upright.mode == "F":  # 16 bit and more: Pillow would clip instead of scale
            values = np.asarray(upright, np.float64)
            scaled = image.format == "PPM" and upright.mode == "I"  # by Pillow, as it opened the file
            most = 65535 if scaled else _white(upright.mode, max(values.max(), 1))
            upright = Image.fromarray((values / most * 255).clip(0, 255).astype(np.uint8))
        if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        return np.asarray(_fit(upright.convert("RGB"), size))


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF data say, or as it is where these are damaged."""
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Pillow raises many kinds; what is wrong is a note about the picture
        return image


def _white(mode: str, highest: float) -> float:
    """The value that is white in a picture of 16 bit or more: by its kind, so that dark pictures stay dark."""
    if mode.startswith("I;16"):
        return 65535
    fitting = [] if mode == "F" else [most for most in (255, 65535) if highest <= most]
    return fitting[0] if fitting else highest


def _fit(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


def files_under(folder: Path) -> Iterator[Path]:
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


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """uint8 (N, C, H, W), cropped to the centre square and scaled; pictures that have the size are left alone."""
    if pixels.shape[2:] == (size, size):
        return pixels
    count, channels = pixels.shape[:2]
    scaled = room(count, channels, size)
    for i, picture in enumerate(tqdm(pixels.transpose(0, 2, 3, 1), "scaling", **BAR)):
        square = np.asarray(_fit(Image.fromarray(picture.squeeze()), size))
        scaled[i] = square.reshape(size, size, channels).transpose(2, 0, 1)
    return scaled


def room(count: int, channels: int, size: int) -> np.ndarray:
    """Room for so many pictures: uint8 (N, C, size, size); GanDemoError where this machine has too little memory.

    Each of torchrun's processes on it holds all of them.
    """
    said = os.environ.get("LOCAL_WORLD_SIZE", "")
    copies = int(said) if said.isdecimal() and len(said) < 7 else 1
    need, there = count * size * size * channels * copies, memory()
    if there and need > there // 2:  # the networks want some, too
        each = f" in {copies} processes" if copies > 1 else ""
        raise GanDemoError(
            f"{count:,} pictures of {size}x{size} take {need / 2**30:.1f} GiB{each}, more than half of this machine's "
            f"memory ({there / 2**30:.1f} GiB): choose a smaller --image-size, or give fewer pictures with --data"
        )
    return np.empty((count, channels, size, size), np.uint8)


def reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120].rstrip(".: ") or type(error).__name__
