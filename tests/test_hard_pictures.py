"""What a person would lose to one odd picture among their own: the others, the training, or the machine's memory."""

import io
import struct
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hard import hard, one_line
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_demo import data, recipes
from gan_demo.errors import GanDemoError

RECIPE = replace(recipes.get("dcgan-mnist"), batch_size=1)
MODES = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"), "jpg": ("L", "RGB", "CMYK"), "gif": ("L", "P", "RGB"),
    "webp": ("RGB", "RGBA"), "bmp": ("1", "L", "P", "RGB"),
    "tif": ("1", "L", "P", "RGB", "RGBA", "CMYK", "F", "I", "I;16"),
}  # fmt: skip


@st.composite
def pictures(draw: st.DrawFn) -> tuple[str, bytes]:
    """A picture's suffix and bytes: any mode, odd sizes, several frames, turned, and perhaps damaged afterwards."""
    suffix = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[suffix]))
    size = draw(st.sampled_from([(1, 1), (1, 300), (300, 1), (2, 3), (28, 28), (61, 40)]))
    frames = [
        Image.new(mode, size, draw(st.integers(0, 255)) if mode in ("L", "P", "I", "I;16") else 0) for _ in range(2)
    ]
    exif = Image.Exif()
    exif[0x0112] = draw(st.integers(0, 9))  # turned, mirrored, and two that mean nothing
    options: dict = {"exif": exif} if suffix in ("jpg", "png", "webp", "tif") else {}
    if suffix in ("gif", "webp", "tif") and draw(st.booleans()):
        options |= {"save_all": True, "append_images": frames[1:]}
    buffer = io.BytesIO()
    frames[0].save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()), **options)
    content = bytearray(buffer.getvalue())
    for where, bit in draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=3)):
        content[int(where * len(content))] ^= 1 << bit
    return suffix, bytes(content[: draw(st.one_of(st.none(), st.integers(0, len(content))))])


def read(path: Path) -> data.Images | None:
    try:
        return data.load(RECIPE, path)[0]
    except GanDemoError as error:
        one_line(error)
        return None


@hard(80)
@given(odd=st.lists(pictures(), max_size=3), packed=st.booleans())
def test_odd_pictures_are_read_or_skipped_and_the_honest_one_stays(odd, packed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    honest = io.BytesIO()
    Image.new("RGB", (40, 40), (255, 0, 0)).save(honest, "PNG")
    files = {"a.png": honest.getvalue(), **{f"b{n}.{suffix}": content for n, (suffix, content) in enumerate(odd)}}
    if packed:
        with zipfile.ZipFile(folder / "own.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        (folder / "own").mkdir()
        for name, content in files.items():
            (folder / "own" / name).write_bytes(content)
    images = read(folder / ("own.zip" if packed else "own"))
    assert images is not None and images.pixels.shape == (len(images.pixels), 3, 28, 28)
    assert 1 <= len(images.pixels) <= len(files) and images.pixels[0, :, 9, 9].tolist() == [255, 0, 0]


@hard(60)
@given(content=st.binary(max_size=300), cut=st.floats(0, 1), junk=st.binary(max_size=20))
def test_a_zip_of_anything_is_read_or_told_in_one_line(content, cut, junk, tmp_path_factory):
    path = tmp_path_factory.mktemp("zips") / "own.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.png", content)
        archive.writestr("b/y.png", content)
    whole = path.read_bytes()
    at = int(cut * len(whole))
    for damaged in (whole[:at], whole[:at] + junk + whole[at:], whole[:at] + junk + whole[at + len(junk) :]):
        path.write_bytes(damaged)
        read(path)


def bomb(side: int = 30_000) -> bytes:
    """A PNG that says it is that large; who believes it makes room before anything is unpacked."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(10_000))
    chunks = (
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (header, pixels)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_bombs_are_skipped_without_being_unpacked(tmp_path, capsys):
    Image.new("RGB", (30, 30)).save(tmp_path / "honest.png")
    (tmp_path / "bomb.png").write_bytes(bomb())
    (tmp_path / "frames.gif").write_bytes(b"GIF89a" + (65535).to_bytes(2, "little") * 2 + b"\0\0\0;")
    images = read(tmp_path)
    with zipfile.ZipFile(tmp_path / "own.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "honest.png", "honest.png")
        archive.write(tmp_path / "bomb.png", "bomb.png")
        archive.writestr("zeros.png", bytes(300 * 2**20))
    assert images and len(images.pixels) == 1
    tracemalloc.start()
    zipped = read(tmp_path / "own.zip")
    assert zipped and len(zipped.pixels) == 1
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()
    assert "skipped bomb.png: Image size (900000000 pixels)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["../out.png", "/tmp/out.png", "a/../../out.png", "C:\\out.png", "\\\\host\\out.png", "a/b/c.png"]
)
def test_a_zips_paths_write_nothing_anywhere_and_name_no_odd_class(name, tmp_path):
    picture = io.BytesIO()
    Image.new("RGB", (30, 30), "red").save(picture, "PNG")
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        for each in ("a/one.png", "b/two.png", name):
            archive.writestr(each, picture.getvalue())
    before = sorted(tmp_path.parent.rglob("*"))
    images = read(tmp_path / "own.zip")
    assert images and sorted(tmp_path.parent.rglob("*")) == before
    assert not {"", ".", ".."} & set(images.classes)


def test_a_folders_name_that_is_no_text_still_makes_a_class(tmp_path):
    folder = tmp_path / b"caf\xe9".decode(errors="surrogateescape")
    try:
        folder.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system takes text alone")
    for place in (folder, tmp_path / "other"):
        place.mkdir(exist_ok=True)
        Image.fromarray(np.full((30, 30, 3), 9, np.uint8)).save(place / "a.png")
    images = read(tmp_path)
    assert images and len(images.classes) == 2
    assert all(name.encode() for name in images.classes)
