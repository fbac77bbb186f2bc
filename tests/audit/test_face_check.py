"""Pictures without a face are found: the real detector on a photograph (scikit-image's astronaut) and drawings."""

import io
import json
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from facedep.audit import face_check
from facedep.audit.face_check import check_faces, detect_faces, estimate_seconds, read_face_check
from facedep.cli.main import main
from facedep.data.sample_faces import SAMPLE_EMOTIONS, draw_sample_face
from facedep.data.scan import scan_dataset
from facedep.data.sources import Dataset, load_dataset
from facedep.evaluation.subset_selection import clean_scan
from facedep.images import detector
from facedep.images.alignment import crop_face
from facedep.images.detector import score_squares
from facedep.images.faces import find_faces
from facedep.images.opening import prepare_image


def _crop_astronaut() -> np.ndarray:
    picture = skimage.data.astronaut()
    return crop_face(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), find_faces(picture)[0], 48)


def _draw_face(emotion: str, number: int) -> np.ndarray:
    return prepare_image(cv2.cvtColor(draw_sample_face(emotion, number), cv2.COLOR_RGB2GRAY), 48)[:, :, 0]


def _draw_sign() -> np.ndarray:
    picture = np.zeros((48, 48), np.uint8)
    cv2.polylines(picture, [np.array([(24, 10), (38, 36), (10, 36)])], True, 255, 2)
    cv2.line(picture, (24, 20), (24, 28), 255, 2)
    return picture


def _write_text() -> np.ndarray:
    picture = np.full((48, 48), 255, np.uint8)
    for number, words in enumerate(("not found", "no image", "moved or")):
        cv2.putText(picture, words, (1, 12 + 12 * number), cv2.FONT_HERSHEY_SIMPLEX, 0.25, 60)
    return picture


FACELESS = {
    "blank": np.full((48, 48), 128, np.uint8),
    "black": np.zeros((48, 48), np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8),
    "sign": _draw_sign(),
    "text": _write_text(),
    "bricks": cv2.resize(skimage.data.brick(), (48, 48), interpolation=cv2.INTER_AREA),
}


def _list_faces() -> dict[str, np.ndarray]:
    astronaut = _crop_astronaut()
    drawn = {
        f"drawn_{emotion}{number}": _draw_face(emotion, number) for emotion in SAMPLE_EMOTIONS for number in (0, 1)
    }
    dark = (astronaut * 0.4).astype(np.uint8)
    return {"astronaut": astronaut, "mirrored": astronaut[:, ::-1], "dark": dark, **drawn}


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """Faces, pictures without one, a damaged file, and one picture of each twice."""
    pictures = {**_list_faces(), **FACELESS}
    pictures |= {"astronaut_again": pictures["astronaut"], "blank_again": pictures["blank"]}
    folder = tmp_path / "pictures"
    for number, (name, pixels) in enumerate(pictures.items()):
        path = folder / ("Happy", "Sad")[number % 2] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())
    (folder / "Happy" / "damaged.png").write_bytes(b"no picture")
    return load_dataset(str(folder))


def _list_names(dataset: Dataset, rows: np.ndarray) -> set[str]:
    return {path.rpartition("/")[2].removesuffix(".png") for path in dataset.samples["path"][rows]}


@pytest.fixture
def num_looks(monkeypatch) -> Callable[[], int]:
    """How many squares the detector has scored so far."""
    counts = []

    def count(squares: np.ndarray) -> np.ndarray:
        counts.append(len(squares))
        return score_squares(squares)

    monkeypatch.setattr(face_check, "score_squares", count)
    return lambda: sum(counts)


def test_exactly_the_planted_pictures_are_without_a_face(dataset):
    has_face = check_faces(dataset, scan_dataset(dataset))
    assert has_face.dtype == bool
    assert _list_names(dataset, ~has_face) == {*FACELESS, "blank_again", "damaged"}


def test_all_of_the_first_drawn_sample_faces_are_found():
    drawn = np.array([_draw_face(emotion, number) for emotion in SAMPLE_EMOTIONS for number in range(10)])
    assert detect_faces(drawn, np.arange(len(drawn))).all()


def test_the_answer_is_kept_and_made_anew_for_other_files(dataset, num_looks, tmp_path):
    assert read_face_check(dataset) is None
    has_face = check_faces(dataset, scan_dataset(dataset))
    looks = num_looks()
    kept = read_face_check(dataset)
    assert kept.tolist() == has_face.tolist()
    assert check_faces(dataset, scan_dataset(dataset)).tolist() == has_face.tolist()
    assert num_looks() == looks
    (tmp_path / "pictures" / "Happy" / "damaged.png").unlink()
    assert read_face_check(load_dataset(dataset.source)) is None


def test_identical_pictures_are_looked_at_once(dataset, num_looks):
    reports = []
    check_faces(dataset, scan_dataset(dataset), on_progress=lambda *numbers: reports.append(numbers))
    num_different = len(_list_faces()) + len(FACELESS)
    assert reports == [(0, num_different), (num_different, num_different)]
    assert num_different <= num_looks() <= 6 * num_different


