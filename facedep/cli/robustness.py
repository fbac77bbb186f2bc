"""`facedep robustness`: scores a model on ever worse versions of the same pictures."""

import argparse

from facedep.cli.options import (
    add_job_options,
    add_model_options,
    add_subset_options,
    find_run,
    load_dataset,
    print_grouping_mismatch,
    print_json,
    select_subset,
)
from facedep.evaluation.robustness import CORRUPTIONS, read_robustness
from facedep.evaluation.training_spec import find_grouping_mismatch
from facedep.runs.jobs import JobWriter


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("robustness", help="score a model on ever worse versions of a subset's pictures")
    add_model_options(parser)
    add_subset_options(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON list, one object a strength")
    add_job_options(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Measures what is not kept yet, prints the accuracy at each strength and returns the exit status."""
    with JobWriter(options.progress) as job:
        dataset = load_dataset(options)
        run_dir = find_run(options)
        _, mask = select_subset(options, run_dir, dataset, job)
        table = read_robustness(run_dir, dataset, mask)
        if table is None:
            job.report("Loading the model")
            from facedep.evaluation.robustness_run import measure_robustness

            on_progress = job.count("Running the model on ever worse pictures")
            table = measure_robustness(run_dir, dataset, mask, on_progress=on_progress)
    if options.json:
        print_json(table.to_dict("records"))
        return 0
    print_grouping_mismatch(find_grouping_mismatch(run_dir, dataset), run_dir.name)
    print(f"{run_dir.name} on {table['num_images'].iloc[0]:,} pictures of {dataset.name}: accuracy by strength")
    for name, corruption in CORRUPTIONS.items():
        scores = table[table["corruption"] == name]
        listed = [f"{row.strength:g}: {row.accuracy:.1%}" for row in scores.itertuples()]
        print(f"{corruption.title} ({corruption.unit}): {', '.join(listed)}")
    return 0
