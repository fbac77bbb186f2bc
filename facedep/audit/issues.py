"""The issues of a data set's pictures: measured once, judged by limits as often as these are moved.

`measure_quality` gives one table of numbers without any limit, `find_issues` compares it with `IssueLimits` and says
what to do. For the 28,089 pictures of FER2013 the first takes 1.3 s and the second 25 ms: a slider opens no file again.
All is measured on the 48 x 48 thumbnails, as what cannot be seen there cannot be learned from. The kinds of fault are
CleanVision's; the library itself would open every file once more, and its thresholds are for larger photographs.

Reference: CleanVision, https://github.com/cleanlab/cleanvision, `issue_managers/image_property.py`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd

from facedep.data.image_cache import ImageSubset
from facedep.data.scan import THUMBNAIL_SIZE_PX, Scan
from facedep.data.splits import SUBSETS

_IMAGES_AT_ONCE = 2000  # as float32 these take 18 MB
_SHADOWS_QUANTILE, _HIGHLIGHTS_QUANTILE = 0.05, 0.95
_USUAL_SIZE_SHARE = 0.9  # of the pictures; a size that so many have is the data set's usual one
ISSUE_NAMES = (
    "damaged", "no_face", "blank", "dark", "bright", "low_contrast", "blurred", "odd_size",
    "exact_duplicate", "near_duplicate", "leak", "two_emotions", "two_groups",
)  # fmt: skip
MEASURES = ("brightness", "shadows", "highlights", "contrast", "sharpness", "entropy", "width", "height", "aspect")


@dataclass(frozen=True)
class IssueLimits:
    """Where a measure becomes a fault, chosen by looking at the pictures around each on two real sets of faces.

    Attributes:
        min_entropy: Bits of entropy below which a picture is blank or a placeholder.
        min_highlights: A picture whose highlights are darker than this is too dark, 0..1.
        max_shadows: A picture whose shadows are brighter than this is too bright, 0..1.
        min_contrast: Contrast below which it is low, 0..1.
        min_sharpness: Sharpness below which a picture is blurred, 0..1.
        min_side_px: A picture with a shorter side is too small, which is one kind of odd size.
        max_elongation: Longer by shorter side above which a picture has an odd size. At 1.5 the centred square, all
            that a network sees of it, leaves a third of the picture out.
        max_size_factor: Where the sizes of a data set vary: how many times larger or smaller than the middle one (by
            the square root of the area) a picture may be. Where 90 % have the same size, any other is odd.
    """

    # The shares of the Kaggle set's 4,492 and of FER2013's 28,089 pictures that each flags; no size is odd in either.
    # Of FER2013's 55 of low entropy some 50 are black, signs or "not available" texts; up to 5.3 bits follow signs and
    # dark or drawn faces mixed.
    min_entropy: float = 4.8  # 0.04 %, 0.20 %
    min_highlights: float = 0.32  # 0.13 %, 0.24 %; CleanVision's number, there for the lightest 1 % of the pixels
    max_shadows: float = 0.6  # 0.40 %, 0.27 %; CleanVision's 0.95 finds none
    min_contrast: float = 0.25  # 0.22 %, 0.31 %
    min_sharpness: float = 0.12  # 0.04 %, 0.20 %
    min_side_px: int = THUMBNAIL_SIZE_PX
    max_elongation: float = 1.5
    max_size_factor: float = 3.0


@dataclass(frozen=True, eq=False)
class Issue:
    """One kind of fault and the pictures that have it.

    Attributes:
        name: Its name in tables and files, like "near_duplicate".
        title: The same for readers.
        advice: What to do about it.
        rows: `bool` array of shape `(n,)`: the pictures concerned; of copies all of them, the first one too.
        extra: `bool` array of shape `(n,)`: those of `rows` that go when this fault alone is cleaned away.
        sets: Equal numbers for pictures that belong together (copies, near-copies): `int64` array of shape `(n,)`, -1
            for none. Numbers outside `rows` mean nothing. None where pictures are judged one by one.
    """

    name: str
    title: str
    advice: str
    rows: np.ndarray
    extra: np.ndarray
    sets: np.ndarray | None = None

    @property
    def num_images(self) -> int:
        """Number of pictures concerned."""
        return int(self.rows.sum())

    @property
    def num_extra(self) -> int:
        """Number of pictures that go when this fault alone is cleaned away."""
        return int(self.extra.sum())

    @property
    def num_sets(self) -> int:
        """Number of sets of pictures that belong together; 0 where pictures are judged one by one."""
        return 0 if self.sets is None else len(np.unique(self.sets[self.rows]))

    def to_json(self) -> dict[str, Any]:
        """Returns names, words and numbers, without the arrays."""
        words = {name: getattr(self, name) for name in ("name", "title", "advice")}
        return words | {name: getattr(self, name) for name in ("num_images", "num_sets", "num_extra")}


@dataclass(frozen=True)
class SharedPictures:
    """How many pictures of one supplied subset are also in another.

    Attributes:
        subset: "val" or "test".
        other_subset: "train" or "val".
        num_images: Readable pictures in `subset`.
        num_identical: Those with a pixel-identical copy in the other subset.
        num_similar: Those with an identical or near-identical picture in it.
    """

    subset: str
    other_subset: str
    num_images: int
    num_identical: int
    num_similar: int

    @property
    def sentence(self) -> str:
        """The finding in words, for readers who know no jargon."""
        verb = "is" if self.num_similar == 1 else "are"
        words = (
            f"{self.num_similar:,} of the {self.num_images:,} {self.subset} pictures {verb} also in {self.other_subset}"
        )
        if self.num_similar == 0:
            return f"None of the {self.num_images:,} {self.subset} pictures is also in {self.other_subset}."
        if self.num_identical == self.num_similar:
            return f"{words}, pixel for pixel."
        exactly = (
            f"{self.num_identical:,} pixel for pixel, the others nearly" if self.num_identical else "nearly the same"
        )
        return f"{words}: {exactly}."


def measure_quality(samples: pd.DataFrame, scan: Scan) -> pd.DataFrame:
    """Returns what is measured of each picture, in the order of the samples; no threshold is in it.

    Args:
        samples: The data set's samples table.
        scan: Its scan.

    Returns:
        A table with the samples' row labels and the columns
        - `brightness`: mean gray level, 0 (black) .. 1 (white);
        - `shadows`, `highlights`: the gray levels that 5 % and 95 % of the pixels do not exceed, 0..1;
        - `contrast`: `highlights` less `shadows`, 0..1;
        - `sharpness`: energy of the Laplacian by the largest that the gray steps between neighbours allow, 0 (an even
          ramp) .. 1 (every pixel unlike its neighbours), higher is sharper, undefined for a single gray level;
        - `entropy`: of the gray levels, 0 (a single one) .. 8 bits;
        - `width`, `height` in pixels and `aspect`, width by height, of the file;
        - `picture`: equal numbers for pixel-identical pictures, and `group`: for those that show one photograph,
          exactly or nearly; -1 for damaged files.
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
    quality["group"] = scan.duplicate_groups
    return quality.set_axis(samples.index)


