"""`facedep audit`: says what is wrong with a data set."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facedep.audit.face_check import check_faces, read_face_check
from facedep.audit.issues import build_flags_table, find_issues
from facedep.audit.quality import measure_quality
from facedep.audit.shared_pictures import find_shared_pictures
from facedep.cli.options import add_job_options, load_dataset, make_progress, print_json
from facedep.data.dataset_spec import add_dataset_arguments
from facedep.data.scan import scan_dataset
from facedep.reporting.tables import check_csv_path, write_csv
from facedep.runs.jobs import JobWriter


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("audit", help="read every picture once and say what is wrong with the data set")
    add_dataset_arguments(parser)
    parser.add_argument("--faces", action="store_true", help="also look for pictures without a face")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a table: what each picture has and is")
    add_job_options(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Audits a data set, prints what it found and returns the exit status."""
    if options.csv:
        check_csv_path(options.csv)  # before the scan
    with JobWriter(options.progress) as job:
        dataset = load_dataset(options)
        with tqdm(unit="picture", desc="Scan", disable=None) as bar:
            show = make_progress(bar, job, "Reading every picture")

            def show_scan(num_done: int, num_images: int) -> None:
                show(num_done, num_images)
                if num_done == num_images:
                    job.report("Comparing the pictures", num_done, num_images)

            scan = scan_dataset(dataset, on_progress=show_scan)
        has_face: np.ndarray | None
        if options.faces:
            with tqdm(unit="picture", desc="Faces", disable=None) as bar:
                has_face = check_faces(dataset, scan, on_progress=make_progress(bar, job, "Looking for faces"))
        else:
            has_face = read_face_check(dataset)
    table = measure_quality(dataset.samples, scan)
    issues = find_issues(dataset.samples, scan, table, has_face=has_face)
    shared = find_shared_pictures(dataset.samples, table)
    num_unique = table.loc[scan.is_readable, "picture"].nunique()
    if options.csv:
        write_csv(options.csv, build_flags_table(dataset.samples, table, issues))
    if options.json:
        print_json(
            {
                "data": dataset.name,
                "num_files": len(dataset.samples),
                "num_unique": num_unique,
                "shared": [{**dataclasses.asdict(pair), "sentence": pair.sentence} for pair in shared],
                "issues": [issue.to_json() for issue in issues],
            }
        )
        return 0
    print(f"{dataset.name}: {len(dataset.samples):,} files, {num_unique:,} different pictures")
    for pair in shared:
        print(pair.sentence)
    for issue in issues:
        sets = f" in {issue.num_sets:,} sets" if issue.num_sets else ""
        print(f"{issue.title}: {issue.num_images:,}{sets}")
        if issue.num_images:
            print(f"    {issue.advice} Cleaning this away removes {issue.num_removed:,}.")
    return 0
