import numpy as np
import pytest

from facedep.audit import average_faces
from facedep.audit.average_faces import AverageFace, compute_average_faces, compute_difference, describe_difference
from facedep.data.scan import scan_dataset
from facedep.data.sources import load_dataset

SMALL_EFFECT = "says little about a single one"


def _draw(mean: np.ndarray | float, *, spread: float = 40, num_images: int = 1000) -> AverageFace:
    picture = np.broadcast_to(np.asarray(mean, np.float32), (48, 48)).copy()
    return AverageFace(picture, np.full((48, 48), spread, np.float32), num_images)


def _patch(gray_levels: float, row: int, column: int) -> np.ndarray:
    picture = np.full((48, 48), 100.0)
    picture[row, column] += gray_levels
    return picture


@pytest.mark.parametrize("num_at_once", [2, 1000])
def test_mean_deviation_and_count_are_exact_and_damaged_and_nameless_pictures_left_out(monkeypatch, num_at_once):
    monkeypatch.setattr(average_faces, "_IMAGES_AT_ONCE", num_at_once)
    levels = [10, 20, 30, 200, 0, 99]
    thumbnails = np.stack([np.full((48, 48), level, np.uint8) for level in levels])
    keys = np.array(["sad", "sad", "sad", "happy", "happy", ""])
    faces = compute_average_faces(thumbnails, keys, is_readable=np.array([True] * 4 + [False, True]))
    assert list(faces) == ["happy", "sad"]
    assert [face.num_images for face in faces.values()] == [1, 3]
    np.testing.assert_array_equal(faces["sad"].mean, np.full((48, 48), 20, np.float32))
    np.testing.assert_array_equal(faces["sad"].standard_deviation, np.full((48, 48), np.sqrt(200 / 3), np.float32))
    np.testing.assert_array_equal(faces["happy"].mean, np.full((48, 48), 200, np.float32))
    np.testing.assert_array_equal(faces["happy"].standard_deviation, 0)


def test_average_faces_are_those_of_numpy_place_by_place():
    thumbnails = np.random.default_rng(0).integers(0, 256, (50, 48, 48), dtype=np.uint8)
    face = compute_average_faces(thumbnails, np.array(["sad"] * 50, dtype=object))["sad"]
    np.testing.assert_allclose(face.mean, thumbnails.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(face.standard_deviation, thumbnails.std(axis=0), atol=1e-4)
    assert face.mean_picture.dtype == face.variation_picture.dtype == np.uint8
    np.testing.assert_array_equal(face.variation_picture, np.round(2 * face.standard_deviation))


def test_the_greatest_possible_variation_still_fits_into_a_picture():
    thumbnails = np.stack([np.zeros((48, 48), np.uint8), np.full((48, 48), 255, np.uint8)])
    assert compute_average_faces(thumbnails, np.array(["sad"] * 2))["sad"].variation_picture.max() == 255


def test_without_a_readable_picture_there_is_no_average_face():
    thumbnails, keys = np.zeros((2, 48, 48), np.uint8), np.array(["sad", "sad"])
    assert compute_average_faces(thumbnails, keys, is_readable=np.zeros(2, bool)) == {}
    assert compute_average_faces(thumbnails[:0], keys[:0]) == {}


def test_difference_is_above_zero_where_the_first_is_brighter_and_can_be_freed_of_even_brightness():
    first, second = _draw(_patch(48, 0, 0) - 10), _draw(100)
    difference = compute_difference(first, second)
    assert (difference[0, 0], difference[1, 1], difference.dtype) == (38, -10, np.float32)
    freed = compute_difference(first, second, is_brightness_removed=True)
    assert (freed[0, 0], freed[1, 1]) == (48, 0)


def test_a_change_of_a_large_part_is_not_called_an_even_one():
    mouth = np.full((48, 48), 100.0)
    mouth[30:, 4:44] -= 20
    mouth[38, 24] -= 2
    text = describe_difference(_draw(mouth), _draw(100))
    assert "most different around the mouth and chin, 22 gray levels darker" in text


@pytest.mark.parametrize(
    ("row", "column", "where"),
    [
        (10, 24, "around the forehead and brows"),
        (20, 15, "around the eyes and nose"),
        (38, 24, "around the mouth and chin"),
        (38, 2, "at the edge of the picture"),
        (47, 24, "at the edge of the picture"),
    ],
)
def test_description_names_the_place_its_direction_and_its_size(row, column, where):
    text = describe_difference(_draw(_patch(-16, row, column)), _draw(100))
    assert text.startswith(
        f"On average, “depressed” faces are most different {where}, 16 gray levels darker than “non-depressed” ones."
    )
    assert "0.40 times the usual spread" in text
    assert SMALL_EFFECT in text


def test_description_tells_even_brightness_from_what_differs_in_one_place():
    text = describe_difference(_draw(_patch(9, 38, 24) - 12), _draw(100), first_name="neutral", second_name="happy")
    assert "“neutral” faces are 12 gray levels darker than “happy” ones all over: an even change" in text
    assert "most around the mouth and chin (9 gray levels brighter)" in text
    assert "Measured against" not in describe_difference(_draw(101), _draw(100))
    assert "1 gray level brighter than" in describe_difference(_draw(101), _draw(100))


def test_description_says_so_when_the_faces_hardly_differ_or_differ_much():
    assert describe_difference(_draw(100.4), _draw(100)).endswith("are the same to within one gray level.")
    assert "1.25 times the usual spread" in describe_difference(_draw(_patch(50, 38, 24)), _draw(100))
    assert describe_difference(_draw(150), _draw(100)).endswith("so single faces can show it too.")


def test_description_of_few_pictures_admits_chance():
    few = _draw(_patch(16, 38, 24), num_images=10)
    assert describe_difference(few, _draw(100, num_images=30)).endswith("which with 10 and 30 pictures can be chance.")
    assert "One picture is no average" in describe_difference(_draw(150, num_images=1), _draw(100))
    assert "do not vary at all" in describe_difference(_draw(150, spread=0), _draw(100, spread=0))


def test_on_the_kaggle_set_the_depressed_group_is_darker_all_over_and_differs_little(real_data_dir):
    dataset = load_dataset(str(real_data_dir / "kaggle_depression.zip"))
    scan = scan_dataset(dataset)
    faces = compute_average_faces(scan.thumbnails, dataset.samples["label"].to_numpy(), is_readable=scan.is_readable)
    assert {name: face.num_images for name, face in faces.items()} == {"depressed": 1456, "non_depressed": 3036}
    difference = compute_difference(faces["depressed"], faces["non_depressed"])
    assert difference.mean() == pytest.approx(-11.0, abs=0.1)
    text = describe_difference(faces["depressed"], faces["non_depressed"])
    assert "11 gray levels darker than “non-depressed” ones all over" in text
    assert "around the mouth and chin (12 gray levels brighter)" in text
    assert "0.34 times" in text
    assert SMALL_EFFECT in text
