"""`facedep export`: writes a data set regrouped."""

import argparse
from pathlib import Path

from facedep.cli.options import load_dataset
from facedep.data.dataset_spec import add_dataset_arguments
from facedep.data.export import export_dataset


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("export", help="write the regrouped data set: folders depressed and non_depressed")
    add_dataset_arguments(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a folder that does not exist yet")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Writes the folders, prints how many pictures each got and returns the exit status."""
    counts = export_dataset(load_dataset(options), options.out)
    print(f"{options.out}: " + ", ".join(f"{count:,} {group}" for group, count in counts.items()))
    return 0
