"""Predictions for any number of pictures: files, folders and .zip archives, one picture at a time.

Of each picture only its numbers and a small thumbnail stay, so that memory does not grow with their size. Nothing is
unpacked to disk, and nothing is written to a log.
"""

import dataclasses
import io
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
from PIL import Image

from facedep.data.stores import FolderStore, ZipStore
from facedep.errors import DataError, ImageError
from facedep.images.opening import FORMATS_TEXT
from facedep.inference.pipeline import FacePrediction, PicturePrediction, face_to_json, predict_picture
from facedep.networks.classifier import Classifier

THUMBNAIL_PX = 64
_THUMBNAIL_MARGIN = 0.25  # around the face's box, as a share of its longer side
_THUMBNAIL_QUALITY = 80
_FIRST_COLUMNS = ("path", "face", "num_faces", "probability_depressed", "label", "is_uncertain", "is_seen")
_BOX_COLUMNS = ("box_x", "box_y", "box_width", "box_height")
_TEXT_COLUMNS = ("cautions", "note", "error")


@dataclass(frozen=True)
class PictureSource:
    """One picture that is read when its turn comes.

    Attributes:
        path: What it is called: the name given, or `archive.zip/inner/name.jpg`.
        content: Where its bytes are: the bytes, a binary file that can seek, a path, or the archive it is in;
            None where `error` is set.
        inner_path: Its path in that archive; "" for all others.
        error: Why nothing can be read, in a sentence, as for a damaged archive; None mostly.
        num_skipped: How many files of its archive or folder are not pictures and were skipped; it is in the first
            picture, so that the sum over a list is the number for all.
    """

    path: str
    content: bytes | BinaryIO | Path | ZipStore | FolderStore | None
    inner_path: str = ""
    error: str | None = None
    num_skipped: int = 0

    def read(self) -> bytes | Path:
        """Returns its bytes, or its path, for `predict_picture`.

        Raises:
            ImageError: It is damaged inside its archive, too large, or cannot be read.
        """
        if self.error:
            raise ImageError(self.error)
        if isinstance(self.content, bytes | Path):
            return self.content
        if isinstance(self.content, ZipStore | FolderStore):
            return self.content.read_bytes(self.inner_path)
        if self.content is None:
            raise ValueError("a picture without content needs an error")
        self.content.seek(0)
        return self.content.read()


@dataclass(frozen=True)
class PictureRow:
    """The prediction for one face, or the reason why a picture has none, without its pixels.

    Attributes:
        path: The picture's name, as in its `PictureSource`.
        face: The face's number in its picture, from 1; 0 where there is none.
        num_faces: How many faces the picture has.
        probability_depressed: P(depressed), 0..1; nan where there is no face.
        label: `depressed` or `non_depressed`; "" where there is no face.
        is_uncertain: Whether P(depressed) lies in the abstention band.
        box: `[x, y, width, height]` in pixels of the upright picture; None where the whole picture is the face.
        emotions: Emotion to probability; None where the model knows only the two groups, or there is no face.
        cautions: Sentences on what makes the prediction less trustworthy; mostly none.
        note: A sentence on how the prediction came about, or why no face was found; None mostly.
        error: Why there is no prediction, in a sentence; None if there is one.
        is_seen: Whether the model was trained on this very picture.
        thumbnail: A JPEG of 64 x 64 pixels of the face, or of the picture where it has none; empty where `error` is
            set.
    """

    path: str
    face: int
    num_faces: int
    probability_depressed: float
    label: str
    is_uncertain: bool
    box: list[int] | None
    emotions: dict[str, float] | None
    cautions: tuple[str, ...]
    note: str | None
    error: str | None
    is_seen: bool
    thumbnail: bytes


def list_pictures(sources: Iterable[tuple[str, bytes | BinaryIO | Path]]) -> list[PictureSource]:
    """Returns every picture in files, folders and .zip archives, in the order given. Only the archives' lists are read.

    An archive or a folder that cannot be used, or that holds no picture, is one entry with an error. A folder is
    listed with its subfolders. Archives inside archives or folders are not opened.

    Args:
        sources: Name and content of each: bytes, a binary file that can seek, or a path of a file or folder. A
            file named `.zip` is taken for an archive. An archive is read while its pictures are asked for, so it must
            not be closed or changed before.
    """
    pictures: list[PictureSource] = []
    for name, content in sources:
        try:
            # `os.path` never raises, as the methods of `Path` do for names that no file can have.
            if isinstance(content, Path) and os.path.isdir(content):
                pictures += _list_store(name, FolderStore(content))
            elif name.lower().endswith(".zip") and (not isinstance(content, Path) or os.path.isfile(content)):
                store = ZipStore(io.BytesIO(content) if isinstance(content, bytes) else content, name)
                pictures += _list_store(name, store)
            else:
                pictures.append(PictureSource(name, content))
        except DataError as error:
            pictures.append(PictureSource(name, None, error=str(error)))
    return pictures


