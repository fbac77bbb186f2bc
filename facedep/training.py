"""Train one run: pictures in, a model with its card out, measurements written while it goes on.

Everything here happens in the training process. The test part of the split is read only after the last epoch.
"""

import dataclasses
import platform
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd

from facedep import __version__, calibration, emotions, runs
from facedep.cards import CARD_FILE, FINGERPRINTS_FILE, MODEL_CARD_FILE, MODEL_FILE, read_card
from facedep.data import Dataset, check_trainable, load_dataset
from facedep.devices import find_devices, skip_graph_rewriting
from facedep.errors import RunError
from facedep.evaluation import clean_scan, score_answers
from facedep.fitting import FitProgress, Goal, Part, fit_network
from facedep.model import (
    Classifier,
    build_network,
    compute_outputs,
    copy_stages,
    cut_at_features,
    fill_batch,
    load_classifier,
    save_network,
)
from facedep.model_card import render_model_card
from facedep.quality import Thresholds
from facedep.recipes import Recipe, find_recipe
from facedep.run_writer import RunWriter
from facedep.runs import RunConfig
from facedep.scan import Scan, load_images, scan_dataset
from facedep.splits import PARTS, count_leaks, merge_val_into_train, split_dataset

_TEACHER_SHARE = 0.5
_SECONDS_BETWEEN_REPORTS = 0.5


class StopRequestedError(Exception):
    """Somebody asked the run to end before there was anything to keep."""


def train_run(config: RunConfig, source: str, writer: RunWriter) -> str:
    """Trains a network as the settings say, and writes the model, its card and its fingerprints into the run's folder.

    A run whose folder holds a checkpoint goes on from there.

    Args:
        config: The settings.
        source: The data source, as `data.load_dataset` takes it.
        writer: The run's writer, entered.

    Returns:
        The state it ended in: `runs.FINISHED`, or `runs.STOPPED` where it was asked to end early.

    Raises:
        FacedepError: The data cannot be used as it is, or the learning rate was too high.
        StopRequestedError: It was asked to end before the first step.
    """
    started = time.time()
    recipe = find_recipe(config.recipe)
    devices = find_devices(config.num_devices)
    skip_graph_rewriting()
    keras.utils.set_random_seed(config.seed)
    dataset = load_dataset(source, folder_choices=config.folder_choices, depressed_emotions=config.depressed_emotions)
    check_trainable(dataset)
    scan = scan_dataset(dataset, on_progress=_report_progress(writer, "Looking at the pictures"))
    looking = _report_progress(writer, "Looking for faces")
    cleaned, left_out = clean_scan(dataset, scan, config.left_out, config.thresholds, on_progress=looking)
    split = split_dataset(dataset.index, cleaned, config.split, seed=config.seed)
    model_run = _read_model_run(config, dataset) if config.final_fit_of else None
    if model_run:
        split = merge_val_into_train(dataset.index, cleaned, split, config.split)
    class_names = find_class_names(dataset.index[split == "train"], recipe)
    goal = Goal(class_names, [n for n in class_names if n == emotions.DEPRESSED or n in config.depressed_emotions])
    parts = {
        part: _load_part(dataset, scan, split == part, recipe, goal, on_progress=_report_progress(writer, part))
        for part in ("train", "val")
        if (split == part).any()
    }
    if config.teacher:
        writer.write_status(runs.RUNNING, stage="loading", message=f"Asking {config.teacher!r} for its answers")
        _mix_in_answers(parts["train"], load_classifier(runs.find_run_dir(config.teacher)), goal)
    network = build_network(recipe, len(class_names))
    shipped = load_classifier(runs.locate_run(runs.SHIPPED_RUN)) if recipe.starts_from_shipped else None
    leaks = count_leaks(split, scan)
    if writer.is_stop_requested:
        raise StopRequestedError
    if not (writer.run_dir / runs.CHECKPOINT_FILE).is_file():
        _write_start(writer, parts, config, recipe, leaks=leaks, num_seen_before=_count_seen(shipped, scan, split))
    if shipped:
        learner, learned_parts = _prepare_head(network, shipped, parts, writer)
    else:
        learner, learned_parts = network, parts

    writer.write_status(runs.RUNNING, stage="training")
    progress = fit_network(
        learner,
        learned_parts,
        goal,
        recipe=recipe,
        config=config,
        writer=writer,
        devices=devices,
        last_epoch=model_run["training"]["kept_epoch"] if model_run else None,
        data_hash=dataset.content_hash,
    )

    writer.write_status(runs.RUNNING, stage="scoring")
    card = _build_card(recipe, config, dataset, goal)
    card["command"] = runs.describe_command(config, writer.run_dir.name)
    card["earlier_commands"] = _list_earlier_commands(config)
    card["data"]["num_images"] = {part: int((split == part).sum()) for part in PARTS}
    card["data"]["left_out"] = left_out
    if left_out:  # all of them, so that the split can be made again when the defaults have changed
        card["data"]["thresholds"] = dataclasses.asdict(Thresholds(**config.thresholds))
    card["data"]["leaks"] = {part: vars(leak) for part, leak in leaks.items()}
    card["data"]["num_seen_before"] = _count_seen(shipped, scan, split)
    card["training"] = _describe_training(progress, config, seconds=time.time() - started)
    if model_run:
        card["calibration"] = {**model_run.get("calibration", {}), "run": config.final_fit_of}
    elif recipe.is_calibrated:
        card["calibration"] = _calibrate(network, parts["val"], goal, card)
    fingerprints = set(parts["train"].fingerprints) | (shipped.fingerprints if shipped else set())
    classifier = Classifier(writer.run_dir.name, network, card, frozenset(fingerprints))
    card["scores"] = {
        part: _score(classifier, dataset, scan, split == part) for part in ("val", "test") if (split == part).any()
    }
    (writer.run_dir / FINGERPRINTS_FILE).write_text("\n".join(sorted(fingerprints)) + "\n", "ascii")
    save_network(network, recipe, writer.run_dir / MODEL_FILE)
    runs.write_json(writer.run_dir / CARD_FILE, card)
    (writer.run_dir / MODEL_CARD_FILE).write_text(render_model_card(writer.run_dir.name, card), "utf-8")
    if progress.was_stopped:
        return runs.STOPPED
    (writer.run_dir / runs.CHECKPOINT_FILE).unlink(missing_ok=True)
    return runs.FINISHED


