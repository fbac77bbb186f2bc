"""What is measured, one function each: arguments in, numbers out.

Each runs in a process of its own, so that none profits from what another has loaded, and so that the peak memory is
its own: `python -m bench.measurements NAME ARGUMENTS RESULT`, arguments and result in JSON. What takes seconds to
import is therefore imported inside the functions, before any clock starts.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

try:
    import resource
except ImportError:  # Windows has no such module: the memory columns stay empty there
    resource = None

from bench.pictures import write_article_folders

SEED = 0
_MATRIX_SIZES = (1024, 2048, 4096)


class _EnoughError(Exception):
    """Only the preparation was to be timed."""


def measure_machine_speed(*, seconds: float) -> dict[str, float]:
    """Returns float32 matrix-product rates in operations a second: the best of several sizes and repetitions.

    Args:
        seconds: How long to try for each size and library.
    """
    import tensorflow as tf

    rates = {"numpy": 0.0, "tensorflow": 0.0}
    for size in _MATRIX_SIZES:
        matrix = np.random.default_rng(0).random((size, size), dtype=np.float32)
        tensor = tf.constant(matrix)
        products = {"numpy": lambda m=matrix: m @ m, "tensorflow": lambda t=tensor: tf.linalg.matmul(t, t).numpy()}
        for library, multiply in products.items():
            fastest = min(_time_repeatedly(multiply, seconds=seconds))
            rates[library] = max(rates[library], 2 * size**3 / fastest)
    return rates


def measure_article_pipeline(*, folder: str) -> dict[str, float]:
    """Returns the pictures a second of the article's generator alone, the faster of two passes without a network."""
    from bench.article_path import build_generator

    generator = build_generator(Path(folder) / "train")
    return {"pipeline_rate": generator.n / _time_passes(generator)}


def measure_own_pipeline(*, source: str, recipe: str, protocol: str) -> dict[str, float]:
    """Returns the pictures a second of this project's batches alone, the faster of two passes without a network.

    The pictures are prepared before, as they are from the second epoch of any training on.
    """
    from facedep.data.scan import load_images, scan_dataset
    from facedep.data.sources import load_dataset
    from facedep.data.splits import split_dataset
    from facedep.networks.recipes import find_recipe
    from facedep.training.augmentation import AUGMENTATIONS
    from facedep.training.batches import Batches
    from facedep.training.inputs import ArrayDataset

    settings = find_recipe(recipe)
    dataset = load_dataset(source)
    scan = scan_dataset(dataset)
    mask = split_dataset(dataset.samples, scan, protocol, seed=SEED) == "train"
    images = load_images(dataset, scan, mask, settings.input_size_px)
    train_set = ArrayDataset(images, np.zeros((len(images), 1), np.float32), np.zeros(len(images), bool))
    augment = AUGMENTATIONS[settings.augmentation]
    batches = Batches(train_set, _configure(recipe, protocol, settings.num_epochs), augment=augment, first_epoch=0)
    return {"pipeline_rate": len(images) / _time_passes(batches)}


