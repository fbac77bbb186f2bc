"""Which pictures a network learns from (train), which choose the best epoch (val), which judge it (test).

The supplied test split of the Kaggle set is a copy of its validation split, and both are copies out of train. A score
on it measures memory. The default split of this project therefore keeps copies together.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from facedep import emotions
from facedep.data.export import build_export_names
from facedep.data.scan import Scan
from facedep.errors import DataError

LEAK_FREE, SUPPLIED, SUPPLIED_CLEAN, PUBLISHED = "leak-free", "supplied", "supplied-clean", "published"
PROTOCOLS = {
    LEAK_FREE: "Leak-free: copies and near-copies stay on one side, 70% train, 15% val, 15% test",
    SUPPLIED: "As supplied: the data set's own train, val and test folders",
    SUPPLIED_CLEAN: "As supplied, copies left out: no train picture that looks like val or test, no val like test",
    PUBLISHED: "As published: all pooled, the first 20% of each group in name order are val, no test",
}
SUBSETS = ("train", "val", "test")
_SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
_PUBLISHED_VAL_SHARE = 0.2
_MIN_PUBLISHED = 5  # pictures of a group: the first that one fifth of, rounded down, is not zero
_MIN_LEAK_FREE, _MIN_WITHOUT_VAL_FOLDER = 2, 4  # pictures of an emotion: with fewer all of them become train


@dataclass(frozen=True)
class Leak:
    """How many pictures of a subset are also in train.

    Attributes:
        num_images: Pictures in the subset.
        num_identical: Those with a pixel-identical copy in train.
        num_similar: Those with an identical or near-identical picture in train.
    """

    num_images: int
    num_identical: int
    num_similar: int


def split_dataset(samples: pd.DataFrame, scan: Scan, protocol: str, *, seed: int = 0) -> np.ndarray:
    """Returns each picture's subset: `str` array of shape `(n,)`, "train", "val", "test", or "" for left out.

    Damaged files are always left out. `leak-free` counts identical pictures once (the first in path order).

    Args:
        samples: The data set's samples table.
        scan: Its scan.
        protocol: One of `PROTOCOLS`.
        seed: For `leak-free`: another seed, another cut. Not used by the others, but for a missing supplied val part.

    Raises:
        DataError: The data set has no folders for the supplied split, or too few pictures to be split.
        ValueError: the protocol is unknown.
    """
    if protocol == LEAK_FREE:
        subsets = _split_leak_free(samples, scan, _SHARES, seed)
    elif protocol in (SUPPLIED, SUPPLIED_CLEAN):
        subsets = _split_supplied(samples, scan, seed, is_clean=protocol == SUPPLIED_CLEAN)
    elif protocol == PUBLISHED:
        subsets = _split_published(samples, scan)
    else:
        raise ValueError(f"unknown protocol {protocol!r}, expected one of {', '.join(PROTOCOLS)}")
    for subset in ("train", "val"):
        _check_groups(subset, samples["label"][subsets == subset])
    return subsets


def check_protocol(samples: pd.DataFrame, protocol: str) -> None:
    """Raises `DataError` where the file names alone rule a split out, so that no picture need be opened to say so.

    What passes may still be too little for `split_dataset`, which knows copies and damaged files.

    Args:
        samples: The data set's samples table.
        protocol: One of `PROTOCOLS`.
    """
    if protocol == LEAK_FREE:
        _check_groups("val", _find_labels_with(samples, ["label", "emotion"], _MIN_LEAK_FREE))
    elif protocol == PUBLISHED:
        _check_groups("val", _find_labels_with(samples, ["label"], _MIN_PUBLISHED))
    else:
        train, val = (samples[samples["subset"] == subset] for subset in ("train", "val"))
        _check_folders(samples["subset"])
        _check_groups("train", train["label"])
        if val.empty:
            _check_groups("val", _find_labels_with(train, ["label", "emotion"], _MIN_WITHOUT_VAL_FOLDER))
        elif protocol == SUPPLIED:  # a clean one may drop all of val and take another out of train
            _check_groups("val", val["label"])


def _find_labels_with(samples: pd.DataFrame, columns: list[str], min_images: int) -> pd.Series:
    """Returns the labels of those sets of rows, equal in some columns, that have enough pictures."""
    counts = samples.groupby(columns).size()
    return counts[counts >= min_images].reset_index()["label"]


def _check_groups(subset: str, labels: pd.Series) -> None:
    missing = sorted(set(emotions.GROUPS) - set(labels))
    if missing:
        raise DataError(
            f"Too few pictures for this split: its {subset} part has no "
            f"{' and no '.join(missing).replace('_', '-')} ones. "
            "Add pictures to that group (at least ten different ones), or choose another split."
        )


def _check_folders(subsets: np.ndarray | pd.Series) -> None:
    missing = {"train", "test"} - set(subsets)
    if missing:
        raise DataError(
            f"This data set has no {' and no '.join(sorted(missing))} folder, so it has no supplied split. "
            f"Choose the {LEAK_FREE} split."
        )


def _split_leak_free(samples: pd.DataFrame, scan: Scan, shares: dict[str, float], seed: int) -> np.ndarray:
    """Splits whole near-duplicate groups, emotion by emotion, so that each part gets its share of each emotion."""
    subsets = np.full(len(samples), "", dtype="<U5")
    table = pd.DataFrame(
        {
            "group": scan.duplicate_groups,
            "fingerprint": scan.fingerprints,
            "stratum": np.where(samples["emotion"] != "", samples["emotion"], samples["label"]),
        }
    )
    table = table[scan.is_readable].drop_duplicates("fingerprint")
    sizes = table.groupby("group", sort=True).agg(stratum=("stratum", "first"), num_images=("stratum", "size"))
    rng = np.random.default_rng(seed)
    subset_of_group: dict[int, str] = {}
    for _, members in sizes.groupby("stratum", sort=True):
        order = rng.permutation(len(members))
        numbers, counts = members.index.to_numpy()[order], members["num_images"].to_numpy()[order]
        # A group goes where its middle picture falls on the line from the first to the last picture.
        middles = (np.cumsum(counts) - counts / 2) / counts.sum()
        edges = np.cumsum(list(shares.values()))[:-1]
        names = list(shares)
        subset_of_group.update(
            (int(number), names[int(i)])
            for number, i in zip(numbers, np.searchsorted(edges, middles, side="right"), strict=True)
        )
    subsets[table.index] = [subset_of_group[int(group)] for group in table["group"]]
    return subsets


def _split_supplied(samples: pd.DataFrame, scan: Scan, seed: int, *, is_clean: bool) -> np.ndarray:
    """Returns the folders' own subsets; without a val folder, 15 % of train become val, copies kept together.

    A clean one drops from each earlier subset what looks like a picture of a later one. On the Kaggle set, whose val
    is a copy of its test, that is all of val, which then comes out of train too.
    """
    subsets = np.where(scan.is_readable, samples["subset"].to_numpy(dtype=str), "").astype("<U5")
    _check_folders(subsets)
    if is_clean:
        subsets[(subsets != "test") & np.isin(scan.duplicate_groups, scan.duplicate_groups[subsets == "test"])] = ""
        subsets[(subsets == "train") & np.isin(scan.duplicate_groups, scan.duplicate_groups[subsets == "val"])] = ""
    if "val" not in subsets:
        indices = np.nonzero(subsets == "train")[0]
        inner = _split_leak_free(
            samples.iloc[indices].reset_index(drop=True), scan.select(indices), {"train": 0.85, "val": 0.15}, seed
        )
        subsets[indices] = inner
    return subsets


def _split_published(samples: pd.DataFrame, scan: Scan) -> np.ndarray:
    """Returns train and val as `ImageDataGenerator(validation_split=0.2)` cuts the article's two folders.

    Keras takes the first `int(0.2 * n)` files of each folder in name order as validation.
    Reference: `keras/src/legacy/preprocessing/image.py`, `DirectoryIterator` and `BatchFromFilesMixin`.
    """
    subsets = np.where(scan.is_readable, "train", "").astype("<U5")
    names = np.array(build_export_names(samples), dtype=object)
    for group in emotions.GROUPS:
        indices = np.nonzero((samples["label"] == group).to_numpy() & scan.is_readable)[0]
        indices = indices[np.argsort(names[indices], kind="stable")]
        subsets[indices[: int(_PUBLISHED_VAL_SHARE * len(indices))]] = "val"
    return subsets


def merge_val_into_train(samples: pd.DataFrame, scan: Scan, subsets: np.ndarray, protocol: str) -> np.ndarray:
    """Returns the subsets for a refit: val becomes train, and so does what was dropped only for looking like val.

    Args:
        samples: The data set's samples table.
        scan: Its scan.
        subsets: From `split_dataset`.
        protocol: The protocol of that split.
    """
    merged = np.where(subsets == "val", "train", subsets)
    if protocol == SUPPLIED_CLEAN:
        is_like_test = np.isin(scan.duplicate_groups, scan.duplicate_groups[subsets == "test"])
        merged[(subsets == "") & scan.is_readable & ~is_like_test & (samples["subset"] != "test").to_numpy()] = "train"
    return merged


def count_leaks(subsets: np.ndarray, scan: Scan) -> dict[str, Leak]:
    """Returns for val and test, where they have pictures, how many of these are also in train."""
    train = subsets == "train"
    leaks = {}
    for subset in ("val", "test"):
        mask = subsets == subset
        if mask.any():
            identical = np.isin(scan.fingerprints[mask], scan.fingerprints[train])
            similar = np.isin(scan.duplicate_groups[mask], scan.duplicate_groups[train])
            leaks[subset] = Leak(int(mask.sum()), int(identical.sum()), int(similar.sum()))
    return leaks
