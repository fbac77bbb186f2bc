"""Train one run: pictures in, a model with its card out, measurements written while it goes on.

Everything here happens in the training process. The test part of the split is read only after the last epoch.
"""

import dataclasses
import platform
import time
from typing import Any

import keras
import numpy as np

from facedep import __version__, calibration, runs
from facedep.cards import CARD_FILE, FINGERPRINTS_FILE, MODEL_CARD_FILE, MODEL_FILE, read_card
from facedep.data import Dataset
from facedep.evaluation import score_answers
from facedep.fitting import fit_network
from facedep.model import Classifier, compute_outputs, save_network
from facedep.model_card import render_model_card
from facedep.quality import Thresholds
from facedep.recipes import Recipe
from facedep.run_writer import RunWriter
from facedep.runs import CHECKPOINT_FILE, RunConfig
from facedep.scan import Scan, load_images
from facedep.splits import PARTS
from facedep.training_callbacks import TrainingMonitor
from facedep.training_inputs import ArrayDataset, ClassSpec
from facedep.training_prepare import PreparedRun, prepare_run


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
    prepared = prepare_run(config, source, writer)
    writer.write_status(runs.RUNNING, stage="training")
    monitor = fit_network(
        prepared.learner, prepared.learned_parts, plan=prepared.plan, writer=writer, devices=prepared.devices
    )
    writer.write_status(runs.RUNNING, stage="scoring")
    card = _describe_run(prepared, writer.run_dir.name)
    card["training"] = _describe_training(monitor, config, seconds=time.time() - started)
    card |= _calibrate_run(prepared, card)
    _write_model(prepared, card, writer)
    if monitor.was_stopped:
        return runs.STOPPED
    (writer.run_dir / CHECKPOINT_FILE).unlink(missing_ok=True)
    return runs.FINISHED


def _describe_run(prepared: PreparedRun, name: str) -> dict[str, Any]:
    """Returns the card but for what training, calibration and scoring add to it."""
    plan, split, config = prepared.plan, prepared.split, prepared.plan.config
    card = _build_card(plan.recipe, config, prepared.dataset, plan.class_spec)
    card["command"] = runs.describe_command(config, name)
    card["earlier_commands"] = _list_earlier_commands(config)
    card["data"]["num_images"] = {part: int((split == part).sum()) for part in PARTS}
    card["data"]["left_out"] = prepared.num_left_out
    if prepared.num_left_out:  # all of them, so that the split can be made again when the defaults have changed
        card["data"]["thresholds"] = dataclasses.asdict(Thresholds(**config.thresholds))
    card["data"]["leaks"] = {part: vars(leak) for part, leak in prepared.leaks.items()}
    card["data"]["num_seen_before"] = prepared.num_seen_before
    return card


def _calibrate_run(prepared: PreparedRun, card: dict[str, Any]) -> dict[str, Any]:
    """Returns the card's entry `calibration`: of the run that a final fit follows, or found here; {} for neither."""
    plan, followed = prepared.plan, prepared.final_fit_card
    if followed:
        return {"calibration": {**followed.get("calibration", {}), "run": plan.config.final_fit_of}}
    if plan.recipe.is_calibrated:
        return {"calibration": _calibrate(prepared.network, prepared.parts["val"], plan.class_spec, card)}
    return {}


def _write_model(prepared: PreparedRun, card: dict[str, Any], writer: RunWriter) -> None:
    """Scores the network and writes it, with its card, into the run's folder."""
    run_dir, shipped, split = writer.run_dir, prepared.shipped, prepared.split
    fingerprints = set(prepared.parts["train"].fingerprints) | (shipped.fingerprints if shipped else set())
    classifier = Classifier(run_dir.name, prepared.network, card, frozenset(fingerprints))
    card["scores"] = {
        part: _score(classifier, prepared.dataset, prepared.scan, split == part)
        for part in ("val", "test")
        if (split == part).any()
    }
    (run_dir / FINGERPRINTS_FILE).write_text("\n".join(sorted(fingerprints)) + "\n", "ascii")
    save_network(prepared.network, prepared.plan.recipe, run_dir / MODEL_FILE)
    runs.write_json(run_dir / CARD_FILE, card)
    (run_dir / MODEL_CARD_FILE).write_text(render_model_card(run_dir.name, card), "utf-8")


def _list_earlier_commands(config: RunConfig) -> list[str]:
    """Returns the commands that made the runs which this one builds on, in their order."""
    commands: list[str] = []
    for name in filter(None, (config.teacher, config.final_fit_of)):
        card = read_card(runs.find_run_dir(name))
        commands += [*card.get("earlier_commands", []), card.get("command", "")]
    return list(dict.fromkeys(filter(None, commands)))


def _build_card(recipe: Recipe, config: RunConfig, dataset: Dataset, class_spec: ClassSpec) -> dict[str, Any]:
    """Returns the part of a model's card that is known before the training: what goes in and what the outputs mean."""
    return {
        "format": 1,
        "recipe": recipe.name,
        "input_size_px": recipe.input_size_px,
        "class_names": class_spec.class_names,
        "positive_classes": class_spec.positive_classes,
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


def _describe_training(monitor: TrainingMonitor, config: RunConfig, *, seconds: float) -> dict[str, Any]:
    return {
        "num_epochs": monitor.num_epochs_done,
        "kept_epoch": monitor.kept_epoch,
        "seconds": round(seconds, 1),
        "was_stopped": monitor.was_stopped,
        "num_images_seen": monitor.num_images_seen,
        "has_diverged": monitor.has_diverged,
        "teacher": config.teacher,
        "final_fit_of": config.final_fit_of,
    }


def _calibrate(network: keras.Model, val: ArrayDataset, class_spec: ClassSpec, card: dict[str, Any]) -> dict[str, Any]:
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
    is_positive = class_spec.is_positive
    found["temperature"] = calibration.find_temperature(outputs, is_positive, val.is_depressed)
    probabilities = calibration.apply_temperature(outputs, found["temperature"])[:, is_positive].sum(axis=1)
    band = calibration.find_uncertain_band(val.is_depressed, probabilities, card["threshold"])
    if band:
        found["uncertain"] = {"low": band[0], "high": band[1], "target_error": calibration.TARGET_ERROR}
    return found


def _score(classifier: Classifier, dataset: Dataset, scan: Scan, mask: np.ndarray) -> dict[str, Any]:
    images = load_images(dataset, scan, mask, classifier.input_size_px)
    scores = score_answers(
        dataset.index[mask],
        classifier.predict(images),
        threshold=classifier.threshold,
        band=classifier.uncertain_band,
    )
    return runs.replace_nan(scores)
