"""Pictures through Pillow, and hostile ones."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from tests.charts.candles import klines, windows
from vision_ai.charts import mpl, png, raster
from vision_ai.config import ChartConfig
from vision_ai.errors import ImageError

CHART = mpl.draw(klines(seed=1), ChartConfig(width=500, height=400))
META = png.read(CHART).meta


def with_text(text: str, key: str = png.CHUNK) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(key, text)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(CHART)).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def test_a_model_view_survives_the_file():
    picture = raster.render(windows(1, 1))[0]
    image = png.read(raster.to_png(picture))
    assert (image.pixels == picture).all()
    assert image.meta is None


def test_a_model_view_is_scaled_to_a_square():
    picture = raster.render(windows(1, 2))[0]
    assert png.read(raster.to_png(picture, side=224)).pixels.shape == (224, 224, 3)


def test_metadata_survives_the_file():
    image = png.read(png.encode(png.read(CHART).pixels, META))
    assert image.meta == META


@pytest.mark.parametrize("data", [b"", b"text", CHART[:40]])
def test_a_peek_tells_our_pictures_from_others(tmp_path, data):
    path = tmp_path / "chart.png"
    path.write_bytes(CHART)
    assert png.peek(path) == META
    path.write_bytes(data)
    assert png.peek(path) is None


def test_a_picture_is_read_from_its_path(tmp_path):
    path = tmp_path / "chart.png"
    path.write_bytes(CHART)
    assert png.read(path).meta == META


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "../../etc/passwd"},
        {"symbol": "BTC USDT"},
        {"interval": "7d"},
        {"klines": "x" * 64},
        {"v": 99},
        {"last_open_ms": 5},
        {"extra": 1},
        {"x_left": float("nan")},
        {"x_left": 0.0, "x_right": 10.0},
        {"x_left": -1000.0, "x_right": -900.0},
        {"x_left": 1000.0, "x_right": 1096.0},
        {
            "first_open_ms": 2**53 // META.interval.ms * META.interval.ms - 95 * META.interval.ms,
            "last_open_ms": 2**53 // META.interval.ms * META.interval.ms,
        },
        {"price": META.price.model_copy(update={"right": 9_999.0}).model_dump()},
        {"price": META.price.model_copy(update={"low": 1e9}).model_dump()},
    ],
)
def test_metadata_that_lies_is_not_believed(change):
    content = {**META.model_dump(mode="json"), **change}
    assert png.read(with_text(json.dumps(content))).meta is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "9" * 9_000])
def test_metadata_that_is_no_record_is_not_believed(text):
    assert png.read(with_text(text)).meta is None


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.png cannot be opened"):
        png.read(tmp_path / "nowhere.png")


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, len(CHART) * 9 // 10))
def test_a_truncated_png_is_an_image_error(cut):
    with pytest.raises(ImageError):
        png.read(CHART[:cut])


@settings(max_examples=60, deadline=None)
@given(place=st.integers(8, len(CHART) - 1), value=st.integers(0, 255))
def test_a_damaged_byte_is_an_image_error_or_harmless(place, value):
    damaged = CHART[:place] + bytes([value]) + CHART[place + 1 :]
    try:
        image = png.read(damaged)
    except ImageError:
        return
    assert image.pixels.dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=300))
def test_bytes_that_are_no_picture_are_an_image_error(data):
    with pytest.raises(ImageError):
        png.read(data)


def test_a_picture_that_unpacks_to_gigabytes_is_refused():
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = CHART[:12] + header + struct.pack(">I", zlib.crc32(header)) + CHART[33:]
    with pytest.raises(ImageError, match="too large"):
        png.read(bomb)


def test_a_text_chunk_that_unpacks_to_gigabytes_is_refused():
    body = b"vision-ai\x00\x00" + zlib.compress(b"A" * 80_000_000)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + body))
    bomb = CHART[:33] + chunk + CHART[33:]
    with pytest.raises(ImageError):
        png.read(bomb)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "I;16", "CMYK"])
def test_every_colour_mode_becomes_rgb(mode):
    buffer = io.BytesIO()
    kind = "JPEG" if mode == "CMYK" else "PNG"
    Image.new(mode, (20, 10)).save(buffer, kind)
    assert png.read(buffer.getvalue()).pixels.shape == (10, 20, 3)
