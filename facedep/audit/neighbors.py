"""Which pictures look most like a given one, and how far merely remembering pictures gets on a test.

Two pictures are compared by the correlation of their pixels, the better of straight and mirrored. Nothing is learned.
"""

from dataclasses import dataclass

import numpy as np

from facedep.networks.majority_baseline import MajorityBaseline, find_majority_baseline

# Measured as a lookup table: 16, 24 and 48 pixels get 59.6, 59.4 and 58.1 % of the Kaggle set's leak-free test right,
# and 63.9, 63.2 and 62.6 % of FER2013's test; the smallest is the quickest.
_SIDE_PX = 16
_IMAGES_AT_ONCE = 2000
_LOOKED_UP_AT_ONCE = 256  # against 22,000 pictures the products take 45 MB


@dataclass(frozen=True)
class LookupScore:
    """How well a table that only remembers the train pictures answers for another subset.

    Attributes:
        accuracy: Share of the subset's pictures that get their own group, 0..1, high is good.
        majority_baseline: What always answering the subset's larger group gets: a score below that shows no skill.
        num_images: Pictures in the subset.
        num_identical: Those with the same picture in train, an evenly brighter or darker one included.
        num_remembered: Pictures in train.
    """

    accuracy: float
    majority_baseline: MajorityBaseline
    num_images: int
    num_identical: int
    num_remembered: int


def build_appearance(thumbnails: np.ndarray) -> np.ndarray:
    """Returns what pictures are compared by, so that a dot product of two is their correlation.

    Args:
        thumbnails: `uint8` array of shape `(n, 48, 48)`, 0-255.

    Returns:
        `float32` array of shape `(n, 256)`: 16 x 16 pixels of mean 0 and length 1; all 0 for an evenly gray picture.
        Identical pictures have identical rows.
    """
    appearance = np.empty((len(thumbnails), _SIDE_PX**2), np.float32)
    for start in range(0, len(thumbnails), _IMAGES_AT_ONCE):
        batch = thumbnails[start : start + _IMAGES_AT_ONCE]
        block_px = batch.shape[1] // _SIDE_PX
        # Sums of whole numbers, and a mean over 256 of them, are exact: an evenly gray picture becomes 0, not noise.
        blocks = batch.reshape(len(batch), _SIDE_PX, block_px, _SIDE_PX, block_px)
        means = blocks.sum(axis=(2, 4), dtype=np.float32).reshape(len(batch), -1)
        means -= means.mean(axis=1, keepdims=True)
        appearance[start : start + len(batch)] = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-6)
    return appearance


def find_nearest_neighbors(
    appearance: np.ndarray, i: int, num: int, *, among: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pictures that look most like one, the nearest first, without itself.

    A mirrored picture counts as near too. Of equally near ones identical ones come first, then those earlier in the
    order of the samples.

    Args:
        appearance: From `build_appearance`.
        i: The picture's row in it.
        num: How many are wanted; fewer are returned where there are fewer.
        among: `bool` array of shape `(n,)`: which pictures may be found; None for all. Damaged ones are black and
            should not be among them.

    Returns:
        Rows, `int64` of shape `(num,)`, and their correlations, `float32` of shape `(num,)`, -1..1, 1 for an identical
        picture. An evenly gray picture has correlation 0 with all others.
    """
    correlations = _correlate(appearance[i : i + 1], appearance)[0]
    # Compared only where the product, but for rounding, is the picture's own with itself.
    near = np.nonzero(correlations > correlations[i] - 1e-3)[0]
    is_identical = np.zeros(len(appearance), bool)
    is_identical[near] = (appearance[near] == appearance[i]).all(axis=1)
    correlations[is_identical] = 1
    may_be_found = np.ones(len(appearance), bool) if among is None else among.copy()
    may_be_found[i] = False
    candidates = np.nonzero(may_be_found)[0]
    order = np.lexsort((~is_identical[candidates], -correlations[candidates]))[:num]
    return candidates[order], correlations[candidates[order]]


def score_lookup_table(
    appearance: np.ndarray, is_depressed: np.ndarray, subsets: np.ndarray, subset: str = "test"
) -> LookupScore | None:
    """Returns how often the nearest train picture belongs to the same group: a score without any learning.

    If the subset's pictures are also in train it is near 1, and so is the score of any model that remembers well. An
    identical picture is always the nearest; of several the first in the order of the samples decides.

    Args:
        appearance: From `build_appearance`.
        is_depressed: `bool` array of shape `(n,)`.
        subsets: From `split_dataset`: `str` array of shape `(n,)`.
        subset: "test" or "val".

    Returns:
        The score, or None if the subset or train has no pictures.

    Reference:
        Cover & Hart 1967, "Nearest neighbor pattern classification", IEEE Trans. Inf. Theory 13 (1).
    """
    queries, train = np.nonzero(subsets == subset)[0], np.nonzero(subsets == "train")[0]
    if not len(queries) or not len(train):
        return None
    remembered = appearance[train]
    # Equal rows are found by their bytes: rounding may give another very near picture the higher product.
    first_row = {remembered[i].tobytes(): i for i in range(len(train) - 1, -1, -1)}
    nearest = np.array([first_row.get(appearance[i].tobytes(), -1) for i in queries])
    new = np.nonzero(nearest < 0)[0]
    for start in range(0, len(new), _LOOKED_UP_AT_ONCE):
        some = new[start : start + _LOOKED_UP_AT_ONCE]
        nearest[some] = _correlate(appearance[queries[some]], remembered).argmax(axis=1)
    return LookupScore(
        accuracy=float((is_depressed[train[nearest]] == is_depressed[queries]).mean()),
        majority_baseline=find_majority_baseline(is_depressed[queries]),
        num_images=len(queries),
        num_identical=len(queries) - len(new),
        num_remembered=len(train),
    )


def _correlate(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the correlations, the better of straight and mirrored: `float32`, shape `(len(some), len(others))`."""
    mirrored = some.reshape(-1, _SIDE_PX, _SIDE_PX)[:, :, ::-1].reshape(len(some), -1)
    correlations = some @ others.T
    np.maximum(correlations, mirrored @ others.T, out=correlations)
    return np.clip(correlations, -1, 1, out=correlations)
