"""Every table leaves the program the same way: harmless to spreadsheets, and whole or not at all."""

import csv
import io
import os
import sys

import pandas as pd
import pytest

from facedep.audit.issues import build_flags_table, find_issues
from facedep.audit.quality import measure_quality
from facedep.data import sources
from facedep.data.scan import scan_dataset
from facedep.errors import DataError
from facedep.paths import PROJECT_DIR
from facedep.reporting.tables import check_csv_path, encode_csv, write_csv

FORMULA = '=HYPERLINK("http://x.example";"y").png'


def read_cells(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(start):
    (cells,) = read_cells(encode_csv(pd.DataFrame({"path": [f"{start}1+1"], f"{start}name": ["a"]})))
    assert cells == {"path": f"'{start}1+1", f"'{start}name": "a"}


def test_numbers_truth_values_and_missing_ones_stay_as_they_are():
    table = pd.DataFrame({"a": [-1.5, None], "b": [True, False], "c": pd.array([1, None], "Int64"), "d": ["x", None]})
    assert encode_csv(table).decode() == "a,b,c,d\n-1.5,True,1,x\n,False,,\n"


def test_table_of_the_data_set_runs_no_formula_either(write_pictures):
    folder = write_pictures(["sad/a.png", "happy/b.png"])
    dataset = sources.load_dataset(str(folder))
    index = dataset.samples.assign(path=[FORMULA, "b.png"])
    scan = scan_dataset(dataset)
    quality = measure_quality(dataset.samples, scan)
    table = build_flags_table(index, quality, find_issues(dataset.samples, scan, quality))
    assert [row["path"] for row in read_cells(encode_csv(table))] == [f"'{FORMULA}", "b.png"]


def test_file_that_cannot_be_replaced_stays_as_it_is(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match="No space left"):
        write_csv(path, pd.DataFrame({"a": [1]}))
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


def test_check_leaves_an_existing_file_and_its_folder_alone(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    check_csv_path(path)
    check_csv_path(tmp_path / "new.csv")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("out.csv", "old")]


@pytest.mark.parametrize("name", ["nowhere/out.csv", "."])
def test_path_that_takes_no_file_is_a_sentence(tmp_path, name):
    with pytest.raises(DataError, match="could not be written"):
        check_csv_path(tmp_path / name)
    with pytest.raises(DataError, match="could not be written"):
        write_csv(tmp_path / name, pd.DataFrame({"a": [1]}))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_link_stays_a_link_and_a_file_keeps_its_permissions(tmp_path):
    target, link = tmp_path / "private.csv", tmp_path / "link.csv"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    write_csv(link, pd.DataFrame({"a": [1]}))
    assert link.is_symlink()
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("a\n1\n", 0o600)


def test_one_module_alone_writes_csv():
    users = [path.name for path in (PROJECT_DIR / "facedep").rglob("*.py") if ".to_csv(" in path.read_text("utf-8")]
    assert users == ["tables.py"]