def _list_store(name: str, store: ZipStore | FolderStore) -> list[PictureSource]:
    name = name.rstrip("/" + os.sep) or name
    num_skipped = store.num_others
    pictures = [PictureSource(f"{name}/{path}", store, path) for path in store.paths]
    if not pictures:
        others = f" ({num_skipped:,} other files)" if num_skipped else ""
        error = f"{name} holds no pictures{others}. Put {FORMATS_TEXT} files into it."
        pictures = [PictureSource(name, None, error=error)]
    return [dataclasses.replace(pictures[0], num_skipped=num_skipped), *pictures[1:]]


def predict_pictures(
    classifier: Classifier, pictures: Iterable[PictureSource], *, is_whole_picture: bool = False
) -> Iterator[list[PictureRow]]:
    """Gives the rows of one picture after the other: one per face, or one with the reason why it has none.

    Args:
        classifier: A loaded model.
        pictures: From `list_pictures`.
        is_whole_picture: Whether to take each picture's middle square as one face, without a search.

    Raises:
        ModelError: The model or the face detector cannot be used; nothing that a picture can be to blame for.
    """
    for picture in pictures:
        yield _predict_one(classifier, picture, is_whole_picture=is_whole_picture)


def _predict_one(classifier: Classifier, picture: PictureSource, *, is_whole_picture: bool) -> list[PictureRow]:
    try:
        content = picture.read()
    except ImageError as error:
        prediction = PicturePrediction(picture.path, str(error), None, [], None)
    else:
        prediction = predict_picture(classifier, content, picture.path, is_whole_picture=is_whole_picture)
    if not prediction.faces:
        return [_build_row(prediction, 0, None)]
    return [_build_row(prediction, number, face) for number, face in enumerate(prediction.faces, start=1)]


def _build_row(prediction: PicturePrediction, number: int, face: FacePrediction | None) -> PictureRow:
    return PictureRow(
        path=prediction.path,
        face=number,
        num_faces=len(prediction.faces),
        probability_depressed=face.probability_depressed if face else math.nan,
        label=face.label if face else "",
        is_uncertain=bool(face and face.is_uncertain),
        box=face.box if face else None,
        emotions=face.emotions if face else None,
        cautions=face.cautions if face else (),
        note=prediction.note,
        error=prediction.error,
        is_seen=bool(face and face.is_seen),
        thumbnail=_encode_thumbnail(prediction.picture, face.box if face else None) if prediction.picture else b"",
    )


def _encode_thumbnail(picture: Image.Image, box: list[int] | None) -> bytes:
    """Returns a JPEG of the square around a face, or of the picture's middle square, 64 x 64 pixels."""
    width, height = picture.size
    box_left, box_top, box_width, box_height = box or (0, 0, width, height)
    wanted = (1 + 2 * _THUMBNAIL_MARGIN) * max(box_width, box_height) if box else min(width, height)
    side = min(wanted, width, height)
    left = min(max(box_left + box_width / 2 - side / 2, 0), width - side)
    top = min(max(box_top + box_height / 2 - side / 2, 0), height - side)
    small = picture.resize(
        (THUMBNAIL_PX, THUMBNAIL_PX),
        Image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
        reducing_gap=2,
    )
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_THUMBNAIL_QUALITY)
    return buffer.getvalue()


def build_table(rows: Iterable[PictureRow]) -> pd.DataFrame:
    """Returns the rows as a table for a download: one row per face, and one per picture without, with its reason.

    The emotions are columns, the box four of them (whole numbers or nothing), cautions are joined.

    Args:
        rows: Of any number of pictures, from `predict_pictures`. Probabilities are rounded to six decimals here.
    """
    records = []
    emotion_names: dict[str, None] = {}  # in the order of their first appearance
    for row in rows:
        emotion_names |= dict.fromkeys(row.emotions or ())
        records.append(
            {
                "path": _to_utf8(row.path),
                "face": row.face,
                "num_faces": row.num_faces,
                "probability_depressed": row.probability_depressed,
                "label": row.label,
                "is_uncertain": row.is_uncertain,
                "is_seen": row.is_seen,
                **dict(zip(_BOX_COLUMNS, row.box or (None,) * 4, strict=True)),
                **(row.emotions or {}),
                "cautions": " ".join(row.cautions),
                "note": _to_utf8(row.note or ""),
                "error": _to_utf8(row.error or ""),
            }
        )
    columns = [*_FIRST_COLUMNS, *_BOX_COLUMNS, *emotion_names, *_TEXT_COLUMNS]
    table = pd.DataFrame.from_records(records, columns=columns)
    return table.astype(dict.fromkeys(_BOX_COLUMNS, "Int64")).round(6)


def _to_utf8(text: str) -> str:
    """Returns text with escapes for what UTF-8, and so a table of pandas, cannot hold: names may be any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()


def build_json(rows: Iterable[PictureRow]) -> list[dict[str, Any]]:
    """Returns the very objects that `predict --json` prints, one per picture, its faces together.

    Args:
        rows: From `predict_pictures`, in its order: a new picture starts at each row whose `face` is 0 or 1.
    """
    pictures: list[dict[str, Any]] = []
    for row in rows:
        if row.face <= 1:
            pictures.append({"path": row.path, "error": row.error, "note": row.note, "faces": []})
        if row.face:
            pictures[-1]["faces"].append(face_to_json(row))
    return pictures
