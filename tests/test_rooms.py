"""The rooms of `facedep/`: an import goes down only, and what costs seconds to import stays in its room.

Modules, rooms and imports are derived from the tree; the order is the one that `ARCHITECTURE.md` draws.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT_DIR = Path(__file__).resolve().parents[1]
PACKAGE_DIR = PROJECT_DIR / "facedep"
BASE = "base"  # the modules that lie directly in facedep/
HEAVY = ["tensorflow", "keras", "torch", "jax", "streamlit", "plotly", "sklearn", "kagglehub", "matplotlib"]
MAX_MODULE_LINES = 400
MAX_PAGE_LINES = 100
MAX_FUNCTION_LINES = 60
LONG_MODULES = {  # longer still; none of them may grow
    "facedep.data.face_drawing": 487,  # how faces are drawn: numbers, mostly
}

# Which packages only some modules may import: the module itself, or everything below a room.
USERS = {
    "streamlit": ("facedep.app",),
    "plotly": ("facedep.reporting.plots", "facedep.reporting.report"),
    "keras": (
        "facedep.training.architecture",
        "facedep.training",
        "facedep.app.streamlit_internals",  # mends what Streamlit does to Keras
    ),
    "tensorflow": ("facedep.training",),
    "jinja2": ("facedep.reporting",),
    "kagglehub": ("facedep.data.kaggle",),
}


def _name_module(path: Path) -> str:
    parts = path.relative_to(PROJECT_DIR).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name_module(path): path for path in sorted(PACKAGE_DIR.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def _find_room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE_DIR / parts[1]).is_dir() else BASE


def _list_imports(module: str) -> set[str]:
    """Returns the full names of all modules that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found


def _read_order() -> list[str]:
    """Returns the rooms from the top down, as ARCHITECTURE.md's diagram has them."""
    diagram = re.search(r"```rooms\n(.*?)```", (PROJECT_DIR / "ARCHITECTURE.md").read_text("utf-8"), re.DOTALL)[1]
    return re.findall(r"^(\w+)/? ", diagram, re.MULTILINE)


def test_the_diagram_names_every_room_once():
    rooms = {path.parent.name for path in PACKAGE_DIR.glob("*/__init__.py")}
    order = _read_order()
    assert sorted(order) == sorted(rooms | {BASE})
    assert order[-1] == BASE


def test_no_import_goes_up():
    order = _read_order()
    upward = [
        f"{module} imports {target}"
        for module in MODULES
        for target in _list_imports(module) & set(MODULES)
        if module != "facedep.__main__" and order.index(_find_room(target)) < order.index(_find_room(module))
    ]
    assert not upward


def test_no_imports_form_a_circle():
    imports = {module: _list_imports(module) & set(MODULES) for module in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"circle: {' -> '.join((*path[path.index(module) :], module))}"
        if module not in done:
            for target in sorted(imports[module]):
                visit(target, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("package", USERS)
def test_a_heavy_package_is_imported_only_where_it_belongs(package):
    allowed = USERS[package]
    users = {module for module in MODULES if any(name.split(".")[0] == package for name in _list_imports(module))}
    assert {user for user in users if not user.startswith(allowed)} == set()
    assert users, f"nothing imports {package} any more: take it off this list"


def test_a_page_does_no_work_of_its_own():
    for page in [*PROJECT_DIR.glob("pages/*.py"), PROJECT_DIR / "streamlit_app.py"]:
        text = page.read_text("utf-8")
        packages = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                packages |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                packages.add(node.module.split(".")[0])
        assert packages <= {"streamlit", "facedep", "typing", "collections"}, page.name


def test_importing_the_package_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import facedep; print(sorted(set(sys.modules) - before))"
    assert _run(code) == "['facedep']\n"


def test_modules_import_nothing_heavy_and_print_nothing_unless_it_is_theirs():
    light = [module for module in MODULES if module != "facedep.__main__" and not _find_heavy_reason(module)]
    assert len(light) > 50
    code = f"""
import importlib, sys
for name in {light}:
    importlib.import_module(name)
    found = [heavy for heavy in {HEAVY} if heavy in sys.modules]
    if found:
        sys.exit(f"{{name}} imports {{found}}")
"""
    assert _run(code) == ""


def _find_heavy_reason(module: str, path: tuple[str, ...] = ()) -> str:
    """Returns the module by which importing this one brings a heavy package that belongs there, or ""."""
    places = tuple(place for package in USERS for place in USERS[package] if package != "kagglehub")
    if module.startswith(places):
        return module
    imported = {
        name
        for node in TREES[module].body  # what is imported inside a function costs nothing here
        if isinstance(node, ast.ImportFrom) and node.module
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    }
    below = sorted((imported & set(MODULES)) - {module, *path})
    return next((reason for target in below if (reason := _find_heavy_reason(target, (*path, module)))), "")


def _run(code: str) -> str:
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize("module", MODULES)
def test_a_module_stays_short(module):
    num_lines = len(MODULES[module].read_text("utf-8").splitlines())
    assert num_lines <= LONG_MODULES.get(module, MAX_MODULE_LINES)


@pytest.mark.parametrize("module", MODULES)
def test_a_function_fits_on_a_screen(module):
    functions = [node for node in ast.walk(TREES[module]) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.end_lineno - node.lineno >= MAX_FUNCTION_LINES] == []


@pytest.mark.parametrize("page", [*PROJECT_DIR.glob("pages/*.py"), PROJECT_DIR / "streamlit_app.py"], ids=str)
def test_a_page_is_a_short_story(page):
    assert len(page.read_text("utf-8").splitlines()) <= MAX_PAGE_LINES


@pytest.mark.parametrize("package", [name for name in MODULES if MODULES[name].name == "__init__.py"][1:])
def test_a_package_says_what_it_offers_and_imports_nothing(package):
    tree = TREES[package]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    offered = re.findall(r"`([\w.]+)\.(\w+)`", ast.get_docstring(tree))
    assert offered, "name the package's main functions as `module.function`"
    for module, name in offered:
        defined = {getattr(node, "name", None) for node in TREES[f"{package}.{module}"].body}
        assert name in defined, f"{module}.{name}"
