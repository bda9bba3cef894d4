"""Pictures to PNG files and back, with the record that a chart of ours carries (by Pillow).

A picture from outside is hostile until read: its size is checked before it is decoded, and its
text chunks are believed only if they fit `ChartMeta` to the letter.
"""

import io
import os
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError
from pydantic import ValidationError

from vision_ai.charts.meta import ChartMeta
from vision_ai.domain import Bytes, iso
from vision_ai.errors import ImageError

CHUNK = "vision-ai"
"""Name of the text chunk that holds `ChartMeta` as JSON."""
MAX_FILE = 32 * 2**20
MAX_SIDE = 8_000
MAX_PIXELS = 24_000_000
MAX_TEXT = 8_192
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


@dataclass(frozen=True, eq=False)
class ChartImage:
    """A decoded picture: uint8 (h, w, 3) RGB, and its record if the picture is ours."""

    pixels: Bytes
    meta: ChartMeta | None


def encode(picture: Bytes, meta: ChartMeta | None = None, *, side: int | None = None) -> bytes:
    """Encode uint8 (h, w, 3) as a PNG, scaled to `side` pixels square if given.

    Equal input gives equal bytes.
    """
    chunks = PngImagePlugin.PngInfo()
    if meta is not None:
        chunks.add_text("Title", f"{meta.symbol} {meta.interval} {iso(meta.last_open_ms)}")
        chunks.add_text(CHUNK, meta.model_dump_json())
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(picture))
    if side is not None:
        image = image.resize((side, side), Image.Resampling.NEAREST)  # keeps candles crisp
    # run lengths fit charts: faster than zlib's default search, and smaller
    image.save(buffer, "PNG", compress_level=3, compress_type=zlib.Z_RLE, pnginfo=chunks)
    return buffer.getvalue()


def read(source: Path | bytes) -> ChartImage:
    """Decode a picture file or its bytes.

    Raises:
        ImageError: missing, too large, truncated, or no picture at all.
    """
    name, data = _load(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _check_size(image, name)
                pixels = np.asarray(_flatten(image))
                return ChartImage(pixels, _read_meta(image))
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is not a picture: expected PNG, JPEG or WebP.",
            hint="Save the chart as PNG and try again.",
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(
            f"{name} is a damaged picture: {str(error)[:80]}.",
            hint="Copy or export it again.",
        ) from error


END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
"""The last chunk of every whole PNG."""


def peek(path: Path) -> ChartMeta | None:
    """The record that a picture of ours carries, read without decoding its pixels.

    None where it is not ours, or cut off.
    """
    try:
        with path.open("rb") as file, Image.open(file, formats=("PNG",)) as image:
            file.seek(-len(END), os.SEEK_END)
            if file.read() != END:
                return None
            return _parse_meta(str(image.info.get(CHUNK, "")), image)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None


def _load(source: Path | bytes) -> tuple[str, bytes]:
    if isinstance(source, bytes):
        name, data = "The picture", source
    else:
        name = str(source)
        try:
            with source.open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            raise ImageError(
                f"{name} cannot be opened: {error.strerror}.", hint="Check the path."
            ) from error
    if len(data) > MAX_FILE:
        raise _too_large(name)
    return name, data


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise _too_large(name)


def _too_large(name: str) -> ImageError:
    return ImageError(
        f"{name} is too large: expected at most {MAX_FILE >> 20} MiB, {MAX_SIDE} pixels a side and "
        f"{MAX_PIXELS // 1_000_000} million in all.",
        hint="Crop it to the chart or save it smaller.",
    )


def _flatten(image: Image.Image) -> Image.Image:
    """Drop transparency onto white, as a browser shows it."""
    if image.mode in {"RGB", "L"}:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, layered).convert("RGB")


def _read_meta(image: Image.Image) -> ChartMeta | None:
    """The record that the picture carries; None where it is not ours or was tampered with."""
    if not isinstance(image, PngImagePlugin.PngImageFile):
        return None
    return _parse_meta(image.text.get(CHUNK, ""), image)


def _parse_meta(text: str, image: Image.Image) -> ChartMeta | None:
    if not text or len(text) > MAX_TEXT:
        return None
    try:
        meta = ChartMeta.model_validate_json(text, strict=False)
    except ValidationError:
        return None
    inside = all(
        0 <= panel.left < panel.right <= image.width
        and 0 <= panel.top < panel.bottom <= image.height
        for panel in (meta.price, meta.volume)
    )
    return meta if inside else None