def find_class_names(index: pd.DataFrame, recipe: Recipe) -> list[str]:
    """Returns what the network's outputs stand for: the emotions present, or `["depressed"]` for a two-group network.

    Args:
        index: The training pictures' rows of the index table.
        recipe: The recipe; where it learns emotions but some pictures name none, the groups are learned instead.
    """
    present = [emotion for emotion in emotions.EMOTIONS if (index["emotion"] == emotion).any()]
    learns_emotions = recipe.learns == "emotions" and len(present) > 1 and not (index["emotion"] == "").any()
    return present if learns_emotions else [emotions.DEPRESSED]


def _read_model_run(config: RunConfig, dataset: Dataset) -> dict[str, Any]:
    """Returns the card of the run that a final fit follows.

    Raises:
        FacedepError: There is none, or it was trained on other pictures.
    """
    card = read_card(runs.find_run_dir(config.final_fit_of))
    if card["data"].get("content_hash") != dataset.content_hash:
        raise RunError(
            f"The run {config.final_fit_of!r} was trained on other pictures than these. Give the final fit the data "
            "that it was trained on."
        )
    if not card.get("training", {}).get("kept_epoch"):
        raise RunError(f"The run {config.final_fit_of!r} kept no epoch. Choose a finished one.")
    return card


def _list_earlier_commands(config: RunConfig) -> list[str]:
    """Returns the commands that made the runs which this one builds on, in their order."""
    commands: list[str] = []
    for name in filter(None, (config.teacher, config.final_fit_of)):
        card = read_card(runs.find_run_dir(name))
        commands += [*card.get("earlier_commands", []), card.get("command", "")]
    return list(dict.fromkeys(filter(None, commands)))


