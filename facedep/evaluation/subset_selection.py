"""Which pictures of a data set an `EvalSubset` means, for one run.

If a run was trained on the data set with the same protocol, its own split is made again: with its seed, its folder
choices, its grouping and without what was cleaned away, independent of the choices that the data set is shown with.
Otherwise a test subset could hold pictures that the run was trained on.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facedep.audit.cleaning import clean_scan
from facedep.audit.face_check import read_face_check
from facedep.audit.issues import ISSUE_NAMES, IssueLimits
from facedep.data.eval_subset import ALL, EvalSubset
from facedep.data.scan import Scan, scan_dataset
from facedep.data.sources import Dataset
from facedep.data.splits import split_dataset
from facedep.errors import DataError, ModelError
from facedep.evaluation.training_spec import find_training_dataset, is_trained_on
from facedep.inference.prediction_cache import find_in_training_set
from facedep.networks.card import read_card


@dataclass(frozen=True)
class Selection:
    """The pictures that are scored.

    Attributes:
        mask: `bool` array of shape `(n,)`: which of the data set's pictures they are; at least one.
        num_excluded: Pictures skipped because the run was trained on them.
        num_also_in_train: Those of a val or test subset that are, pixel for pixel, also in that split's train.
    """

    mask: np.ndarray
    num_excluded: int
    num_also_in_train: int


def select_pictures(
    run_dir: Path,
    dataset: Dataset,
    scan: Scan,
    subset: EvalSubset,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Selection:
    """Returns the pictures that a subset means for a run.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        scan: Its scan.
        subset: The choice.
        on_progress: As for `split_like_training`.

    Raises:
        DataError: The data set has no such protocol or subset, or the run was trained on all of it.
        ModelError: The folder holds no card, or as for `split_like_training`.
    """
    subsets = None
    if subset.subset != ALL:
        subsets = split_like_training(
            run_dir, dataset, scan, subset.protocol, seed=subset.seed, on_progress=on_progress
        )
    mask = _select_subset(dataset, scan, subsets, subset)
    num_excluded = 0
    if subset.excludes_training_images:
        is_in_training_set = find_in_training_set(run_dir, scan.fingerprints)
        num_excluded = int((mask & is_in_training_set).sum())
        mask &= ~is_in_training_set
        if not mask.any():
            raise DataError(
                f"{run_dir.name} was trained on all of these pictures of {dataset.name}, so none is left to score it "
                "on. Choose another part, or other data."
            )
    num_also_in_train = 0
    if subset.subset in ("val", "test"):
        num_also_in_train = int(np.isin(scan.fingerprints[mask], scan.fingerprints[subsets == "train"]).sum())
    return Selection(mask, num_excluded, num_also_in_train)


def list_available(run_dir: Path, dataset: Dataset, scan: Scan, candidates: Iterable[EvalSubset]) -> list[EvalSubset]:
    """Returns those of some subsets, none of which excludes training images, that hold pictures of a data set.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        scan: Its scan.
        candidates: The subsets. Each protocol is split once, however many of them have it.

    Raises:
        ModelError: As for `split_like_training`.
    """

    @functools.cache
    def split(protocol: str, seed: int | None) -> np.ndarray:
        try:
            return split_like_training(run_dir, dataset, scan, protocol, seed=seed)
        except DataError:
            return np.full(len(dataset.samples), "")

    available = []
    for subset in candidates:
        subsets = None if subset.subset == ALL else split(subset.protocol, subset.seed)
        with contextlib.suppress(DataError):
            _select_subset(dataset, scan, subsets, subset)
            available.append(subset)
    return available


def split_like_training(
    run_dir: Path,
    dataset: Dataset,
    scan: Scan,
    protocol: str,
    *,
    seed: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Returns each picture's subset: `str` array of shape `(n,)`, "train", "val", "test", or "" for none.

    If the run was trained on this data set with this protocol, it is the run's own split; pictures outside the run's
    folder choices are in no subset.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        scan: Its scan.
        protocol: One of `splits.PROTOCOLS`.
        seed: Of the split; by default the run's.
        on_progress: Called now and then, where pictures or faces have to be looked at, with those done and all.

    Raises:
        DataError: The data set cannot be cut by that protocol.
        ModelError: The folder holds no card, or one that names rules for cleaning that this version does not have.
    """
    trained_on = read_card(run_dir).data
    seed = trained_on.seed if seed is None else seed
    if not is_trained_on(trained_on, dataset, protocol):
        return split_dataset(dataset.samples, scan, protocol, seed=seed)
    own = find_training_dataset(run_dir, dataset)
    own_scan = (
        scan if own.samples["path"].equals(dataset.samples["path"]) else scan_dataset(own, on_progress=on_progress)
    )
    if trained_on.dropped_issues:
        names, limits = set(trained_on.dropped_issues) - {"all"}, trained_on.issue_limits
        known = {field.name for field in dataclasses.fields(IssueLimits)}
        if not names <= set(ISSUE_NAMES) or not set(limits) <= known:
            raise ModelError(
                "Pictures were cleaned away before this model was trained, by rules that this version of the app does "
                "not have. Choose another split, or another model."
            )
        own_scan, _ = clean_scan(own, own_scan, names, limits, on_progress=on_progress)
    subsets = split_dataset(own.samples, own_scan, protocol, seed=seed)
    if own is dataset:
        return subsets
    return pd.Series(subsets, index=own.samples["path"]).reindex(dataset.samples["path"], fill_value="").to_numpy("<U5")


def needs_face_check(run_dir: Path, dataset: Dataset) -> bool:
    """Returns whether all pictures must be searched for a face before `split_like_training` can cut a run's own split.

    That takes a minute or two for 28,000 pictures: a page lets a background process do it first.

    Args:
        run_dir: The run folder.
        dataset: The data set.

    Raises:
        ModelError: The folder holds no card.
    """
    trained_on = read_card(run_dir).data
    is_own = "no_face" in trained_on.dropped_issues and trained_on.content_hash == dataset.content_hash
    return is_own and read_face_check(dataset) is None


def _select_subset(dataset: Dataset, scan: Scan, subsets: np.ndarray | None, subset: EvalSubset) -> np.ndarray:
    if subset.subset == ALL:
        mask = np.zeros(len(dataset.samples), bool)
        readable = np.nonzero(scan.is_readable)[0]
        mask[readable[np.unique(scan.fingerprints[readable], return_index=True)[1]]] = True
    else:
        mask = np.asarray(subsets == subset.subset)
    if not mask.any():
        raise DataError(
            f"{dataset.name} has no {subset.subset} pictures in the {subset.protocol} split. Choose another part or "
            "split."
        )
    return mask
