import numpy as np
import pytest

from facedep.audit import neighbors as lookalikes
from facedep.audit.neighbors import LookupScore, build_appearance, find_nearest_neighbors, score_lookup_table
from facedep.data.scan import scan_dataset
from facedep.data.sources import load_dataset
from facedep.data.splits import LEAK_FREE, PUBLISHED, SUPPLIED, split_dataset
from facedep.emotions import DEPRESSED, NON_DEPRESSED
from facedep.networks.majority_baseline import MajorityBaseline


@pytest.fixture
def faces() -> np.ndarray:
    """Six different pictures of noise: `uint8` array of shape `(6, 48, 48)`, 20-220."""
    return np.random.default_rng(0).integers(20, 220, (6, 48, 48), dtype=np.uint8)


def _blend(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    return np.round((1 - share) * first + share * second).astype(np.uint8)


def test_dot_products_are_correlations_of_the_smaller_pictures(faces):
    appearance = build_appearance(faces)
    small = faces.reshape(6, 16, 3, 16, 3).mean(axis=(2, 4)).reshape(6, -1)
    assert (appearance.shape, appearance.dtype) == ((6, 256), np.float32)
    np.testing.assert_allclose(appearance @ appearance.T, np.corrcoef(small), atol=1e-5)


def test_identical_and_evenly_brighter_pictures_have_identical_rows_wherever_they_stand(faces, monkeypatch):
    monkeypatch.setattr(lookalikes, "_IMAGES_AT_ONCE", 4)
    appearance = build_appearance(np.concatenate([faces, faces[::-1], faces + 7]))
    np.testing.assert_array_equal(appearance[6:12], appearance[5::-1])
    np.testing.assert_array_equal(appearance[12:], appearance[:6])


def test_evenly_gray_pictures_become_zero_and_not_noise():
    flat = np.stack([np.full((48, 48), level, np.uint8) for level in (0, 77, 133, 255)])
    np.testing.assert_array_equal(build_appearance(flat), 0)


def test_lookalikes_are_the_copy_the_mirror_image_and_the_blend_in_this_order(faces):
    pictures = np.stack([*faces, _blend(faces[0], faces[1], 0.3), faces[0][:, ::-1], faces[0]])
    rows, correlations = find_nearest_neighbors(build_appearance(pictures), 0, 3)
    assert rows.tolist() == [8, 7, 6]
    assert correlations[0] == 1
    assert correlations[1] == pytest.approx(1, abs=1e-6)
    blended = np.corrcoef([picture.reshape(16, 3, 16, 3).mean(axis=(1, 3)).ravel() for picture in pictures[[0, 6]]])
    assert correlations[2] == pytest.approx(blended[0, 1], abs=1e-5)


def test_lookalikes_leave_out_the_picture_itself_and_those_not_asked_for(faces):
    appearance = build_appearance(np.concatenate([faces, faces]))
    among = np.arange(12) != 8
    rows, correlations = find_nearest_neighbors(appearance, 2, 100, among=among)
    assert sorted(rows.tolist()) == [0, 1, 3, 4, 5, 6, 7, 9, 10, 11]
    assert (np.diff(correlations) <= 0).all()
    assert among.sum() == 11
    assert find_nearest_neighbors(appearance[:1], 0, 5)[0].tolist() == []


def test_an_evenly_gray_picture_finds_the_other_gray_ones_first(faces):
    flat = np.full((1, 48, 48), 90, np.uint8)
    rows, correlations = find_nearest_neighbors(build_appearance(np.concatenate([flat, faces, flat])), 0, 3)
    assert rows.tolist() == [7, 1, 2]
    assert correlations.tolist() == [1, 0, 0]


def test_lookup_table_answers_with_the_group_of_the_nearest_train_picture(faces, monkeypatch):
    """Of four test pictures: a copy (right), a blend (right), a mirrored blend (wrong), a picture of train (wrong)."""
    monkeypatch.setattr(lookalikes, "_LOOKED_UP_AT_ONCE", 1)
    asked = [faces[0], _blend(faces[1], faces[4], 0.2), _blend(faces[2], faces[4], 0.2)[:, ::-1], faces[3]]
    pictures = np.stack([*faces[:4], *asked, faces[5]])
    parts = np.array(["train"] * 4 + ["test"] * 4 + [""])
    is_depressed = np.array([True, False, False, True, True, False, True, False, True])
    score = score_lookup_table(build_appearance(pictures), is_depressed, parts)
    assert score == LookupScore(
        0.5, MajorityBaseline(NON_DEPRESSED, 0.5), num_images=4, num_identical=2, num_remembered=4
    )


def test_lookup_table_takes_an_identical_picture_before_a_nearly_identical_one_and_the_first_of_several(faces):
    nearly = faces[0].copy()
    nearly[0, 0] += 1
    pictures = np.stack([nearly, faces[0], faces[0], faces[0]])
    parts = np.array(["train", "train", "train", "test"])
    for is_first_depressed in (False, True):
        is_depressed = np.array([not is_first_depressed, is_first_depressed, not is_first_depressed, True])
        score = score_lookup_table(build_appearance(pictures), is_depressed, parts)
        assert score == LookupScore(
            float(is_first_depressed), MajorityBaseline(DEPRESSED, 1.0), 1, num_identical=1, num_remembered=3
        )


def test_without_test_or_train_pictures_there_is_no_score(faces):
    appearance, is_depressed = build_appearance(faces), np.ones(6, bool)
    assert score_lookup_table(appearance, is_depressed, np.array(["train"] * 6)) is None
    assert score_lookup_table(appearance, is_depressed, np.array(["test"] * 6)) is None
    parts = np.array(["train"] * 5 + ["val"])
    assert score_lookup_table(appearance, is_depressed, parts, "val").num_images == 1


def test_on_the_kaggle_set_a_lookup_table_is_perfect_as_supplied_and_below_the_majority_on_new_faces(
    real_data_dir,
):
    dataset = load_dataset(str(real_data_dir / "kaggle_depression.zip"))
    scan = scan_dataset(dataset)
    appearance, is_depressed = build_appearance(scan.thumbnails), (dataset.samples["label"] == DEPRESSED).to_numpy()

    def score(kind: str, part: str) -> LookupScore:
        return score_lookup_table(appearance, is_depressed, split_dataset(dataset.samples, scan, kind), part)

    supplied, new, published = score(SUPPLIED, "test"), score(LEAK_FREE, "test"), score(PUBLISHED, "val")
    assert (supplied.accuracy, supplied.num_images, supplied.num_identical) == (1.0, 388, 388)
    assert new.num_identical == 0
    assert new.accuracy == pytest.approx(0.596, abs=0.02)
    assert new.accuracy < new.majority_baseline.share == pytest.approx(0.672, abs=0.005)
    # The published "nearly 80 %": half of its validation pictures are also in its train part.
    assert (published.num_images, published.num_identical) == (898, 446)
    assert published.accuracy == pytest.approx(0.795, abs=0.005)
