"""The pictures that the benchmark needs on disk, each set written below a new folder."""

import dataclasses
import io
from pathlib import Path

import numpy as np
from PIL import Image

from facedep.data.export import export_dataset
from facedep.data.scan import scan_dataset
from facedep.data.sources import Dataset, load_dataset
from facedep.data.splits import split_dataset
from facedep.emotions import EMOTIONS, group_of

_DRAWN_EMOTIONS = EMOTIONS[:7]  # FER2013's
_FACE_PX = 48
_PATCHES = 6  # a side: smooth enough to shrink, and so varied that no two of 30,000 pictures look alike
_NOISE = 8.0


def write_article_folders(source: str, out_dir: str, *, protocol: str, seed: int) -> dict[str, int]:
    """Writes each part of a split as the article's two folders, `out_dir/train/depressed` and so on.

    So both sides learn from, and are scored on, exactly the same files.

    Args:
        source: As `data.load_dataset` takes it.
        out_dir: A folder that does not exist yet.
        protocol: One of `splits.PROTOCOLS`.
        seed: Of the split.

    Returns:
        The number of pictures in each part.
    """
    dataset = load_dataset(source)
    parts = split_dataset(dataset.samples, scan_dataset(dataset), protocol, seed=seed)
    Path(out_dir).mkdir(parents=True)
    counts = {}
    for part in ("train", "val", "test"):
        chosen = dataclasses.replace(dataset, samples=dataset.samples[parts == part].reset_index(drop=True))
        counts[part] = sum(export_dataset(chosen, Path(out_dir) / part).values())
    return counts


def write_subset(dataset: Dataset, out_dir: Path, num_per_emotion: int) -> None:
    """Writes the first few pictures of each emotion in emotion folders, for a trial of the benchmark itself."""
    chosen = dataset.samples.groupby("emotion").head(num_per_emotion)
    for number, row in enumerate(chosen.itertuples()):
        target = out_dir / row.emotion / f"{number}{Path(row.path).suffix or '.png'}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(dataset.store.read_bytes(row.path))


def write_drawn_pictures(out_dir: Path, regrouped_dir: Path, num_train: int, num_held_out: int) -> None:
    """Writes random 48 x 48 gray PNG pictures below `train`, `val` and `test`, in emotion folders and regrouped.

    They are soft patches with a little noise: as large on disk as a face, quick to make, each one different. Pure noise
    would not do, for blurred it looks alike to the search for near-copies, which then compares every pair.

    Args:
        out_dir: A new folder, for the pictures in emotion folders.
        regrouped_dir: A new folder, for the same files in the article's two folders.
        num_train: Pictures below `train`.
        num_held_out: Pictures below `val`, and again below `test`.
    """
    rng = np.random.default_rng(0)
    for part, num_images in (("train", num_train), ("val", num_held_out), ("test", num_held_out)):
        for number in range(num_images):
            emotion = _DRAWN_EMOTIONS[number % len(_DRAWN_EMOTIONS)]
            patches = rng.integers(0, 256, (_PATCHES, _PATCHES), dtype=np.uint8)
            smooth = Image.fromarray(patches).resize((_FACE_PX, _FACE_PX), Image.Resampling.BILINEAR)
            pixels = np.asarray(smooth) + rng.normal(0, _NOISE, (_FACE_PX, _FACE_PX))
            file = io.BytesIO()
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, "PNG", compress_level=1)
            for folder in (out_dir / part / emotion, regrouped_dir / part / group_of(emotion)):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{number}.png").write_bytes(file.getvalue())
