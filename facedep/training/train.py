"""Train one run: pictures in, a model with its card out, measurements written while it goes on.

Everything here happens in the training process. The test part of the split is read only after the last epoch.
"""

import dataclasses
import platform
import time

import keras
import numpy as np

from facedep import __version__
from facedep.audit.issues import IssueLimits
from facedep.data.scan import Scan, load_images
from facedep.data.sources import Dataset
from facedep.data.splits import SUBSETS
from facedep.evaluation.scores import score_predictions
from facedep.files import write_json, write_text
from facedep.networks import calibration
from facedep.networks.architecture import save_network
from facedep.networks.card import (
    CARD_FILE,
    FINGERPRINTS_FILE,
    MODEL_CARD_FILE,
    MODEL_FILE,
    AbstentionBand,
    Calibration,
    Card,
    CardData,
    LeakCounts,
    TrainingSummary,
    read_card,
)
from facedep.networks.card_scores import Scores
from facedep.networks.classifier import Classifier, compute_outputs
from facedep.reporting.model_card import render_model_card
from facedep.runs import run_config, run_folder
from facedep.runs.run_config import RunConfig
from facedep.runs.run_folder import CHECKPOINT_FILE
from facedep.runs.writer import RunWriter
from facedep.training.callbacks import TrainingMonitor
from facedep.training.fit import fit_network
from facedep.training.inputs import ArrayDataset, ClassSpec
from facedep.training.prepare import PreparedRun, prepare_run


def train_run(config: RunConfig, source: str, writer: RunWriter) -> str:
    """Trains a network as the settings say, and writes the model, its card and its fingerprints into the run's folder.

    A run whose folder holds a checkpoint goes on from there.

    Args:
        config: The settings.
        source: The data source, as `data.load_dataset` takes it.
        writer: The run's writer, entered.

    Returns:
        The state it ended in: `run_folder.FINISHED`, or `run_folder.STOPPED` where it was asked to end early.

    Raises:
        FacedepError: The data cannot be used as it is, or the learning rate was too high.
        StopRequestedError: It was asked to end before the first step.
    """
    started = time.time()
    prepared = prepare_run(config, source, writer)
    writer.write_status(run_folder.RUNNING, stage="training")
    monitor = fit_network(
        prepared.learner, prepared.learned_parts, plan=prepared.plan, writer=writer, devices=prepared.devices
    )
    writer.write_status(run_folder.RUNNING, stage="scoring")
    training = _describe_training(monitor, config, seconds=time.time() - started)
    card = dataclasses.replace(_describe_run(prepared, writer.run_dir.name), training=training)
    card = dataclasses.replace(card, calibration=_calibrate_run(prepared, card))
    _write_model(prepared, card, writer)
    if monitor.was_stopped:
        return run_folder.STOPPED
    (writer.run_dir / CHECKPOINT_FILE).unlink(missing_ok=True)
    return run_folder.FINISHED


