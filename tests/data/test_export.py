import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from facedep.data.export import build_export_names, export_dataset
from facedep.data.sources import load_dataset
from facedep.errors import DataError, ImageError


def _list_files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _build_index(*paths: str) -> pd.DataFrame:
    rows = [(path, "happy", "non_depressed", "", path.split("/")[-2]) for path in paths]
    return pd.DataFrame(rows, columns=["path", "emotion", "label", "subset", "folder"])


def test_two_folders_with_names_of_split_emotion_and_name(write_pictures, tmp_path):
    folder = write_pictures(["D/data/train/Sad/1.png", "D/data/test/Surprize/1.png", "D/data/Validation/happy/7.JPG"])
    counts = export_dataset(load_dataset(str(folder)), tmp_path / "out")
    assert counts == {"non_depressed": 2, "depressed": 1}
    assert _list_files(tmp_path / "out") == [
        "depressed/train_Sad_1.png",
        "non_depressed/Validation_happy_7.JPG",
        "non_depressed/test_Surprize_1.png",
    ]


def test_without_splits_names_begin_with_all(write_pictures, tmp_path):
    export_dataset(load_dataset(str(write_pictures(["depressed/1.png"]))), tmp_path / "out")
    assert _list_files(tmp_path / "out") == ["depressed/all_depressed_1.png"]


@pytest.mark.parametrize("is_zip", [False, True], ids=["folder", "zip"])
def test_files_are_copied_byte_for_byte_damaged_ones_too(write_pictures, tmp_path, is_zip):
    folder = write_pictures(["Sad/1.png", "Happy/2.png"])
    (folder / "Sad" / "3.png").write_bytes(b"cut off")
    source = folder
    if is_zip:
        source = tmp_path / "faces.zip"
        with zipfile.ZipFile(source, "w") as file:
            for path in _list_files(folder):
                file.write(folder / path, path)
    export_dataset(load_dataset(str(source)), tmp_path / "out")
    for name, original in (("all_Sad_1", "Sad/1"), ("all_Sad_3", "Sad/3")):
        assert (tmp_path / "out" / "depressed" / f"{name}.png").read_bytes() == (
            folder / f"{original}.png"
        ).read_bytes()


def test_unknown_folders_are_not_exported(write_pictures, tmp_path):
    export_dataset(load_dataset(str(write_pictures(["Sad/1.png", "Foo/2.png"]))), tmp_path / "out")
    assert _list_files(tmp_path / "out") == ["depressed/all_Sad_1.png"]


def test_files_of_one_name_never_overwrite_each_other(write_pictures, tmp_path):
    folder = write_pictures(["a/Sad/x.png", "b/Sad/x.png", "b/Sad/x_2.png", "c/Sad/X.png", "c/Sad/x.jpg"])
    counts = export_dataset(load_dataset(str(folder)), tmp_path / "out")
    contents = {path.read_bytes() for path in (tmp_path / "out" / "depressed").iterdir()}
    assert counts["depressed"] == len(contents) == 5


def test_names_are_unique_where_case_does_not_matter():
    samples = _build_index("a/Happy/x.png", "b/Happy/x_2.png", "c/Happy/x.png", "d/Happy/X_2.PNG", "e/HAPPY/x.png")
    assert build_export_names(samples) == [
        "all_Happy_x.png",
        "all_Happy_x_2.png",
        "all_Happy_x_3.png",
        "all_Happy_X_2_2.PNG",
        "all_HAPPY_x_4.png",
    ]


def test_a_name_is_free_again_in_the_other_group():
    samples = _build_index("a/x/1.png", "b/x/1.png")
    samples["label"] = ["depressed", "non_depressed"]
    assert build_export_names(samples) == ["all_x_1.png", "all_x_1.png"]


def test_characters_that_windows_forbids_are_replaced():
    assert build_export_names(_build_index('Hap:py?/a"b|c*.png')) == ["all_Hap_py__a_b_c_.png"]


@pytest.mark.parametrize("occupied", ["file in it", "is a file"])
def test_a_target_in_use_is_refused_and_left_as_it_is(write_pictures, tmp_path, occupied):
    out = tmp_path / "out"
    if occupied == "is a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="out is not an empty folder"):
        export_dataset(load_dataset(str(write_pictures(["Sad/1.png"]))), out)
    assert (out if out.is_file() else out / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "pictures"]


def test_an_empty_folder_is_taken_even_the_current_one(write_pictures, tmp_path, monkeypatch):
    dataset = load_dataset(str(write_pictures(["Sad/1.png"])))
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    export_dataset(dataset, Path("."))
    assert _list_files(tmp_path / "out") == ["depressed/all_Sad_1.png"]


def test_a_folder_of_the_user_with_a_similar_name_is_not_touched(write_pictures, tmp_path):
    mine = tmp_path / "out.part" / "depressed" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    export_dataset(load_dataset(str(write_pictures(["Sad/1.png"]))), tmp_path / "out")
    assert mine.read_text() == "mine"
    assert _list_files(tmp_path / "out") == ["depressed/all_Sad_1.png"]


def test_nothing_is_left_behind_when_a_file_cannot_be_read(write_pictures, tmp_path):
    folder = write_pictures(["Happy/1.png", "Sad/2.png"])
    dataset = load_dataset(str(folder))
    (folder / "Sad" / "2.png").unlink()
    with pytest.raises(ImageError, match=r"Sad/2\.png"):
        export_dataset(dataset, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_nothing_is_left_behind_when_a_file_cannot_be_written(tmp_path):
    archive = tmp_path / "long.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("Sad/1.png", b"one")
        file.writestr(f"Sad/{'n' * 300}.png", b"two")
    with pytest.raises(DataError, match="out could not be written"):
        export_dataset(load_dataset(str(archive)), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["long.zip"]


def test_a_target_below_a_file_is_refused_in_a_sentence(write_pictures, tmp_path):
    dataset = load_dataset(str(write_pictures(["Sad/1.png"])))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="could not be written"):
        export_dataset(dataset, tmp_path / "file" / "out")


def test_drawn_samples_become_png_files(tmp_path):
    dataset = load_dataset("sample")
    few = dataset.samples.groupby("label").head(1)
    counts = export_dataset(replace(dataset, samples=few), tmp_path / "out")
    assert counts == {"non_depressed": 1, "depressed": 1}
    for path in _list_files(tmp_path / "out"):
        assert (tmp_path / "out" / path).read_bytes().startswith(b"\x89PNG")
