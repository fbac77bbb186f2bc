"""Data sources (Kaggle, a folder, a .zip, drawn faces) and the one table of samples that the whole project reads.

A source is named by one short text, the same on the command line, in a page's address and in the worker's arguments:
`sample`, `kaggle`, or the path of a folder or .zip file.
"""

import contextlib
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pandas as pd
from PIL import Image

from facedep import emotions
from facedep.data import kaggle
from facedep.data.dataset_spec import KAGGLE, SAMPLE, DatasetSpec
from facedep.data.stores import FolderStore, SampleStore, Store, ZipStore
from facedep.errors import DataError
from facedep.files import write_atomically
from facedep.paths import cache_dir

LEAVE_OUT = "leave out"  # the answer to "what is this folder?" that counts none of its pictures
LAYOUT_TEXT = (
    "Expected one folder per emotion (Angry, Disgust, Fear, Happy, Neutral, Sad, Surprise ...) or the two folders "
    "depressed and non_depressed, with or without train, val and test folders around them."
)


@dataclass(frozen=True)
class Dataset:
    """A data set: its samples table and where its pictures lie.

    Attributes:
        name: What it is called in records: a file or folder name, never a path.
        spec: What loads it again on this computer; its source is `sample`, `kaggle` or a full path.
        store: Where the pictures' bytes come from.
        samples: One row per picture in path order, columns `path` (inside the store), `emotion` (empty where the data
            set names only the two groups), `label` (`depressed` or `non_depressed`), `subset` (`train`, `val`, `test`
            as the folders say, or empty) and `folder` (the class folder as spelled in the data set).
        unknown_folders: Number of pictures in each folder that names no known class and was left out.
    """

    name: str
    spec: DatasetSpec
    store: Store
    samples: pd.DataFrame
    unknown_folders: Mapping[str, int]

    @property
    def source(self) -> str:
        """`sample`, `kaggle` or a full path."""
        return self.spec.source

    @property
    def depressed_emotions(self) -> tuple[str, ...]:
        """The emotions that were counted as *depressed*."""
        return self.spec.depressed_emotions

    @cached_property
    def label_hash(self) -> str:
        """64 hex digits that name what the pictures are labelled as and how the data set itself splits them."""
        labels = "\n".join(self.samples[["emotion", "label", "subset"]].to_numpy().ravel())
        return hashlib.sha256(labels.encode()).hexdigest()

    @property
    def content_hash(self) -> str:
        """16 hex digits that name this content: equal for a folder and the zip made of it."""
        return self.store.content_hash

    def open(self, path: str) -> Image.Image:
        """Returns one picture, decoded. Raises `ImageError` where it cannot be read."""
        return self.store.open(path)


def load_dataset(spec: DatasetSpec | str) -> Dataset:
    """Returns the data set that was chosen. Only names are read here, no picture is opened.

    Args:
        spec: The choice. A bare source means the article's grouping, with folders of unknown name left out. The Kaggle
            set must have been downloaded before.

    Raises:
        DataError: There is no such source, it cannot be read, or no picture in it has a known class.
    """
    spec = DatasetSpec(spec) if isinstance(spec, str) else spec
    store, name, source = _open_store(spec.source)
    if not store.paths:
        raise DataError(f"{name} holds no pictures. {LAYOUT_TEXT}")
    return _build_dataset(name, replace(spec, source=source), store)


def relabel_dataset(dataset: Dataset, spec: DatasetSpec) -> Dataset:
    """Returns the same files with other folder choices and another grouping; the source stays.

    Args:
        dataset: The data set; itself where the choices are the same.
        spec: The choices. Its source is not used.
    """
    spec = replace(spec, source=dataset.source)
    return dataset if spec == dataset.spec else _build_dataset(dataset.name, spec, dataset.store)


def _build_dataset(name: str, spec: DatasetSpec, store: Store) -> Dataset:
    samples, unknown_folders = _build_index(
        store.paths, _enclosing_name(store), dict(spec.folder_choices), spec.depressed_emotions
    )
    return Dataset(name, spec, store, samples, unknown_folders)


def _open_store(source: str) -> tuple[Store, str, str]:
    """Returns the store, the name for records and the normalised source text."""
    if source == SAMPLE:
        return SampleStore(), "sample faces (drawn)", SAMPLE
    if source == KAGGLE:
        root = kaggle.find_cached_dataset()
        if root is None:
            raise DataError(
                "The Kaggle data set is not on this computer yet. Get it on the Explore page or with "
                "`python -m facedep download`, or choose the sample faces."
            )
        return FolderStore(root), kaggle.KAGGLE_HANDLE, KAGGLE
    typed = os.path.expanduser(source.strip().strip("\"'"))
    if os.path.isdir(typed):  # unlike Path.is_dir, never raises
        path = Path(typed).resolve()
        return FolderStore(path), path.name, str(path)
    if os.path.isfile(typed):
        path = Path(typed).resolve()
        return ZipStore(path), path.name, str(path)
    raise DataError(
        f"There is no folder or .zip file at {source!r}. Give its full path, "
        "or choose the sample faces or the Kaggle set."
    )


def _enclosing_name(store: Store) -> str:
    """Returns the name of the chosen folder itself, which may be the class ("Happy") or the split ("test")."""
    return store.root.name if isinstance(store, FolderStore) else ""