def _describe_run(prepared: PreparedRun, name: str) -> Card:
    """Returns the card but for what training, calibration and scoring add to it."""
    plan, split, config = prepared.plan, prepared.split, prepared.plan.config
    recipe, class_spec = plan.recipe, plan.class_spec
    data = CardData(
        name=prepared.dataset.name,
        content_hash=prepared.dataset.content_hash,
        protocol=config.protocol,
        seed=config.seed,
        folder_choices=dict(prepared.dataset.spec.folder_choices),
        depressed_emotions=prepared.dataset.spec.depressed_emotions,
        num_images={part: int((split == part).sum()) for part in SUBSETS},
        dropped_issues=prepared.num_left_out,
        # All of them, so that the split can be made again when the defaults have changed.
        issue_limits=dataclasses.asdict(IssueLimits(**config.issue_limits)) if prepared.num_left_out else {},
        leaks={part: LeakCounts(**vars(leak)) for part, leak in prepared.leaks.items()},
        num_in_training_set=prepared.num_in_pretraining,
    )
    return Card(
        recipe=recipe.name,
        class_names=tuple(class_spec.class_names),
        positive_classes=tuple(class_spec.positive_classes),
        input_size_px=recipe.input_size_px,
        uses_flip_tta=recipe.uses_flip_tta,
        data=data,
        command=run_config.describe_command(config, name),
        earlier_commands=tuple(_list_earlier_commands(config)),
        versions={
            "facedep": __version__,
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    )


def _calibrate_run(prepared: PreparedRun, card: Card) -> Calibration | None:
    """Returns the calibration: of the run that a final fit follows, or found here; None for neither."""
    plan, followed = prepared.plan, prepared.refit_card
    if followed:
        return dataclasses.replace(followed.calibration or Calibration(), run=plan.config.refit_of)
    if plan.recipe.is_calibrated:
        return _calibrate(prepared.network, prepared.parts["val"], plan.class_spec, card)
    return None


def _write_model(prepared: PreparedRun, card: Card, writer: RunWriter) -> None:
    """Scores the network and writes it, with its card, into the run's folder."""
    run_dir, shipped, split = writer.run_dir, prepared.shipped, prepared.split
    fingerprints = set(prepared.parts["train"].fingerprints) | (shipped.fingerprints if shipped else set())
    classifier = Classifier(run_dir.name, prepared.network, card, frozenset(fingerprints))
    scores = {
        part: _score(classifier, prepared.dataset, prepared.scan, split == part)
        for part in ("val", "test")
        if (split == part).any()
    }
    card = dataclasses.replace(card, scores=scores)
    write_text(run_dir / FINGERPRINTS_FILE, "\n".join(sorted(fingerprints)) + "\n")
    save_network(prepared.network, prepared.plan.recipe, run_dir / MODEL_FILE)
    write_json(run_dir / CARD_FILE, card.to_json())
    write_text(run_dir / MODEL_CARD_FILE, render_model_card(run_dir.name, card.to_json()))


def _list_earlier_commands(config: RunConfig) -> list[str]:
    """Returns the commands that made the runs which this one builds on, in their order."""
    commands: list[str] = []
    for name in filter(None, (config.teacher, config.refit_of)):
        card = read_card(run_folder.find_run_dir(name))
        commands += [*card.earlier_commands, card.command]
    return list(dict.fromkeys(filter(None, commands)))


def _describe_training(monitor: TrainingMonitor, config: RunConfig, *, seconds: float) -> TrainingSummary:
    return TrainingSummary(
        num_epochs=monitor.num_epochs_done,
        selected_epoch=monitor.kept_epoch,
        seconds=round(seconds, 1),
        was_stopped=monitor.was_stopped,
        num_images_seen=monitor.num_images_seen,
        has_diverged=monitor.has_diverged,
        teacher=config.teacher,
        refit_of=config.refit_of,
    )


def _calibrate(network: keras.Model, val: ArrayDataset, class_spec: ClassSpec, card: Card) -> Calibration:
    """Returns temperature and abstention band, both found on the validation pictures; none where these are too few."""
    found = Calibration(chosen_on="val", num_images=len(val.images))
    if len(val.images) < calibration.MIN_IMAGES:
        return found
    outputs = compute_outputs(network, val.images, uses_flip_tta=card.uses_flip_tta)
    is_positive = class_spec.is_positive
    temperature = calibration.find_temperature(outputs, is_positive, val.is_depressed)
    probabilities = calibration.apply_temperature(outputs, temperature)[:, is_positive].sum(axis=1)
    ends = calibration.find_abstention_band(val.is_depressed, probabilities, card.decision_threshold)
    band = AbstentionBand(*ends, target_error=calibration.TARGET_ERROR) if ends else None
    return dataclasses.replace(found, temperature=temperature, abstention_band=band)


def _score(classifier: Classifier, dataset: Dataset, scan: Scan, mask: np.ndarray) -> Scores:
    images = load_images(dataset, scan, mask, classifier.input_size_px)
    scores = score_predictions(
        dataset.samples[mask],
        classifier.predict(images),
        threshold=classifier.threshold,
        band=classifier.abstention_band,
    )
    return Scores.from_json(scores)
