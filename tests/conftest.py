"""What every test gets: cache and models folders of its own, and helpers that write small picture trees."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROJECT_DIR = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("FACEDEP_MODELS_DIR", str(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder with the two archives of real faces, which are not part of the project."""
    folder = Path(os.environ.get("FACEDEP_TEST_DATA") or PROJECT_DIR.parent / "shared" / "data")
    for name in ("kaggle_depression.zip", "fer2013_faces.zip"):
        if not (folder / name).exists():
            pytest.skip(f"{name} is not in {folder} (set FACEDEP_TEST_DATA): real faces are not in the repository")
    return folder


@pytest.fixture
def write_pictures(tmp_path) -> Callable[..., Path]:
    """A function that writes one different 16 x 16 picture to each path below a new folder and returns the folder."""

    def write(paths: Iterable[str], *, root: str = "pictures") -> Path:
        folder = tmp_path / root
        for number, path in enumerate(paths):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(target)
        return folder

    return write
