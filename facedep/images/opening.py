"""Open any picture safely, turn it into 8-bit gray, and prepare it for a network.

`prepare_image` is the only way from a picture (file, webcam, data set) to a network's input. It resizes with
antialiasing before pictures are stacked, because pictures of many sizes cannot be stacked and a resizing layer
inside the network would alias a 12-megapixel photograph; scaling to 0..1 is part of the network.
"""

import functools
import hashlib
import io
import logging
import stat
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from facedep.errors import ImageError
from facedep.logs import describe_error

_logger = logging.getLogger(__name__)

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff",
                              ".ppm", ".pgm", ".avif", ".heic", ".heif", ".hif"})  # fmt: skip
# Formats Pillow may try, whatever the file is called. Left out on purpose: those that start other programs (EPS).
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF")
FORMATS_TEXT = "JPEG, PNG, HEIC, WebP, GIF, BMP, TIFF or AVIF"
MIN_SIDE_PX = 8
MAX_PIXELS = 120_000_000  # the largest phone cameras take 108 megapixels
MAX_PICTURE_BYTES = 256 * 1024**2
MAX_JPEG_SCANS = 100  # of a progressive one; programs write about 10, and each costs as much as the whole picture
_JPEG_SCAN = b"\xff\xda"  # never within a scan's data, where a zero or a restart's number follows each 255
# What Pillow's decoders are seen to raise on damaged files, beside OSError.
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError,
                   RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError)  # fmt: skip


def open_picture(source: bytes | Path, name: str) -> Image.Image:
    """Returns a decoded picture, upright by its EXIF note, in mode "L" or "RGB".

    Animated pictures give their first frame, transparent ones are laid on white, 16-bit ones are scaled to 8 bits.
    The file's name and ending do not matter, only its content.

    Args:
        source: The file's content, or its path.
        name: What to call the picture in an error sentence.

    Raises:
        ImageError: The file is missing, empty, no picture, damaged, below 8 pixels a side, above 120 megapixels, or
            takes very long to decode.
    """
    if isinstance(source, Path):
        source = read_picture_bytes(source, name)
    if not source:
        raise ImageError(f"{name} is empty (0 bytes). Export or download the picture again.")
    _register_heif()
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
            f"{name} is {width} x {height} pixels, too small to show a face. "
            f"Use at least {MIN_SIDE_PX} x {MIN_SIDE_PX}."
        )
    if picture.format in ("JPEG", "MPO") and source.count(_JPEG_SCAN) > MAX_JPEG_SCANS:
        raise ImageError(
            f"{name} is stored in more than {MAX_JPEG_SCANS} passes, which could take hours to decode. Export it again."
        )
    try:
        picture.load()
        return _to_eight_bits(ImageOps.exif_transpose(picture))
    except _DECODER_ERRORS as error:
        _logger.debug("A picture cannot be decoded: %s", describe_error(error))
        raise ImageError(
            f"{name} is damaged or cut off: its pixels cannot be decoded. Export or download it again."
        ) from None


@functools.cache
def _register_heif() -> None:
    """Teaches Pillow the format of phone pictures (HEIC), which comes as a plug-in; not at import, it takes a moment.

    The plug-in rotates a picture as the file's own transformations say and then drops its EXIF note, which would rotate
    it a second time. What else such a file may hold (thumbnails, depth) is left alone.
    """
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def read_picture_bytes(path: Path, name: str) -> bytes:
    """Returns the file's content. Raises `ImageError` where it is missing, no ordinary file or larger than 256 MiB."""
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            raise ImageError(f"{name} is a folder. Give the pictures in it.")
        if not stat.S_ISREG(info.st_mode):  # reading a device or a pipe may never end
            raise ImageError(f"{name} is no ordinary file. Give a picture file.")
        if info.st_size > MAX_PICTURE_BYTES:
            raise ImageError(
                f"{name} is larger than {MAX_PICTURE_BYTES // 1024**2} MiB and was not opened. Make it smaller first."
            )
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(f"{name}: there is no such file. Check the path.") from None
    except OSError as error:
        raise ImageError(f"{name} cannot be opened ({error.strerror}). Check that you may read it.") from None


def _too_large(name: str) -> str:
    return (
        f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels and was not opened. "
        "Make it smaller first: a face needs a few hundred pixels."
    )


def _to_eight_bits(picture: Image.Image) -> Image.Image:
    """Returns the picture in mode "L" or "RGB"."""
    if picture.mode.startswith("I") or picture.mode == "F":  # 16-bit, 32-bit and floating-point gray
        return Image.fromarray(_scale_to_eight_bits(np.asarray(picture)))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    if picture.mode in ("L", "RGB"):
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _scale_to_eight_bits(values: np.ndarray) -> np.ndarray:
    """Returns gray values of any type and range as `uint8`, 0-255. Their largest value decides what full scale is."""
    is_fraction = values.dtype.kind == "f"
    values = values.astype(np.float32)  # exact up to 24 bits, and a large picture's copies must fit into memory
    values[~np.isfinite(values)] = 0
    values -= min(values.min(), 0)
    largest = values.max()
    full_scale = next(
        (scale for scale in ((1, 255, 65535) if is_fraction else (255, 65535)) if largest <= scale), largest
    )
    values *= 255 / full_scale
    return np.round(values, out=values).astype(np.uint8)


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
