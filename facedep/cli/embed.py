"""`facedep embed`: a model's predictions and features for every picture, and the map that they make."""

import argparse
import time

import numpy as np

from facedep.cli.options import add_job_options, add_model_options, find_run, load_dataset
from facedep.data.dataset_spec import add_dataset_arguments
from facedep.data.scan import scan_dataset
from facedep.inference.embedding_map import compute_map, read_map
from facedep.inference.prediction_cache import read_predictions
from facedep.runs.jobs import JobWriter


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("embed", help="run a model on every picture and lay the data set out as a map")
    add_model_options(parser)
    add_dataset_arguments(parser)
    add_job_options(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Computes what is not kept yet, prints how long each step took and returns the exit status."""
    with JobWriter(options.progress) as job:
        dataset = load_dataset(options)
        run_dir = find_run(options)
        started = time.monotonic()
        scan_dataset(dataset, on_progress=job.count("Reading every picture"))
        _print_seconds(f"scan: {len(dataset.samples):,} pictures", started)

        started = time.monotonic()
        predictions = read_predictions(run_dir, dataset)
        if predictions is None or not predictions.is_complete:
            job.report("Loading the model")
            from facedep.inference.dataset_predictions import compute_predictions

            predictions = compute_predictions(run_dir, dataset, on_progress=job.count("Running the model"))
        _print_seconds(f"predictions: {predictions.is_predicted.sum():,} pictures, by {run_dir.name}", started)

        started = time.monotonic()
        points = read_map(run_dir, dataset)
        if points is None:
            on_progress = job.count("Drawing the map")
            on_progress(0, 0)
            points = compute_map(run_dir, dataset, features=predictions.features, on_progress=on_progress)
        _print_seconds(f"map: {np.isfinite(points).all(axis=1).sum():,} pictures", started)
    return 0


def _print_seconds(what: str, started: float) -> None:
    print(f"{what}, {time.monotonic() - started:.1f} s", flush=True)