def measure_features(*, own_model: str, num_images: int) -> dict[str, float]:
    """Returns how many pictures a second the `quick` recipe's fixed stages compute, forward only.

    Args:
        own_model: A run's folder.
        num_images: How many pictures.
    """
    from facedep.networks.classifier import load_classifier
    from facedep.networks.graph import STAGE_FEATURES

    graph = load_classifier(Path(own_model)).graph
    size = graph.input_size_px
    images = np.random.default_rng(0).integers(0, 256, (graph.batch_size, size, size, 1), dtype=np.uint8)
    graph.run(images, [STAGE_FEATURES])
    num_batches = max(1, num_images // len(images))
    started = time.perf_counter()
    for _ in range(num_batches):
        graph.run(images, [STAGE_FEATURES])
    return {"forward_rate": num_batches * len(images) / (time.perf_counter() - started)}


def train_article_path(*, folder: str, num_epochs: int, max_steps: int | None = None) -> dict[str, Any]:
    """Returns how the article's code path trains on `folder/train`, scored on `val` and `test` off its clock.

    Args:
        folder: From `write_article_folders`.
        num_epochs: Passes over the training pictures.
        max_steps: Ends the only epoch after so many steps; None for whole epochs.

    Returns:
        `rows` of `article_path.EpochClock`, `prepare_seconds` (finding the files, building the network), `seconds` (of
        `fit`, without any scoring), `cores_used` (on average, scoring included), `num_train`, `test_roc_auc`,
        `peak_bytes`, `import_bytes`.
    """
    import keras

    from bench import article_path
    from facedep.evaluation.metrics import compute_roc_auc

    import_bytes = measure_peak_memory()
    keras.utils.set_random_seed(SEED)
    started = time.perf_counter()
    train = article_path.build_generator(Path(folder) / "train")
    network = article_path.build_network()
    prepare_seconds = time.perf_counter() - started

    def score(network: keras.Model, part: str) -> float:
        pictures = held_out[part]
        return compute_roc_auc(article_path.find_depressed(pictures), article_path.predict_depressed(network, pictures))

    held_out = {part: article_path.build_generator(Path(folder) / part, shuffle=False) for part in ("val", "test")}
    clock = article_path.EpochClock(lambda network: score(network, "val"))
    fit_started, cpu_started = time.perf_counter(), time.process_time()
    num_steps = min(max_steps, len(train)) if max_steps else None
    network.fit(train, epochs=num_epochs, steps_per_epoch=num_steps, callbacks=[clock], verbose=0)
    cores_used = (time.process_time() - cpu_started) / (time.perf_counter() - fit_started)
    return {
        "rows": clock.rows,
        "cores_used": cores_used,
        "prepare_seconds": prepare_seconds,
        "seconds": clock.rows[-1]["seconds"],
        "num_train": train.n,
        "test_roc_auc": score(network, "test"),
        "peak_bytes": measure_peak_memory(),
        "import_bytes": import_bytes,
    }


def train_own_recipe(
    *,
    source: str,
    recipe: str,
    protocol: str,
    num_epochs: int,
    max_steps: int | None = None,
    prepares_again: bool = False,
) -> dict[str, Any]:
    """Returns how one of this project's recipes trains, through the very function that the app's worker calls.

    The clock starts with the call, TensorFlow imported, and never stands still: looking at every picture, decoding,
    features, and the scoring after each epoch are in it.

    Args:
        source: As `data.load_dataset` takes it.
        recipe: Name of the recipe.
        protocol: One of `splits.PROTOCOLS`.
        num_epochs: Passes over the training pictures.
        max_steps: Asks for the end, as the app's stop button does, after so many steps; None for whole epochs.
        prepares_again: Whether to time the preparation again, now that its results are in the cache.

    Returns:
        `rows` (`epoch`, `train_seconds`, `seconds` since the call, `val_roc_auc`), `prepare_seconds` (until all is
        ready for the first step), `prepare_again_seconds`, `seconds` (all, with scores and the saved model),
        `cores_used` (on average), `num_images` by part, `num_in_pretraining` (pictures that a model it starts from was
        trained on), `test_roc_auc`, `peak_bytes`, `import_bytes`.
    """
    from facedep.networks.card import read_card
    from facedep.networks.recipes import find_recipe

    if not find_recipe(recipe).pretrained:
        import facedep.training.fit  # noqa: F401  TensorFlow is loaded before the clock starts

    import_bytes = measure_peak_memory()
    run_dir, result = _time_run(source, _configure(recipe, protocol, num_epochs), max_steps=max_steps)
    card = read_card(run_dir)
    result |= {
        "num_images": dict(card.data.num_images),
        "num_in_pretraining": dict(card.data.num_in_training_set),
        "test_roc_auc": card.scores["test"].roc_auc,
        "peak_bytes": measure_peak_memory(),
        "import_bytes": import_bytes,
    }
    if prepares_again:
        _, again = _time_run(source, _configure(recipe, protocol, num_epochs), is_preparation_only=True)
        result["prepare_again_seconds"] = again["prepare_seconds"]
    return result


def _configure(recipe: str, protocol: str, num_epochs: int) -> Any:
    from facedep.networks.recipes import find_recipe
    from facedep.runs.run_config import RunConfig

    found = find_recipe(recipe)
    return RunConfig(
        recipe,
        "benchmark",
        num_epochs,
        found.batch_size,
        found.learning_rate,
        protocol=protocol,
        seed=SEED,
        num_progressive_resizing_epochs=found.count_progressive_resizing_epochs(num_epochs),
        ema_momentum=found.ema_momentum,
    )


def _time_run(
    source: str, config: Any, *, max_steps: int | None = None, is_preparation_only: bool = False
) -> tuple[Path, dict[str, Any]]:
    from facedep.runs import lifecycle, run_folder
    from facedep.runs.writer import RunWriter
    from facedep.training.train import train_run

    run_dir = lifecycle.create_run(config, f"{config.recipe} {time.time_ns()}")
    result: dict[str, Any] = {"rows": []}

    def note(row: dict[str, Any]) -> None:
        seconds = time.perf_counter() - started
        if row["kind"] == "start":
            result["prepare_seconds"] = seconds
            if is_preparation_only:
                raise _EnoughError
        elif row["kind"] == "epoch":
            kept = {name: row[name] for name in ("epoch", "train_seconds", "val_roc_auc")}
            result["rows"].append({**kept, "seconds": seconds})
        elif max_steps and row["step"] >= max_steps:
            (run_dir / run_folder.STOP_FILE).touch()

    with RunWriter(run_dir, on_metrics=note) as writer:
        started, cpu_started = time.perf_counter(), time.process_time()
        try:
            state = train_run(config, source, writer)
        except _EnoughError:
            state = run_folder.STOPPED
        result["seconds"] = time.perf_counter() - started
        result["cores_used"] = (time.process_time() - cpu_started) / result["seconds"]
        writer.write_status(state)
    return run_dir, result


def save_article_model(*, path: str) -> dict[str, float]:
    """Writes the article's network with its first random weights, on which a prediction's time does not depend."""
    from bench.article_path import build_network

    build_network().save(path)
    return {}


def measure_predictions(*, article_model: str, own_model: str, num_calls: int) -> dict[str, dict[str, list[float]]]:
    """Returns the seconds of single calls, both sides in turn, for one face and for a hundred faces at once.

    The faces are arrays ready for each network; each side is called twice before.

    Args:
        article_model: The article's saved model.
        own_model: A run's folder.
        num_calls: Calls of each kind.
    """
    import keras

    from facedep.networks.classifier import load_classifier

    article = keras.models.load_model(article_model)
    own = load_classifier(Path(own_model))
    rng = np.random.default_rng(0)
    seconds: dict[str, dict[str, list[float]]] = {}
    for num_faces in (1, 100):
        shape = (num_faces, own.input_size_px, own.input_size_px, 1)
        faces = rng.integers(0, 256, shape, dtype=np.uint8)
        article_faces = rng.random((num_faces, *article.input_shape[1:]), dtype=np.float32)
        calls = {
            "article_path": lambda faces=article_faces: article.predict(faces, verbose=0),
            "own": lambda faces=faces: own.predict(faces),
        }
        for call in (*calls.values(), *calls.values()):
            call()
        measured: dict[str, list[float]] = {side: [] for side in calls}
        for _ in range(num_calls):
            for side, call in calls.items():
                measured[side].append(_time_once(call))
        seconds[str(num_faces)] = measured
    return seconds


def measure_peak_memory() -> int | None:
    """Returns the most memory in bytes that this process has held; None on Windows."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere


def _time_once(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _time_repeatedly(call: Callable[[], Any], *, seconds: float) -> list[float]:
    call()
    times: list[float] = []
    while sum(times) < seconds:
        times.append(_time_once(call))
    return times


def _time_passes(batches: Any) -> float:
    """Returns the seconds of the faster of two passes over all batches, after one that warms up."""

    def read_all() -> None:
        for number in range(len(batches)):
            batches[number]
        batches.on_epoch_end()

    read_all()
    return min(_time_once(read_all) for _ in range(2))


MEASUREMENTS = {
    function.__name__: function
    for function in (
        measure_machine_speed,
        measure_article_pipeline,
        measure_own_pipeline,
        measure_features,
        train_article_path,
        train_own_recipe,
        save_article_model,
        measure_predictions,
        write_article_folders,
    )
}


if __name__ == "__main__":
    name, arguments, result_path = sys.argv[1:]
    Path(result_path).write_text(json.dumps(MEASUREMENTS[name](**json.loads(arguments))), "utf-8")