def test_progress_is_told_for_every_few_hundred_pictures(monkeypatch):
    monkeypatch.setattr(face_check, "_IMAGES_AT_ONCE", 4)
    reports = []
    blank = np.zeros((3, 48, 48), np.uint8)
    has_face = detect_faces(blank, np.arange(10) % 3, on_progress=lambda *numbers: reports.append(numbers))
    assert reports == [(0, 10), (4, 10), (8, 10), (10, 10)]
    assert not has_face.any()
    assert detect_faces(blank, np.arange(0)).shape == (0,)


@pytest.mark.parametrize("content", [b"", b"damaged", b"PK\x03\x04"])
def test_a_damaged_or_foreign_file_means_that_nobody_has_looked(content, dataset):
    scan = scan_dataset(dataset)
    expected = check_faces(dataset, scan)
    face_check._find_path(dataset).write_bytes(content)
    assert read_face_check(dataset) is None
    assert check_faces(dataset, scan).tolist() == expected.tolist()
    np.savez(face_check._find_path(dataset), has_face=np.ones(3, bool))
    assert read_face_check(dataset) is None


def test_a_disk_that_takes_nothing_only_means_to_look_again(dataset, monkeypatch, tmp_path):
    scan = scan_dataset(dataset)
    (face_check._find_path(dataset).parent).write_bytes(b"a file where the folder should be")
    assert _list_names(dataset, check_faces(dataset, scan)) == {*_list_faces(), "astronaut_again"}
    assert read_face_check(dataset) is None


def test_the_estimate_grows_with_the_number_of_pictures():
    assert estimate_seconds(0) == 0
    assert 30 < estimate_seconds(27_070) < 300


def test_many_squares_score_as_each_alone():
    thumbnails = np.array([*_list_faces().values(), *FACELESS.values()])
    for side in (128, 256):
        squares = np.array([cv2.resize(thumbnail, (side, side)) for thumbnail in thumbnails])
        alone = np.concatenate([score_squares(square[np.newaxis]) for square in squares])
        assert score_squares(squares) == pytest.approx(alone, abs=1e-6)
        assert ((alone >= 0) & (alone <= 1)).all()
    with pytest.raises(ValueError, match="100 pixels a side"):
        score_squares(np.zeros((1, 100, 100), np.uint8))
    assert score_squares(np.zeros((0, 128, 128), np.uint8)).shape == (0,)


def test_the_score_of_a_square_is_the_best_that_a_search_finds_in_it():
    square = cv2.copyMakeBorder(_crop_astronaut(), 24, 24, 24, 24, cv2.BORDER_REPLICATE)
    square = cv2.resize(square, (128, 128), interpolation=cv2.INTER_CUBIC)
    _, scores = detector.load_detector("short").detect(np.repeat(square[:, :, np.newaxis], 3, axis=2))
    assert score_squares(square[np.newaxis])[0] == pytest.approx(scores.max(), abs=1e-9)


def test_check_speaks_of_faces_only_when_they_were_looked_for(dataset, capsys, tmp_path):
    def check(*more: str) -> dict[str, int]:
        assert main(["audit", "--data", dataset.source, "--json", *more]) == 0
        return {issue["name"]: issue["num_images"] for issue in json.loads(capsys.readouterr().out)["issues"]}

    assert "no_face" not in check()
    progress_path = tmp_path / "faces.json"
    assert check("--faces", "--progress", str(progress_path))["no_face"] == len(FACELESS) + 1
    progress = json.loads(progress_path.read_text())
    assert (progress["state"], progress["stage"]) == ("finished", "Looking for faces")
    assert progress["done"] == progress["total"] == len(_list_faces()) + len(FACELESS)
    assert check()["no_face"] == len(FACELESS) + 1  # it is kept


def test_leaving_pictures_without_a_face_out_looks_for_them_first(dataset):
    scan, reports = scan_dataset(dataset), []
    cleaned, left_out = clean_scan(dataset, scan, ["no_face"], {}, on_progress=lambda *numbers: reports.append(numbers))
    assert left_out == {"all": len(FACELESS) + 1, "no_face": len(FACELESS) + 1}
    assert _list_names(dataset, cleaned.is_readable) == {*_list_faces(), "astronaut_again"}
    assert reports
    clean_scan(dataset, scan, ["no_face"], {}, on_progress=lambda *_: pytest.fail("it looked again"))


def test_nearly_all_real_faces_are_found_and_a_blank_picture_is_not(real_data_dir):
    dataset = load_dataset(str(real_data_dir / "kaggle_depression.zip"))
    scan = scan_dataset(dataset)
    blank = np.nonzero(scan.thumbnails.std(axis=(1, 2)) < 5)[0]
    assert len(blank) > 0
    assert not detect_faces(scan.thumbnails, blank).any()
    assert detect_faces(scan.thumbnails, np.arange(0, len(scan.thumbnails), 10)).mean() >= 0.98
