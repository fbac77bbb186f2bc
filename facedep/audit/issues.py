"""The issues of a data set's pictures, judged by limits as often as these are moved.

`find_issues` compares the table of `audit/quality.py` with `IssueLimits` and says what to do: 25 ms for the 28,089
pictures of FER2013, so a slider opens no file again. The kinds of issue are CleanVision's; the library itself would
open every file a second time, and its limits are for larger photographs.

Reference: CleanVision, https://github.com/cleanlab/cleanvision, `issue_managers/image_property.py`.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from facedep.audit.copies import find_early_copies, find_near_repeats, find_repeats, find_varied, number_subsets
from facedep.audit.quality import MEASURES
from facedep.data.scan import THUMBNAIL_SIZE_PX, Scan

_USUAL_SIZE_SHARE = 0.9  # of the pictures; a size that so many have is the data set's usual one


class _Text(NamedTuple):
    """What readers see of one kind of issue."""

    title: str
    advice: str


# In the order in which they are listed.
_TEXTS = {
    "damaged": _Text(
        "Damaged files",
        "These files cannot be decoded and are never trained on. Download or export them again, or delete them.",
    ),
    "no_face": _Text(
        "Without a face",
        "No face was found at the size the network sees: a sign, a text, a hand, or a face that was missed. About "
        "one real face in 200 is, mostly from the side, behind hands or glasses, or crying; in FER2013 three of "
        "four pictures here are such faces. Look through them: a network that never sees these does worse on them.",
    ),
    "blank": _Text(
        "Blank pictures and placeholders",
        "Hardly any content: one gray, a sign like “picture not available”, now and then a face lost in the dark. "
        "Take them out: there is next to nothing to learn from.",
    ),
    "dark": _Text(
        "Too dark",
        "Even their bright parts are dark. Look before you take them out: dark-skinned faces in weak light are "
        "among them, and a network that never sees these does worse on such people.",
    ),
    "bright": _Text(
        "Too bright",
        "Even their dark parts are bright. Look before you take them out: pale faces and drawings on white are "
        "among them; keep the faces that you can read yourself.",
    ),
    "low_contrast": _Text(
        "Low contrast",
        "Their gray levels lie close together. Keep those whose expression you can read; take out the rest.",
    ),
    "blurred": _Text(
        "Blurred",
        "At the size the network sees, they have no fine detail. Keep them if the pictures you will use the model on "
        "are like that, as webcam pictures may be; else take them out.",
    ),
    "odd_size": _Text(
        "Odd size",
        "Unlike the other files in size, far from square, or smaller than the network's input. Check that they "
        "show one face that fills the picture; crop them or take them out.",
    ),
    "exact_duplicate": _Text(
        "Exact duplicates",
        "The same pixels more than once: they count double in training and in every score. Keep the first of each.",
    ),
    "near_duplicate": _Text(
        "Near duplicates",
        "One photograph saved again, shifted, mirrored, brighter or with a watermark. Keep the first of each, or "
        "at least keep them together on one side of the split, as the leak-free split does.",
    ),
    "leak": _Text(
        "In several parts of the supplied split",
        "The same or nearly the same picture is in train and in val or test, so a score measures memory. "
        "Use the leak-free split, or take the copies out of the earlier part.",
    ),
    "two_emotions": _Text(
        "Under two emotions",
        "The same or nearly the same picture has two labels, and at least one is wrong. Decide which and delete "
        "the other, or take out all.",
    ),
    "two_groups": _Text(
        "Both depressed and non-depressed",
        "The same or nearly the same picture is in both groups, so a model cannot be right about both. Decide which "
        "label is correct, or take out all.",
    ),
}
ISSUE_NAMES = tuple(_TEXTS)


@dataclass(frozen=True)
class IssueLimits:
    """From where on a measure is an issue, chosen by looking at the pictures around each on two real sets of faces.

    Attributes:
        min_entropy: Bits of entropy below which a picture is blank or a placeholder.
        min_highlights: A picture whose highlights are darker than this is too dark, 0..1.
        max_shadows: A picture whose shadows are brighter than this is too bright, 0..1.
        min_contrast: Contrast below which it is low, 0..1.
        min_sharpness: Sharpness below which a picture is blurred, 0..1.
        min_side_px: A picture with a shorter side is too small, which is one kind of odd size.
        max_elongation: Longer by shorter side above which a picture has an odd size. At 1.5 the centered square, all
            that a network sees of it, cuts off a third of the picture.
        max_size_factor: If the sizes of a data set vary: how many times larger or smaller than the middle one (by
            the square root of the area) a picture may be. If 90 % have the same size, any other is odd.
    """

    # The shares of the Kaggle set's 4,492 and of FER2013's 28,089 pictures that each flags; no size is odd in either.
    # Of FER2013's 55 of low entropy some 50 are black, signs or "not available" texts; up to 5.3 bits follow signs and
    # dark or drawn faces mixed.
    min_entropy: float = 4.8  # 0.04 %, 0.20 %
    min_highlights: float = 0.32  # 0.13 %, 0.24 %; CleanVision's number, there for the lightest 1 % of the pixels
    max_shadows: float = 0.6  # 0.40 %, 0.27 %; CleanVision's 0.95 finds none
    min_contrast: float = 0.25  # 0.22 %, 0.31 %
    min_sharpness: float = 0.12  # 0.04 %, 0.20 %
    min_side_px: float = THUMBNAIL_SIZE_PX
    max_elongation: float = 1.5
    max_size_factor: float = 3.0


@dataclass(frozen=True, eq=False)
class Issue:
    """One kind of issue and the pictures that have it.

    Attributes:
        name: Its name in tables and files, like "near_duplicate".
        mask: `bool` array of shape `(n,)`: the pictures concerned; of copies all of them, the first one too.
        removed: `bool` array of shape `(n,)`: those of `mask` that go when this issue alone is cleaned away.
        sets: Equal numbers for pictures that belong together (copies, near-copies): `int64` array of shape `(n,)`, -1
            for none. Numbers outside `mask` mean nothing. None if pictures are judged one by one.
    """

    name: str
    mask: np.ndarray
    removed: np.ndarray
    sets: np.ndarray | None = None

    @property
    def title(self) -> str:
        """The name for readers."""
        return _TEXTS[self.name].title

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _TEXTS[self.name].advice

    @property
    def num_images(self) -> int:
        """Number of pictures concerned."""
        return int(self.mask.sum())

    @property
    def num_removed(self) -> int:
        """Number of pictures that go when this issue alone is cleaned away."""
        return int(self.removed.sum())

    @property
    def num_sets(self) -> int:
        """Number of sets of pictures that belong together; 0 if pictures are judged one by one."""
        return 0 if self.sets is None else len(np.unique(self.sets[self.mask]))

    def to_json(self) -> dict[str, Any]:
        """Returns texts and numbers, without the arrays."""
        names = ("name", "title", "advice", "num_images", "num_sets", "num_removed")
        return {name: getattr(self, name) for name in names}


def find_issues(
    samples: pd.DataFrame,
    scan: Scan,
    quality: pd.DataFrame,
    limits: IssueLimits | None = None,
    *,
    has_face: np.ndarray | None = None,
) -> list[Issue]:
    """Returns every kind of issue, also those that no picture has, always in the order of `ISSUE_NAMES`.

    A picture may have several; a black one is blank, too dark and of low contrast. A damaged file has no other.

    Args:
        samples: The data set's samples table; another grouping of the emotions needs only a new call.
        scan: Its scan.
        quality: From `quality.measure_quality`.
        limits: None for the default ones.
        has_face: From `face_check.check_faces`: `bool` array of shape `(n,)`. None if faces have not been looked for;
            then there is no issue "no_face".
    """
    masks = _judge_pictures(quality, limits or IssueLimits())
    masks["damaged"] = ~scan.is_readable
    if has_face is not None:
        masks["no_face"] = ~has_face & scan.is_readable
    issues = {name: Issue(name, mask, mask) for name, mask in masks.items()}
    issues |= {issue.name: issue for issue in _find_copies(samples, quality)}
    return [issues[name] for name in ISSUE_NAMES if name in issues]


def _judge_pictures(quality: pd.DataFrame, limits: IssueLimits) -> dict[str, np.ndarray]:
    """Returns the pictures with each issue that a picture has on its own; comparisons with `nan` are False."""
    measures = {name: quality[name].to_numpy() for name in MEASURES}
    return {
        "blank": measures["entropy"] < limits.min_entropy,
        "dark": measures["highlights"] < limits.min_highlights,
        "bright": measures["shadows"] > limits.max_shadows,
        "low_contrast": measures["contrast"] < limits.min_contrast,
        "blurred": measures["sharpness"] < limits.min_sharpness,
        "odd_size": _find_odd_sizes(measures["width"], measures["height"], limits),
    }


def _find_copies(samples: pd.DataFrame, quality: pd.DataFrame) -> list[Issue]:
    """Returns the issues of pictures that are there more than once."""
    pictures, duplicate_groups = quality["picture"].to_numpy(), quality["duplicate_group"].to_numpy()
    subsets, everywhere = number_subsets(samples), np.ones(len(samples), bool)
    issues = [
        Issue(
            "exact_duplicate",
            find_varied(pictures, np.arange(len(samples))),
            find_repeats(pictures, everywhere),
            pictures,
        ),
        Issue(
            "near_duplicate",
            find_varied(duplicate_groups, pictures),
            find_near_repeats(duplicate_groups, pictures, everywhere),
            duplicate_groups,
        ),
        Issue(
            "leak",
            find_varied(duplicate_groups, subsets),
            find_early_copies(duplicate_groups, subsets, everywhere),
            duplicate_groups,
        ),
    ]
    for name, column in (("two_emotions", "emotion"), ("two_groups", "label")):
        labels = np.where(samples[column] != "", pd.factorize(samples[column])[0], -1)
        mask = find_varied(duplicate_groups, labels)
        issues.append(Issue(name, mask, mask, duplicate_groups))
    return issues


def _find_odd_sizes(width: np.ndarray, height: np.ndarray, limits: IssueLimits) -> np.ndarray:
    """Returns whether a file's size is unlike the others', far from square or too small: `bool`, shape `(n,)`."""
    is_known = ~np.isnan(width)
    if not is_known.any():
        return is_known
    codes = pd.factorize(width * 2.0**24 + height)[0]  # no side has 24 bits; `nan` has the code -1
    num_usual = np.bincount(codes[is_known])
    if num_usual.max() >= _USUAL_SIZE_SHARE * is_known.sum():
        is_odd = codes != num_usual.argmax()
    else:
        sides = np.sqrt(width * height)
        factors = sides / np.median(sides[is_known])
        is_odd = np.maximum(factors, 1 / factors) > limits.max_size_factor
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    return is_known & (is_odd | (shorter < limits.min_side_px) | (longer > limits.max_elongation * shorter))


def build_flags_table(samples: pd.DataFrame, quality: pd.DataFrame, issues: list[Issue]) -> pd.DataFrame:
    """Returns one row per picture for a download: path, subset, emotion, label, all measures, a `bool` for each issue.

    Args:
        samples: The data set's samples table.
        quality: From `quality.measure_quality`. Its numbers are rounded to four decimals here.
        issues: From `find_issues`.
    """
    sizes = {"width": "Int64", "height": "Int64"}  # whole numbers or nothing, where 48.0 would be read as measured
    flags = pd.DataFrame({issue.name: issue.mask for issue in issues}, index=samples.index)
    table = samples[["path", "subset", "emotion", "label"]]
    return pd.concat([table, quality.round(4).astype(sizes), flags], axis=1)