def _load_part(
    dataset: Dataset,
    scan: Scan,
    rows: np.ndarray,
    recipe: Recipe,
    goal: Goal,
    *,
    on_progress: Callable[[int, int], None],
) -> Part:
    index = dataset.index[rows]
    is_depressed = (index["label"] == emotions.DEPRESSED).to_numpy()
    if goal.class_names == [emotions.DEPRESSED]:
        targets = is_depressed[:, np.newaxis].astype(np.float32)
    else:
        targets = (index["emotion"].to_numpy()[:, np.newaxis] == np.array(goal.class_names)).astype(np.float32)
    images = load_images(dataset, scan, rows, recipe.input_size_px, on_progress=on_progress)
    return Part(images, targets, is_depressed, scan.fingerprints[rows].tolist())


def _mix_in_answers(part: Part, teacher: Classifier, goal: Goal) -> None:
    """Replaces half of each label by what a trained model answers to the picture and its mirror image.

    A label that this face does not bear out thereby counts less: ten people's votes agree with 62 % of FER2013's.

    Reference: Hinton et al. 2015, arXiv 1503.02531; with two networks of the same kind, Furlanello et al. 2018, arXiv
    1805.04770; the votes, Barsoum et al. 2016, arXiv 1608.01041.

    Raises:
        RunError: The teacher names other classes or sees other pictures.
    """
    if teacher.class_names != goal.class_names or teacher.input_size_px != part.images.shape[1]:
        raise RunError(
            f"The model {teacher.name!r} cannot teach this one: it answers with {', '.join(teacher.class_names)}. "
            f"Choose one that answers with {', '.join(goal.class_names)}."
        )
    answers = compute_outputs(teacher.network, part.images, averages_mirror=True)
    part.targets = ((1 - _TEACHER_SHARE) * part.targets + _TEACHER_SHARE * answers).astype(np.float32)


def _prepare_head(
    network: keras.Model, shipped: Classifier, parts: dict[str, Part], writer: RunWriter
) -> tuple[keras.Model, dict[str, Part]]:
    """Puts the shipped stages into a `quick` network; returns its head and the parts as features, to train it on.

    Each training picture counts twice, as it is and mirrored.
    """
    copy_stages(shipped.network, network)
    body, head = cut_at_features(network)

    def compute_features(part: Part, *, is_mirrored: bool) -> np.ndarray:
        report = _report_progress(writer, "Looking at each picture once")
        num_images, size = len(part.images), 256
        features = np.empty((num_images, body.output_shape[-1]), np.float32)
        for start in range(0, num_images, size):
            report(start, num_images)
            images = np.asarray(part.images[start : start + size])
            filled = fill_batch(images[:, :, ::-1] if is_mirrored else images, size)
            features[start : start + size] = body.predict_on_batch(filled)[: len(images)]
        return features

    train, features = parts["train"], {}
    both = np.concatenate([compute_features(train, is_mirrored=mirrored) for mirrored in (False, True)])
    features["train"] = Part(both, np.tile(train.targets, (2, 1)), np.tile(train.is_depressed, 2))
    if "val" in parts:
        val = parts["val"]
        features["val"] = Part(compute_features(val, is_mirrored=False), val.targets, val.is_depressed)
    return head, features


def _count_seen(shipped: Classifier | None, scan: Scan, split: np.ndarray) -> dict[str, int]:
    """Returns for each part how many of its pictures the shipped model was trained on, where a run starts from it."""
    if shipped is None:
        return {}
    is_seen = np.isin(scan.fingerprints, sorted(shipped.fingerprints))
    return {part: int((is_seen & (split == part)).sum()) for part in PARTS if (split == part).any()}


