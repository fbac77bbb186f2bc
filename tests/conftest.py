"""What every test gets: folders of its own, pictures to write, and how the suite shares the processor's cores."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker computes on one core, and so do the processes that it starts: with as many threads as cores in every
    # one, they mostly wait for each other. NumPy and TensorFlow read this when they are imported.
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(_name, "1")

import numpy as np
import pytest
from PIL import Image

PROJECT_DIR = Path(__file__).resolve().parent.parent
# Whole files that train, start processes or build pages with a model again and again; most of the suite's time.
SLOW_FILES = {
    "tests/app/test_evaluate.py",
    "tests/app/test_explore.py",
    "tests/data/test_kaggle.py",
    "tests/inference/test_prediction_cache.py",
    "tests/reporting/test_report.py",
    "tests/runs/test_bundles.py",
    "tests/training/test_train.py",
}
MAX_WORKERS = 4  # a worker that has loaded TensorFlow, and a training that it starts, hold about 1 GB each


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Runs single files in this process: a debugger works there, and the workers' start would take longer."""
    if all(Path(argument.partition("::")[0]).is_file() for argument in config.args):
        return 0
    return min(MAX_WORKERS, 1 + (os.cpu_count() or 1))  # one more than cores: many tests wait for a process or a page


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks `SLOW_FILES` and what walks the real archives as slow, and puts the files with the longest tests first.

    So no worker is left with one of them at the end.
    """
    num_long: dict[Path, int] = {}
    for item in items:
        is_in_slow_file = item.path.relative_to(PROJECT_DIR).as_posix() in SLOW_FILES
        if is_in_slow_file or "real_archives" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
        is_long = any(item.get_closest_marker(name) for name in ("slow", "browser"))
        num_long[item.path] = num_long.get(item.path, 0) + is_long
    items.sort(key=lambda item: -num_long[item.path])


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("FACEDEP_MODELS_DIR", str(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="session")
def real_archives() -> Path:
    """The folder with the two archives of real faces, which are not part of the project."""
    folder = Path(os.environ.get("FACEDEP_TEST_DATA") or PROJECT_DIR.parent / "shared" / "data")
    for name in ("kaggle_depression.zip", "fer2013_faces.zip"):
        if not (folder / name).exists():
            pytest.skip(f"{name} is not in {folder} (set FACEDEP_TEST_DATA): real faces are not in the repository")
    return folder


@pytest.fixture(scope="session")
def real_cache_dir(tmp_path_factory) -> Path:
    """The cache that all tests on real faces use, in every worker, so that each archive is scanned once."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / "real_cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def real_data_dir(real_archives, real_cache_dir, monkeypatch) -> Path:
    """The folder with the two archives of real faces, whose scans are shared between tests."""
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(real_cache_dir))
    return real_archives


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
