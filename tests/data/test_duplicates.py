import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import lfw_subset

from facedep.data import duplicates
from facedep.data.duplicates import find_near_duplicate_groups

_MARGIN = 2


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    """100 different real faces with a margin of 2 pixels: `uint8` arrays of shape `(52, 52)`, 0-255."""
    side = 48 + 2 * _MARGIN
    faces = np.round(lfw_subset()[:100] * 255).astype(np.uint8)
    return [np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)) for face in faces]


def _cut(photograph: np.ndarray, down: int = 0, right: int = 0) -> np.ndarray:
    top, left = _MARGIN + down, _MARGIN + right
    return photograph[top : top + 48, left : left + 48]


def _save_as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def _brighten(image: np.ndarray, levels: int) -> np.ndarray:
    return np.clip(image.astype(int) + levels, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "same": _cut,
    "JPEG quality 50": lambda photograph: _save_as_jpeg(_cut(photograph), 50),
    "JPEG quality 75": lambda photograph: _save_as_jpeg(_cut(photograph), 75),
    "20 levels brighter": lambda photograph: _brighten(_cut(photograph), 20),
    "20 levels darker": lambda photograph: _brighten(_cut(photograph), -20),
    "mirrored": lambda photograph: _cut(photograph)[:, ::-1],
    "mirrored, saved again": lambda photograph: _save_as_jpeg(_cut(photograph)[:, ::-1].copy(), 75),
    **{
        f"shifted {down} down, {right} right": lambda photograph, d=down, r=right: _cut(photograph, d, r)
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if down or right
    },
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_changed_copy_is_grouped_with_its_original_and_with_nothing_else(photographs, change):
    images = np.stack([*map(_cut, photographs), *map(CHANGES[change], photographs)])
    groups = find_near_duplicate_groups(images)
    np.testing.assert_array_equal(groups[:100], groups[100:])
    assert len(set(groups)) == 100


def test_different_photographs_are_not_grouped(photographs):
    assert sorted(find_near_duplicate_groups(np.stack([*map(_cut, photographs)]))) == list(range(100))


def test_a_chain_of_shifted_copies_is_one_group(photographs):
    chain = [photographs[0][2:50, left : left + 48] for left in range(5)]  # its ends lie 4 pixels apart
    groups = find_near_duplicate_groups(np.stack([*chain, _cut(photographs[1])]))
    assert len(set(groups[:5])) == 1
    assert groups[5] != groups[0]


def test_blank_pictures_are_one_group_and_no_photograph_is_in_it(photographs):
    blanks = [np.full((48, 48), level, np.uint8) for level in (0, 130, 255)]
    images = [blanks[0], _cut(photographs[0]), blanks[1], _cut(photographs[1]), blanks[2]]
    groups = find_near_duplicate_groups(np.stack(images))
    assert groups[0] == groups[2] == groups[4]
    assert len(set(groups)) == 3


@pytest.mark.parametrize("num_images", [0, 1])
def test_few_pictures_are_their_own_groups(num_images):
    noise = np.random.default_rng(0).integers(0, 256, (num_images, 48, 48), dtype=np.uint8)
    assert find_near_duplicate_groups(noise).tolist() == list(range(num_images))


def test_two_copies_are_one_group_and_two_photographs_are_two(photographs):
    copies = np.stack([_cut(photographs[0]), _save_as_jpeg(_cut(photographs[0]), 75)])
    assert find_near_duplicate_groups(copies).tolist() == [0, 0]
    assert len(set(find_near_duplicate_groups(np.stack([*map(_cut, photographs[:2])])))) == 2


def test_of_the_frames_of_a_film_few_pairs_are_compared(photographs, monkeypatch):
    compared = []
    compare = duplicates._correlate_shifted
    monkeypatch.setattr(
        duplicates, "_correlate_shifted", lambda first, second: compared.append(len(first)) or compare(first, second)
    )
    rng = np.random.default_rng(0)
    frames = cv2.GaussianBlur(_cut(photographs[0]), (0, 0), 3) + rng.normal(0, 3, (400, 48, 48))
    groups = find_near_duplicate_groups(np.clip(frames, 0, 255).astype(np.uint8))
    assert len(set(groups)) == 1
    assert 399 <= sum(compared) < 8000  # of 79,800 pairs
