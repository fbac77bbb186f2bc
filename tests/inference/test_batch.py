"""Any number of pictures, one at a time: files and archives, tables of what comes out, and bounded memory."""

import csv
import gc
import io
import json
import math
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data as photographs

from facedep.cli.main import main
from facedep.data import sample_faces
from facedep.errors import ImageError
from facedep.inference.batch import (
    PictureRow,
    build_json,
    build_table,
    list_pictures,
    predict_pictures,
)
from facedep.inference.pipeline import NO_FACE_NOTE, WHOLE_NOTE, predict_picture
from facedep.networks.classifier import load_classifier
from facedep.paths import PROJECT_DIR
from facedep.reporting.tables import encode_csv
from facedep.runs import run_folder

MB = 1e6


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(PROJECT_DIR / "models" / run_folder.SHIPPED_RUN)


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def draw_crop(emotion: str, number: int = 1) -> bytes:
    """A gray crop of 48 x 48 pixels, as data sets of faces hold them."""
    drawn = Image.fromarray(sample_faces.draw_sample_face(emotion, number))
    return encode(np.asarray(drawn.convert("L").resize((48, 48))))


def make_zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def make_pair() -> bytes:
    """A photograph with the same face twice, the second one smaller."""
    room = np.full((480, 640, 3), (110, 120, 130), np.uint8)
    head = Image.fromarray(photographs.astronaut()[:220, 110:330])
    for side, left in ((300, 20), (200, 350)):
        room[60 : 60 + side, left : left + side] = np.asarray(head.resize((side, side)))
    return encode(room, "JPEG")


def answer(classifier, sources) -> list[PictureRow]:
    return [row for rows in predict_pictures(classifier, list_pictures(sources)) for row in rows]


def build_row(**changes) -> PictureRow:
    values = {"path": "a.png", "face": 1, "num_faces": 1, "probability_depressed": 0.25, "label": "non_depressed"}
    values |= {"is_uncertain": False, "box": None, "emotions": None, "cautions": (), "note": None, "error": None}
    return PictureRow(**{**values, "is_seen": False, "thumbnail": b"", **changes})


# What is listed -------------------------------------------------------------------------------------------------------


def test_pictures_of_files_and_archives_are_listed_in_order(tmp_path):
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "1.jpg").write_bytes(b"")
    archive = make_zip(
        {"b/2.png": b"", "a.HEIC": b"", "readme.txt": b"", "more.zip": b"", "__MACOSX/a.png": b"", "b/": b""}
    )
    sources = [
        ("upload.zip", io.BytesIO(archive)),
        ("snapshot", b"bytes"),
        (f"{tmp_path}/album/", tmp_path / "album"),
        ("gone.zip", tmp_path / "gone.zip"),
    ]
    pictures = list_pictures(sources)
    expected = ["upload.zip/a.HEIC", "upload.zip/b/2.png", "snapshot", f"{tmp_path}/album/1.jpg", "gone.zip"]
    assert [picture.path for picture in pictures] == expected
    assert [picture.error for picture in pictures] == [None] * 5
    assert sum(picture.num_skipped for picture in pictures) == 2  # readme.txt and more.zip; hidden ones do not count


def _make_album(tmp_path) -> Path:
    folder = tmp_path / "album"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "b.jpg").write_bytes(draw_crop("sad"))
    (folder / "a.png").write_bytes(draw_crop("happy"))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_links_to_pictures_are_read_and_links_to_folders_are_not_followed(tmp_path):
    folder = _make_album(tmp_path)
    (folder / "linked.png").symlink_to(folder / "a.png")
    (folder / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "around").symlink_to(folder, target_is_directory=True)
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    pictures = list_pictures([("link", tmp_path / "link")])
    assert [picture.path for picture in pictures] == ["link/a.png", "link/inner/b.jpg", "link/linked.png"]
    assert [picture.num_skipped for picture in pictures] == [1, 0, 0]
    assert pictures[2].read() == pictures[0].read()


def test_a_folder_that_cannot_be_read_is_one_entry_with_the_reason(tmp_path, monkeypatch):
    folder, scandir = _make_album(tmp_path), os.scandir

    def refuse(path):  # permissions do not stop an administrator, who may run the tests
        if Path(path).name == "inner":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (picture,) = list_pictures([("album", folder)])
    assert picture.path == "album"
    assert "cannot be read (Permission denied)" in picture.error
    with pytest.raises(ImageError, match="Check that you may read it"):
        picture.read()


