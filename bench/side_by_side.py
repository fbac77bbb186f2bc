"""Measures this project side by side with the article's code path, and writes the table, the numbers and the plot.

    python -m bench.side_by_side --data kaggle_depression.zip

Each measurement runs in a fresh process, one after the other, on a machine that should have nothing else to do. Its
numbers go to `benchmark.json` at once, so a run that broke off is completed with `--only` and the sections that are
missing. `--smoke` tries everything on a few pictures.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.pictures import write_drawn_pictures, write_subset
from bench.plot import plot_quality, write_png
from bench.report import render_report
from facedep.data.sources import KAGGLE, SAMPLE, load_dataset
from facedep.data.splits import LEAK_FREE, SUPPLIED
from facedep.files import write_json
from facedep.networks.recipes import ARTICLE, COMPACT, QUICK
from facedep.paths import PROJECT_DIR
from facedep.runs.run_folder import SHIPPED_RUN

_PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless")
_MAX_LOAD = 0.5  # of the minute before the start


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        num_per_emotion: Pictures of each emotion to use; None for all.
        num_epochs: Epochs by recipe; the article's path takes as many as the recipe `article`.
        matrix_seconds: For each size and library of matrix products.
        num_starts: Processes whose first answer is timed, on each side.
        num_calls: Warm predictions, on each side.
        sizes: Numbers of drawn training pictures whose memory is compared.
        num_held_out: Drawn pictures to validate, and as many to test.
        num_steps: Steps of training for the memory.
    """

    num_per_emotion: int | None = None
    num_epochs: dict[str, int] = field(
        default_factory=lambda: {recipe.name: recipe.num_epochs for recipe in (ARTICLE, COMPACT, QUICK)}
    )
    matrix_seconds: float = 1.5
    num_starts: int = 3
    num_calls: int = 50
    sizes: tuple[int, ...] = (1_000, 10_000, 30_000)
    num_held_out: int = 200
    num_steps: int = 20


SMOKE = Plan(30, dict.fromkeys(("article", "compact", "quick"), 2), 0.1, 1, 3, (150, 300), 30, 3)


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark.

    Attributes:
        plan: How much is measured.
        source: The data set, as `data.load_dataset` takes it.
        data_name: What it is called.
        work_dir: For everything that is gone at the end.
        results: The content of `benchmark.json`.
        json_path: Where that lies.
        beside: An earlier checkout of this project, whose app is measured too; None for none.
    """

    plan: Plan
    source: str
    data_name: str
    work_dir: Path
    results: dict[str, Any]
    json_path: Path
    beside: Path | None = None

    def call(self, name: str, *, cache: str, **arguments: Any) -> dict[str, Any]:
        """Returns what a function of `measurements` measures in a fresh process.

        Args:
            name: The function.
            cache: Name of the cache folder; a new name is an empty cache.
            arguments: Its arguments.
        """
        print(f"{time.strftime('%H:%M:%S')} {name} {_describe(arguments)}", flush=True)
        result_path = self.work_dir / "result.json"
        command = [sys.executable, "-m", "bench.measurements", name, json.dumps(arguments), str(result_path)]
        self.run(command, cache=cache)
        return json.loads(result_path.read_text("utf-8"))

    def run(self, command: list[str], *, cache: str) -> None:
        """Runs a command to its end; where it fails, shows what it said (TensorFlow is never silent) and raises."""
        environment = self.environment(cache)
        done = subprocess.run(command, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            done.check_returncode()

    def environment(self, cache: str) -> dict[str, str]:
        """Returns the environment of a process with a cache of that name and the models folder of this benchmark."""
        folders = {
            "FACEDEP_CACHE_DIR": str(self.work_dir / "caches" / cache),
            "FACEDEP_MODELS_DIR": str(self.work_dir / "models"),
        }
        return {**os.environ, **folders, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}

    def note(self, section: str, name: str, value: Any) -> None:
        """Adds a number to a section and writes `benchmark.json`."""
        self.results["sections"][section]["results"][name] = value
        write_json(self.json_path, self.results)


def main() -> None:
    """Measures what was asked for, and writes the report from all that has been measured."""
    options = _parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    json_path = options.out / "benchmark.json"
    results = json.loads(json_path.read_text("utf-8")) if json_path.is_file() else {"sections": {}}
    if results.get("is_smoke", options.smoke) != options.smoke and not options.render:
        results = {"sections": {}}  # numbers of a trial are never mixed with real ones
    if not options.render:
        with tempfile.TemporaryDirectory(prefix="facedep-bench-") as folder:
            bench = _prepare(options, Path(folder), results, json_path)
            about = _describe_machine()
            if about["load"] is not None and about["load"] > _MAX_LOAD:
                print(
                    f"Other work is on this machine (load {about['load']:.1f}): no ratio will be fair.", file=sys.stderr
                )
            for section in options.only:
                results["sections"][section] = {"about": about, "results": {}}
                started = time.perf_counter()
                SECTIONS[section](bench)
                about_section = {**about, "seconds": round(time.perf_counter() - started)}
                results["sections"][section]["about"] = about_section
                write_json(json_path, results)
    png_path = options.out / "benchmark.png"
    has_plot = "quality" in results["sections"] and write_png(plot_quality(results), png_path)
    text = render_report(results, plot_name=png_path.name if has_plot else None)
    (options.out / "benchmark.md").write_text(text, "utf-8")
    print(f"{options.out / 'benchmark.md'}" + ("" if has_plot else " (no plot: it takes the quality and Chromium)"))


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.side_by_side", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default=KAGGLE, metavar="SRC", help="the Kaggle set: kaggle (default) or its .zip")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: docs; with --smoke a new temporary folder")
    parser.add_argument("--only", default=",".join(SECTIONS), metavar="A,B", help=f"sections: {', '.join(SECTIONS)}")
    parser.add_argument("--beside", type=Path, metavar="DIR", help="an earlier checkout, whose app is measured too")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the report from benchmark.json")
    parser.add_argument("--smoke", action="store_true", help="a few pictures and epochs: tries the benchmark itself")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; choose among {', '.join(SECTIONS)}")
    if options.out is None:
        options.out = Path(tempfile.mkdtemp(prefix="facedep-smoke-")) if options.smoke else PROJECT_DIR / "docs"
    return options


def _prepare(options: argparse.Namespace, work_dir: Path, results: dict[str, Any], json_path: Path) -> Bench:
    """Returns the bench with a models folder that holds the shipped model; a smoke run's pictures are a few."""
    dataset = load_dataset(options.data)
    source = str(dataset.store.root) if dataset.source == KAGGLE else dataset.source
    plan = SMOKE if options.smoke else Plan()
    if plan.num_per_emotion:
        source = str(work_dir / "few")
        write_subset(dataset, work_dir / "few", plan.num_per_emotion)
    shipped = work_dir / "models" / SHIPPED_RUN
    shutil.copytree(
        PROJECT_DIR / "models" / SHIPPED_RUN, shipped, ignore=shutil.ignore_patterns("heartbeat", "log.txt")
    )
    name = dataset.name.rpartition("/")[2]
    results["command"] = f"python -m bench.side_by_side --data {name if dataset.source != KAGGLE else KAGGLE}"
    results["command"] += " --smoke" if options.smoke else ""
    results["is_smoke"] = options.smoke
    return Bench(plan, source, name, work_dir, results, json_path, options.beside)


