"""`facedep prepare`: look at each picture of a data set once, so that a training with `quick` starts at once."""

import argparse

from facedep.cli.options import add_job_options, load_dataset
from facedep.data.dataset_spec import add_dataset_arguments
from facedep.data.scan import load_images, scan_dataset
from facedep.inference.stage_features import compute_stage_features
from facedep.networks.classifier import load_classifier
from facedep.runs import run_folder
from facedep.runs.jobs import JobWriter


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("prepare", help="look at each picture once, so that a quick training starts at once")
    add_dataset_arguments(parser)
    add_job_options(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Computes what is not kept yet and returns the exit status."""
    with JobWriter(options.progress) as job:
        dataset = load_dataset(options)
        scan = scan_dataset(dataset, on_progress=job.count("Reading every picture"))
        classifier = load_classifier(run_folder.find_run_dir(run_folder.SHIPPED_RUN))
        images = load_images(dataset, scan, scan.is_readable, classifier.input_size_px)
        compute_stage_features(
            classifier.graph,
            images,
            content_hash=dataset.content_hash,
            on_progress=job.count("Looking at each picture once"),
        )
    if options.progress is None:
        print(f"{len(images):,} pictures of {dataset.name} are prepared.")
    return 0
