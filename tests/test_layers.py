"""Imports go down only: what costs seconds to import stays out of the core modules."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT_DIR = Path(__file__).resolve().parent.parent
CORE_MODULES = ["errors", "emotions", "paths", "images", "stores", "data", "kaggle", "duplicates", "scan", "splits",
                "export", "metrics", "recipes", "cards", "runs", "run_writer", "face_drawing",
                "sample_faces", "augmentation", "bundles", "progress", "estimate", "calibration",
                "decoded", "lookalikes", "average_faces", "quality", "model_card",
                "answers", "label_hints", "projection", "jobs", "faces", "face_check", "robustness",
                "predictions", "thresholds", "evaluation", "slices", "game", "files", "processes",
                "tables", "training_checkpoint", "training_checks"]  # fmt: skip
HEAVY = ["tensorflow", "keras", "torch", "jax", "streamlit", "plotly", "sklearn", "kagglehub", "matplotlib"]


def _run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("module", CORE_MODULES)
def test_a_core_module_imports_nothing_heavy_and_prints_nothing(module):
    code = f"import sys, facedep.{module}; sys.exit(' '.join(name for name in {HEAVY} if name in sys.modules) or 0)"
    result = _run(code)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_package_imports_nothing():
    code = "import sys; before = set(sys.modules); import facedep; print(sorted(set(sys.modules) - before))"
    assert _run(code).stdout == "['facedep']\n"
    tree = ast.parse((PROJECT_DIR / "facedep" / "__init__.py").read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def _imported_packages(path: Path) -> set[str]:
    packages = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            packages.add(node.module.partition(".")[0])
    return packages


def test_only_the_plot_modules_and_the_report_import_plotly_and_no_page_imports_keras():
    users = {path.stem for path in (PROJECT_DIR / "facedep").glob("*.py") if "plotly" in _imported_packages(path)}
    assert all(user == "report" or user.startswith("plots_") for user in users)
    for page in [*PROJECT_DIR.glob("pages/*.py"), *PROJECT_DIR.glob("streamlit_app.py")]:
        assert not _imported_packages(page) & {"keras", "tensorflow", "cv2", "PIL"}, page.name