def _measure_thumbnails(images: np.ndarray) -> pd.DataFrame:
    """Returns the measures of some thumbnails: `uint8` array of shape `(n, 48, 48)`, 0-255."""
    num_images, num_pixels = len(images), images.shape[1] * images.shape[2]
    levels = images.reshape(num_images, num_pixels) + 256 * np.arange(num_images)[:, np.newaxis]
    shares = np.bincount(levels.ravel(), minlength=256 * num_images).reshape(num_images, 256) / num_pixels
    up_to = shares.cumsum(axis=1) + 1e-9  # 5 % and 95 % of a picture are no whole pixels, but rounding is never exact
    shadows, highlights = ((up_to >= part).argmax(axis=1) / 255 for part in (_SHADOWS_QUANTILE, _HIGHLIGHTS_QUANTILE))
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
    """Returns the energy of the Laplacian by 8 times that of the steps between neighbours: `(n,)`, 0..1 or `nan`.

    Its rank correlation with the contrast is -0.16 on FER2013. The Laplacian's bare variance has 0.60, and divided by
    the picture's own variance -0.35: that calls a sharp face before a white wall blurred.

    A pixel's Laplacian is the sum of its four steps, so its square is at most 4 times their squares, and each step
    belongs to at most two pixels: hence the 8.
    """
    num_images, side = images.shape[:2]
    # One tall picture, as a call each would cost more than the filter; the seams fall on the border, which is left out.
    laplacian = cv2.Laplacian(images.reshape(num_images * side, side), cv2.CV_16S) if num_images else images
    inner = laplacian.reshape(images.shape)[:, 1:-1, 1:-1].astype(np.float32)
    gray = images.astype(np.float32)
    steps = sum(np.square(np.diff(gray, axis=axis)).sum(axis=(1, 2), dtype=float) for axis in (1, 2))
    return np.square(inner).sum(axis=(1, 2), dtype=float) / np.where(steps > 0, 8 * steps, np.nan)