@pytest.mark.parametrize("kind", ["bytes", "file", "path"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"faces\.zip is not a \.zip archive"),
        (b"PK\x03\x04 cut off", r"faces\.zip is not a \.zip archive"),
        (make_zip({"../1.png": b"x"}), r"faces\.zip names a file outside itself"),
        (make_zip({"C:/1.png": b"x"}), r"faces\.zip names a file outside itself"),
        (make_zip({}), r"faces\.zip holds no pictures\. Put"),
        (make_zip({"a.txt": b"", "b.doc": b""}), r"faces\.zip holds no pictures \(2 other files\)\. Put"),
    ],
)
def test_archive_that_cannot_be_used_is_a_row_with_the_reason(classifier, tmp_path, kind, content, words):
    (tmp_path / "faces.zip").write_bytes(content)
    source = {"bytes": content, "file": io.BytesIO(content), "path": tmp_path / "faces.zip"}[kind]
    rows = answer(classifier, [("faces.zip", source), ("face.png", draw_crop("sad"))])
    assert [(row.path, row.face) for row in rows] == [("faces.zip", 0), ("face.png", 1)]
    with pytest.raises(ValueError, match=words):
        raise ValueError(rows[0].error)


def test_locked_and_implausibly_large_archives_are_refused_before_they_are_unpacked(classifier, monkeypatch):
    locked = bytearray(make_zip({"1.png": b"x"}))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    monkeypatch.setattr("facedep.data.stores.MAX_ZIP_BYTES", 1000)
    rows = answer(classifier, [("locked.zip", bytes(locked)), ("bomb.zip", make_zip({"1.png": bytes(1001)}))])
    assert "protected by a password" in rows[0].error
    assert "claims more than" in rows[1].error


def test_damaged_and_overlarge_members_are_rows_and_the_others_are_answered(classifier, monkeypatch):
    good = draw_crop("happy")
    archive = bytearray(make_zip({"1.png": good, "2.png": good, "3.png": bytes(5000), "4.png": good[:200]}))
    archive[archive.index(b"2.png") + 40] ^= 255
    monkeypatch.setattr("facedep.data.stores.MAX_PICTURE_BYTES", 4000)
    rows = answer(classifier, [("faces.zip", bytes(archive))])
    assert [row.path for row in rows] == [f"faces.zip/{number}.png" for number in (1, 2, 3, 4)]
    assert rows[0].error is None
    assert "damaged inside faces.zip" in rows[1].error
    assert "was not opened" in rows[2].error
    assert "damaged or cut off" in rows[3].error


# What is answered -----------------------------------------------------------------------------------------------------


def test_rows_say_what_the_one_path_says(classifier):
    pair, drawn, empty = make_pair(), draw_crop("sad"), encode(np.full((300, 400, 3), 90, np.uint8))
    contents = {"pair.jpg": pair, "drawn.png": drawn, "wall.png": empty, "torn.png": drawn[:100]}
    rows = answer(classifier, [("faces.zip", make_zip(contents))])
    assert [(row.path.removeprefix("faces.zip/"), row.face, row.num_faces) for row in rows] == [
        ("drawn.png", 1, 1),
        ("pair.jpg", 1, 2),
        ("pair.jpg", 2, 2),
        ("torn.png", 0, 0),
        ("wall.png", 0, 0),
    ]
    assert (rows[0].note, rows[0].box) == (WHOLE_NOTE, None)
    assert (rows[4].note, rows[4].error, rows[4].label) == (NO_FACE_NOTE, None, "")
    assert math.isnan(rows[4].probability_depressed)
    assert rows[1].box[2] > rows[2].box[2]
    names = [f"faces.zip/{name}" for name in sorted(contents)]
    expected = [
        predict_picture(classifier, contents[name.removeprefix("faces.zip/")], name).to_json() for name in names
    ]
    assert build_json(rows) == expected
    assert build_json(rows[1:3]) == expected[1:2]


