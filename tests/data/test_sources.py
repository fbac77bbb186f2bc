import io
import os
import stat
import struct
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facedep.data import sources
from facedep.data.dataset_spec import DatasetSpec
from facedep.data.sources import LEAVE_OUT, check_trainable, load_dataset, store_upload
from facedep.data.stores import FolderStore, ZipStore
from facedep.errors import DataError, ImageError


def _zip(folder: Path, archive: Path | None = None) -> Path:
    archive = archive or folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder).as_posix())
    return archive


def _png(value: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (16, 16), value).save(buffer, "PNG")
    return buffer.getvalue()


def _write_zip(archive: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(archive, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members.items():
            file.writestr(name, content)
    return archive


def _rows(dataset) -> set[tuple[str, str, str]]:
    return set(dataset.samples[["emotion", "label", "subset"]].itertuples(index=False, name=None))


# Layouts: the pictures' folders, and what each must become.
LAYOUTS = {
    "kaggle": {
        "Depression Data/data/train/Angry": ("angry", "non_depressed", "train"),
        "Depression Data/data/val/Neutral": ("neutral", "depressed", "val"),
        "Depression Data/data/test/Surprize": ("surprise", "non_depressed", "test"),
        "Depression Data/data/test/Sad": ("sad", "depressed", "test"),
    },
    "split and emotion": {
        "TRAINING/SADNESS": ("sad", "depressed", "train"),
        "valid/happy": ("happy", "non_depressed", "val"),
        "Validation/Contempt": ("contempt", "non_depressed", "val"),
        "Test/disgusted": ("disgust", "non_depressed", "test"),
    },
    "emotion alone": {
        "Suprise": ("surprise", "non_depressed", ""),
        "fearful": ("fear", "non_depressed", ""),
        "Sad": ("sad", "depressed", ""),
    },
    "groups": {
        "depressed": ("", "depressed", ""),
        "Non_Depressed": ("", "non_depressed", ""),
    },
    "split and groups": {
        "train/Depressed": ("", "depressed", "train"),
        "val/NON-DEPRESSED": ("", "non_depressed", "val"),
    },
    "emotion and split": {
        "happy/train": ("happy", "non_depressed", "train"),
        "sad/test": ("sad", "depressed", "test"),
    },
    "emotions within groups": {
        "depressed/sad": ("sad", "depressed", ""),
        "non_depressed/anger": ("angry", "non_depressed", ""),
    },
}


@pytest.mark.parametrize("is_zip", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("enclosing", ["", "a/", "My Data/v2/images/", "depression/"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_its_classes_and_splits(write_pictures, layout, enclosing, is_zip):
    folder = write_pictures(f"{enclosing}{path}/{n}.PNG" for path in LAYOUTS[layout] for n in range(2))
    dataset = load_dataset(str(_zip(folder) if is_zip else folder))
    assert _rows(dataset) == set(LAYOUTS[layout].values())
    assert len(dataset.samples) == 2 * len(LAYOUTS[layout])
    assert dataset.unknown_folders == {}
    assert list(dataset.samples["path"]) == sorted(dataset.samples["path"])
    assert np.asarray(dataset.open(dataset.samples["path"][0])).shape == (16, 16)


@pytest.mark.parametrize("is_zip", [False, True], ids=["folder", "zip"])
def test_unknown_folders_are_named_and_never_counted(write_pictures, is_zip):
    folder = write_pictures(["train/Happy/1.png", "train/Foo/1.png", "val/Foo/2.png", "Bar/x/3.png", "Sad/1.png"])
    dataset = load_dataset(str(_zip(folder) if is_zip else folder))
    assert list(dataset.samples["path"]) == ["Sad/1.png", "train/Happy/1.png"]
    assert dataset.unknown_folders == {"Foo": 2, "x": 1}


def test_a_folder_of_unknown_folders_only_has_no_rows_and_names_them_all(write_pictures):
    dataset = load_dataset(str(write_pictures(["Foo/1.png", "Bar/1.png"])))
    assert len(dataset.samples) == 0
    assert dataset.unknown_folders == {"Foo": 1, "Bar": 1}


def test_choices_say_what_unknown_folders_are(write_pictures):
    folder = write_pictures(["Grin/1.png", "Gloom/1.png", "Junk/1.png", "train/Odd/1.png", "Happy/1.png"])
    choices = {"Grin": "happy", "Gloom": "depressed", "Junk": LEAVE_OUT}
    dataset = load_dataset(DatasetSpec(str(folder), choices))
    assert _rows(dataset) == {("happy", "non_depressed", ""), ("", "depressed", "")}
    assert list(dataset.samples["folder"]) == ["Gloom", "Grin", "Happy"]
    assert dataset.unknown_folders == {"Odd": 1}


def test_leaving_everything_out_is_not_called_a_set_without_pictures(write_pictures):
    dataset = load_dataset(DatasetSpec(str(write_pictures(["Junk/1.png"])), {"Junk": LEAVE_OUT}))
    with pytest.raises(DataError, match="pictures has no non-depressed pictures"):
        check_trainable(dataset)


def test_an_enclosing_folder_called_depression_does_not_decide(write_pictures):
    dataset = load_dataset(str(write_pictures(["train/Foo/1.png", "Happy/1.png"], root="depression")))
    assert _rows(dataset) == {("happy", "non_depressed", "")}
    assert dataset.unknown_folders == {"Foo": 1}


@pytest.mark.parametrize("loose", ["overview.png", "train/overview.png", "val/overview.png"])
def test_loose_pictures_in_a_folder_around_the_classes_are_never_counted(write_pictures, loose):
    folder = write_pictures([f"Depression/{loose}", "Depression/train/Happy/1.png", "Depression/train/Sad/1.png"])
    for source in (folder, folder / "Depression", _zip(folder)):
        dataset = load_dataset(str(source))
        assert sorted(dataset.samples["emotion"]) == ["happy", "sad"]
        assert dataset.unknown_folders == {"Depression": 1}
    assert len(load_dataset(DatasetSpec(str(folder), {"Depression": "depressed"})).samples) == 3


def test_a_class_folder_keeps_its_pictures_beside_its_own_splits_and_unknown_folders(write_pictures):
    dataset = load_dataset(str(write_pictures(["Happy/1.png", "Happy/train/2.png", "Happy/cropped/3.png"])))
    assert list(dataset.samples["path"]) == ["Happy/1.png", "Happy/train/2.png"]
    assert dataset.unknown_folders == {"cropped": 1}


def test_the_chosen_folder_itself_may_be_the_class(write_pictures):
    dataset = load_dataset(str(write_pictures(["1.png", "2.png"], root="Happy")))
    assert _rows(dataset) == {("happy", "non_depressed", "")}


def test_another_grouping_is_recorded_and_used(write_pictures):
    dataset = load_dataset(
        DatasetSpec(str(write_pictures(["Sad/1.png", "Neutral/1.png"])), depressed_emotions=("sad",))
    )
    assert _rows(dataset) == {("sad", "depressed", ""), ("neutral", "non_depressed", "")}
    assert dataset.depressed_emotions == ("sad",)


def test_hidden_files_and_other_kinds_of_files_are_no_pictures(write_pictures):
    folder = write_pictures(["Happy/1.png", "Happy/._2.png", ".cache/Sad/1.png", "__MACOSX/Happy/1.png"])
    (folder / "Happy" / "notes.txt").write_text("no picture")
    for source in (folder, _zip(folder)):
        dataset = load_dataset(str(source))
        assert list(dataset.samples["path"]) == ["Happy/1.png"]
        assert dataset.unknown_folders == {}


def test_a_damaged_picture_keeps_its_row_and_says_so_when_opened(write_pictures):
    folder = write_pictures(["Happy/1.png", "Sad/1.png"])
    (folder / "Sad" / "1.png").write_bytes(b"")
    dataset = load_dataset(str(folder))
    assert len(dataset.samples) == 2
    with pytest.raises(ImageError, match=r"Sad/1\.png is empty"):
        dataset.open("Sad/1.png")


def test_a_picture_deleted_meanwhile_is_named(write_pictures):
    folder = write_pictures(["Happy/1.png"])
    dataset = load_dataset(str(folder))
    (folder / "Happy" / "1.png").unlink()
    with pytest.raises(ImageError, match=r"Happy/1\.png: there is no such file"):
        dataset.open("Happy/1.png")


def test_a_folder_that_cannot_be_read_is_named_and_not_skipped(tmp_path):
    store = FolderStore(tmp_path / "gone")
    with pytest.raises(DataError, match="gone cannot be read"):
        _ = store.paths


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows file names that are not text")
def test_a_file_name_that_is_no_text_is_refused_in_a_sentence(write_pictures):
    folder = write_pictures(["Happy/1.png"])
    Path(os.fsdecode(os.fsencode(folder / "Happy") + b"/\xff.png")).write_bytes(_png())
    with pytest.raises(DataError, match=r"The name of Happy/\?\.png is not valid UTF-8"):
        load_dataset(str(folder))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_dangling_links_are_no_pictures(write_pictures):
    folder = write_pictures(["Happy/1.png"])
    os.mkfifo(folder / "Happy" / "2.png")
    (folder / "Happy" / "3.png").symlink_to(folder / "gone.png")
    assert list(load_dataset(str(folder)).samples["path"]) == ["Happy/1.png"]


def test_a_folder_and_its_zip_have_the_same_content_hash(write_pictures, tmp_path):
    folder = write_pictures(["train/Happy/1.png", "train/Sad/é 2.png"])
    archive = _zip(folder)
    assert load_dataset(str(folder)).content_hash == load_dataset(str(archive)).content_hash
    (folder / "train" / "Sad" / "é 2.png").write_bytes(_png(91))
    assert load_dataset(str(folder)).content_hash != load_dataset(str(archive)).content_hash


def test_names_in_records_are_no_paths(write_pictures):
    folder = write_pictures(["Happy/1.png"])
    assert load_dataset(str(folder)).name == "pictures"
    assert load_dataset(str(_zip(folder))).name == "pictures.zip"
    assert load_dataset(f' "{folder}" ').source == str(folder.resolve())


@pytest.mark.parametrize("source", ["", "  ", "/no/such/folder", "~nobody-of-this-name/x", "x" * 5000, "a\0b"])
def test_a_source_that_is_not_there_is_refused_with_its_name(source):
    with pytest.raises(DataError, match=r"There is no folder or \.zip file at"):
        load_dataset(source)


def test_the_kaggle_set_must_have_been_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="python -m facedep download"):
        load_dataset("kaggle")


@pytest.mark.parametrize("is_zip", [False, True], ids=["folder", "zip"])
def test_a_source_without_pictures_says_what_was_expected(tmp_path, is_zip):
    folder = tmp_path / "empty"
    (folder / "Happy").mkdir(parents=True)
    with pytest.raises(DataError, match=r"empty(\.zip)? holds no pictures\. Expected one folder per emotion"):
        load_dataset(str(_zip(folder) if is_zip else folder))


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["Happy/1.png", "Anger/2.png"], r"has no depressed pictures \(found: Anger, Happy\)"),
        (["Sad/1.png"], r"has no non-depressed pictures \(found: Sad\)"),
        (["Sad/1.png", "Foo/1.png"], r"has no non-depressed pictures \(found: Foo, Sad\)"),
        (["Foo/1.png"], r"has no non-depressed pictures \(found: Foo\)"),
    ],
)
def test_a_missing_group_is_named_with_what_was_found(write_pictures, paths, words):
    with pytest.raises(DataError, match=words):
        check_trainable(load_dataset(str(write_pictures(paths))))


def test_a_set_with_both_groups_is_trainable(write_pictures):
    check_trainable(load_dataset(str(write_pictures(["Sad/1.png", "Happy/1.png"]))))


@pytest.mark.parametrize(
    "name",
    ["../Happy/1.png", "Happy/../../1.png", "/Happy/1.png", "C:/Happy/1.png", "..\\Happy\\1.png", "\\Happy\\1.png"],
)
def test_a_zip_that_points_outside_itself_is_refused(tmp_path, name):
    archive = _write_zip(tmp_path / "evil.zip", {"Sad/1.png": _png(), name: _png()})
    with pytest.raises(DataError, match=r"evil\.zip names a file outside itself"):
        load_dataset(str(archive))


def test_links_in_a_zip_are_not_followed(tmp_path):
    archive = tmp_path / "links.zip"
    link = zipfile.ZipInfo("Happy/2.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("Happy/1.png", _png())
        file.writestr(link, "/etc/passwd")
    assert list(load_dataset(str(archive)).samples["path"]) == ["Happy/1.png"]


def test_a_zip_made_on_windows_with_backslashes_is_read(tmp_path):
    archive = _write_zip(tmp_path / "win.zip", {"train\\Happy\\1.png": _png(), "train\\Sad\\1.png": _png()})
    dataset = load_dataset(str(archive))
    assert list(dataset.samples["path"]) == ["train/Happy/1.png", "train/Sad/1.png"]
    assert dataset.open("train/Sad/1.png").size == (16, 16)


def _patch_directory(archive: Path, offset: int, value: bytes) -> None:
    """Overwrites bytes of the first entry in a zip's table of contents."""
    content = bytearray(archive.read_bytes())
    start = content.index(b"PK\x01\x02") + offset
    content[start : start + len(value)] = value
    archive.write_bytes(content)


def test_a_zip_with_a_password_is_refused(tmp_path):
    archive = _write_zip(tmp_path / "locked.zip", {"Happy/1.png": _png()})
    _patch_directory(archive, 8, b"\x01")
    with pytest.raises(DataError, match=r"locked\.zip is protected by a password"):
        load_dataset(str(archive))


def test_a_zip_that_claims_a_huge_content_is_refused(tmp_path):
    archive = _write_zip(tmp_path / "bomb.zip", {f"Happy/{n}.png": _png() for n in range(5)})
    content = archive.read_bytes()
    place = content.index(b"PK\x01\x02")
    while place >= 0:
        content = content[: place + 24] + struct.pack("<I", 0xFFFFFFF0) + content[place + 28 :]
        place = content.find(b"PK\x01\x02", place + 1)
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"bomb\.zip claims more than 500,000 files or 16 GiB"):
        load_dataset(str(archive))


def test_a_picture_that_claims_more_than_256_mib_is_not_unpacked(tmp_path):
    archive = _write_zip(tmp_path / "big.zip", {"Happy/1.png": _png()})
    _patch_directory(archive, 24, struct.pack("<I", 300 * 1024**2))
    with pytest.raises(ImageError, match=r"Happy/1\.png is larger than 256 MiB"):
        load_dataset(str(archive)).open("Happy/1.png")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_named_and_the_others_are_read(tmp_path, method):
    archive = tmp_path / "torn.zip"
    with zipfile.ZipFile(archive, "w", method) as file:
        for number in (1, 2):
            file.writestr(f"Happy/{number}.png", np.random.default_rng(0).bytes(500) if number == 1 else _png())
        start = file.getinfo("Happy/1.png").header_offset + 60
    content = bytearray(archive.read_bytes())
    content[start : start + 100] = bytes(100)
    archive.write_bytes(content)
    dataset = load_dataset(str(archive))
    with pytest.raises(ImageError, match=r"Happy/1\.png is damaged inside torn\.zip"):
        dataset.open("Happy/1.png")
    assert dataset.open("Happy/2.png").size == (16, 16)


def test_a_mended_zip_is_looked_at_again_though_its_table_of_contents_is_the_same(tmp_path):
    archive = _write_zip(tmp_path / "x.zip", {"Happy/1.png": _png()})
    before = load_dataset(str(archive)).store
    os.utime(archive, ns=(1, 1))
    after = load_dataset(str(archive)).store
    assert before.content_hash == after.content_hash
    assert before.state_key != after.state_key


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off", b"Rar!\x1a\x07"])
def test_what_is_no_zip_is_refused_by_name(tmp_path, content):
    path = tmp_path / "faces.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"faces\.zip is not a \.zip archive"):
        load_dataset(str(path))


def test_an_upload_is_kept_once_per_content(tmp_path):
    content = _write_zip(tmp_path / "a.zip", {"Happy/1.png": _png()}).read_bytes()
    assert sources.measure_uploads() == 0
    first = store_upload("faces.zip", io.BytesIO(content))
    assert first.name == "faces.zip"
    assert first.read_bytes() == content
    assert store_upload("faces.zip", io.BytesIO(content)) == first
    assert store_upload("another name.zip", io.BytesIO(content)) == first
    assert sources.measure_uploads() == len(content)
    assert list(load_dataset(str(first)).samples["path"]) == ["Happy/1.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_an_upload_is_for_no_other_user_of_the_computer(tmp_path):
    path = store_upload("faces.zip", io.BytesIO(_write_zip(tmp_path / "a.zip", {"Happy/1.png": _png()}).read_bytes()))
    modes = [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent, sources.uploads_dir())]
    assert modes == [0o600, 0o700, 0o700]


def test_clearing_the_uploads_deletes_them(tmp_path):
    content = _write_zip(tmp_path / "a.zip", {"Happy/1.png": _png()}).read_bytes()
    path = store_upload("faces.zip", io.BytesIO(content))
    sources.clear_uploads()
    assert not path.exists()
    assert sources.measure_uploads() == 0
    sources.clear_uploads()  # nothing to delete is no fault


@pytest.mark.parametrize("content", [b"", b"no archive", _png()])
def test_a_bad_upload_is_named_and_leaves_nothing_behind(content):
    with pytest.raises(DataError, match=r"mine\.zip is not a \.zip archive"):
        store_upload("mine.zip", io.BytesIO(content))
    assert list(sources.uploads_dir().rglob("*")) == []


def test_a_refused_upload_leaves_nothing_behind_and_no_file_open(tmp_path):
    archive = _write_zip(tmp_path / "a.zip", {"../1.png": _png()})
    with pytest.raises(DataError, match=r"evil\.zip names a file outside itself"):
        store_upload("evil.zip", io.BytesIO(archive.read_bytes()))
    assert list(sources.uploads_dir().rglob("*")) == []
    store = ZipStore.__new__(ZipStore)
    with pytest.raises(DataError, match="outside itself"):
        store.__init__(archive)
    assert store._archive.fp is None  # Windows could not delete the file of an open archive


@pytest.mark.parametrize("name", ["../../evil.zip", "..", "/etc/x.zip", "C:\\x\\y.zip", "a:b?.zip", "", "n" * 300])
def test_an_uploads_name_cannot_lead_elsewhere(tmp_path, name):
    content = _write_zip(tmp_path / "a.zip", {"Happy/1.png": _png()}).read_bytes()
    path = store_upload(name, io.BytesIO(content))
    assert path.parent.parent == sources.uploads_dir()
    assert path.suffix == ".zip"
    assert not set(path.name) & set('<>:"/\\|?*')
    assert ZipStore(path).paths == ["Happy/1.png"]


def test_an_upload_that_cannot_be_kept_gives_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(tmp_path / "file"))
    content = _write_zip(tmp_path / "a.zip", {"Happy/1.png": _png()}).read_bytes()
    with pytest.raises(DataError, match=r"faces\.zip could not be kept"):
        store_upload("faces.zip", io.BytesIO(content))
