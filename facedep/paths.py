"""Where things lie on this computer: the runs, and a cache that may be deleted at any time."""

import contextlib
import os
from pathlib import Path

import platformdirs

PROJECT_DIR = Path(__file__).resolve().parent.parent


def models_dir() -> Path:
    """Returns the folder that holds one folder per run: `FACEDEP_MODELS_DIR`, or `models/` of this project."""
    return Path(os.environ.get("FACEDEP_MODELS_DIR") or PROJECT_DIR / "models")


def cache_dir() -> Path:
    """Returns the folder for uploads and computed tables: `FACEDEP_CACHE_DIR`, or the user's cache folder.

    Where it cannot be made, whatever writes to it says so, and what only reads goes on.
    """
    path = Path(os.environ.get("FACEDEP_CACHE_DIR") or platformdirs.user_cache_dir("facedep", appauthor=False))
    with contextlib.suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
    return path
