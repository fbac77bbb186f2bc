"""A run's predictions for some pictures, from its cache or on their way from a background process."""

import numpy as np

from facedep.app.background_jobs import follow_job, forget_job, name_job
from facedep.data.eval_subset import EvalSubset
from facedep.data.scan import Scan
from facedep.data.sources import Dataset
from facedep.inference.prediction_cache import DatasetPredictions, has_predictions, read_predictions
from facedep.runs import run_folder


def follow_predictions(
    run: run_folder.Run, dataset: Dataset, scan: Scan, mask: np.ndarray, *, like: str, subset: EvalSubset
) -> DatasetPredictions | None:
    """Returns a run's kept predictions for some pictures, or shows how far the background process is and returns None.

    Args:
        run: The run.
        dataset: The data set.
        scan: Its scan.
        mask: `bool` array of shape `(n,)`: the pictures.
        like: The run for which the subset is selected.
        subset: What the pictures are, or more.

    Raises:
        ModelError: The run holds no model, and no predictions for these pictures.
    """
    predictions = read_predictions(run.path, dataset)
    if has_predictions(predictions, scan, mask):
        forget_predictions_job(run, dataset, like, subset)
        return predictions
    argv = ["evaluate", *dataset.spec.to_argv(), "--model", run.name, "--like", like, *subset.to_argv()]
    follow_job(_name_predictions_job(run, dataset, like, subset), argv)
    return None


def forget_predictions_job(run: run_folder.Run, dataset: Dataset, like: str, subset: EvalSubset) -> None:
    """Notes that the result of the job of `follow_predictions` is there.

    Args:
        run: As for `follow_predictions`.
        dataset: As for `follow_predictions`.
        like: As for `follow_predictions`.
        subset: As for `follow_predictions`.
    """
    forget_job(_name_predictions_job(run, dataset, like, subset))


def _name_predictions_job(run: run_folder.Run, dataset: Dataset, like: str, subset: EvalSubset) -> str:
    return name_job("evaluate", dataset, run.name, like, *subset.to_argv())