def _build_index(
    paths: list[str],
    enclosing_name: str,
    folder_choices: Mapping[str, str],
    depressed_emotions: tuple[str, ...],
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Returns the samples table and the number of pictures in each folder of unknown name."""
    rows: list[tuple[str, ...]] = []
    unknown: Counter[str] = Counter()
    folders = [PurePosixPath(path).parent for path in paths]
    placed = {
        folder: _place_folder((enclosing_name, *folder.parts), folder_choices, depressed_emotions)
        for folder in set(folders)
    }
    # A folder around known class folders is no class: what lies loose in `Depression`, beside `train/Happy`, is asked
    # about.
    enclosing = {parent for folder, (_, label, *_) in placed.items() if label for parent in _class_path(folder).parents}
    for path, folder in zip(paths, folders, strict=True):
        emotion, label, split, class_folder = placed[folder]
        if label and (_class_path(folder) not in enclosing or class_folder in folder_choices):
            rows.append((path, emotion, label, split, class_folder))
        elif folder_choices.get(class_folder) != LEAVE_OUT:
            unknown[class_folder] += 1
    return pd.DataFrame(rows, columns=["path", "emotion", "label", "subset", "folder"], dtype=str), dict(unknown)


def _class_path(folder: PurePosixPath) -> PurePosixPath:
    """Returns the folder without split folders at its end: `Happy/train` -> `Happy`."""
    while emotions.find_subset(folder.name):
        folder = folder.parent
    return folder


def _place_folder(
    parts: tuple[str, ...], folder_choices: Mapping[str, str], depressed_emotions: tuple[str, ...]
) -> tuple[str, str, str, str]:
    """Returns emotion, label, subset and class folder of a folder, label "" if its name says nothing.

    The class is the innermost folder that names no subset; a known name further out never decides, so that the user is
    asked about `depression/train/Foo`, which is not simply counted as *depressed*.
    """
    subsets = [emotions.find_subset(part) for part in parts]
    subset = next((name for name in reversed(subsets) if name), "")
    class_folder = next((part for part, s in zip(reversed(parts), reversed(subsets), strict=True) if not s), "")
    class_folder = class_folder or "(no folder)"
    chosen = folder_choices.get(class_folder, class_folder)
    if emotion := emotions.find_emotion(chosen):
        return emotion, emotions.group_of(emotion, depressed_emotions), subset, class_folder
    return "", emotions.find_group(chosen) or "", subset, class_folder


def check_trainable(dataset: Dataset) -> None:
    """Raises `DataError` unless both groups have pictures, saying which is missing and what would help."""
    counts = dataset.samples["label"].value_counts()
    for group in emotions.GROUPS:
        if not counts.get(group):
            names = ", ".join(sorted({*dataset.samples["folder"], *dataset.unknown_folders})) or "no folder"
            raise DataError(
                f"{dataset.name} has no {group.replace('_', '-')} pictures (found: {names}), so there is nothing to "
                f"tell apart. {LAYOUT_TEXT}"
            )


def uploads_dir() -> Path:
    """Returns the folder that keeps uploaded archives, so that a training on one can go on after the page is closed."""
    return cache_dir() / "uploads"


def store_upload(name: str, file: BinaryIO) -> Path:
    """Returns the path of an uploaded .zip, kept once per content in the uploads folder and checked.

    Raises:
        DataError: It is not a usable .zip, or the disk is full; nothing is left behind then.
    """
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]  # type: ignore[arg-type]  # an upload has readinto
    file.seek(0)
    folder = uploads_dir() / digest
    if earlier := sorted(folder.glob("*")):
        return earlier[0]
    stem = re.sub(r"[^\w. -]", "_", name.replace("\\", "/").rpartition("/")[2]).removesuffix(".zip").strip(". ")
    target = folder / f"{stem[:80] or 'upload'}.zip"
    try:
        uploads_dir().mkdir(parents=True, exist_ok=True)
        uploads_dir().chmod(0o700)  # faces: for no other user of this computer
        with write_atomically(target, partial_dir=uploads_dir()) as partial:  # the folder holds whole archives only
            with partial.open("wb") as out:
                partial.chmod(0o600)
                shutil.copyfileobj(file, out)
            _check_upload(partial, name)
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise DataError(f"{name} could not be kept ({error.strerror}). Free some space, or unpack it and type the "
                        "folder's path.") from None  # fmt: skip
    return target


def _check_upload(path: Path, name: str) -> None:
    try:
        store = ZipStore(path)
    except DataError as error:
        raise DataError(str(error).replace(path.name, name)) from None
    store.close()
    if not store.paths:
        raise DataError(f"{name} holds no pictures. {LAYOUT_TEXT}")


def measure_uploads() -> int:
    """Returns the total size of the kept uploads in bytes."""
    num_bytes = 0
    for path in uploads_dir().rglob("*"):
        with contextlib.suppress(OSError):  # another session may clear or finish an upload meanwhile
            num_bytes += path.stat().st_size if path.is_file() else 0
    return num_bytes


def clear_uploads() -> None:
    """Deletes every kept upload."""
    shutil.rmtree(uploads_dir(), ignore_errors=True)
