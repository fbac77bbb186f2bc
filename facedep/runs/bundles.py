"""A run as one .zip file: to keep, to hand on, to load back. It holds no pictures and no paths."""

import contextlib
import io
import shutil
import time
import uuid
import zipfile
from pathlib import Path, PurePosixPath

from facedep.data.stores import UNPACKING_ERRORS
from facedep.errors import ModelError, RunError
from facedep.files import write_json
from facedep.networks.card import CARD_FILE, FINGERPRINTS_FILE, MODEL_FILE
from facedep.networks.classifier import load_classifier
from facedep.paths import models_dir
from facedep.runs import run_folder

# The log stays at home: it may name folders of this computer.
BUNDLED_FILES = (
    run_folder.CONFIG_FILE,
    run_folder.STATUS_FILE,
    run_folder.METRICS_FILE,
    CARD_FILE,
    FINGERPRINTS_FILE,
    MODEL_FILE,
)
MAX_BUNDLE_BYTES = 512 * 1024**2
_LOADING_PREFIX = ".loading"  # hidden: no run's name starts with a dot
_STALE_SECONDS = 3600.0  # a load takes seconds; what is older was left by a process that died


def pack_run(run: run_folder.Run) -> bytes:
    """Returns a run's files as a .zip archive.

    Raises:
        RunError: The run has no model.
    """
    if not run.has_model:
        raise RunError(f"{run.name!r} has no model yet, so there is nothing to take away.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in BUNDLED_FILES:
            path = run.path / name
            if path.is_file():
                archive.write(path, f"{run.name}/{name}")
    return buffer.getvalue()


def unpack_run(content: bytes) -> str:
    """Makes a run of a bundle and returns its name; a name that is taken gets a number.

    Only the known files are taken out, and the network is built here and filled with the bundle's numbers before the
    run appears in the list: nothing in a bundle is ever run.

    Raises:
        ModelError: It is no bundle of this app's, or damaged; nothing is left behind then.
    """
    remedy = "Choose a .zip that was downloaded from this app's list of models."
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {
                PurePosixPath(member.filename).name: member
                for member in archive.infolist()
                if PurePosixPath(member.filename).name in BUNDLED_FILES and not member.is_dir()
            }
            if sum(member.file_size for member in members.values()) > MAX_BUNDLE_BYTES:
                raise ModelError(f"The bundle claims to hold more than {MAX_BUNDLE_BYTES // 1024**2} MiB. {remedy}")
            missing = [name for name in (CARD_FILE, MODEL_FILE) if name not in members]
            if missing:
                raise ModelError(f"This is no bundle of a model: it has no {' and no '.join(missing)}. {remedy}")
            files = {name: archive.read(member) for name, member in members.items()}
            first_part = PurePosixPath(members[CARD_FILE].filename).parts[0]
    except UNPACKING_ERRORS:
        raise ModelError(f"The bundle is not a .zip archive, or it is damaged. {remedy}") from None
    stem = first_part if run_folder.is_valid_name(first_part) else "loaded model"
    try:
        models_dir().mkdir(parents=True, exist_ok=True)
        _clear_stale_loads()
        partial = models_dir() / f"{_LOADING_PREFIX}-{uuid.uuid4().hex}"  # its own: visitors load at the same time
        partial.mkdir()
    except OSError as error:
        raise _explain_disk_error(error) from None
    try:
        _write_checked(partial, files)
        return _give_name(partial, stem)
    except ModelError as error:
        raise ModelError(str(error).replace(repr(partial.name), "the bundle")) from None
    except OSError as error:
        raise _explain_disk_error(error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _clear_stale_loads() -> None:
    for folder in models_dir().glob(f"{_LOADING_PREFIX}*"):
        with contextlib.suppress(OSError):  # another load has just cleared it
            if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _write_checked(folder: Path, files: dict[str, bytes]) -> None:
    """Writes a bundle's files and builds the network from them, so that a damaged one is found out here."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    if run_folder.read_run(folder).state not in (
        run_folder.FINISHED,
        run_folder.STOPPED,
    ):  # no process on this computer trains it
        write_json(folder / run_folder.STATUS_FILE, {"state": run_folder.FINISHED})
    load_classifier(folder)


def _give_name(folder: Path, stem: str) -> str:
    """Moves a checked folder into the list of runs under the first free name, and returns that name."""
    with run_folder.lock_names():
        name, number = stem, 2
        while run_folder.has_run(name):
            name, number = f"{stem[:50]} {number}", number + 1
        folder.rename(models_dir() / name)
    return name


def _explain_disk_error(error: OSError) -> ModelError:
    return ModelError(f"The bundle could not be kept ({error.strerror}). Free some space and try again.")
