"""`facedep download`: gets the Kaggle data set."""

import argparse

from tqdm import tqdm

from facedep.data import kaggle


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("download", help="get the Kaggle data set and print its folder")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Downloads the data set where it is not here yet and prints its folder; returns the exit status."""
    with tqdm(unit="B", unit_scale=True, desc="Kaggle", disable=None) as bar:

        def show(num_bytes: int, total_bytes: int | None) -> None:
            bar.total = total_bytes
            bar.update(num_bytes - bar.n)

        folder = kaggle.download_dataset(on_progress=show)
    print(folder)
    return 0
