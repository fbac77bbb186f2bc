"""From a picture's bytes to an answer: the one path for the Predict page, the command line and the tests.

Nothing is written to disk or to a log.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from facedep import emotions
from facedep.errors import ImageError
from facedep.faces import CAUTION_TEXTS, crop_face, find_faces, is_face_crop
from facedep.images import compute_fingerprint, open_picture, prepare_image, to_gray
from facedep.model import Classifier

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
_MARK_COLOR = "#E69F00"


@dataclass(frozen=True)
class FaceAnswer:
    """The answer for one face.

    Attributes:
        probability_depressed: P(depressed), 0..1.
        label: `depressed` or `non_depressed`, at the model's threshold.
        is_uncertain: Whether the model had better not answer: P(depressed) lies in the uncertain band of its card.
        box: `[x, y, width, height]` in pixels of the upright picture; None where the whole picture is the face.
        emotions: Emotion to probability; None where the model knows only the two groups.
        prepared: What the network sees: `uint8` array of shape `(size, size)`, 0-255.
        is_seen: Whether the model was trained on this very picture.
        cautions: Sentences on what makes this answer less trustworthy; mostly none.
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
class PictureAnswer:
    """The answer for one picture.

    Attributes:
        path: The picture's name, exactly as given.
        error: Why there is no answer, in a sentence; None where there is one.
        note: A sentence on how the answer came about; None mostly.
        faces: One answer per face, the largest first; empty where `error` is set or no face was found.
        picture: The upright picture; None where `error` is set.
    """

    path: str
    error: str | None
    note: str | None
    faces: list[FaceAnswer]
    picture: Image.Image | None

    def to_json(self) -> dict[str, Any]:
        """Returns the fields that `predict --json` prints, without any pixels."""
        faces = [
            {
                "probability_depressed": face.probability_depressed,
                "label": face.label,
                "uncertain": face.is_uncertain,
                "box": face.box,
                "emotions": face.emotions,
                "caution": " ".join(face.cautions) or None,
            }
            for face in self.faces
        ]
        return {"path": self.path, "error": self.error, "note": self.note, "faces": faces}


def predict_picture(
    classifier: Classifier, source: bytes | Path, name: str, *, is_whole_picture: bool = False
) -> PictureAnswer:
    """Returns the model's answer for every face in a picture. A picture that cannot be read is an answer too.

    Faces are found, turned upright by the eyes and cut as the training faces are. The tight picture of one face, as
    data sets hold them, is answered as a whole.

    Args:
        classifier: A loaded model.
        source: The file's content, or its path.
        name: What the picture is called in the answer and in sentences.
        is_whole_picture: Whether to take its middle square as one face, without a search.
    """
    try:
        picture = open_picture(source, name)
    except ImageError as error:
        return PictureAnswer(name, str(error), None, [], None)
    gray = to_gray(picture)
    size = classifier.input_size_px
    found = [] if is_whole_picture else find_faces(np.asarray(picture))
    if is_whole_picture or is_face_crop(gray, found):
        note = MIDDLE_SQUARE_NOTE if is_whole_picture else WHOLE_NOTE
        prepared, faces = prepare_image(gray, size)[np.newaxis], [None]
    elif not found:
        return PictureAnswer(name, None, NO_FACE_NOTE, [], picture)
    else:
        note, faces = None, found
        prepared = np.stack([crop_face(gray, face, size)[:, :, np.newaxis] for face in found])
    predictions = classifier.predict(prepared)
    is_seen = compute_fingerprint(gray) in classifier.fingerprints
    answers = [
        FaceAnswer(
            probability_depressed=float(probability),
            label=label_of(float(probability), classifier.threshold),
            is_uncertain=is_uncertain(float(probability), classifier.uncertain_band),
            box=list(face.box) if face else None,
            emotions=predictions.emotions[number] if predictions.emotions else None,
            prepared=prepared[number, :, :, 0],
            is_seen=is_seen,
            cautions=tuple(CAUTION_TEXTS[caution] for caution in face.cautions) if face else (),
        )
        for number, (face, probability) in enumerate(zip(faces, predictions.probabilities, strict=True))
    ]
    return PictureAnswer(name, None, note, answers, picture)


def mark_faces(answer: PictureAnswer) -> Image.Image:
    """Returns the picture, at most 960 pixels a side, with a numbered box around each face that was found."""
    shrink = min(1.0, _MARKED_SIDE_PX / max(answer.picture.size))
    size = (max(1, round(answer.picture.width * shrink)), max(1, round(answer.picture.height * shrink)))
    marked = answer.picture.convert("RGB").resize(size)
    draw = ImageDraw.Draw(marked)
    line_px = max(2, max(size) // 200)
    for number, face in enumerate(answer.faces, start=1):
        if face.box:
            left, top, width, height = (shrink * value for value in face.box)
            draw.rectangle((left, top, left + width, top + height), outline=_MARK_COLOR, width=line_px)
            if len(answer.faces) > 1:
                draw.text((left + 2 * line_px, top + line_px), str(number), fill=_MARK_COLOR, font_size=8 * line_px)
    return marked


def label_of(probability_depressed: float, threshold: float = 0.5) -> str:
    """Returns `depressed` at and above the threshold, else `non_depressed`."""
    return emotions.DEPRESSED if probability_depressed >= threshold else emotions.NON_DEPRESSED


def is_uncertain(probability_depressed: float, band: tuple[float, float] | None) -> bool:
    """Returns whether a probability lies in the band: from its lower value up to, not with, its upper one."""
    return band is not None and band[0] <= probability_depressed < band[1]