def find_issues(
    samples: pd.DataFrame,
    scan: Scan,
    quality: pd.DataFrame,
    thresholds: IssueLimits | None = None,
    *,
    has_face: np.ndarray | None = None,
) -> list[Issue]:
    """Returns every kind of fault, also those that no picture has, always in the order of `ISSUE_NAMES`.

    A picture may have several; a black one is blank, too dark and of low contrast. A damaged file has no other.

    Args:
        samples: The data set's samples table; another grouping of the emotions needs only a new call.
        scan: Its scan.
        quality: From `measure_quality`.
        thresholds: The default ones where None.
        has_face: From `face_check.check_faces`: `bool` array of shape `(n,)`. Where None, as long as nobody has looked
            for faces, there is no fault "no_face".
    """
    limits = thresholds or IssueLimits()
    measures = {name: quality[name].to_numpy() for name in MEASURES}
    pictures, groups = quality["picture"].to_numpy(), quality["group"].to_numpy()
    parts, everywhere = _number_subsets(samples), np.ones(len(samples), bool)

    def single(name: str, title: str, advice: str, rows: np.ndarray) -> Issue:
        return Issue(name, title, advice, rows, rows)

    def contradiction(name: str, title: str, advice: str, column: str) -> Issue:
        rows = _is_varied(groups, np.where(samples[column] != "", pd.factorize(samples[column])[0], -1))
        return Issue(name, title, advice, rows, rows, groups)

    damaged = single(
        "damaged",
        "Damaged files",
        "These files cannot be decoded and are never trained on. Download or export them again, or delete them.",
        ~scan.is_readable,
    )
    without_face = [] if has_face is None else [
        single(
            "no_face",
            "Without a face",
            "No face was found at the size the network sees: a sign, a text, a hand, or a face that was missed. About "
            "one real face in 200 is, mostly from the side, behind hands or glasses, or crying; in FER2013 three of "
            "four pictures here are such faces. Look through them: a network that never sees these answers worse for "
            "them.",
            ~has_face & scan.is_readable,
        )
    ]  # fmt: skip
    return [
        damaged,
        *without_face,
        single(
            "blank",
            "Blank pictures and placeholders",
            "Hardly any content: one gray, a sign like “picture not available”, now and then a face lost in the dark. "
            "Take them out: whatever their label says, there is next to nothing to learn from.",
            measures["entropy"] < limits.min_entropy,
        ),
        single(
            "dark",
            "Too dark",
            "Even their bright parts are dark. Look before you take them out: dark-skinned faces in weak light are "
            "among them, and a network that never sees these answers worse for such people.",
            measures["highlights"] < limits.min_highlights,
        ),
        single(
            "bright",
            "Too bright",
            "Even their dark parts are bright. Look before you take them out: pale faces and drawings on white are "
            "among them; keep the faces that you can read yourself.",
            measures["shadows"] > limits.max_shadows,
        ),
        single(
            "low_contrast",
            "Low contrast",
            "Their gray levels lie close together. Keep those whose expression you can read; take out the rest.",
            measures["contrast"] < limits.min_contrast,
        ),
        single(
            "blurred",
            "Blurred",
            "At the size the network sees, they have no fine detail. Keep them if the pictures you will ask about are "
            "like that, as webcam pictures may be; else take them out.",
            measures["sharpness"] < limits.min_sharpness,
        ),
        single(
            "odd_size",
            "Odd size",
            "Unlike the other files in size, far from square, or smaller than the network's input. Check that they "
            "show one face that fills the picture; crop them or take them out.",
            _find_odd_sizes(measures["width"], measures["height"], limits),
        ),
        Issue(
            "exact_duplicate",
            "Exact duplicates",
            "The same pixels more than once: they count double in training and in every score. Keep the first of each.",
            _is_varied(pictures, np.arange(len(samples))),
            _find_repeats(pictures, everywhere),
            pictures,
        ),
        Issue(
            "near_duplicate",
            "Near duplicates",
            "One photograph saved again, shifted, mirrored, brighter or with a watermark. Keep the first of each, or "
            "at least keep them together on one side of the split, as the leak-free split does.",
            _is_varied(groups, pictures),
            _find_near_repeats(groups, pictures, everywhere),
            groups,
        ),
        Issue(
            "leak",
            "In several parts of the supplied split",
            "The same or nearly the same picture stands in train and in val or test, so a score measures memory. "
            "Use the leak-free split, or take the copies out of the earlier part.",
            _is_varied(groups, parts),
            _find_early_copies(groups, parts, everywhere),
            groups,
        ),
        contradiction(
            "two_emotions",
            "Under two emotions",
            "The same or nearly the same picture has two labels, and at least one is wrong. Decide which and delete "
            "the other, or take out all.",
            "emotion",
        ),
        contradiction(
            "two_groups",
            "Both depressed and non-depressed",
            "The same or nearly the same picture stands in both groups, so no answer to it can be right. Decide which "
            "label holds, or take out all.",
            "label",
        ),
    ]