def test_thumbnails_are_small_jpegs_of_the_face_and_not_of_the_room(classifier):
    rows = answer(classifier, [("pair.jpg", make_pair()), ("wall.png", encode(np.full((300, 400, 3), 90, np.uint8)))])
    for row in rows:
        assert len(row.thumbnail) < 5000
        with Image.open(io.BytesIO(row.thumbnail)) as thumbnail:
            assert (thumbnail.format, thumbnail.size) == ("JPEG", (64, 64))
    pixels = [np.asarray(Image.open(io.BytesIO(row.thumbnail)), np.float32) for row in rows]
    assert np.abs(pixels[0] - pixels[1]).mean() < 15  # the same face at two sizes
    assert pixels[0].std() > 40
    assert pixels[2].std() < 1
    assert answer(classifier, [("x", b"no picture")])[0].thumbnail == b""


def test_whole_pictures_are_answered_on_request(classifier):
    pictures = list_pictures([("pair.jpg", make_pair())])
    ((row,),) = predict_pictures(classifier, pictures, is_whole_picture=True)
    assert (row.box, row.num_faces) == (None, 1)


def test_pictures_are_read_when_their_turn_comes_and_not_before(classifier, tmp_path):
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(draw_crop("happy"))
    answers = predict_pictures(classifier, list_pictures((name, tmp_path / name) for name in ("1.png", "2.png")))
    assert next(answers)[0].error is None
    (tmp_path / "2.png").unlink()
    assert "there is no such file" in next(answers)[0].error


def test_hundreds_of_pictures_of_an_archive_leave_only_numbers_and_thumbnails(classifier):
    # Each is unpacked to 0.25 MB: a few pixels and much padding, so that 300 kept ones would be 75 MB.
    contents = [draw_crop("happy") + bytes(250_000), draw_crop("sad") + bytes(250_000)]
    archive = io.BytesIO(make_zip({f"{number:04d}.png": contents[number % 2] for number in range(300)}))
    pictures = list_pictures([("faces.zip", archive)])
    assert len(pictures) == 300
    first = next(predict_pictures(classifier, pictures[:1]))  # the network's own memory comes before the count
    num_before = sum(isinstance(thing, Image.Image) for thing in gc.get_objects())
    tracemalloc.start()
    try:
        rows = [row for rows in predict_pictures(classifier, pictures) for row in rows]
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(rows) == 300
    assert {row.error for row in rows} == {None}
    assert rows[0] == first[0]
    assert sum(isinstance(thing, Image.Image) for thing in gc.get_objects()) - num_before <= 1
    assert peak_bytes < 15 * MB  # 2.6 measured


# Tables ---------------------------------------------------------------------------------------------------------------


def test_table_has_one_row_a_face_and_failures_with_their_reason():
    rows = [
        build_row(
            face=1, num_faces=2, box=[1, 2, 30, 40], emotions={"sad": 0.125, "happy": 0.875}, cautions=("A.", "B.")
        ),
        build_row(face=2, num_faces=2, box=[5, 6, 7, 8], emotions={"sad": 1 / 3, "happy": 2 / 3}, is_seen=True),
        build_row(path="b.png", face=0, num_faces=0, probability_depressed=math.nan, label="", error="It is torn."),
    ]
    table = build_table(rows)
    assert list(table["path"]) == ["a.png", "a.png", "b.png"]
    assert list(table["face"]) == [1, 2, 0]
    assert list(table["sad"])[:2] == [0.125, 0.333333]
    assert list(table.loc[0, ["box_x", "box_y", "box_width", "box_height"]]) == [1, 2, 30, 40]
    assert list(table["cautions"]) == ["A. B.", "", ""]
    assert table.loc[2, "error"] == "It is torn."
    assert pd.isna(table.loc[2, ["probability_depressed", "happy", "box_x"]]).all()
    lines = encode_csv(table).decode().splitlines()
    assert lines[1] == "a.png,1,2,0.25,non_depressed,False,False,1,2,30,40,0.125,0.875,A. B.,,"
    assert lines[3] == "b.png,0,0,,,False,False,,,,,,,,,It is torn."


def test_table_of_nothing_has_its_columns():
    assert encode_csv(build_table([])).decode().startswith("path,face,num_faces,probability_depressed,label,")


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_names_that_a_spreadsheet_would_run_are_made_harmless_and_stay_whole_in_json(start):
    name = f"{start}HYPERLINK(1).png"
    row = build_row(path=name, face=0, num_faces=0, error=f"{name} is torn.")
    content = encode_csv(build_table([row])).decode()
    (cells,) = csv.DictReader(io.StringIO(content, newline=""))
    assert cells["path"] == f"'{name}"
    assert cells["error"] == f"'{name} is torn."
    assert build_json([row])[0]["path"] == name


