"""A map of a data set: each picture a point, and those that look alike to a model close together.

It is t-SNE by openTSNE, whose wheels (0.4 MB, on NumPy, SciPy and scikit-learn only) cover Python 3.11 to 3.13 on
Linux, macOS and Windows. Measured on two busy cores with the 128 features of the shipped model, 3,649 and 28,089
pictures, in seconds of processor time (both cores together), with the share of each picture's 15 nearest neighbours
that are so on the map too:

    openTSNE 1.0        12 s, 47 %     59 s, 38 %
    scikit-learn 1.9    47 s, 48 %     not run: four times as slow already
    umap-learn 0.5      21 s, 38 %     60 s, 18 %    with a seed it uses one core; numba and llvmlite add 208 MB
    pacmap 0.9           7 s, 32 %      8 s, 14 %    numba, llvmlite and faiss add 250 MB; compiles 30 s at first use

The map is there for looking at neighbours, so the one that keeps them is worth the seconds: 22 s and 50 s by the clock
with the imports. It is the same to the last bit each time on one machine.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from facedep.data.array_files import read_arrays, write_arrays
from facedep.data.sources import Dataset
from facedep.inference.prediction_cache import find_predictions_path
from facedep.paths import cache_dir

_VERSION = "1"  # to be raised when the projection changes
_NUM_COMPONENTS = 50  # as van der Maaten & Hinton 2008, section 4.2, who reduce to 30; the rest is noise and costs time
_PERPLEXITY = 30  # openTSNE's and scikit-learn's default
_NUM_EARLY_STEPS, _NUM_STEPS, _STEPS_AT_ONCE = 250, 500, 50  # openTSNE's defaults
_FEWEST_IMAGES = 10  # fewer have no neighbourhoods that could be kept


def project_features(features: np.ndarray, *, on_progress: Callable[[int, int], None] | None = None) -> np.ndarray:
    """Returns a point for each picture: `float32` array of shape `(n, 2)`; NaN where a feature is NaN.

    The same features give the same points. Equal rows get one point. Distances between far points mean little.

    Args:
        features: `float` array of shape `(n, features)`.
        on_progress: Called now and then with the number of steps done and of all.

    Reference: van der Maaten & Hinton 2008, Visualizing Data using t-SNE; Linderman et al. 2019, arXiv 1712.09005, for
    the fast gradient; Poličar, Stražar & Zupan 2024, openTSNE, doi 10.18637/jss.v109.i03.
    """
    points = np.full((len(features), 2), np.nan, np.float32)
    is_known = np.isfinite(features).all(axis=1)
    if is_known.any():
        different, inverse = np.unique(features[is_known], axis=0, return_inverse=True)
        different = different.astype(np.float32)
        compute = _place_many if len(different) >= _FEWEST_IMAGES else _place_few
        points[is_known] = compute(different, on_progress)[inverse]
    return points


def find_map_path(run_dir: Path, dataset: Dataset) -> Path:
    """Returns where the map of these very pictures as this very model sees them is kept.

    Raises:
        ModelError: The folder holds no model of this project.
    """
    return cache_dir() / "maps" / f"{find_predictions_path(run_dir, dataset).stem}-{_VERSION}.npz"


def read_map(run_dir: Path, dataset: Dataset) -> np.ndarray | None:
    """Returns the kept points as `project_features` does, or None where there are none or the file is damaged.

    Raises:
        ModelError: The folder holds no model of this project.
    """
    kept = read_arrays(find_map_path(run_dir, dataset), ["points"])
    return kept["points"] if kept and kept["points"].shape == (len(dataset.samples), 2) else None


def compute_map(
    run_dir: Path,
    dataset: Dataset,
    *,
    features: np.ndarray,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Returns the points of `project_features` and keeps them.

    Args:
        run_dir: The run folder that holds the model.
        dataset: The data set.
        features: Of the model's answers to it.
        on_progress: As for `project_features`.

    Raises:
        ModelError: The folder holds no model of this project.
        DataError: The disk does not take the points.
    """
    path = find_map_path(run_dir, dataset)
    points = project_features(features, on_progress=on_progress)
    write_arrays(path, {"points": points})
    return points


def _place_few(features: np.ndarray, on_progress: Callable[[int, int], None] | None) -> np.ndarray:
    """Returns the first two principal components."""
    left, lengths, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    return np.pad(left * lengths, ((0, 0), (0, 2)))[:, :2]


def _place_many(features: np.ndarray, on_progress: Callable[[int, int], None] | None) -> np.ndarray:
    from openTSNE import TSNE  # with scikit-learn 3 s, which only the process that makes the map has to wait
    from sklearn.decomposition import PCA

    features = np.pad(features, ((0, 0), (0, max(0, 2 - features.shape[1]))))
    components = PCA(min(_NUM_COMPONENTS, *features.shape), random_state=0).fit_transform(features)
    num_reported = 0

    def report(iteration: int, error: float, embedding: np.ndarray) -> None:  # starts again after the early steps
        nonlocal num_reported
        num_reported += _STEPS_AT_ONCE
        if on_progress:
            on_progress(num_reported, _NUM_EARLY_STEPS + _NUM_STEPS)

    tsne = TSNE(
        perplexity=min(_PERPLEXITY, (len(components) - 1) / 3),
        early_exaggeration_iter=_NUM_EARLY_STEPS,
        n_iter=_NUM_STEPS,
        callbacks=report,
        callbacks_every_iters=_STEPS_AT_ONCE,
        n_jobs=-1,
        random_state=0,
    )
    return np.asarray(tsne.fit(components), np.float32)
