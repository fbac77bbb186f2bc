"""Rare classes come more often than others."""

import numpy as np
import pytest

from facedep.training.inputs import ArrayDataset
from facedep.training.sampling import repeat_rare_classes


def _make(*num_images: int) -> ArrayDataset:
    labels = np.repeat(np.arange(len(num_images)), num_images)
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return ArrayDataset(images, np.eye(len(num_images), dtype=np.float32)[labels], labels == 0)


def _count(array: ArrayDataset) -> list[int]:
    return array.targets.sum(axis=0).astype(int).tolist()


def test_a_class_comes_as_often_as_the_root_of_what_it_lacks():
    train = _make(4, 196)  # shares 0.02 and 0.98: the first comes sqrt(0.32 / 0.02) = 4 times
    repeated = repeat_rare_classes(train, 0.32, seed=0)
    assert _count(repeated) == [16, 196]
    assert repeated.is_depressed.sum() == 16
    assert sorted(repeated.images[repeated.is_depressed].ravel().tolist()) == sorted([0, 1, 2, 3] * 4)


def test_what_is_no_whole_number_is_met_on_average():
    counts = [_count(repeat_rare_classes(_make(40, 160), 0.45, seed=seed))[0] for seed in range(20)]
    assert np.mean(counts) == pytest.approx(40 * 1.5, abs=2)
    assert len(set(counts)) > 1
    first, again = (repeat_rare_classes(_make(40, 160), 0.45, seed=3) for _ in range(2))
    assert (first.images == again.images).all()


@pytest.mark.parametrize("threshold", [0.0, 0.1])
def test_nothing_is_repeated_if_no_class_is_rare(threshold):
    train = _make(50, 50)
    assert repeat_rare_classes(train, threshold, seed=0) is train


def test_with_one_output_the_groups_are_the_classes():
    is_depressed = np.arange(100) < 4
    images = np.arange(100, dtype=np.uint8).reshape(-1, 1, 1, 1)
    train = ArrayDataset(images, is_depressed[:, np.newaxis].astype(np.float32), is_depressed)
    assert repeat_rare_classes(train, 0.16, seed=0).is_depressed.sum() == 8


def test_a_class_without_pictures_changes_nothing():
    assert _count(repeat_rare_classes(_make(0, 50), 0.5, seed=0)) == [0, 50]