def _write_start(
    writer: RunWriter,
    parts: dict[str, Part],
    config: RunConfig,
    recipe: Recipe,
    *,
    leaks: dict[str, Any],
    num_seen_before: dict[str, int],
) -> None:
    """Begins the measurements with what they are measured on; those of a broken-off first epoch are dropped."""
    val = parts.get("val")
    num_train = len(parts["train"].images)
    num_inputs = 2 * num_train if recipe.starts_from_shipped else num_train  # see `_prepare_head`
    writer.forget_metrics_after(0)
    writer.write_metrics(
        kind="start",
        num_train=num_train,
        num_val=len(val.images) if val else 0,
        num_val_in_train=leaks["val"].num_similar if val else 0,
        num_val_seen_before=num_seen_before.get("val", 0),
        num_steps=-(-num_inputs // config.batch_size),
        num_epochs=config.num_epochs,
        keeps=recipe.keeps if val else "last",
        always_non_depressed=float(np.mean(~val.is_depressed)) if val else float("nan"),
    )


def _report_progress(writer: RunWriter, what: str) -> Callable[[int, int], None]:
    """Returns a function that writes how far a part of the preparation is, and ends it where that is asked for."""
    last_report = 0.0

    def report(num_done: int, num_all: int) -> None:
        nonlocal last_report
        if writer.is_stop_requested:
            raise StopRequestedError
        if time.monotonic() - last_report >= _SECONDS_BETWEEN_REPORTS:
            last_report = time.monotonic()
            name = f"Preparing the {what} pictures" if what in PARTS else what
            writer.write_status(runs.RUNNING, stage="loading", message=f"{name}: {num_done:,} of {num_all:,}")

    return report


def _build_card(recipe: Recipe, config: RunConfig, dataset: Dataset, goal: Goal) -> dict[str, Any]:
    """Returns the part of a model's card that is known before the training: what goes in and what the outputs mean."""
    return {
        "format": 1,
        "recipe": recipe.name,
        "input_size_px": recipe.input_size_px,
        "class_names": goal.class_names,
        "positive_classes": goal.positive_classes,
        "threshold": 0.5,
        "averages_mirror": recipe.averages_mirror,
        "data": {
            "name": dataset.name,
            "content_hash": dataset.content_hash,
            "split": config.split,
            "seed": config.seed,
        },
        "versions": {
            "facedep": __version__,
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    }


def _describe_training(progress: FitProgress, config: RunConfig, *, seconds: float) -> dict[str, Any]:
    return {
        "num_epochs": progress.num_epochs_done,
        "kept_epoch": progress.kept_epoch,
        "seconds": round(seconds, 1),
        "was_stopped": progress.was_stopped,
        "num_images_seen": progress.num_images_seen,
        "has_diverged": progress.has_diverged,
        "teacher": config.teacher,
        "final_fit_of": config.final_fit_of,
    }


def _calibrate(network: keras.Model, val: Part, goal: Goal, card: dict[str, Any]) -> dict[str, Any]:
    """Returns temperature and uncertain band, both found on the validation pictures; none where these are too few."""
    found: dict[str, Any] = {
        "temperature": 1.0,
        "uncertain": None,
        "chosen_on": "val",
        "num_images": len(val.images),
        "run": "",
    }
    if len(val.images) < calibration.MIN_IMAGES:
        return found
    outputs = compute_outputs(network, val.images, averages_mirror=card["averages_mirror"])
    is_positive = np.isin(goal.class_names, goal.positive_classes)
    found["temperature"] = calibration.find_temperature(outputs, is_positive, val.is_depressed)
    probabilities = calibration.apply_temperature(outputs, found["temperature"])[:, is_positive].sum(axis=1)
    band = calibration.find_uncertain_band(val.is_depressed, probabilities, card["threshold"])
    if band:
        found["uncertain"] = {"low": band[0], "high": band[1], "target_error": calibration.TARGET_ERROR}
    return found


def _score(classifier: Classifier, dataset: Dataset, scan: Scan, rows: np.ndarray) -> dict[str, Any]:
    images = load_images(dataset, scan, rows, classifier.input_size_px)
    scores = score_answers(
        dataset.index[rows],
        classifier.predict(images),
        threshold=classifier.threshold,
        band=classifier.uncertain_band,
    )
    return runs.replace_nan(scores)
