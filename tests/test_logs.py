"""The log: its level, and that it names no picture."""

import errno
import logging

import pytest

from facedep.data.scan import scan_dataset
from facedep.data.sources import load_dataset
from facedep.errors import ImageError
from facedep.images.opening import open_picture
from facedep.logs import configure_logging, describe_error


@pytest.fixture(autouse=True)
def _logger_as_before():
    logger = logging.getLogger("facedep")
    handlers, level = logger.handlers[:], logger.level
    logger.handlers[:] = []
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.mark.parametrize(
    ("wanted", "expected"), [(None, ["warning"]), ("debug", ["debug", "info", "warning"]), ("ERROR", [])]
)
def test_facedep_log_chooses_the_level_and_warnings_are_the_default(wanted, expected, monkeypatch, capsys):
    if wanted:
        monkeypatch.setenv("FACEDEP_LOG", wanted)
    else:
        monkeypatch.delenv("FACEDEP_LOG", raising=False)
    configure_logging()
    configure_logging()
    for level in ("debug", "info", "warning"):
        getattr(logging.getLogger("facedep.data.scan"), level)(level)
    output = capsys.readouterr()
    assert output.out == ""
    assert [line.rpartition(" ")[2] for line in output.err.splitlines()] == expected


def test_unknown_level_is_named_with_those_that_exist(monkeypatch, capsys):
    monkeypatch.setenv("FACEDEP_LOG", "loud")
    configure_logging()
    assert "FACEDEP_LOG=loud" in capsys.readouterr().err
    assert logging.getLogger("facedep").level == logging.WARNING


def test_description_of_an_error_has_no_path():
    assert describe_error(OSError(errno.ENOSPC, "No space left", "/home/me/me.png")) == "OSError (No space left)"
    assert describe_error(ValueError("/home/me/me.png")) == "ValueError"


def test_cache_that_cannot_be_written_is_logged_without_a_name(write_pictures, tmp_path, monkeypatch, caplog):
    (tmp_path / "taken").write_text("a file where a folder is needed")
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(tmp_path / "taken"))
    folder = write_pictures(["happy/secret.png", "sad/secret.png"], root="hidden")
    with caplog.at_level(logging.DEBUG, logger="facedep"):
        scan_dataset(load_dataset(str(folder)))
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert {record.name for record in warnings} == {"facedep.data.scan"}
    assert not [name for name in ("secret", "hidden", str(tmp_path)) if name in caplog.text]


def test_picture_that_cannot_be_decoded_is_logged_without_its_name(caplog, write_pictures):
    content = (write_pictures(["secret.png"]) / "secret.png").read_bytes()
    with caplog.at_level(logging.DEBUG, logger="facedep"), pytest.raises(ImageError, match=r"secret\.png"):
        open_picture(content[:-60], "secret.png")
    assert [record.name for record in caplog.records] == ["facedep.images.opening"]
    assert "secret" not in caplog.text
