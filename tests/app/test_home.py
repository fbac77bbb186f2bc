"""Every page opens, and the first one is light. Without a browser, through `streamlit_app.py`."""

import subprocess
import sys
import tomllib

import pytest
from app_tools import APP, texts

from facedep.paths import PROJECT_DIR
from facedep.runs import run_folder as runs

NOTICE = "It cannot diagnose depression"


@pytest.mark.parametrize("page", ["explore", "train", "predict"])
def test_every_page_opens_and_says_that_it_cannot_diagnose(app, page):
    assert NOTICE in texts(app)
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert NOTICE in texts(app)


def test_first_page_needs_no_tensorflow():
    code = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({APP!r}, default_timeout=30).run()\n"
        "heavy = {'tensorflow', 'keras', 'scipy', 'kagglehub'} & set(sys.modules)\n"
        "print(app.title[0].value, sorted(heavy), flush=True)\n"
        "import os; os._exit(0)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT_DIR, check=True)
    assert answer.stdout.strip().endswith("in a face? []")


def test_app_listens_on_localhost_only_and_sends_no_usage_statistics():
    settings = tomllib.loads((PROJECT_DIR / ".streamlit" / "config.toml").read_text("utf-8"))
    assert settings["server"]["address"] == "localhost"
    assert settings["browser"]["gatherUsageStats"] is False


def test_home_names_what_is_loaded(app):
    assert "2,100 sample faces" in texts(app)
    assert runs.SHIPPED_RUN in texts(app)
