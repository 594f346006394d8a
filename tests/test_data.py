"""What a person would lose: their own pictures, or the word on why they will not do."""

import contextlib
import io
import os
import shutil
import time
import tracemalloc
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA
from PIL import EpsImagePlugin, Image
from torchvision.datasets import MNIST

from gan_demo import data, pictures, recipes
from gan_demo.errors import GanDemoError

RECIPE = replace(recipes.get("dcgan-mnist"), batch_size=2)
CONDITIONAL = replace(recipes.get("cdcgan-mnist"), batch_size=2)


def picture(path, colour, size=(40, 30), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = options.pop("mode", "RGB")
    Image.new(mode, size, colour).save(path, **options)


@pytest.fixture
def unplugged(monkeypatch):
    """As good as no network: all goes through a proxy at which nothing listens."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies of its first use for all that follow


def test_mnist_is_all_there_and_nothing_is_fetched(mnist, unplugged):
    assert np.array_equal(data.load(RECIPE, DATA)[0].pixels, mnist.pixels)
    assert mnist.pixels.shape == (60_000, 1, 28, 28) and mnist.pixels.dtype == np.uint8
    assert list(np.bincount(mnist.labels)) == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.classes == list("0123456789") and mnist.name == "mnist"


def test_a_damaged_data_set_is_named_with_the_way_out(tmp_path):
    shutil.copytree(DATA / "MNIST", tmp_path / "MNIST")
    labels = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:1000])
    with pytest.raises(GanDemoError, match=r"MNIST in .* is damaged .*: delete .*raw to download it anew"):
        data.load(RECIPE, tmp_path)


def test_a_data_set_that_cannot_be_downloaded_is_said_and_leaves_nothing_behind(tmp_path, unplugged, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("made").mkdir()
    for place in ("data", "made"):
        says = rf"MNIST is not in {place} and could not be downloaded \(.*[^:]\): check the network"
        with pytest.raises(GanDemoError, match=says):
            data.load(RECIPE, place)
    assert list(Path().rglob("*")) == [Path("made")]  # a person's own


def test_a_download_that_broke_off_is_not_called_damaged(tmp_path, unplugged):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(bytes(1000))
    with pytest.raises(GanDemoError, match=r"could not be downloaded .* check the network"):
        data.load(RECIPE, tmp_path)


def test_two_trainings_at_once_download_a_data_set_once(tmp_path, monkeypatch, capsys):
    downloads = []

    def download(reader):
        if not reader._check_exists():
            downloads.append(Path(reader.raw_folder))
            Path(reader.raw_folder).mkdir(parents=True)
            time.sleep(1.5)
            shutil.copytree(DATA / "MNIST" / "raw", reader.raw_folder, dirs_exist_ok=True)

    monkeypatch.setattr(MNIST, "download", download)  # for the network, which the tests have not
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(lambda _: data.load(RECIPE, tmp_path)[0], range(2)))
    assert downloads == [tmp_path / "MNIST" / "raw"] and [len(images.pixels) for images in read] == [60_000] * 2
    assert capsys.readouterr().err.count(f"another process downloads MNIST into {tmp_path}: waiting for it") == 1
    assert [child.name for child in tmp_path.iterdir()] == ["MNIST"]


def test_a_folder_that_is_not_there_is_a_slip_and_no_place_to_download_into(tmp_path, unplugged, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GanDemoError, match=r"my/picures does not exist: give a folder or zip .* make that folder"):
        data.load(RECIPE, "my/picures")
    assert not list(tmp_path.iterdir())


def test_class_folders_become_classes_and_colour_is_found_by_itself(tmp_path):
    for name, colour in (("red", "red"), ("blue", "blue")):
        for index in range(3):
            picture(tmp_path / "own" / name / f"{index}.png", colour)
    images, recipe = data.load(CONDITIONAL, tmp_path / "own")
    assert images.pixels.shape == (6, 3, 28, 28) and recipe.channels == 3 and recipe.dataset == "images"
    assert images.classes == ["blue", "red"] and list(images.labels) == [0, 0, 0, 1, 1, 1]
    assert tuple(images.pixels[5, :, 0, 0]) == (255, 0, 0)


def test_grey_pictures_stay_grey_and_a_zip_is_as_good_as_a_folder(tmp_path):
    for index in range(3):
        picture(tmp_path / "own" / f"{index}.jpg", 100, mode="L")
    folder, recipe = data.load(RECIPE, tmp_path / "own")
    assert folder.pixels.shape == (3, 1, 28, 28) and recipe.channels == 1 and folder.labels is None
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        for file in sorted((tmp_path / "own").iterdir()):
            archive.write(file, f"top/{file.name}")
    zipped, _ = data.load(RECIPE, tmp_path / "own.zip")
    np.testing.assert_array_equal(zipped.pixels, folder.pixels)
    assert zipped.labels is None


def test_classes_lie_in_a_folder_around_them_or_behind_a_link_and_have_pictures(tmp_path, capsys):
    for name, colour in (("red", "red"), ("blue", "blue")):
        for index in range(2):
            picture(tmp_path / "elsewhere" / name / f"{index}.png", colour)
    around = tmp_path / "own" / "images"
    (around / "broken").mkdir(parents=True)
    (around / "broken" / "0.png").write_bytes(b"no picture")
    shutil.copytree(tmp_path / "elsewhere" / "red", around / "red")
    (around / "blue").symlink_to(tmp_path / "elsewhere" / "blue")
    (around / "a-link").symlink_to(around / "red")  # of what is there already under a name of its own
    (around / "red" / "round").symlink_to(around)  # and of what holds it
    images, _ = data.load(CONDITIONAL, tmp_path / "own")
    assert images.classes == ["blue", "red"] and list(images.labels) == [0, 0, 1, 1]
    assert "in 2 classes: blue, red" in (said := capsys.readouterr().err) and "0.png: no picture" in said
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        for file in sorted((tmp_path / "elsewhere").rglob("*.png")):
            archive.write(file, f"top/images/{file.parent.name}/{file.name}")
    assert data.load(CONDITIONAL, tmp_path / "own.zip")[0].classes == ["blue", "red"]
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        for file in sorted((tmp_path / "elsewhere" / "blue").iterdir()):
            archive.write(file, f"top/blue/{file.name}")
    assert data.load(CONDITIONAL, tmp_path / "one.zip")[0].classes == ["blue"]
    with zipfile.ZipFile(tmp_path / "stray.zip", "w") as archive:
        archive.write(tmp_path / "elsewhere" / "red" / "0.png", "top/preview.png")
        for file in sorted((tmp_path / "elsewhere").rglob("*.png")):
            archive.write(file, f"top/{file.parent.name}/{file.name}")
    assert data.load(CONDITIONAL, tmp_path / "stray.zip")[0].classes == ["blue", "red"]
    assert "left out 1 pictures" in capsys.readouterr().err
    single, _ = data.load(RECIPE, tmp_path / "elsewhere" / "blue")
    assert single.labels is None and len(single.pixels) == 2


def test_a_large_photo_and_sixteen_bits_keep_their_brightness(tmp_path):
    own, random = tmp_path / "own", np.random.default_rng(0)
    own.mkdir()
    waves = np.clip(128 + 100 * np.sin(np.arange(1200) / 90)[:, None] + random.normal(0, 3, (1200, 1600)), 0, 255)
    Image.fromarray(np.stack([waves.astype(np.uint8)] * 3, -1)).save(own / "a.jpg", quality=95)
    Image.fromarray(np.stack([waves.astype(np.uint8)] * 3, -1)).save(own / "b.png")
    Image.fromarray(np.full((40, 40), 16384, np.uint16)).save(own / "c.png")
    large, small, deep = data.load(RECIPE, own)[0].pixels.astype(float)
    assert np.abs(large - small).max() <= 3 and np.abs(deep - 63.75).max() <= 1


def test_odd_pictures_are_read_as_a_person_would_see_them(tmp_path):
    own = tmp_path / "own"
    picture(own / "a-one-pixel.png", "red", (1, 1))
    picture(own / "b-cmyk.jpg", (0, 255, 255, 0), mode="CMYK")
    picture(own / "c-clear.png", (0, 0, 0, 0), mode="RGBA")
    Image.fromarray(np.full((30, 30), 65535, np.uint16)).save(own / "d-16-bit.png")
    turned = Image.new("RGB", (40, 20), "black")
    turned.paste("white", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees: the white half is the upper one
    turned.save(own / "e-turned.png", exif=exif)
    Image.new("P", (30, 30)).save(own / "f-frames.gif", save_all=True, append_images=[Image.new("P", (30, 30), 1)])
    images, _ = data.load(RECIPE, own)
    mean = images.pixels.mean((2, 3))
    assert len(images.pixels) == 6
    assert tuple(mean[0]) == (255, 0, 0) and mean[1][0] > 200 and mean[1][1] < 60
    assert (mean[2] == 255).all() and (mean[3] == 255).all()
    assert images.pixels[4, 0, :8].mean() > 200 and images.pixels[4, 0, -8:].mean() < 50


def test_dark_pictures_of_sixteen_bits_stay_dark(tmp_path):
    for index, value in enumerate((0, 100, 255, 256, 1000)):
        Image.fromarray(np.full((30, 30), value, np.uint16)).save(tmp_path / f"{index}.png")
    Image.fromarray(np.full((30, 30), 100, np.int32)).save(tmp_path / "5.tif")  # 8 bits in a wider file
    dark = data.load(RECIPE, tmp_path)[0].pixels.max((1, 2, 3))
    assert list(dark) == [0, 0, 0, 0, 3, 100]
    (tmp_path / "grey").mkdir()
    for index, value in enumerate((100, 255, 256, 40000)):
        header = b"P5 30 30 65535\n"
        (tmp_path / "grey" / f"{index}.pgm").write_bytes(header + np.full(900, value, ">u2").tobytes())
    assert list(data.load(RECIPE, tmp_path / "grey")[0].pixels.max((1, 2, 3))) == [0, 0, 0, 155]


def test_a_picture_whose_notes_are_damaged_is_a_picture_and_a_programs_file_is_none(tmp_path, monkeypatch, capsys):
    for index in range(2):
        Image.new("RGB", (30, 30), "red").save(tmp_path / f"{index}.png", exif=b"Exif\0\0no TIFF at all")
    called = tmp_path / "bin" / "called"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gs").write_text(f"#!/bin/sh\ntouch {called}\n")
    (tmp_path / "bin" / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # it is looked for once
    drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 30 30\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "2.png").write_bytes(drawing)
    with contextlib.suppress(OSError), Image.open(io.BytesIO(drawing)) as image:
        image.load()  # as Pillow does where nobody says which formats are meant
    assert called.exists()
    called.unlink()
    assert (data.load(RECIPE, tmp_path)[0].pixels[:, 0] == 255).all()
    assert "skipped 2.png: no picture" in capsys.readouterr().err and not called.exists()


def test_what_a_folder_holds_beside_a_published_name_is_named(tmp_path, capsys):
    for name in ("anime", "photo"):
        for index in range(3):
            picture(tmp_path / "own" / name / f"{index}.png", "red")
    images, _ = data.load(replace(recipes.get("dcgan-anime"), batch_size=2), tmp_path / "own")
    assert len(images.pixels) == 3
    assert "holds anime and is taken for a data folder: left out are photo; to train" in capsys.readouterr().err


def test_unreadable_files_are_named_and_skipped(tmp_path, capsys):
    for index in range(3):
        picture(tmp_path / "own" / f"{index}.png", "red")
    (tmp_path / "own" / "empty.png").write_bytes(b"")
    (tmp_path / "own" / "text.jpg").write_text("no picture")
    header = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(header, "PNG")
    (tmp_path / "own" / "bomb.png").write_bytes(header.getvalue())
    (tmp_path / "own" / "notes.txt").write_text("left alone")
    images, _ = data.load(RECIPE, tmp_path / "own")
    assert len(images.pixels) == 3
    said = capsys.readouterr().err
    assert all(f"skipped {name}: " in said for name in ("empty.png", "text.jpg", "bomb.png")) and "notes" not in said


@pytest.mark.parametrize(
    ("files", "recipe", "names"),
    [
        ([], RECIPE, "could not be downloaded|has no picture"),
        (["a.png"], replace(RECIPE, batch_size=8), "1 readable pictures, fewer than one batch of 8"),
        (["a.png", "b.png"], CONDITIONAL, "needs classes and .* has no class folders"),
    ],
)
def test_too_few_or_unlabelled_pictures_are_refused(files, recipe, names, tmp_path, unplugged):
    (tmp_path / "own").mkdir()
    for name in files:
        picture(tmp_path / "own" / name, "red")
    with pytest.raises(GanDemoError, match=names):
        data.load(recipe, tmp_path / "own")


def test_files_that_are_no_zip_and_folders_that_are_not_there_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(GanDemoError, match="neither a folder nor a zip"):
        data.load(RECIPE, tmp_path / "file")
    with pytest.raises(GanDemoError, match=r"Anime faces is not in .* and cannot be downloaded"):
        data.load(recipes.get("dcgan-anime"), tmp_path / "nowhere")


def test_pictures_at_any_depth_are_a_persons_own_and_never_become_mnist(tmp_path, unplugged, capsys):
    for index in range(3):
        picture(tmp_path / "own" / "2024" / "june" / f"{index}.png", "red")
    images, _ = data.load(RECIPE, tmp_path / "own")
    assert images.name == "images" and len(images.pixels) == 3
    assert "holds pictures of its own: 3 in the place of MNIST" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("there", "names"),
    [("own/IMG_1.heic", "own holds .heic and no pictures that are read"), ("other", r"own\.zip does not exist: give")],
)
def test_what_holds_no_picture_is_no_place_to_download_mnist_into(there, names, tmp_path, unplugged):
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_bytes(b"x")
    with pytest.raises(GanDemoError, match=names):
        data.load(RECIPE, tmp_path / ("own" if "own" in there else "own.zip"))
    assert not (tmp_path / "own" / "MNIST").exists()


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "lost+found", "README.md", "svhn.mat"])
def test_a_data_folder_with_anything_else_in_it_is_still_one(name, tmp_path, unplugged):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(GanDemoError, match=r"MNIST is not in .* and could not be downloaded"):
        data.load(RECIPE, tmp_path)


def test_a_stray_folder_costs_no_picture_and_what_is_left_out_is_said(tmp_path, capsys):
    for name in ("a.png", "b.png", ".ipynb_checkpoints/a.png", "@eaDir/b.png", "._a.png", "old/c.png"):
        picture(tmp_path / "own" / name, "red")
    images, _ = data.load(RECIPE, tmp_path / "own")
    assert len(images.pixels) == 3 and images.labels is None
    picture(tmp_path / "own" / "new" / "d.png", "red")
    images, _ = data.load(CONDITIONAL, tmp_path / "own")
    assert images.classes == ["new", "old"] and len(images.pixels) == 2
    assert "left out 2 pictures of" in capsys.readouterr().err
    (tmp_path / "own").rename(tmp_path / "anime")
    faces = replace(recipes.get("dcgan-anime"), batch_size=2)
    assert len(data.load(faces, tmp_path)[0].pixels) == 4


def test_other_classes_under_a_published_name_are_refused(tmp_path):
    for name in ("cats", "dogs"):
        picture(tmp_path / "cifar10" / name / "a.png", "red")
    with pytest.raises(GanDemoError, match="has the class folders cats, dogs where CIFAR-10 has airplane"):
        data.load(replace(recipes.get("acgan-cifar10"), batch_size=2), tmp_path)


def test_pictures_that_no_memory_holds_are_refused_before_they_are_scaled(tmp_path, monkeypatch):
    picture(tmp_path / "a.png", "red")
    picture(tmp_path / "b.png", "blue")
    monkeypatch.setattr(pictures, "memory", lambda: 100_000_000)
    recipe = replace(RECIPE, image_size=64)
    assert data.load(recipe, tmp_path)[0].pixels.shape == (2, 3, 64, 64)
    with monkeypatch.context() as torchrun, pytest.raises(GanDemoError, match=r"2 pictures of 64x64 take .* GiB"):
        torchrun.setenv("LOCAL_WORLD_SIZE", "4000")
        data.load(recipe, tmp_path)
    with pytest.raises(GanDemoError, match=r"60,000 pictures of 64x64 take 0.2 GiB.*choose a smaller --image-size"):
        data.load(recipe, DATA)


def test_a_toy_draws_its_own_points_in_little_memory_and_takes_no_other_pictures(tmp_path, monkeypatch):
    toy = recipes.get("toy-ring")
    picture(tmp_path / "own" / "a.png", "red")
    for path in (tmp_path / "own", tmp_path / "nowhere"):
        with pytest.raises(GanDemoError, match=rf"toy-ring draws its own points, and none of {path}: leave out --data"):
            data.load(toy, path)
    tracemalloc.start()
    pixels = data.load(toy)[0].pixels
    assert tracemalloc.get_traced_memory()[1] < 1.5 * pixels.nbytes
    tracemalloc.stop()
    monkeypatch.setattr(pictures, "memory", lambda: 10_000_000)
    with pytest.raises(GanDemoError, match=r"10,000 pictures of 32x32 take .* choose a smaller --image-size"):
        data.load(toy)


def test_a_file_larger_than_any_picture_is_named_and_left_out_of_a_folder_and_a_zip(tmp_path, monkeypatch, capsys):
    for index in range(2):
        picture(tmp_path / "own" / f"{index}.png", "red")
    (tmp_path / "own" / "large.tif").write_bytes(bytes(2000))
    shutil.make_archive(str(tmp_path / "own"), "zip", tmp_path / "own")
    monkeypatch.setattr(pictures, "MAX_BYTES", 1999)
    for path in (tmp_path / "own", tmp_path / "own.zip"):
        assert len(data.load(RECIPE, path)[0].pixels) == 2
        assert "skipped large.tif: 0 MB are more than 0" in capsys.readouterr().err


def test_of_a_picture_that_is_no_square_the_middle_is_kept_and_nothing_is_squeezed(tmp_path):
    (tmp_path / "own").mkdir()
    wide = Image.new("RGB", (80, 40), "red")
    wide.paste("blue", (20, 0, 60, 40))  # the centre square
    wide.save(tmp_path / "own" / "a.png")
    wide.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "own" / "b.png")
    images, _ = data.load(RECIPE, tmp_path / "own")
    inside = images.pixels[:, :, 2:-2, 2:-2]
    assert (inside[:, 2] > 250).all() and (inside[:, 0] < 5).all()


def test_guidance_goes_along_to_no_pictures_it_was_not_chosen_on(tmp_path, unplugged):
    recipe = replace(recipes.get("modern-cifar10"), batch_size=2)
    for name in ("dark", "light"):
        picture(tmp_path / "own" / name / "1.png", "red")
    assert data.on(recipe, "cifar10").guidance == recipe.guidance != 1
    assert data.on(recipe, "mnist").guidance == 1
    assert data.load(recipe, tmp_path / "own")[1].guidance == 1
