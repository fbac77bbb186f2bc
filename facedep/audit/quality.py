"""What is measured of each picture of a data set: light, contrast, sharpness, content, size, copies. Nothing is judged.

All is measured on the 48 x 48 thumbnails, as what cannot be seen there cannot be learned from. For the 28,089 pictures
of FER2013 that takes 1.3 s. `audit/issues.py` compares the numbers with limits.
"""

import cv2
import numpy as np
import pandas as pd

from facedep.data.image_cache import ImageSubset
from facedep.data.scan import Scan

MEASURES = ("brightness", "shadows", "highlights", "contrast", "sharpness", "entropy", "width", "height", "aspect")
_IMAGES_AT_ONCE = 2000  # as float32 these take 18 MB
_SHADOWS_QUANTILE, _HIGHLIGHTS_QUANTILE = 0.05, 0.95


def measure_quality(samples: pd.DataFrame, scan: Scan) -> pd.DataFrame:
    """Returns what is measured of each picture, in the order of the samples; nothing is judged.

    Args:
        samples: The data set's samples table.
        scan: Its scan.

    Returns:
        A table with the samples' row labels and the columns
        - `brightness`: mean gray level, 0 (black) .. 1 (white);
        - `shadows`, `highlights`: the gray levels that 5 % and 95 % of the pixels do not exceed, 0..1;
        - `contrast`: `highlights` less `shadows`, 0..1;
        - `sharpness`: energy of the Laplacian by the largest that the gray steps between neighbors allow, 0 (an even
          ramp) .. 1 (every pixel unlike its neighbors), higher is sharper, `nan` for a single gray level;
        - `entropy`: of the gray levels, 0 (a single one) .. 8 bits;
        - `width`, `height` in pixels and `aspect`, width by height, of the file;
        - `picture`: equal numbers for pixel-identical pictures, -1 for damaged files;
        - `duplicate_group`: equal numbers for pictures that show one photograph, exactly or nearly; likewise.
        All but the last two are `float64`, `nan` for damaged files.

    Reference:
        Entropy and percentiles as in CleanVision's `low_information`, `dark` and `light`. Energy of the Laplacian: LAP1
        in Pertuz et al. 2013, "Analysis of focus measure operators for shape-from-focus".
    """
    if len(samples) != len(scan.errors):
        raise ValueError(f"{len(samples)} samples, {len(scan.errors)} pictures in the scan")
    images = ImageSubset(scan.thumbnails[..., np.newaxis], np.arange(len(samples)))
    starts = range(0, max(1, len(samples)), _IMAGES_AT_ONCE)
    measured = [_measure_thumbnails(images[start : start + _IMAGES_AT_ONCE][..., 0]) for start in starts]
    quality = pd.concat(measured, ignore_index=True)
    quality["width"], quality["height"] = scan.sizes.T.astype(float)
    is_readable = scan.is_readable
    quality.loc[~is_readable] = np.nan
    quality["aspect"] = quality["width"] / quality["height"]
    quality["picture"] = np.where(is_readable, pd.factorize(scan.fingerprints.astype(object))[0], -1)
    quality["duplicate_group"] = scan.duplicate_groups
    return quality.set_axis(samples.index)


def _measure_thumbnails(images: np.ndarray) -> pd.DataFrame:
    """Returns the measures of some thumbnails: `uint8` array of shape `(n, 48, 48)`, 0-255."""
    num_images, num_pixels = len(images), images.shape[1] * images.shape[2]
    levels = images.reshape(num_images, num_pixels) + 256 * np.arange(num_images)[:, np.newaxis]
    shares = np.bincount(levels.ravel(), minlength=256 * num_images).reshape(num_images, 256) / num_pixels
    up_to = shares.cumsum(axis=1) + 1e-9  # 5 % and 95 % of a picture are not whole pixels, but rounding is never exact
    shadows, highlights = (
        (up_to >= quantile).argmax(axis=1) / 255 for quantile in (_SHADOWS_QUANTILE, _HIGHLIGHTS_QUANTILE)
    )
    return pd.DataFrame(
        {
            "brightness": shares @ np.arange(256) / 255,
            "shadows": shadows,
            "highlights": highlights,
            "contrast": highlights - shadows,
            "sharpness": _measure_sharpness(images),
            "entropy": -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1) + 0.0,
        }
    )


def _measure_sharpness(images: np.ndarray) -> np.ndarray:
    """Returns the energy of the Laplacian by 8 times that of the steps between neighbors: `(n,)`, 0..1 or `nan`.

    Its rank correlation with the contrast is -0.16 on FER2013. The Laplacian's bare variance has 0.60, and divided by
    the picture's own variance -0.35: that calls a sharp face before a white wall blurred.

    A pixel's Laplacian is the sum of its four steps, so its square is at most 4 times their squares, and each step
    belongs to at most two pixels: hence the 8.
    """
    num_images, side = images.shape[:2]
    # One tall picture, as a call each would cost more than the filter; the seams are borders, which do not count.
    laplacian = cv2.Laplacian(images.reshape(num_images * side, side), cv2.CV_16S) if num_images else images
    inner = laplacian.reshape(images.shape)[:, 1:-1, 1:-1].astype(np.float32)
    gray = images.astype(np.float32)
    steps = sum(np.square(np.diff(gray, axis=axis)).sum(axis=(1, 2), dtype=float) for axis in (1, 2))
    return np.square(inner).sum(axis=(1, 2), dtype=float) / np.where(steps > 0, 8 * steps, np.nan)
