"""`facedep predict`: predictions for pictures, folders and archives."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from facedep.cli.options import add_model_options, find_run, print_json
from facedep.reporting.tables import check_csv_path, write_csv

if TYPE_CHECKING:
    from facedep.inference.batch import PictureRow


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("predict", help="answer for pictures")
    add_model_options(parser)
    parser.add_argument("files", nargs="+", metavar="FILE", help="pictures, folders, .zip files of pictures")
    parser.add_argument("--json", action="store_true", help="print a JSON list, one object a picture")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a table with one row a face")
    parser.add_argument(
        "--whole-picture", action="store_true", help="take each picture's middle square as one face, without a search"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Predicts, prints one line a face or one JSON list, and returns the exit status: 1 if a picture cannot be read."""
    if options.csv:
        check_csv_path(options.csv)  # before the work that fills it
    from facedep.inference.batch import build_json, build_table, list_pictures, predict_pictures
    from facedep.networks.classifier import load_classifier

    classifier = load_classifier(find_run(options))
    pictures = list_pictures((file, Path(file)) for file in options.files)
    has_failed, objects, table_rows = False, [], []
    predictions = predict_pictures(classifier, pictures, is_whole_picture=options.whole_picture)
    with tqdm(predictions, total=len(pictures), unit="picture", disable=None if options.json else True) as bar:
        for rows in bar:
            has_failed |= rows[0].error is not None
            if options.json:
                objects += build_json(rows)
            else:
                _print_rows(rows)
            if options.csv:
                table_rows += [dataclasses.replace(row, thumbnail=b"") for row in rows]
    if options.csv:
        write_csv(options.csv, build_table(table_rows))
    if num_skipped := sum(picture.num_skipped for picture in pictures):
        print(
            f"facedep: {num_skipped:,} files in archives and folders are not pictures and were skipped", file=sys.stderr
        )
    if options.json:
        print_json(objects)
    else:
        print("Not a diagnosis: this model compares a face with pictures labelled by emotion.", file=sys.stderr)
    return int(has_failed)


def _print_rows(rows: Sequence["PictureRow"]) -> None:
    """Prints one picture's predictions to standard output, and what is to be said about them to standard error."""
    for row in rows:
        position = f" (face at {row.box[0]}, {row.box[1]})" if row.box and row.num_faces > 1 else ""
        if row.face:
            label = f"uncertain, rather {row.label}" if row.is_uncertain else row.label
            print(f"{row.path}{position}: {label}, P(depressed) = {row.probability_depressed:.3f}")
        for caution in row.cautions:
            print(f"facedep: {row.path}{position}: {caution}", file=sys.stderr)
        if row.error:
            print(f"facedep: {row.error}", file=sys.stderr)
        elif row.note and not row.face:
            print(f"facedep: {row.path}: {row.note} (--whole-picture)", file=sys.stderr)