def _describe_machine() -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _find_processor(),
        "num_cores": os.cpu_count(),
        "memory_bytes": _find_memory_bytes(),
        "platform": platform.system(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": {"Python": platform.python_version()}
        | {package: importlib.metadata.version(package) for package in _PACKAGES},
    }


def _find_processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _find_memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _describe(arguments: dict[str, Any]) -> str:
    shown = {name: Path(value).name if name in ("source", "folder") else value for name, value in arguments.items()}
    return " ".join(f"{name}={value}" for name, value in shown.items())


def _write_article_folders(bench: Bench, name: str) -> tuple[str, dict[str, int]]:
    """Returns the folder of the pictures as the article's path wants them, and their number in each part."""
    folder = str(bench.work_dir / name)
    arguments = {"source": bench.source, "out_dir": folder, "protocol": LEAK_FREE, "seed": 0}
    counts = bench.call("write_article_folders", cache=name, **arguments)
    return folder, counts


def measure_training(bench: Bench) -> None:
    """The machine's own rate, and each side's batches without a network."""
    bench.note(
        "training",
        "machine_speed",
        bench.call("measure_machine_speed", cache="none", seconds=bench.plan.matrix_seconds),
    )
    folder, counts = _write_article_folders(bench, "pipelines")
    bench.note("training", "article_path", bench.call("measure_article_pipeline", cache="none", folder=folder))
    for recipe in (ARTICLE, COMPACT):
        arguments = {"source": bench.source, "recipe": recipe.name, "protocol": LEAK_FREE}
        bench.note("training", recipe.name, bench.call("measure_own_pipeline", cache="pipelines", **arguments))
    arguments = {"own_model": str(bench.work_dir / "models" / SHIPPED_RUN), "num_images": counts["train"]}
    bench.note("training", "features", bench.call("measure_features", cache="none", **arguments))


