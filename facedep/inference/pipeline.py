"""From a picture's bytes to predictions: the one path for the Predict page, the command line and the tests.

Nothing is written to disk or to a log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from facedep import emotions
from facedep.errors import ImageError
from facedep.images.alignment import Face, crop_face
from facedep.images.faces import CAUTION_TEXTS, TINY_PICTURE_PX, find_faces, is_face_crop
from facedep.images.opening import compute_fingerprint, open_picture, prepare_image, to_gray
from facedep.networks.classifier import Classifier

WHOLE_NOTE = "This is itself the picture of one face, so it was answered as a whole."
MIDDLE_SQUARE_NOTE = (
    "The middle square of the picture was taken as one face, without a search for faces. "
    "For a fair answer let one face fill that square."
)
NO_FACE_NOTE = (
    "No face was found. What helps: light from the front, a face that fills a good part of the picture, and looking "
    "towards the camera. If there is a face all the same, have the whole picture answered."
)
_MARKED_SIDE_PX = 960
_MARK_COLOR, _CAUTION_COLOR, _MARK_TEXT_COLOR = "#E69F00", "#C4CACF", "#1B2733"
_NUMBER_SHARE = 1 / 26  # of the picture's width: 37 pixels of 960, 18 where that is shown 480 wide


@dataclass(frozen=True)
class FacePrediction:
    """The prediction for one face.

    Attributes:
        probability_depressed: P(depressed), 0..1.
        label: `depressed` or `non_depressed`, at the decision threshold.
        is_uncertain: Whether P(depressed) lies in the abstention band of the card.
        box: `[x, y, width, height]` in pixels of the upright picture; None if the whole picture is the face.
        emotions: Emotion to probability; None if the model knows only the two groups.
        prepared: What the network sees: `uint8` array of shape `(size, size)`, 0-255.
        is_seen: Whether the model was trained on this very picture.
        cautions: Sentences on what makes this prediction less trustworthy; mostly none.
    """

    probability_depressed: float
    label: str
    is_uncertain: bool
    box: list[int] | None
    emotions: dict[str, float] | None
    prepared: np.ndarray
    is_seen: bool
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True)
class PicturePrediction:
    """The predictions for one picture.

    Attributes:
        path: The picture's name, exactly as given.
        error: Why there is no prediction, in a sentence; None if there is one.
        note: A sentence on how the predictions came about; None mostly.
        faces: One prediction per face: clear ones first, the largest of them first, then those with a caution, the
            largest first; empty if `error` is set or no face was found.
        picture: The upright picture; None if `error` is set.
    """

    path: str
    error: str | None
    note: str | None
    faces: list[FacePrediction]
    picture: Image.Image | None

    def to_json(self) -> dict[str, Any]:
        """Returns the fields that `predict --json` prints, without any pixels."""
        faces = [face_to_json(face) for face in self.faces]
        return {"path": self.path, "error": self.error, "note": self.note, "faces": faces}


def face_to_json(face: Any) -> dict[str, Any]:
    """Returns what `predict --json` prints of one face.

    Args:
        face: A `FacePrediction`, or a row of a table with the same fields.
    """
    return {
        "probability_depressed": face.probability_depressed,
        "label": face.label,
        "uncertain": face.is_uncertain,
        "box": face.box,
        "emotions": face.emotions,
        "caution": " ".join(face.cautions) or None,
    }


def predict_picture(
    classifier: Classifier, source: bytes | Path, name: str, *, is_whole_picture: bool = False
) -> PicturePrediction:
    """Returns the predictions for every face in a picture. For a picture that cannot be read, they hold the reason.

    Faces are found, turned upright by the eyes and cut as the training faces are. The tight picture of one face, as
    data sets hold them, is taken as a whole. The first face is the one the picture most likely is about: the largest
    of those without a caution.

    Args:
        classifier: A loaded model.
        source: The file's content, or its path.
        name: What the picture is called in the result and in sentences.
        is_whole_picture: Whether to take its middle square as one face, without a search.
    """
    try:
        picture = open_picture(source, name)
    except ImageError as error:
        return PicturePrediction(name, str(error), None, [], None)
    gray = to_gray(picture)
    size = classifier.input_size_px
    # The pictures of data sets, maybe 1,000 at once, are recognized by their size alone: 6 ms each instead of 60.
    is_tiny_crop = max(gray.shape) <= TINY_PICTURE_PX and is_face_crop(gray, [])
    detected = [] if is_whole_picture or is_tiny_crop else find_faces(np.asarray(picture))
    faces: Sequence[Face | None]
    note: str | None
    if is_whole_picture or is_face_crop(gray, detected):
        note = MIDDLE_SQUARE_NOTE if is_whole_picture else WHOLE_NOTE
        prepared, faces = prepare_image(gray, size)[np.newaxis], [None]
    elif not detected:
        return PicturePrediction(name, None, NO_FACE_NOTE, [], picture)
    else:
        clear_first = sorted(detected, key=lambda face: bool(face.cautions))  # stable: the largest stay first
        note, faces = None, clear_first
        prepared = np.stack([crop_face(gray, face, size)[:, :, np.newaxis] for face in clear_first])
    predictions = classifier.predict(prepared)
    is_seen = compute_fingerprint(gray) in classifier.fingerprints
    predicted_faces = [
        FacePrediction(
            probability_depressed=float(probability),
            label=label_of(float(probability), classifier.threshold),
            is_uncertain=is_uncertain(float(probability), classifier.abstention_band),
            box=list(face.box) if face else None,
            emotions=predictions.emotions[number] if predictions.emotions else None,
            prepared=prepared[number, :, :, 0],
            is_seen=is_seen,
            cautions=tuple(CAUTION_TEXTS[caution] for caution in face.cautions) if face else (),
        )
        for number, (face, probability) in enumerate(zip(faces, predictions.probabilities, strict=True))
    ]
    return PicturePrediction(name, None, note, predicted_faces, picture)


def mark_faces(prediction: PicturePrediction) -> Image.Image:
    """Returns the picture, at most 960 pixels a side, with a box around each face that was found.

    Several faces are numbered as in `prediction.faces`, large enough to be read at half the size. The box of a face
    with a caution is gray and dashed, its number gray too.
    """
    if prediction.picture is None:
        raise ValueError("this picture could not be read, so there is nothing to mark")
    shrink = min(1.0, _MARKED_SIDE_PX / max(prediction.picture.size))
    size = (max(1, round(prediction.picture.width * shrink)), max(1, round(prediction.picture.height * shrink)))
    marked = prediction.picture.convert("RGB").resize(size)
    draw = ImageDraw.Draw(marked)
    line_px = max(3, max(size) // 120)  # the page shows it 220 to 480 pixels wide
    font_px = max(10, round(_NUMBER_SHARE * size[0]))
    boxes = [
        (number, tuple(shrink * value for value in face.box), _CAUTION_COLOR if face.cautions else _MARK_COLOR)
        for number, face in enumerate(prediction.faces, start=1)
        if face.box
    ]
    for _, box, color in boxes:
        _draw_box(draw, box, color, line_px, is_dashed=color == _CAUTION_COLOR)
    if len(prediction.faces) > 1:
        for number, box, color in reversed(boxes):  # where they overlap, the first one is on top
            _draw_number(draw, number, box, color, font_px)
    return marked


def _draw_box(draw: ImageDraw.ImageDraw, box: tuple[float, ...], color: str, line_px: int, *, is_dashed: bool) -> None:
    """Draws a box's outline on a thin dark edge, so that it stands out from any picture."""
    left, top, width, height = map(round, box)
    right, bottom = left + width, top + height
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_MARK_TEXT_COLOR, width=line_px + 2)
    if not is_dashed:
        draw.rectangle((left, top, right, bottom), outline=color, width=line_px)
        return
    dash = 3 * line_px
    inner = line_px - 1  # both ends of a rectangle belong to it
    for x in range(left, right, 2 * dash):
        end = min(x + dash, right)
        draw.rectangle((x, top, end, top + inner), fill=color)
        draw.rectangle((x, bottom - inner, end, bottom), fill=color)
    for y in range(top, bottom, 2 * dash):
        end = min(y + dash, bottom)
        draw.rectangle((left, y, left + inner, end), fill=color)
        draw.rectangle((right - inner, y, right, end), fill=color)


def _draw_number(draw: ImageDraw.ImageDraw, number: int, box: tuple[float, ...], color: str, font_px: int) -> None:
    """Draws a number on a filled patch: on top of the box where there is room, else inside its upper left corner."""
    left, top = box[:2]
    height = round(1.25 * font_px)
    width = max(height, round(draw.textlength(str(number), font_size=font_px) + 0.6 * font_px))
    left = min(max(0, left), max(0, draw.im.size[0] - width))
    top = top - height if top >= height else top
    draw.rectangle((left, top, left + width, top + height), fill=color, outline=_MARK_TEXT_COLOR)
    draw.text((left + width / 2, top + height / 2), str(number), fill=_MARK_TEXT_COLOR, font_size=font_px, anchor="mm")


def label_of(probability_depressed: float, threshold: float = 0.5) -> str:
    """Returns `depressed` at and above the threshold, else `non_depressed`."""
    return emotions.DEPRESSED if probability_depressed >= threshold else emotions.NON_DEPRESSED


def is_uncertain(probability_depressed: float, band: tuple[float, float] | None) -> bool:
    """Returns whether a probability lies in the band: from its lower value up to, not with, its upper one."""
    return band is not None and band[0] <= probability_depressed < band[1]
