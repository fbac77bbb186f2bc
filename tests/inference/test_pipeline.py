"""From a picture's bytes to an answer for every face in it, with a photograph that is in the public domain."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data as photographs

from facedep.cli.main import main
from facedep.data import sample_faces
from facedep.images.alignment import crop_face
from facedep.images.faces import find_faces
from facedep.images.opening import prepare_image, to_gray
from facedep.inference.pipeline import (
    MIDDLE_SQUARE_NOTE,
    NO_FACE_NOTE,
    WHOLE_NOTE,
    FacePrediction,
    PicturePrediction,
    mark_faces,
    predict_picture,
)
from facedep.networks.classifier import load_classifier
from facedep.paths import PROJECT_DIR
from facedep.runs import run_folder

SHIPPED_DIR = PROJECT_DIR / "models" / run_folder.SHIPPED_RUN


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(SHIPPED_DIR)


def encode(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def make_room(*, num_faces: int) -> np.ndarray:
    """A room of 640 x 480 with the head of NASA's portrait of Eileen Collins in it, the first one larger."""
    rows, columns = np.mgrid[:480, :640]
    room = np.stack([90 + rows // 8, 110 + columns // 16, 140 - rows // 10], axis=2).astype(np.uint8)
    head = Image.fromarray(photographs.astronaut()[:220, 110:330])
    for number, side in zip(range(num_faces), (300, 200), strict=False):
        room[60 : 60 + side, 20 + 330 * number : 20 + 330 * number + side] = np.asarray(head.resize((side, side)))
    return room


def test_every_face_gets_an_answer_of_its_own_the_largest_first(classifier):
    answer = predict_picture(classifier, encode(make_room(num_faces=2)), "room.png")
    assert (answer.error, answer.note, len(answer.faces)) == (None, None, 2)
    boxes = [face.box for face in answer.faces]
    assert boxes[0][0] < 320 < boxes[1][0]
    assert boxes[0][2] > boxes[1][2]
    for face in answer.faces:
        assert 0 <= face.probability_depressed <= 1
        assert sum(face.emotions.values()) == pytest.approx(1, abs=1e-4)
        assert face.prepared.shape == (48, 48)
    one, other = (face.probability_depressed for face in answer.faces)
    assert abs(one - other) < 0.15  # the same face at two sizes


def test_clear_faces_come_first_and_those_with_a_caution_last(classifier):
    room = Image.fromarray(make_room(num_faces=0)).resize((1280, 960))
    head = Image.fromarray(photographs.astronaut()[:220, 110:330])
    room.paste(head.resize((400, 400)).filter(ImageFilter.GaussianBlur(9)), (20, 40))
    for side, left, top in ((200, 500, 40), (300, 800, 40), (70, 600, 600), (60, 300, 700)):
        room.paste(head.resize((side, side)), (left, top))
    faces = predict_picture(classifier, encode(np.asarray(room)), "room.png").faces
    lefts = [face.box[0] // 100 for face in faces]
    assert lefts == [8, 5, 1, 6, 3]  # large, middle; then blurred, small, smaller
    assert [bool(face.cautions) for face in faces] == [False, False, True, True, True]
    alone = crop_face(to_gray(room), find_faces(np.asarray(room))[0], 48)
    assert np.array_equal(faces[2].prepared, alone)  # each answer is about its own face


def test_tiny_crop_is_answered_without_a_search(classifier, monkeypatch):
    monkeypatch.setattr("facedep.inference.pipeline.find_faces", lambda pixels: pytest.fail("searched"))
    drawn = Image.fromarray(sample_faces.draw_sample_face("sad", 3)).resize((96, 90))
    assert predict_picture(classifier, encode(np.asarray(drawn)), "drawn.png").note == WHOLE_NOTE


def test_picture_without_a_face_is_said_and_can_be_answered_as_a_whole(classifier):
    empty = encode(make_room(num_faces=0))
    answer = predict_picture(classifier, empty, "room.png")
    assert (answer.error, answer.note, answer.faces) == (None, NO_FACE_NOTE, [])
    whole = predict_picture(classifier, empty, "room.png", is_whole_picture=True)
    assert (whole.note, len(whole.faces), whole.faces[0].box) == (MIDDLE_SQUARE_NOTE, 1, None)


def test_tight_crop_is_answered_as_a_whole_by_the_very_pixels_of_the_training(classifier):
    drawn = sample_faces.draw_sample_face("sad", 3)
    answer = predict_picture(classifier, encode(drawn), "drawn.png")
    assert (answer.note, answer.faces[0].box) == (WHOLE_NOTE, None)
    expected = prepare_image(to_gray(Image.fromarray(drawn)), 48)
    assert np.array_equal(answer.faces[0].prepared, expected[:, :, 0])
    assert answer.faces[0].probability_depressed == pytest.approx(classifier.predict(expected[None]).probabilities[0])


def test_smile_on_a_photograph_is_not_called_depressed(classifier):
    answer = predict_picture(classifier, encode(photographs.astronaut()), "astronaut.png")
    (face,) = answer.faces
    assert face.probability_depressed < 0.3
    assert max(face.emotions, key=face.emotions.get) == "happy"
    assert face.cautions == ()


def test_marked_picture_is_small_enough_to_show_and_has_a_box_around_each_face(classifier):
    large = np.asarray(Image.fromarray(make_room(num_faces=2)).resize((1920, 1440)))
    answer = predict_picture(classifier, encode(large), "large.png")
    marked = mark_faces(answer)
    assert marked.size == (960, 720)
    left, top, width, _ = (value / 2 for value in answer.faces[0].box)
    assert marked.getpixel((round(left + width / 2), round(top) + 1)) == (0xE6, 0x9F, 0x00)


MARK, CAUTION = (0xE6, 0x9F, 0x00), (0xC4, 0xCA, 0xCF)


def build_answer(boxes: list[list[int]], *, num_doubtful: int = 0) -> PicturePrediction:
    """An answer to a black picture of 960 x 720 pixels; the last faces have a caution."""
    faces = [
        FacePrediction(0.5, "depressed", False, box, None, np.zeros((48, 48), np.uint8), False,
                   ("Blurred.",) if number >= len(boxes) - num_doubtful else ())
        for number, box in enumerate(boxes)
    ]  # fmt: skip
    return PicturePrediction("x", None, None, faces, Image.new("RGB", (960, 720)))


def find_color(marked: Image.Image, color: tuple[int, int, int]) -> np.ndarray:
    return (np.asarray(marked) == color).all(axis=2)


def test_number_stands_on_a_filled_patch_that_can_be_read_at_half_the_size():
    boxes = [[100, 200, 150, 150], [400, 300, 100, 100], [700, 0, 80, 80], [915, 500, 45, 45]]
    marked = mark_faces(build_answer(boxes))
    patch = find_color(marked, MARK)[154:199, 101:146]  # on top of the first box
    assert patch.mean() > 0.75
    columns, rows = (np.flatnonzero((~patch[4:-4, 4:-4]).any(axis=axis)) for axis in (0, 1))
    assert np.ptp(rows) >= 24  # the figure's height in pixels: 12 at half the size
    assert np.ptp(columns) >= 5
    assert find_color(marked, MARK)[10:40, 710:735].mean() > 0.5  # inside, where there is no room on top
    assert find_color(marked, MARK)[460:495, 920:955].mean() > 0.5  # moved in from the edge


def test_single_face_has_no_number_and_a_doubtful_one_is_gray_and_dashed():
    alone = find_color(mark_faces(build_answer([[100, 200, 150, 150]])), MARK)
    assert not alone[:199].any()
    assert alone[202, 110:240].all()
    both = mark_faces(build_answer([[100, 200, 150, 150], [400, 300, 150, 150]], num_doubtful=1))
    orange, gray = find_color(both, MARK), find_color(both, CAUTION)
    assert orange[:, :300].any()
    assert not orange[:, 380:].any()
    assert not gray[:, :300].any()
    assert gray[254:299, 401:446].mean() > 0.7
    assert 0.4 < gray[302, 410:540].mean() < 0.7


def test_command_prints_boxes_cautions_and_the_note(classifier, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FACEDEP_MODELS_DIR", str(PROJECT_DIR / "models"))
    (tmp_path / "two.png").write_bytes(encode(make_room(num_faces=2)))
    (tmp_path / "none.png").write_bytes(encode(make_room(num_faces=0)))
    tiny = Image.fromarray(make_room(num_faces=1)).resize((128, 96))
    tiny.save(tmp_path / "tiny.png")
    files = [str(tmp_path / f"{name}.png") for name in ("two", "none", "tiny")]
    assert main(["predict", "--json", *files]) == 0
    two, none, tiny_answer = json.loads(capsys.readouterr().out)
    assert [len(face["box"]) for face in two["faces"]] == [4, 4]
    assert {"box", "caution", "emotions", "label", "probability_depressed", "uncertain"} == set(two["faces"][0])
    assert (none["faces"], none["note"]) == ([], NO_FACE_NOTE)
    for face in tiny_answer["faces"]:
        assert "very small" in face["caution"]
    assert main(["predict", "--json", "--whole-picture", files[1]]) == 0
    assert json.loads(capsys.readouterr().out)[0]["faces"][0]["box"] is None
