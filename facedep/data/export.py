"""The regrouped data set as the published article writes it: two folders, files named `{split}_{emotion}_{name}`."""

import re
from pathlib import Path, PurePosixPath

import pandas as pd

from facedep import emotions
from facedep.data.sources import KAGGLE, SAMPLE, Dataset
from facedep.errors import DataError
from facedep.files import write_folder_atomically

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # characters that no file name may hold on Windows


def build_export_names(samples: pd.DataFrame) -> list[str]:
    """Returns each sample's file name in the regrouped data set, unique within each group.

    Split and emotion are spelled as the data set's folders spell them ("train_Surprize_12.png"); a data set without
    splits gives "all_...". A second picture of the same name gets "_2" before its ending, where the article's code
    would overwrite the first.
    """
    names, taken = [], set()
    for path, label, split, folder in samples[["path", "label", "subset", "folder"]].itertuples(index=False):
        original = PurePosixPath(path)
        split_folder = next((part for part in reversed(original.parts[:-1]) if emotions.find_subset(part)), split)
        stem = _FORBIDDEN.sub("_", f"{split_folder or 'all'}_{folder}_{original.stem}")
        name, count = f"{stem}{original.suffix}", 1
        while (label, name.casefold()) in taken:
            count += 1
            name = f"{stem}_{count}{original.suffix}"
        taken.add((label, name.casefold()))
        names.append(name)
    return names


def export_dataset(dataset: Dataset, out_dir: Path) -> dict[str, int]:
    """Writes the regrouped data set below `out_dir` and returns the number of files in each group.

    Files are copied byte for byte (drawn samples become PNG). The folder appears only when everything is written.

    Args:
        dataset: The data set.
        out_dir: A folder that does not exist yet, or is empty.

    Raises:
        DataError: The folder is in use or inside the data set, or the disk is full; nothing is left behind then.
        ImageError: A file cannot be read.
    """
    target = out_dir.expanduser().resolve()
    counts = dict.fromkeys(emotions.GROUPS, 0)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise DataError(
                f"{out_dir} is not an empty folder. Choose a new one, so that nothing of yours is mixed in."
            )
        if dataset.source not in (SAMPLE, KAGGLE) and target.is_relative_to(Path(dataset.source).resolve()):
            raise DataError(f"{out_dir} is inside the data set itself, which would grow. Choose a folder elsewhere.")
        with write_folder_atomically(target) as partial:
            for group in emotions.GROUPS:
                (partial / group).mkdir()
            paths, labels = (dataset.samples[column].tolist() for column in ("path", "label"))
            for path, label, name in zip(paths, labels, build_export_names(dataset.samples), strict=True):
                (partial / label / name).write_bytes(dataset.store.read_bytes(path))
                counts[label] += 1
    except OSError as error:
        raise DataError(
            f"{out_dir} could not be written ({error.strerror}). Choose a folder you may write to, with free space."
        ) from None
    return counts
