"""What several commands share: options, the data set and the run that they name, progress, how numbers are shown."""

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from facedep.data import sources
from facedep.data.dataset_spec import add_dataset_arguments, read_dataset_spec
from facedep.data.eval_subset import add_eval_subset_arguments, read_eval_subset
from facedep.data.scan import Scan, scan_dataset
from facedep.errors import DataError
from facedep.evaluation.subset_selection import select_pictures
from facedep.files import nan_to_null
from facedep.networks.card_scores import Scores
from facedep.reporting import sentences
from facedep.runs import run_folder
from facedep.runs.jobs import JobWriter


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Adds what only the app says when it starts the command in the background."""
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the option that names a run, for `find_run`."""
    parser.add_argument("--model", metavar="NAME", help="a run's name or folder; default: the app's default model")


def add_subset_options(parser: argparse.ArgumentParser) -> None:
    """Adds what says on which pictures a model is scored, for `select_subset`."""
    add_dataset_arguments(parser)
    add_eval_subset_arguments(parser)
    # The app: the subset as RUN splits it, to compare with RUN; `evaluate` then only predicts and scores nothing.
    parser.add_argument("--like", metavar="RUN", help=argparse.SUPPRESS)


def load_dataset(options: argparse.Namespace) -> sources.Dataset:
    """Returns the data set that the options name, and warns of folders that name no class.

    Raises:
        DataError: It cannot be read, or no folder names a class.
    """
    dataset = sources.load_dataset(read_dataset_spec(options))
    for folder, num_images in sorted(dataset.unknown_folders.items()):
        print(f"facedep: folder {folder!r} names no known class: {num_images:,} pictures left out", file=sys.stderr)
    if dataset.samples.empty:
        raise DataError(f"{dataset.name} has no folder with a known class. {sources.LAYOUT_TEXT}")
    return dataset


def find_run(options: argparse.Namespace) -> Path:
    """Returns the folder of the run that `--model` names, by default of the app's default model.

    Raises:
        RunError: There is no such run.
    """
    return run_folder.find_run_dir(run_folder.find_default_model() if options.model is None else options.model)


def select_subset(
    options: argparse.Namespace, run_dir: Path, dataset: sources.Dataset, job: JobWriter
) -> tuple[Scan, np.ndarray]:
    """Returns the data set's scan and a mask of the pictures meant: the subset as `--like`'s run, else the run, splits.

    Raises:
        DataError: The data set has no such pictures.
        ModelError: The run holds no usable card.
    """
    like_dir = run_folder.find_run_dir(options.like) if options.like else run_dir
    scan = scan_dataset(dataset, on_progress=job.count("Reading every picture"))
    on_progress = job.count("Looking for faces")
    return scan, select_pictures(like_dir, dataset, scan, read_eval_subset(options), on_progress=on_progress).mask


def make_progress(bar: tqdm, job: JobWriter, what: str) -> Callable[[int, int], None]:
    """Returns a function of the number done and of all that moves a progress bar and the job's."""

    def show(num_done: int, num_all: int) -> None:
        bar.total = num_all
        bar.update(num_done - bar.n)
        job.report(what, num_done, num_all)

    return show


def describe_scores(scores: Scores) -> str:
    """Returns the main scores in one line."""
    baseline = scores.majority_baseline
    return (
        f"{scores.num_images:,} pictures, accuracy {format_number(scores.accuracy)} "
        f"(always {baseline.label}: {format_number(baseline.share)}), "
        f"balanced accuracy {format_number(scores.balanced_accuracy)}, ROC AUC {format_number(scores.roc_auc)}, "
        f"calibration error {format_number(scores.ece)}, emotions {format_number(scores.emotion_accuracy)}"
    )


def format_number(value: float | None) -> str:
    """Returns a number with three decimals, or "undefined"."""
    return "undefined" if value is None or math.isnan(value) else f"{value:.3f}"


def print_grouping_mismatch(mismatch: dict[str, list[str]] | None, name: str) -> None:
    """Says where the data set is grouped in another way than the run was trained."""
    if mismatch:
        print(sentences.describe_grouping_mismatch(mismatch, name).replace("*", ""))


def print_json(value: Any) -> None:
    """Prints JSON with null for whatever is undefined, in ASCII: any terminal and any file name can be printed so."""
    print(json.dumps(nan_to_null(value), indent=1))
