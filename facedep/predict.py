"""From a picture's bytes to an answer: the one path for the Predict page, the command line and the tests.

Nothing is written to disk or to a log.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facedep import emotions
from facedep.errors import ImageError
from facedep.images import compute_fingerprint, open_picture, prepare_image, to_gray
from facedep.model import Classifier

MIDDLE_SQUARE_NOTE = (
    "The middle square of the picture was taken as one face, without a search for faces. "
    "For a fair answer let one face fill that square."
)
LARGEST_FACE_CROP_PX = 256  # pictures of data sets of faces are smaller; larger square ones are mostly photographs


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
    """

    probability_depressed: float
    label: str
    is_uncertain: bool
    box: list[int] | None
    emotions: dict[str, float] | None
    prepared: np.ndarray
    is_seen: bool


@dataclass(frozen=True)
class PictureAnswer:
    """The answer for one picture.

    Attributes:
        path: The picture's name, exactly as given.
        error: Why there is no answer, in a sentence; None where there is one.
        note: A sentence on how the answer came about; None mostly.
        faces: One answer per face; empty where `error` is set.
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
            }
            for face in self.faces
        ]
        return {"path": self.path, "error": self.error, "note": self.note, "faces": faces}


def predict_picture(classifier: Classifier, source: bytes | Path, name: str) -> PictureAnswer:
    """Returns the model's answer for one picture, taken as one face. A picture that cannot be read is an answer too.

    Args:
        classifier: A loaded model.
        source: The file's content, or its path.
        name: What the picture is called in the answer and in sentences.
    """
    try:
        picture = open_picture(source, name)
    except ImageError as error:
        return PictureAnswer(name, str(error), None, [], None)
    gray = to_gray(picture)
    prepared = prepare_image(gray, classifier.input_size_px)
    predictions = classifier.predict(prepared[np.newaxis])
    probability = float(predictions.probabilities[0])
    face = FaceAnswer(
        probability_depressed=probability,
        label=label_of(probability, classifier.threshold),
        is_uncertain=is_uncertain(probability, classifier.uncertain_band),
        box=None,
        emotions=predictions.emotions[0] if predictions.emotions else None,
        prepared=prepared[:, :, 0],
        is_seen=compute_fingerprint(gray) in classifier.fingerprints,
    )
    is_square = abs(picture.width - picture.height) <= 0.1 * max(picture.size)
    is_face_crop = is_square and max(picture.size) <= LARGEST_FACE_CROP_PX
    return PictureAnswer(name, None, None if is_face_crop else MIDDLE_SQUARE_NOTE, [face], picture)


def label_of(probability_depressed: float, threshold: float = 0.5) -> str:
    """Returns `depressed` at and above the threshold, else `non_depressed`."""
    return emotions.DEPRESSED if probability_depressed >= threshold else emotions.NON_DEPRESSED


def is_uncertain(probability_depressed: float, band: tuple[float, float] | None) -> bool:
    """Returns whether a probability lies in the band: from its lower value up to, not with, its upper one."""
    return band is not None and band[0] <= probability_depressed < band[1]
