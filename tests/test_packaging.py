"""What `pip install .` brings: the dependencies as everywhere, and a wheel that answers from any folder."""

import ast
import configparser
import importlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from PIL import Image

from facedep.data.sample_faces import draw_sample_face
from facedep.paths import PROJECT_DIR
from facedep.runs import run_folder

PYPROJECT = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text("utf-8"))
DEPENDENCIES = PYPROJECT["project"]["dependencies"]
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
SHIPPED_RUNS = (run_folder.SHIPPED_RUN, *run_folder.SHIPPED_SCORES)
# Imported where the package that brings them is used, in the very release that it asks for.
BROUGHT_BY_OTHERS = {
    "starlette": "streamlit",
    "requests": "kagglehub",
    "jax": "the extra of that name",
    "markupsafe": "jinja2",
}


def _read_requirements(name: str) -> list[str]:
    lines = (PROJECT_DIR / name).read_text("utf-8").splitlines()
    words = [line.partition("#")[0].strip() for line in lines]
    return [word for word in words if word and not word.startswith("-r ")]


def _read_constraints() -> dict[str, list[Version]]:
    versions: dict[str, list[Version]] = {}
    for requirement in map(Requirement, _read_requirements("constraints.txt")):
        [pin] = requirement.specifier
        assert pin.operator == "=="
        versions.setdefault(canonicalize_name(requirement.name), []).append(Version(pin.version))
    return versions


@pytest.mark.parametrize(
    ("file", "wanted"),
    [("requirements.txt", [*DEPENDENCIES, *EXTRAS["train"]]), ("requirements-dev.txt", EXTRAS["dev"])],
)
def test_requirements_are_those_of_pyproject(file, wanted):
    assert sorted(_read_requirements(file)) == sorted(wanted)


def test_every_extra_is_part_of_the_development_dependencies():
    lines = {line for name, lines in EXTRAS.items() for line in lines if name != "dev"}
    assert lines <= {*EXTRAS["dev"], *EXTRAS["train"]}  # requirements.txt, which goes before, has the latter


def test_constraints_pin_a_release_of_each_requirement_that_it_allows():
    pins = _read_constraints()
    for requirement in map(Requirement, [*DEPENDENCIES, *EXTRAS["train"], *EXTRAS["dev"]]):
        versions = pins[canonicalize_name(requirement.name)]
        assert versions, requirement
        assert all(version in requirement.specifier for version in versions), requirement


def test_no_requirement_names_a_place_to_download_from():
    for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt", "pyproject.toml"):
        text = (PROJECT_DIR / name).read_text("utf-8")
        assert not re.search(r"^\s*--(extra-)?index|^\s*--find-links|://", text, re.MULTILINE), name


def test_every_imported_package_is_a_dependency():
    declared = {canonicalize_name(Requirement(line).name) for line in [*DEPENDENCIES, *EXTRAS["train"]]}
    distributions = importlib.metadata.packages_distributions()
    own = {path.stem for path in PROJECT_DIR.iterdir()}
    for path in [*(PROJECT_DIR / "facedep").rglob("*.py"), *PROJECT_DIR.glob("pages/*.py"), *PROJECT_DIR.glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for package in {name.partition(".")[0] for name in names} - own - set(BROUGHT_BY_OTHERS):
                brought_by = {canonicalize_name(name) for name in distributions.get(package, [])}
                assert package in sys.stdlib_module_names or brought_by & declared, f"{path.name}: {package}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of a project folder in use: scores and a threshold lie in it, and no .gitignore."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT_DIR / "facedep", project / "facedep", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT_DIR / name, project)
    for name in SHIPPED_RUNS:
        shutil.copytree(PROJECT_DIR / "models" / name, project / "models" / name)
        for added in ("scores/0123.json", "threshold.json", "heartbeat", "log.txt"):
            (project / "models" / name / added).parent.mkdir(exist_ok=True)
            (project / "models" / name / added).write_text("{}")
    (project / "models" / "mine").mkdir()
    (project / "models" / "mine" / "card.json").write_text("{}")
    (project / "secret.txt").write_text("not part of the package")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    [path] = folder.glob("*.whl")
    return path


def test_wheel_holds_the_package_with_every_file_and_the_runs_that_come_with_the_project(wheel):
    package = PROJECT_DIR / "facedep"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    wanted = {path.relative_to(PROJECT_DIR).as_posix() for path in files}
    ignored = {"scores", "threshold.json", "heartbeat", "log.txt"}
    for name in SHIPPED_RUNS:
        for path in (PROJECT_DIR / "models" / name).iterdir():
            if path.name not in ignored and not (name in run_folder.SHIPPED_SCORES and path.name == "model.keras"):
                wanted.add(f"facedep/shipped_models/{name}/{path.name}")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == wanted
    assert f"facedep/shipped_models/{run_folder.SHIPPED_RUN}/model.keras" in names
    assert wheel.stat().st_size < 10_000_000


def test_console_script_is_the_command_line(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        parser = configparser.ConfigParser()
        parser.read_string(archive.read(name).decode())
    module, _, function = parser["console_scripts"]["facedep"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.fixture
def start_installed(wheel, tmp_path):
    """A function that runs a command of the unpacked wheel, far from any checkout, and the folder of the package."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    away = tmp_path / "away"
    away.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "FACEDEP_MODELS_DIR": str(tmp_path / "runs")}

    def start(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "facedep", *arguments]
        return subprocess.run(command, cwd=away, env=environment, capture_output=True, text=True, timeout=300)

    return start, site


def _list_files(folder: Path) -> dict[str, int]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in files}


@pytest.mark.slow
def test_installed_package_answers_from_any_folder_and_is_never_written_to(start_installed, tmp_path, write_pictures):
    start, site = start_installed
    before = _list_files(site)
    Image.fromarray(draw_sample_face("happy", 0)).resize((192, 192)).save(tmp_path / "face.png")
    result = start("predict", "--json", str(tmp_path / "face.png"))
    assert result.returncode == 0, result.stderr
    [answer] = json.loads(result.stdout)
    assert answer["error"] is None
    assert [face["label"] for face in answer["faces"]] == ["non_depressed"]

    folder = write_pictures([f"{emotion}/{number}.png" for emotion in ("happy", "sad") for number in range(4)])
    result = start("evaluate", "--data", str(folder), "--subset", "all", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["num_images"] == 8
    assert len(list((tmp_path / "runs" / ".shipped" / run_folder.SHIPPED_RUN / "scores").glob("*.json"))) == 1

    result = start("evaluate", "--data", str(folder), "--subset", "all", "--record")
    assert result.returncode == 1
    assert "is part of the installed package" in result.stderr
    assert _list_files(site) == before
