"""The one door to Pillow: pictures to PNG files and back, with their metadata."""

import io

from PIL import Image

from vision_ai.domain import Bytes


def encode(picture: Bytes) -> bytes:
    """Encode uint8 (h, w, 3) as a small PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
