"""The few numbers that the benchmark is about, out of what was measured of each epoch."""

import statistics
from collections.abc import Iterable
from typing import Any


def find_best_auc(rows: Iterable[dict[str, Any]]) -> float | None:
    """Returns the highest validation ROC AUC of all epochs, 0..1; None where there is none."""
    return max((row["val_roc_auc"] for row in rows if row["val_roc_auc"] is not None), default=None)


def find_seconds_to_quality(rows: Iterable[dict[str, Any]], target_auc: float | None) -> float | None:
    """Returns the seconds until the end of the first epoch whose validation ROC AUC is at least the target.

    Args:
        rows: Epochs in order, with `seconds` and `val_roc_auc`.
        target_auc: 0..1, or None where it is not known.

    Returns:
        The seconds; None where no epoch reaches it.
    """
    if target_auc is None:
        return None
    reached = (row["seconds"] for row in rows if row["val_roc_auc"] is not None and row["val_roc_auc"] >= target_auc)
    return next(reached, None)


def find_target_auc(quality: dict[str, Any]) -> float | None:
    """Returns the quality to be reached: the article network's best epoch, whichever side trained it, 0..1."""
    best = [find_best_auc(quality[side]["rows"]) for side in ("article_path", "article") if side in quality]
    return max((auc for auc in best if auc is not None), default=None)


def find_training_rate(rows: list[dict[str, Any]], num_train: int) -> float | None:
    """Returns the pictures trained a second in the median epoch after the first; None with one epoch or none."""
    later = [row["train_seconds"] for row in rows[1:]]
    return num_train / statistics.median(later) if later else None
