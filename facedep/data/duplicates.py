"""Which pictures show the same photograph, exactly or nearly: saved again, brighter, shifted, mirrored, watermarked.

Comparing all pairs of 28,000 pictures is 400 million comparisons. Instead every picture is standardised (mean 0,
length 1) and projected on a few principal components. A projection never lengthens a distance, and two standardised
pictures with correlation c lie sqrt(2 - 2c) apart, so a radius search in a k-d tree over the projections finds every
pair above a correlation and only few others. These few are then compared pixel by pixel.
"""

from collections.abc import Callable

import cv2
import numpy as np
from scipy.linalg import eigh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

# Correlation of the pixels after the best shift of up to 2 pixels. Measured on FER2013: of the candidate pairs above
# 0.92 nearly all show one photograph, of those between 0.85 and 0.90 nearly none.
NEAR_CORRELATION = 0.92
# Above this correlation without any shift no pair is missed.
SURE_CORRELATION = 0.98
# Distance of two blurred, projected pictures below which a pair is looked at. It covers 99 % of FER2013 faces against
# themselves shifted by one pixel diagonally, saved as JPEG of quality 30, or 30 gray levels brighter.
_CANDIDATE_RADIUS = 0.35
_BLUR_SIGMA_PX = 1.5
_NUM_COMPONENTS = 24
_MAX_SHIFT_PX = 2
_BLANK_STANDARD_DEVIATION = 2.0  # gray levels; a flatter picture has no content to compare
_SAMPLE_FOR_COMPONENTS = 4000
_PAIRS_AT_ONCE = 4000
_IMAGES_AT_ONCE = 4000


def find_near_duplicate_groups(thumbnails: np.ndarray) -> np.ndarray:
    """Returns a group number for each picture: equal for pictures that show the same photograph.

    "Near-identical" is carried on from pair to pair, so that no near-identical pair is ever in two groups. Blank
    pictures are one group.

    Args:
        thumbnails: `uint8` array of shape `(n, 48, 48)`, 0-255. Exact copies may be among them; leaving them out saves
            time.

    Returns:
        `int64` array of shape `(n,)`, group numbers from 0.
    """
    num_images = len(thumbnails)
    is_blank = _map_in_batches(lambda batch: batch.std(axis=(1, 2)), thumbnails) < _BLANK_STANDARD_DEVIATION
    content = np.nonzero(~is_blank)[0]
    duplicate_groups = np.zeros(num_images, np.int64)  # the blank ones stay in group 0
    duplicate_groups[content] = is_blank.any() + (_group_pictures(thumbnails[content]) if len(content) > 1 else 0)
    return duplicate_groups


def _group_pictures(images: np.ndarray) -> np.ndarray:
    """Returns a group number for each picture that is not blank, mirrored ones included: `int64`, shape `(n,)`."""
    duplicate_groups = np.arange(len(images))
    mirrored = images[:, :, ::-1]
    for is_blurred, radius in ((False, np.sqrt(2 - 2 * SURE_CORRELATION)), (True, _CANDIDATE_RADIUS)):
        straight_points, mirrored_points = _project(images, is_blurred=is_blurred)
        tree = cKDTree(straight_points)
        straight_pairs = tree.query_pairs(radius, output_type="ndarray")
        duplicate_groups = _join_near_identical(duplicate_groups, straight_pairs, images, images)
        distances = tree.sparse_distance_matrix(cKDTree(mirrored_points), radius, output_type="ndarray")
        mirrored_pairs = np.stack([distances["i"], distances["j"]], axis=1)
        duplicate_groups = _join_near_identical(
            duplicate_groups, mirrored_pairs[distances["i"] < distances["j"]], images, mirrored
        )
    return duplicate_groups


def _standardise(images: np.ndarray) -> np.ndarray:
    """Returns pictures as rows of mean 0 and length 1: `float32`, shape `(n, pixels)`."""
    vectors = images.reshape(len(images), images.shape[1] * images.shape[2]).astype(np.float32)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _map_in_batches(function: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Returns what a function makes of the pictures, some thousand at once: as float32 all of them take 300 MB."""
    starts = range(0, max(1, len(images)), _IMAGES_AT_ONCE)
    return np.concatenate([function(images[start : start + _IMAGES_AT_ONCE]) for start in starts])


def _project(images: np.ndarray, *, is_blurred: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns the projections of the standardised pictures and of their mirror images, each `(n, components)`.

    Args:
        images: `uint8` array of shape `(n, side, side)`, 0-255.
        is_blurred: Whether the pictures are blurred before.
    """

    def shrink(batch: np.ndarray) -> np.ndarray:
        # Sums of 2 x 2 pixels over 2: an orthonormal projection, so distances only shrink.
        if is_blurred:
            batch = np.stack([cv2.GaussianBlur(image, (0, 0), _BLUR_SIGMA_PX) for image in batch.astype(np.float32)])
        rows = _standardise(batch)
        side = batch.shape[1]
        blocks = rows.reshape(len(batch), side // 2, 2, side // 2, 2)
        return blocks.sum(axis=(2, 4)).reshape(len(batch), -1) / 2

    straight, mirrored = (_map_in_batches(shrink, faces) for faces in (images, images[:, :, ::-1]))
    step = -(-len(straight) // _SAMPLE_FOR_COMPONENTS)
    mean = straight[::step].mean(axis=0)
    covariance = np.cov(straight[::step].T) if len(straight[::step]) > 1 else np.eye(len(mean))
    _, components = eigh(covariance, subset_by_index=(len(mean) - _NUM_COMPONENTS, len(mean) - 1))
    return (straight - mean) @ components, (mirrored - mean) @ components


def _join_near_identical(
    duplicate_groups: np.ndarray, pairs: np.ndarray, left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """Returns the groups joined by the pairs whose pixels agree, without a shift or after the best small one.

    A pair already in one group is not compared: of a film's 1,000 frames 500,000 pairs are alike, and comparing all
    takes minutes. Random order joins such a crowd with its first few thousand pairs.
    """
    for some in np.array_split(np.random.default_rng(0).permutation(pairs), max(1, len(pairs) // _PAIRS_AT_ONCE)):
        some = some[duplicate_groups[some[:, 0]] != duplicate_groups[some[:, 1]]]
        first, second = left[some[:, 0]], right[some[:, 1]]
        unshifted = (_standardise(first) * _standardise(second)).sum(axis=1)
        near = (unshifted >= SURE_CORRELATION) | (_correlate_shifted(first, second) >= NEAR_CORRELATION)
        edges = duplicate_groups[some[near]]
        graph = coo_array(
            (np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])),
            shape=(len(duplicate_groups), len(duplicate_groups)),
        )
        duplicate_groups = connected_components(graph, directed=False)[1].astype(np.int64)[duplicate_groups]
    return duplicate_groups


def _correlate_shifted(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns each pair's highest correlation over all shifts of up to 2 pixels: `float32`, shape `(n,)`, -1..1."""
    side, margin = first.shape[1], _MAX_SHIFT_PX
    centre = _standardise(first[:, margin : side - margin, margin : side - margin])
    best = np.full(len(first), -1.0, np.float32)
    for top in range(2 * margin + 1):
        for left in range(2 * margin + 1):
            window = second[:, top : top + side - 2 * margin, left : left + side - 2 * margin]
            best = np.maximum(best, (centre * _standardise(window)).sum(axis=1))
    return best
