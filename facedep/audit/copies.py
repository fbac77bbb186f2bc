"""Which pictures of a data set are copies of one another: of those, which are the first, which lie in several subsets.

Sets of copies are numbers from 0 on, equal ones for pictures that belong together, -1 for none.
"""

import numpy as np
import pandas as pd

from facedep.data.splits import SUBSETS


def number_subsets(samples: pd.DataFrame) -> np.ndarray:
    """Returns 0, 1, 2 for the supplied train, val, test, and -1 for none: `int64` array of shape `(n,)`.

    Args:
        samples: The data set's samples table.
    """
    numbers = {subset: number for number, subset in enumerate(SUBSETS)}
    return samples["subset"].map(numbers).fillna(-1).to_numpy(np.int64)


def find_varied(sets: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns which pictures belong to a set with two or more values in it: `bool` array of shape `(n,)`.

    Args:
        sets: `int64` array of shape `(n,)`: numbers from 0, -1 for none.
        values: Likewise; a picture with -1 neither makes a set varied nor is in it.
    """
    counts = (sets >= 0) & (values >= 0)
    lowest, highest = (np.full(len(sets) + 1, start) for start in (np.iinfo(np.int64).max, -1))
    np.minimum.at(lowest, sets[counts], values[counts])
    np.maximum.at(highest, sets[counts], values[counts])
    return counts & (lowest[sets] != highest[sets])


def find_repeats(sets: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Returns which of some pictures are not the first of their set: `bool` array of shape `(n,)`.

    Args:
        sets: `int64` array of shape `(n,)`: numbers from 0, -1 for none.
        among: `bool` array of shape `(n,)`: the pictures that count.
    """
    indices = np.nonzero(among & (sets >= 0))[0]
    is_repeat = np.zeros(len(sets), bool)
    is_repeat[indices] = True
    is_repeat[indices[np.unique(sets[indices], return_index=True)[1]]] = False
    return is_repeat


def find_near_repeats(duplicate_groups: np.ndarray, pictures: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Returns which of some pictures differ from the first of their duplicate group: `bool` array of shape `(n,)`.

    Args:
        duplicate_groups: `int64` array of shape `(n,)`: equal numbers for near copies, -1 for none.
        pictures: `int64` array of shape `(n,)`: equal numbers for identical pictures. Exact copies of a group's first
            picture do not differ from it.
        among: `bool` array of shape `(n,)`: the pictures that count.
    """
    indices = np.nonzero(among & (duplicate_groups >= 0))[0]
    _, first, inverse = np.unique(duplicate_groups[indices], return_index=True, return_inverse=True)
    is_repeat = np.zeros(len(duplicate_groups), bool)
    is_repeat[indices] = pictures[indices] != pictures[indices[first]][inverse]
    return is_repeat


def find_early_copies(duplicate_groups: np.ndarray, subsets: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Returns which of some pictures have a copy in a later subset: `bool` array of shape `(n,)`.

    Args:
        duplicate_groups: `int64` array of shape `(n,)`: equal numbers for near copies, -1 for none.
        subsets: From `number_subsets`: train comes before val, val before test.
        among: `bool` array of shape `(n,)`: the pictures that count.
    """
    counts = among & (duplicate_groups >= 0) & (subsets >= 0)
    latest = np.full(len(duplicate_groups) + 1, -1)
    np.maximum.at(latest, duplicate_groups[counts], subsets[counts])
    return counts & (subsets < latest[duplicate_groups])
