"""Which file brings a film to the screen soonest: encoding, the way there, and decoding in Chromium together."""

import base64
import io
import time
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from gan_demo import film, open_run
from gan_demo.benchmark.report import Figure, Options, Row
from gan_demo.benchmark.runs import one_of_each_shape
from gan_demo.benchmark.server import visiting

TIMES = 5
BANDWIDTHS = {"10 Mbit/s": 1e7, "100 Mbit/s": 1e8}

DECODE = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const start = performance.now();
  const picture = await createImageBitmap(new Blob([bytes]));
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 8;
  canvas.getContext("2d").drawImage(picture, 0, 0, 8, 8); // a decoder may be lazy
  canvas.getContext("2d").getImageData(0, 0, 1, 1);
  return performance.now() - start;
}"""


def pillow(kind: str, **settings: object) -> Callable[[np.ndarray], bytes]:
    def encode(pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        film.picture(pixels).save(buffer, kind, **settings)
        return buffer.getvalue()

    return encode


CODECS = {
    "WebP q80": pillow("WEBP", quality=80, method=2),
    "WebP q80, fastest": pillow("WEBP", quality=80, method=0),
    "WebP lossless, fastest": pillow("WEBP", lossless=True, quality=0, method=0),
    "JPEG q90": pillow("JPEG", quality=90, subsampling=0),
    "PNG, fastest": pillow("PNG", compress_level=1),
}


def measure(options: Options) -> Iterator[Row]:
    with visiting() as page:
        for player in map(open_run, one_of_each_shape(options.runs)):
            pixels, _ = film.laid_out(player.film(range(film.TILES)))
            for name, encode in CODECS.items():
                data, encoding, decoding = b"", [], []
                for _ in range(TIMES):
                    start = time.perf_counter()
                    data = encode(pixels)
                    encoding.append(1000 * (time.perf_counter() - start))
                    decoding.append(page.evaluate(DECODE, base64.b64encode(data).decode()))
                error = f"{len(data) / 1024:.0f} KiB, error {loss(pixels, data):.1f} of 255"
                for bandwidth, bits in BANDWIDTHS.items():
                    there = 8000 * len(data) / bits
                    totals = [before + there + after for before, after in zip(encoding, decoding, strict=True)]
                    parts = f"{np.median(encoding):.0f} + {there:.0f} + {np.median(decoding):.0f}"
                    yield Figure(f"{player.name}, {name}, {bandwidth}", totals, "ms", note=f"{parts}; {error}")


def loss(pixels: np.ndarray, data: bytes) -> float:
    """How far the file's pixels are from the true ones: the root of the mean square."""
    with Image.open(io.BytesIO(data)) as image:
        there = np.asarray(image.convert("L" if pixels.shape[2] == 1 else "RGB"), np.float32)
    return float(np.sqrt(np.mean((there.reshape(pixels.shape) - pixels) ** 2)))
