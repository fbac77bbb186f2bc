"""The app for its tests, without a browser."""

import shutil

import pytest
from app_tools import APP
from streamlit.testing.v1 import AppTest

from facedep.paths import PROJECT_DIR, models_dir


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """One cache for all of these tests, so that the sample faces are scanned once."""
    return tmp_path_factory.mktemp("shared_cache")


@pytest.fixture
def app(cache, monkeypatch):
    """The app at its home page, with the models that come with the project."""
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(cache))
    shutil.copytree(PROJECT_DIR / "models", models_dir(), dirs_exist_ok=True)
    app = AppTest.from_file(APP, default_timeout=90).run()
    assert not app.exception
    return app