@pytest.mark.parametrize(("name", "cell"), [("\udcff.png", r"\udcff.png"), ("a\r\nb", r"a\r\nb"), ("\t=1", r"\t=1")])
def test_names_of_several_lines_or_other_than_text_do_not_break_the_table(name, cell):
    lines = encode_csv(build_table([build_row(path=name)])).decode().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"{cell},1,1,")


def test_names_in_any_script_stay_as_they_are():
    name = "Глава\u202f1 – 顔 é.png"
    assert build_table([build_row(path=name)])["path"][0] == name


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def _shipped(monkeypatch):
    monkeypatch.setenv("FACEDEP_MODELS_DIR", str(PROJECT_DIR / "models"))


@pytest.mark.usefixtures("_shipped")
def test_command_answers_archives_and_writes_a_table(tmp_path, capsys, monkeypatch):
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "=1+1.png").write_bytes(draw_crop("happy"))
    (tmp_path / "faces.zip").write_bytes(make_zip({"pair.jpg": make_pair(), "notes.txt": b""}))
    (tmp_path / "torn.png").write_bytes(draw_crop("sad")[:100])
    files = ["album/=1+1.png", "faces.zip", "torn.png"]
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "--csv", "out.csv", *files]) == 1
    output = capsys.readouterr()
    assert [line.partition(":")[0].partition(" (")[0] for line in output.out.splitlines()] == [
        "album/=1+1.png",
        "faces.zip/pair.jpg",
        "faces.zip/pair.jpg",
    ]
    assert "facedep: torn.png is" in output.err
    assert "facedep: 1 files in archives and folders are not pictures and were skipped" in output.err
    table = pd.read_csv("out.csv", keep_default_na=False)
    assert list(table["path"]) == ["album/=1+1.png", "faces.zip/pair.jpg", "faces.zip/pair.jpg", "torn.png"]
    assert table["error"][3].startswith("torn.png is")

    assert main(["predict", "--json", "--csv", "out.csv", *files]) == 1
    objects = json.loads(capsys.readouterr().out)
    assert [(picture["path"], len(picture["faces"])) for picture in objects] == [
        ("album/=1+1.png", 1),
        ("faces.zip/pair.jpg", 2),
        ("torn.png", 0),
    ]
    monkeypatch.chdir(tmp_path / "album")
    assert main(["predict", "--csv", "out.csv", "=1+1.png"]) == 0
    assert pd.read_csv("out.csv")["path"][0] == "'=1+1.png"


@pytest.mark.usefixtures("_shipped")
def test_command_predicts_the_pictures_of_a_folder_and_its_subfolders(tmp_path, capsys, monkeypatch):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "inner" / "name.jpg").write_bytes(draw_crop("happy"))
    (tmp_path / "folder" / "a.png").write_bytes(draw_crop("sad"))
    (tmp_path / "folder" / "notes.txt").write_text("no picture")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "--json", "folder/"]) == 0
    output = capsys.readouterr()
    assert [(picture["path"], picture["error"], len(picture["faces"])) for picture in json.loads(output.out)] == [
        ("folder/a.png", None, 1),
        ("folder/inner/name.jpg", None, 1),
    ]
    assert "facedep: 1 files in archives and folders" in output.err

    assert main(["predict", "--json", "empty"]) == 1
    (picture,) = json.loads(capsys.readouterr().out)
    assert picture["path"] == "empty"
    assert picture["faces"] == []
    assert picture["error"].startswith("empty holds no pictures. Put ")


@pytest.mark.usefixtures("_shipped")
def test_table_that_cannot_be_written_is_told_before_the_work(tmp_path, capsys):
    assert main(["predict", "--csv", str(tmp_path / "nowhere" / "out.csv"), str(tmp_path / "face.png")]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "could not be written" in output.err
    assert "no such file" not in output.err


@pytest.mark.usefixtures("_shipped")
def test_old_table_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path, face = tmp_path / "out.csv", tmp_path / "face.png"
    path.write_text("old")
    face.write_bytes(draw_crop("happy"))
    seen = []

    def stop(*_, **__):
        seen.append(path.read_text())
        raise KeyboardInterrupt

    monkeypatch.setattr("facedep.inference.batch.predict_picture", stop)
    assert main(["predict", "--csv", str(path), str(face)]) == 130
    assert (seen, path.read_text()) == (["old"], "old")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["face.png", "out.csv"]
