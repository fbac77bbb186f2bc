"""What one model answers to every picture of one data set, kept on disk: read here, computed in `answering.py`.

A network takes seconds to load and half a minute for 28,000 pictures, so a page only ever reads a file that a process
of its own has written. Whatever makes the answers other ones makes another file: the weights, the temperature, what the
outputs mean, any picture.
"""

import contextlib
import hashlib
import json
import secrets
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from facedep.cards import FINGERPRINTS_FILE, MODEL_FILE, read_card
from facedep.data import Dataset
from facedep.errors import DataError, ModelError
from facedep.paths import cache_dir
from facedep.scan import find_cache_path

_MAX_KEPT = 8  # FER2013's with the shipped model take 8 MB
_VERSION = "1"  # to be raised when what is stored or how it is computed changes


@dataclass(frozen=True)
class Answers:
    """A model's answers, in the order of the data set's index.

    Attributes:
        class_names: What each output means.
        positive_classes: Those of them that the model was trained to count as *depressed*.
        outputs: Calibrated class probabilities: `float32`, shape `(n, classes)`, 0..1; NaN without an answer.
        features: What the last layer decides on: `float16`, shape `(n, features)`; NaN without an answer.
        is_answered: `bool`, shape `(n,)`: False for damaged files.
    """

    class_names: list[str]
    positive_classes: list[str]
    outputs: np.ndarray
    features: np.ndarray
    is_answered: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """P(depressed) as the model was trained to mean it: `float64`, shape `(n,)`, 0..1; NaN without an answer."""
        columns = [self.class_names.index(name) for name in self.positive_classes]
        return np.clip(self.outputs[:, columns].astype(np.float64).sum(axis=1), 0.0, 1.0)


def find_answers_path(run_dir: Path, dataset: Dataset) -> Path:
    """Returns where the answers of this very model to these very pictures are kept.

    Raises:
        ModelError: The folder holds no model of this project.
    """
    card = read_card(run_dir)
    meaning = [card["recipe"], card["class_names"], card["positive_classes"], card.get("averages_mirror", False)]
    temperature = card.get("calibration", {}).get("temperature", 1.0)
    try:
        with (run_dir / MODEL_FILE).open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()  # 6 ms for the shipped model
    except OSError:
        raise ModelError(
            f"The model {run_dir.name!r} has no {MODEL_FILE}: only its scores are here. Choose another model."
        ) from None
    state = [_VERSION, weights, *meaning, temperature, find_cache_path(dataset).stem]
    return cache_dir() / "answers" / f"{hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]}.npz"


def read_answers(run_dir: Path, dataset: Dataset) -> Answers | None:
    """Returns the kept answers, or None where there are none or the file is damaged.

    Raises:
        ModelError: The folder holds no model of this project.
    """
    num_images = len(dataset.index)
    kept = read_arrays(find_answers_path(run_dir, dataset), list(Answers.__dataclass_fields__))
    if kept is None or any(len(kept[name]) != num_images for name in ("outputs", "features", "is_answered")):
        return None
    names = {name: kept.pop(name).tolist() for name in ("class_names", "positive_classes")}
    return Answers(**names, **kept)


def find_seen(run_dir: Path, fingerprints: np.ndarray) -> np.ndarray:
    """Returns which pictures a model was trained on: `bool` array of shape `(n,)`.

    Args:
        run_dir: The model's run folder.
        fingerprints: Of the pictures, from their scan: `str` array of shape `(n,)`.
    """
    path = run_dir / FINGERPRINTS_FILE
    known = path.read_text("ascii", "replace").split() if path.is_file() else []
    return np.isin(fingerprints, np.array(known, dtype=str))


def write_answers(path: Path, answers: Answers) -> None:
    """Keeps answers.

    Args:
        path: From `find_answers_path`.
        answers: The answers.

    Raises:
        DataError: The disk does not take them.
    """
    write_arrays(path, asdict(answers))


def read_arrays(path: Path, names: list[str]) -> dict[str, np.ndarray] | None:
    """Returns the arrays of those names from a file of `write_arrays`, or None where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in names}  # reading checks each array's CRC-32
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    with contextlib.suppress(OSError):  # a folder that may only be read
        path.touch()  # the files used longest ago are deleted first
    return kept


def write_arrays(path: Path, arrays: dict[str, np.ndarray | list[str]]) -> None:
    """Keeps arrays in one step, and of the files in that folder only those used last.

    Args:
        path: An `.npz` file in a folder that holds nothing else.
        arrays: Name to array.

    Raises:
        DataError: The disk does not take them.
    """
    partial = path.with_suffix(f".{secrets.token_hex(4)}.part")  # two processes may write the same file at once
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        partial.replace(path)
    except OSError as error:
        raise DataError(
            f"What was computed could not be kept in {path.parent} ({error.strerror}). Free some space there, or see "
            "that you may write to it."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    _delete_old_files(path.parent)


def _delete_old_files(folder: Path) -> None:
    used = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process may delete it first
            used.append((path.stat().st_mtime, path))
    for _, path in sorted(used)[:-_MAX_KEPT]:
        with contextlib.suppress(OSError):
            path.unlink()
