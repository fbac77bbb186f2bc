"""Where things lie on this computer: the runs, and a cache that may be deleted at any time."""

import contextlib
import os
from pathlib import Path

import platformdirs

PACKAGE_DIR = Path(__file__).resolve().parent
PROJECT_DIR = PACKAGE_DIR.parent
SHIPPED_MODELS_DIR = PACKAGE_DIR / "shipped_models"  # the wheel alone has it: a checkout keeps these runs in models/


def is_installed() -> bool:
    """Whether this is the package that pip installed, not a checkout of the project."""
    return SHIPPED_MODELS_DIR.is_dir()


def models_dir() -> Path:
    """Returns the folder that holds one folder per run and takes new ones.

    `FACEDEP_MODELS_DIR` names it; by default it is `models/` of a checkout, and of an installed package a folder among
    the user's data, which an upgrade leaves alone.
    """
    if chosen := os.environ.get("FACEDEP_MODELS_DIR"):
        return Path(chosen)
    if is_installed():
        return Path(platformdirs.user_data_dir("facedep", appauthor=False)) / "models"
    return PROJECT_DIR / "models"


def runs_dirs() -> list[Path]:
    """Returns the folders that runs are looked for in: `models_dir()`, then, if installed, the package's own runs."""
    return [models_dir(), SHIPPED_MODELS_DIR] if is_installed() else [models_dir()]


def additions_dir(run_dir: Path) -> Path:
    """Returns the folder for what this computer adds to a run: kept scores, a threshold chosen here.

    That is the run's own folder. The installed package is never written to, since an upgrade replaces it: what is added
    to one of its runs lies beside the user's runs.

    Args:
        run_dir: The run's folder.
    """
    return models_dir() / ".shipped" / run_dir.name if is_in_package(run_dir) else run_dir


def make_additions_dir(run_dir: Path) -> Path:
    """Returns `additions_dir` for a writer: made if it is not the run's own, which would bring a deleted run back.

    Raises:
        OSError: It cannot be made.
    """
    path = additions_dir(run_dir)
    if path != run_dir:
        path.mkdir(parents=True, exist_ok=True)
    return path


def is_in_package(run_dir: Path) -> bool:
    """Whether a run's folder is part of the installed package and so never written to."""
    return is_installed() and run_dir.resolve().parent == SHIPPED_MODELS_DIR


def cache_dir() -> Path:
    """Returns the folder for uploads and computed tables: `FACEDEP_CACHE_DIR`, or the user's cache folder.

    Where it cannot be made, whatever writes to it says so, and what only reads goes on.
    """
    path = Path(os.environ.get("FACEDEP_CACHE_DIR") or platformdirs.user_cache_dir("facedep", appauthor=False))
    with contextlib.suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
    return path
