"""Open any picture safely, turn it into 8-bit gray, and prepare it for a network.

`prepare_image` is the only way from a picture (file, webcam, data set) to a network's input. It resizes with
antialiasing before pictures are stacked, because pictures of many sizes cannot be stacked and a resizing layer
inside the network would alias a 12-megapixel photograph; scaling to 0..1 is part of the network.
"""

import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from facedep.errors import ImageError

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff",
                              ".ppm", ".pgm", ".avif"})  # fmt: skip
# Formats Pillow may try, whatever the file is called. Left out on purpose: those that start other programs (EPS).
_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
FORMATS_TEXT = "JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF"
MIN_SIDE_PX = 8
MAX_PIXELS = 120_000_000  # the largest phone cameras take 108 megapixels
# What Pillow's decoders are seen to raise on damaged files, beside OSError.
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError,
                   NotImplementedError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError)  # fmt: skip


def open_picture(source: bytes | Path, name: str) -> Image.Image:
    """Returns a decoded picture, upright by its EXIF note, in mode "L" or "RGB".

    Animated pictures give their first frame, transparent ones are laid on white, 16-bit ones are scaled to 8 bits.
    The file's name and ending do not matter, only its content.

    Args:
        source: The file's content, or its path.
        name: What to call the picture in an error sentence.

    Raises:
        ImageError: The file is missing, empty, no picture, damaged, smaller than 8 pixels or larger than 120 megapixels.
    """
    if isinstance(source, Path):
        try:
            source = source.read_bytes()
        except FileNotFoundError:
            raise ImageError(f"{name}: there is no such file. Check the path.") from None
        except IsADirectoryError:
            raise ImageError(f"{name} is a folder. Give the pictures in it.") from None
        except OSError as error:
            raise ImageError(f"{name} cannot be opened ({error.strerror}). Check that you may read it.") from None
    if not source:
        raise ImageError(f"{name} is empty (0 bytes). Export or download the picture again.")
    try:
        picture = Image.open(io.BytesIO(source), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise ImageError(_too_large(name)) from None
    except _DECODER_ERRORS:
        raise ImageError(f"{name} is not a picture that can be read. Use {FORMATS_TEXT}.") from None
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(name))
    if min(width, height) < MIN_SIDE_PX:
        raise ImageError(
            f"{name} is {width} x {height} pixels, too small to show a face. Use at least {MIN_SIDE_PX} x {MIN_SIDE_PX}."
        )
    try:
        picture.load()
        picture = ImageOps.exif_transpose(picture)
        return _to_eight_bits(picture)
    except _DECODER_ERRORS:
        raise ImageError(
            f"{name} is damaged or cut off: its pixels cannot be decoded. Export or download it again."
        ) from None


def _too_large(name: str) -> str:
    return (
        f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels and was not opened. "
        "Make it smaller first: a face needs a few hundred pixels."
    )


def _to_eight_bits(picture: Image.Image) -> Image.Image:
    """Returns the picture in mode "L" or "RGB"."""
    if picture.mode in ("L", "RGB"):
        return picture
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode.startswith("I") or picture.mode == "F":  # 16-bit, 32-bit and floating-point gray
        values = np.asarray(picture).astype(np.float64)
        values = np.nan_to_num(values - min(np.nanmin(values), 0.0))
        full_scale = 255.0 if values.max() <= 255 else max(65535.0, values.max())
        return Image.fromarray(np.round(values * (255.0 / full_scale)).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def to_gray(picture: Image.Image) -> np.ndarray:
    """Returns `uint8` gray values of shape `(height, width)`, 0-255 (luma of ITU-R BT.601, Pillow's "L")."""
    return np.asarray(picture.convert("L"))


def compute_fingerprint(gray: np.ndarray) -> str:
    """Returns 16 hex digits that are equal for pictures with identical size and gray values, and for no others.

    An exact hash (64 bits of BLAKE2b): a perceptual hash collides on unrelated faces, and "this model has seen this
    very picture" must not be wrong. With 30,000 pictures the chance of any collision is below 1e-10.

    Args:
        gray: `uint8` array of shape `(height, width)`, at the picture's original size.
    """
    digest = hashlib.blake2b(struct.pack("<II", *gray.shape), digest_size=8)
    digest.update(np.ascontiguousarray(gray).tobytes())
    return digest.hexdigest()


def crop_centre_square(gray: np.ndarray) -> np.ndarray:
    """Returns the largest centred square of a gray picture, so that no face is squeezed: `(side, side)`."""
    height, width = gray.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return gray[top : top + side, left : left + side]


def prepare_image(gray: np.ndarray, size_px: int) -> np.ndarray:
    """Returns a network's input for one face: `uint8` array of shape `(size_px, size_px, 1)`, 0-255.

    The centred square, resized with Pillow's antialiased bilinear filter. A picture of the right size is unchanged.

    Args:
        gray: `uint8` array of shape `(height, width)`, 0-255.
        size_px: The side of the network's input in pixels.
    """
    square = crop_centre_square(gray)
    if square.shape[0] != size_px:
        square = np.asarray(Image.fromarray(square).resize((size_px, size_px), Image.Resampling.BILINEAR))
    return square[:, :, np.newaxis]