def _find_odd_sizes(width: np.ndarray, height: np.ndarray, limits: IssueLimits) -> np.ndarray:
    """Returns where a file's size is unlike the others', far from square or too small: `bool`, shape `(n,)`."""
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


def _number_subsets(samples: pd.DataFrame) -> np.ndarray:
    """Returns 0, 1, 2 for the supplied train, val, test, and -1 for none: `int64`, shape `(n,)`."""
    return samples["subset"].map({part: number for number, part in enumerate(SUBSETS)}).fillna(-1).to_numpy(np.int64)


def _is_varied(sets: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns which pictures belong to a set with two or more values in it: `bool`, shape `(n,)`.

    Args:
        sets: Numbers from 0, -1 for none.
        values: Numbers from 0, -1 for none: such a picture neither makes a set varied nor is in it.
    """
    counts = (sets >= 0) & (values >= 0)
    lowest, highest = (np.full(len(sets) + 1, start) for start in (np.iinfo(np.int64).max, -1))
    np.minimum.at(lowest, sets[counts], values[counts])
    np.maximum.at(highest, sets[counts], values[counts])
    return counts & (lowest[sets] != highest[sets])


def _find_repeats(sets: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Returns which of some pictures are not the first of their set."""
    rows = np.nonzero(among & (sets >= 0))[0]
    is_repeat = np.zeros(len(sets), bool)
    is_repeat[rows] = True
    is_repeat[rows[np.unique(sets[rows], return_index=True)[1]]] = False
    return is_repeat


def _find_near_repeats(groups: np.ndarray, pictures: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Returns which of some pictures differ from the first of their group. Exact copies of that one do not."""
    rows = np.nonzero(among & (groups >= 0))[0]
    _, first, number = np.unique(groups[rows], return_index=True, return_inverse=True)
    is_repeat = np.zeros(len(groups), bool)
    is_repeat[rows] = pictures[rows] != pictures[rows[first]][number]
    return is_repeat


def _find_early_copies(groups: np.ndarray, parts: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Returns which of some pictures look like one of a later part, where train is before val and val before test."""
    counts = among & (groups >= 0) & (parts >= 0)
    latest = np.full(len(groups) + 1, -1)
    np.maximum.at(latest, groups[counts], parts[counts])
    return counts & (parts < latest[groups])


def choose_clean(samples: pd.DataFrame, faults: list[Issue], names: Collection[str]) -> np.ndarray:
    """Returns which pictures stay when the chosen faults are cleaned away: `bool`, shape `(n,)`.

    In this order, so that no photograph loses all its pictures because two rules each keep another one:
    1. Whatever is judged on its own goes, and so do all pictures of a contradiction (`two_emotions`, `two_groups`).
    2. `leak`: of the pictures left, those go that look like one of a later part: a train picture like one of val or
       test, a val picture like one of test. The test part keeps its own.
    3. `exact_duplicate`: of each set the first left in path order stays.
    4. `near_duplicate`: of each group the first left stays, and so do exact copies of it unless 3 was chosen as well.

    Args:
        samples: The data set's samples table.
        faults: From `find_issues`.
        names: Names of the faults to clean away.

    Raises:
        ValueError: There is no fault of that name; "no_face" is only among them where faces were looked for.
    """
    by_name = {fault.name: fault for fault in faults}
    if unknown := set(names) - set(by_name):
        raise ValueError(f"unknown faults {', '.join(sorted(unknown))}, expected some of {', '.join(by_name)}")
    pictures, groups = by_name["exact_duplicate"].sets, by_name["near_duplicate"].sets
    find_going: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "leak": lambda stays: _find_early_copies(groups, _number_subsets(samples), stays),
        "exact_duplicate": lambda stays: _find_repeats(pictures, stays),
        "near_duplicate": lambda stays: _find_near_repeats(groups, pictures, stays),
    }
    stays = np.ones(len(samples), bool)
    for name in set(names) - set(find_going):
        stays &= ~by_name[name].rows
    for name, find in find_going.items():
        if name in names:
            stays &= ~find(stays)
    return stays


def build_flags_table(samples: pd.DataFrame, quality: pd.DataFrame, faults: list[Issue]) -> pd.DataFrame:
    """Returns one row per picture for a download: path, split, emotion, label, all measures, a `bool` for each fault.

    Args:
        samples: The data set's samples table.
        quality: From `measure_quality`. Its numbers are rounded to four decimals here.
        faults: From `find_issues`.
    """
    sizes = {"width": "Int64", "height": "Int64"}  # whole numbers or nothing, where 48.0 would be read as measured
    flags = pd.DataFrame({fault.name: fault.rows for fault in faults}, index=samples.index)
    table = samples[["path", "subset", "emotion", "label"]]
    return pd.concat([table, quality.round(4).astype(sizes), flags], axis=1)


def find_shared_pictures(samples: pd.DataFrame, quality: pd.DataFrame) -> list[SharedPictures]:
    """Returns for each two parts of the supplied split how many pictures of the later one are also in the earlier one.

    Pairs with an empty part are left out: a data set without such folders gives an empty list.

    Args:
        samples: The data set's samples table.
        quality: From `measure_quality`.
    """
    parts, pictures, groups = _number_subsets(samples), quality["picture"].to_numpy(), quality["group"].to_numpy()
    shared = []
    for later, earlier in ((2, 0), (1, 0), (2, 1)):
        rows, others = ((parts == part) & (pictures >= 0) for part in (later, earlier))
        if rows.any() and others.any():
            num_identical = int(np.isin(pictures[rows], pictures[others]).sum())
            num_similar = int(np.isin(groups[rows], groups[others]).sum())
            shared.append(SharedPictures(SUBSETS[later], SUBSETS[earlier], int(rows.sum()), num_identical, num_similar))
    return shared