def measure_quality(bench: Bench) -> None:
    """Whole trainings: validation ROC AUC over seconds, test ROC AUC, peak memory."""

    def train(recipe: str, source: str, cache: str) -> dict[str, Any]:
        return bench.call(
            "train_own_recipe",
            cache=cache,
            source=source,
            recipe=recipe,
            protocol=LEAK_FREE,
            num_epochs=bench.plan.num_epochs[recipe],
            prepares_again=True,
        )

    folder, counts = _write_article_folders(bench, "quality")
    bench.note("quality", "data_name", bench.data_name)
    bench.note("quality", "num_images", counts)
    num_epochs = bench.plan.num_epochs[ARTICLE.name]
    article = bench.call("train_article_path", cache="none", folder=folder, num_epochs=num_epochs)
    bench.note("quality", "article_path", article)
    for recipe in (ARTICLE, COMPACT, QUICK):
        measured = train(recipe.name, bench.source, f"fresh {recipe.name}")
        if measured["num_images"] != counts:
            raise RuntimeError(f"the two sides see other pictures: {counts} and {measured['num_images']}")
        bench.note("quality", recipe.name, measured)
    bench.note("quality", "quick_again", train(QUICK.name, bench.source, f"fresh {QUICK.name}"))
    sample = SAMPLE
    if bench.plan.num_per_emotion:
        sample = str(bench.work_dir / "few samples")
        write_subset(load_dataset(SAMPLE), Path(sample), bench.plan.num_per_emotion)
    for recipe in (ARTICLE, QUICK):
        measured = train(recipe.name, sample, f"fresh sample {recipe.name}")
        bench.note("quality", f"sample_{recipe.name}", measured)


def measure_prediction(bench: Bench) -> None:
    """Seconds from the start of a process to its first answer, and of warm calls."""
    samples = load_dataset(SAMPLE)
    picture = bench.work_dir / "face.png"
    picture.write_bytes(samples.store.read_bytes(samples.samples["path"].iloc[0]))
    article_model, own_model = bench.work_dir / "article.keras", bench.work_dir / "models" / SHIPPED_RUN
    bench.call("save_article_model", cache="none", path=str(article_model))
    commands = {
        "article_path": ["bench.article_path", str(article_model), str(picture)],
        "own": ["facedep", "predict", "--model", str(own_model), str(picture)],
    }
    seconds: dict[str, list[float]] = {side: [] for side in commands}
    for number in range(bench.plan.num_starts + 1):
        for side, command in commands.items():
            started = time.perf_counter()
            bench.run([sys.executable, "-m", *command], cache="none")
            if number:  # the first of each only fills the system's file cache
                seconds[side].append(time.perf_counter() - started)
    recipe = json.loads((own_model / "card.json").read_text("utf-8"))["recipe"]
    bench.note("prediction", "model", f"`{SHIPPED_RUN}`, recipe `{recipe}`")
    bench.note("prediction", "first_seconds", seconds)
    arguments = {"article_model": str(article_model), "own_model": str(own_model), "num_calls": bench.plan.num_calls}
    bench.note("prediction", "warm_seconds", bench.call("measure_predictions", cache="none", **arguments))


def measure_memory(bench: Bench) -> None:
    """Peak memory and seconds of preparation by the number of pictures."""
    plan = bench.plan
    bench.note("memory", "num_steps", plan.num_steps)
    bench.note("memory", "num_held_out", plan.num_held_out)
    sizes: dict[str, dict[str, Any]] = {}
    runs = ((ARTICLE.name, ARTICLE), ("article_again", ARTICLE), (COMPACT.name, COMPACT))
    for size in plan.sizes:
        pictures, regrouped = bench.work_dir / f"{size} drawn", bench.work_dir / f"{size} regrouped"
        write_drawn_pictures(pictures, regrouped, size, plan.num_held_out)
        sizes[str(size)] = measured = {}
        arguments = {"num_epochs": 1, "max_steps": plan.num_steps}
        measured["article_path"] = bench.call("train_article_path", cache="none", folder=str(regrouped), **arguments)
        for name, recipe in runs:
            measured[name] = bench.call(
                "train_own_recipe",
                cache=f"{size} {recipe.name}",
                source=str(pictures),
                recipe=recipe.name,
                protocol=SUPPLIED,
                prepares_again=name == recipe.name,
                **arguments,
            )
        bench.note("memory", "sizes", sizes)
        for used in (pictures, regrouped, bench.work_dir / "caches"):
            shutil.rmtree(used)


def measure_app(bench: Bench) -> None:
    """The app as a visitor meets it, of this checkout and of the one beside it."""
    from bench.app import Checkout, measure_checkout  # brings the browser's driver

    for side, project_dir in (("before", bench.beside), ("now", PROJECT_DIR)):
        if project_dir is not None:
            work_dir = bench.work_dir / f"app {side}"
            plan = bench.plan
            checkout = Checkout(project_dir, work_dir, bench.source, plan.num_starts, plan.num_calls)
            bench.note("app", side, measure_checkout(checkout))


SECTIONS = {
    "training": measure_training,
    "quality": measure_quality,
    "prediction": measure_prediction,
    "memory": measure_memory,
    "app": measure_app,
}


if __name__ == "__main__":
    main()
