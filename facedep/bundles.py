"""A run as one .zip file: to keep, to hand on, to load back. It holds no pictures and no paths."""

import io
import shutil
import zipfile
from pathlib import PurePosixPath

from facedep import runs
from facedep.cards import CARD_FILE, FINGERPRINTS_FILE, MODEL_FILE, read_card
from facedep.errors import ModelError, RunError
from facedep.paths import models_dir
from facedep.stores import UNPACKING_ERRORS

# The log stays at home: it may name folders of this computer.
BUNDLED_FILES = (runs.CONFIG_FILE, runs.STATUS_FILE, runs.METRICS_FILE, CARD_FILE, FINGERPRINTS_FILE, MODEL_FILE)
MAX_BUNDLE_BYTES = 512 * 1024**2


def pack_run(run: runs.Run) -> bytes:
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
    stem = first_part if runs.is_valid_name(first_part) else "loaded model"
    models_dir().mkdir(parents=True, exist_ok=True)
    partial = models_dir() / ".loading"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for name, data in files.items():
            (partial / name).write_bytes(data)
        if runs.read_run(partial).state not in (runs.FINISHED, runs.STOPPED):  # whatever it was, it does not run here
            runs.write_json(partial / runs.STATUS_FILE, {"state": runs.FINISHED})
        read_card(partial)
        from facedep.model import load_classifier

        load_classifier(partial)
        name, number = stem, 2
        while runs.has_run(name):
            name, number = f"{stem[:50]} {number}", number + 1
        partial.rename(models_dir() / name)
    except ModelError as error:
        raise ModelError(str(error).replace("'.loading'", "the bundle")) from None
    except OSError as error:
        raise ModelError(f"The bundle could not be kept ({error.strerror}). Free some space and try again.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return name
