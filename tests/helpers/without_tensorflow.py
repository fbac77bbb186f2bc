"""A process in which TensorFlow and Keras are not installed, or would better not be: importing them fails.

Run as a script, it walks every page and tab of the app and every command but a training of a whole network.
"""

import contextlib
import importlib.abc
import io
import sys
from pathlib import Path

MISSING = ("tensorflow", "keras", "tf_keras")


class _Missing(importlib.abc.MetaPathFinder):
    """Finds nothing for these packages, as if they were not there."""

    def find_spec(self, name, path, target=None):
        """Raises for a missing package; leaves every other one to the next finder."""
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def walk_app(source: str) -> None:
    """Opens every page and tab; what a page starts in the background is done at once, in this process."""
    from streamlit.testing.v1 import AppTest

    from facedep.app.evaluate import tabs as evaluate
    from facedep.app.explore import tabs as explore
    from facedep.cli.main import main
    from facedep.paths import PROJECT_DIR
    from facedep.runs import jobs

    def start_job(name: str, argv: list[str]) -> None:
        path = jobs.find_progress_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        assert main([*argv, "--progress", str(path)]) == 0, argv

    jobs.start_job = start_job
    app = AppTest.from_file(str(PROJECT_DIR / "streamlit_app.py"), default_timeout=120)
    app.session_state["source"] = source
    for page, tabs in (
        ("explore", explore.ALL_TABS),
        ("evaluate", evaluate.ALL_TABS),
        ("train", [""]),
        ("predict", [""]),
    ):
        app.run()
        app.switch_page(f"pages/{page}.py")
        for tab in tabs:
            app.session_state[f"{page}_view"] = tab
            app.run()
            assert not app.exception, (page, tab, [error.message for error in app.exception])
    assert app.get("plotly_chart"), "Predict shows no answer"


def walk_commands(source: str, picture: Path, folder: Path) -> None:
    """Runs every command; a training of a head works, one of a whole network is one sentence."""
    from facedep.cli.main import main

    data = ["--data", source]
    for arguments in (
        ["predict", str(picture), "--json"],
        ["audit", *data, "--faces"],
        ["embed", *data],
        ["prepare", *data],
        ["evaluate", *data, "--protocol", "leak-free", "--subset", "all", "--report", str(folder / "report.html")],
        ["robustness", *data, "--subset", "all"],
        ["export", *data, "--out", str(folder / "regrouped")],
        ["train", *data, "--recipe", "quick", "--epochs", "2", "--name", "head"],
        ["evaluate", *data, "--model", "head", "--subset", "all"],
    ):
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(arguments) == 0, arguments
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        assert main(["train", *data, "--recipe", "article", "--epochs", "1", "--name", "whole"]) == 1
    assert "A whole network is trained with TensorFlow, which is not installed" in said.getvalue()


if __name__ == "__main__":
    sys.meta_path.insert(0, _Missing())
    what, source, picture, folder = sys.argv[1:]
    if what == "app":
        walk_app(source)
    else:
        walk_commands(source, Path(picture), Path(folder))
    assert not {name.partition(".")[0] for name in sys.modules} & set(MISSING)
