"""Scores that are kept in a run's folder, and the key that names everything they depend on."""

import dataclasses
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from facedep.data.eval_subset import EvalSubset
from facedep.data.sources import Dataset
from facedep.evaluation.training_spec import find_grouping_mismatch, find_training_spec
from facedep.files import evict_oldest, nan_to_null, null_to_nan, read_json, write_json
from facedep.inference.prediction_cache import find_predictions_key
from facedep.logs import describe_error
from facedep.networks.card import CARD_FILE, FINGERPRINTS_FILE, read_card
from facedep.networks.decision_threshold import find_band, read_threshold
from facedep.paths import additions_dir, make_additions_dir

_logger = logging.getLogger(__name__)

SCORES_DIR = "scores"
_VERSION = 4  # to be raised when what is scored or how changes
_MAX_KEPT = 50  # files of 4 kB in each run's folder


def read_scores(
    run_dir: Path, dataset: Dataset, subset: EvalSubset, *, threshold: float | None = None
) -> dict[str, Any] | None:
    """Returns the scores that `write_scores` has kept, or None if there are none for these very settings.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        subset: Which pictures are scored.
        threshold: P(depressed) at and above which the prediction is *depressed*; by default the one in force.

    Returns:
        What `evaluation.Evaluation.scores` describes.

    Raises:
        ModelError: The folder holds neither a model of this project nor predictions.
    """
    threshold = read_threshold(run_dir, read_card(run_dir)) if threshold is None else threshold
    scores = read_json(_find_path(run_dir, dataset, subset, threshold))
    if not isinstance(scores, dict) or "num_images" not in scores:
        return None
    return {
        **null_to_nan(scores),
        "model": run_dir.name,  # a run may have been renamed
        "data": dataset.name,
        "grouping_mismatch": find_grouping_mismatch(run_dir, dataset),
    }


def write_scores(
    run_dir: Path, dataset: Dataset, subset: EvalSubset, *, threshold: float, scores: dict[str, Any]
) -> None:
    """Keeps scores, and of all kept ones the newest. A folder that may only be read costs the time, not the scores.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        subset: Which pictures were scored.
        threshold: P(depressed) at and above which the prediction is *depressed*.
        scores: What `evaluation.Evaluation.scores` describes.
    """
    path = _find_path(run_dir, dataset, subset, threshold)
    try:
        make_additions_dir(run_dir)
        path.parent.mkdir(exist_ok=True)
        write_json(path, nan_to_null(scores))
        evict_oldest(path.parent, pattern="*.json", max_files=_MAX_KEPT)
    except OSError as error:
        _logger.warning("Scores could not be kept: %s", describe_error(error))


def find_evaluation_key(
    run_dir: Path, dataset: Dataset, subset: EvalSubset | None = None, *, threshold: float | None = None
) -> str:
    """Returns 64 hex digits that name an evaluation's inputs, other ones when any of them changes.

    They are the run with its weights, card and training pictures, the data set's files and choices, the subset and the
    threshold.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        subset: Which pictures are scored; None for what does not depend on that.
        threshold: By default the one in force.

    Raises:
        ModelError: The folder holds neither a model of this project nor predictions.
    """
    threshold = read_threshold(run_dir, read_card(run_dir)) if threshold is None else threshold
    inputs = _describe_inputs(run_dir, dataset, subset, threshold)
    card = hashlib.sha256((run_dir / CARD_FILE).read_bytes()).hexdigest()
    state = [str(run_dir), card, dataset.name, dataset.spec.to_argv(), inputs]
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _find_path(run_dir: Path, dataset: Dataset, subset: EvalSubset, threshold: float) -> Path:
    """Returns where scores are kept: another path when anything that they depend on changes."""
    inputs = _describe_inputs(run_dir, dataset, subset, threshold)
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
    return additions_dir(run_dir) / SCORES_DIR / f"{key}.json"


def _describe_inputs(run_dir: Path, dataset: Dataset, subset: EvalSubset | None, threshold: float) -> dict[str, Any]:
    """Returns what scores depend on, in values that JSON can hold."""
    card = read_card(run_dir)
    trained_on = card.data
    try:
        training_images = hashlib.sha256((run_dir / FINGERPRINTS_FILE).read_bytes()).hexdigest()
    except OSError:
        training_images = ""
    return {
        "version": _VERSION,
        "predictions": find_predictions_key(run_dir, dataset),
        "labels": dataset.label_hash,
        "training_images": training_images,
        "band": find_band(card, threshold),
        "trained_on": [trained_on.content_hash, trained_on.protocol, trained_on.seed],
        "trained_with": find_training_spec(run_dir, "").to_record(),
        "cleaned": [sorted(trained_on.dropped_issues), dict(trained_on.issue_limits)],
        "subset": dataclasses.asdict(subset) if subset else None,
        "threshold": threshold,
    }
