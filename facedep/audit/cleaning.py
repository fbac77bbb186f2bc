"""Which pictures stay when issues are cleaned away, and a scan without the others."""

import dataclasses
from collections.abc import Callable, Collection, Mapping

import numpy as np
import pandas as pd

from facedep.audit.copies import find_early_copies, find_near_repeats, find_repeats, number_subsets
from facedep.audit.face_check import check_faces
from facedep.audit.issues import Issue, IssueLimits, find_issues
from facedep.audit.quality import measure_quality
from facedep.data.scan import Scan
from facedep.data.sources import Dataset


def choose_clean(samples: pd.DataFrame, issues: list[Issue], names: Collection[str]) -> np.ndarray:
    """Returns which pictures stay when the chosen issues are cleaned away: `bool` array of shape `(n,)`.

    In this order, so that no photograph loses all its pictures because two rules each keep another one:
    1. What is judged on its own goes, and so do all pictures of a contradiction (`two_emotions`, `two_groups`).
    2. `leak`: of the pictures that remain, those go that have a copy in a later subset: a train picture like one of
       val or test, a val picture like one of test. The test subset keeps its own.
    3. `exact_duplicate`: of each set the first that remains in path order stays.
    4. `near_duplicate`: of each duplicate group the first that remains stays, and so do exact copies of it unless 3
       was chosen as well.

    Args:
        samples: The data set's samples table.
        issues: From `issues.find_issues`.
        names: Names of the issues to clean away.

    Raises:
        ValueError: There is no issue of that name; "no_face" is only among them if faces were looked for.
    """
    by_name = {issue.name: issue for issue in issues}
    if unknown := set(names) - set(by_name):
        raise ValueError(f"unknown issues {', '.join(sorted(unknown))}, expected some of {', '.join(by_name)}")
    pictures, duplicate_groups = by_name["exact_duplicate"].sets, by_name["near_duplicate"].sets
    if pictures is None or duplicate_groups is None:
        raise ValueError("issues of copies come with their sets")
    find_removed: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "leak": lambda stays: find_early_copies(duplicate_groups, number_subsets(samples), stays),
        "exact_duplicate": lambda stays: find_repeats(pictures, stays),
        "near_duplicate": lambda stays: find_near_repeats(duplicate_groups, pictures, stays),
    }
    stays = np.ones(len(samples), bool)
    for name in set(names) - set(find_removed):
        stays &= ~by_name[name].mask
    for name, find in find_removed.items():
        if name in names:
            stays &= ~find(stays)
    return stays


def clean_scan(
    dataset: Dataset,
    scan: Scan,
    names: Collection[str],
    limits: Mapping[str, float],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Scan, dict[str, int]]:
    """Returns a scan to split by, in which pictures with issues count as damaged, and their number by issue.

    Args:
        dataset: The data set.
        scan: Its scan.
        names: Names of the issues to clean away, of `issues.ISSUE_NAMES`.
        limits: Those of `issues.IssueLimits` that are not the default ones.
        on_progress: Called now and then if faces have to be looked for, with the pictures done and all.

    Returns:
        The scan, and number of removed pictures by issue, with that of all of them under "all"; a picture with two
        issues counts for both. Empty without names.
    """
    if not names:
        return scan, {}
    quality = measure_quality(dataset.samples, scan)
    has_face = check_faces(dataset, scan, on_progress=on_progress) if "no_face" in names else None
    issues = find_issues(dataset.samples, scan, quality, IssueLimits(**limits), has_face=has_face)
    stays = choose_clean(dataset.samples, issues, names)
    num_removed = {issue.name: int((issue.mask & ~stays).sum()) for issue in issues if issue.name in names}
    cleaned = dataclasses.replace(scan, errors=np.where(stays, scan.errors, "left out"))
    return cleaned, {"all": int((~stays).sum()), **num_removed}
