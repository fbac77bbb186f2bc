"""Train one run: pictures in, a model with its card out, measurements written while it goes on.

Everything here happens in the training process. The test subset is read only after the last epoch.
"""

import dataclasses
import platform
import time
from pathlib import Path

import numpy as np
import pandas as pd

from facedep import __version__
from facedep.audit.issues import IssueLimits
from facedep.data.scan import load_images
from facedep.data.splits import SUBSETS
from facedep.errors import FacedepError, RunError
from facedep.evaluation.scores import score_predictions
from facedep.files import write_json, write_text
from facedep.networks import calibration
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
from facedep.networks.classifier import Classifier
from facedep.networks.recipes import Recipe, find_recipe
from facedep.reporting.model_card import render_model_card
from facedep.runs import run_config, run_folder
from facedep.runs.run_config import RunConfig
from facedep.runs.run_folder import CHECKPOINT_FILE
from facedep.runs.writer import RunWriter
from facedep.training.head import fit_head_run
from facedep.training.inputs import FittedRun
from facedep.training.prepare import PreparedRun, prepare_run


def train_run(config: RunConfig, source: str, writer: RunWriter) -> str:
    """Trains a network as the settings say, and writes the model, its card and its fingerprints into the run's folder.

    A run whose folder holds a checkpoint goes on from there.

    Args:
        config: The settings.
        source: The data source, as `DatasetSpec.source`.
        writer: The run's writer, entered.

    Returns:
        The state it ended in: `run_folder.FINISHED`, or `run_folder.STOPPED` if it was asked to end early.

    Raises:
        FacedepError: The data cannot be used as it is, or the learning rate was too high.
        StopRequestedError: It was asked to end before the first step.
    """
    started = time.time()
    prepared, fitted = _fit(config, source, writer)
    writer.write_status(run_folder.RUNNING, stage="scoring")
    card = _describe_run(prepared, writer.run_dir.name)
    card = dataclasses.replace(card, training=_describe_training(fitted, config, seconds=time.time() - started))
    classifier = Classifier(writer.run_dir.name, fitted.graph, card, frozenset())
    val_outputs = classifier.compute_outputs(prepared.arrays["val"].images) if "val" in prepared.arrays else None
    card = dataclasses.replace(card, calibration=_calibrate(prepared, val_outputs, card))
    _write(prepared, fitted, val_outputs, card, writer)
    if fitted.summary.was_stopped:
        return run_folder.STOPPED
    (writer.run_dir / CHECKPOINT_FILE).unlink(missing_ok=True)
    return run_folder.FINISHED


def _fit(config: RunConfig, source: str, writer: RunWriter) -> tuple[PreparedRun, FittedRun]:
    """Returns the run and its trained network. Keras is needed where a whole network is trained, and only there."""
    if find_recipe(config.recipe).pretrained:
        prepared = prepare_run(config, source, writer)
        return prepared, fit_head_run(prepared, writer)
    from facedep.training.fit import fit_network_run, set_up

    devices = set_up(config)
    prepared = prepare_run(config, source, writer)
    return prepared, fit_network_run(prepared, writer, devices)


def _calibrate(prepared: PreparedRun, val_outputs: np.ndarray | None, card: Card) -> Calibration | None:
    """Returns the calibration: of the run that is refitted, or found on the val subset; None without either."""
    plan, refit_card = prepared.plan, prepared.refit_card
    if refit_card:
        return dataclasses.replace(refit_card.calibration or Calibration(), run=plan.config.refit_of)
    if plan.recipe.is_calibrated and val_outputs is not None:
        return _find_calibration(prepared, val_outputs, card)
    return None


def _find_calibration(prepared: PreparedRun, outputs: np.ndarray, card: Card) -> Calibration:
    """Returns temperature and abstention band, both found on the val subset; neither if it is too small.

    The band is found on the data set's own pictures: drawn ones are easier, and would make it too narrow.
    """
    val, num_own = prepared.arrays["val"], prepared.num_own_val
    uncalibrated = Calibration(chosen_on="val", num_images=len(val.images))
    if len(val.images) < calibration.MIN_IMAGES:
        return uncalibrated
    is_positive = prepared.plan.class_spec.is_positive
    temperature = calibration.find_temperature(outputs, is_positive, val.is_depressed)
    probabilities = calibration.apply_temperature(outputs, temperature)[:, is_positive].sum(axis=1)
    ends = calibration.find_abstention_band(
        val.is_depressed[:num_own], probabilities[:num_own], card.decision_threshold
    )
    band = AbstentionBand(*ends, target_error=calibration.TARGET_ERROR) if ends else None
    return dataclasses.replace(uncalibrated, temperature=temperature, abstention_band=band)


def _write(
    prepared: PreparedRun, fitted: FittedRun, val_outputs: np.ndarray | None, card: Card, writer: RunWriter
) -> None:
    """Writes the network with its card into the run's folder, then its scores: where these fail, the model is kept.

    Raises:
        RunError: The pictures to score it on cannot be read any more.
    """
    run_dir, pretrained = writer.run_dir, prepared.pretrained
    fingerprints = set(prepared.arrays["train"].fingerprints) | (pretrained.fingerprints if pretrained else set())
    classifier = Classifier(run_dir.name, fitted.graph, card, frozenset(fingerprints))
    write_text(run_dir / FINGERPRINTS_FILE, "\n".join(sorted(fingerprints)) + "\n")
    fitted.write(run_dir / MODEL_FILE)
    _write_card(run_dir, card)
    try:
        card = dataclasses.replace(card, scores=_score_subsets(prepared, classifier, val_outputs))
    except FacedepError as error:
        raise RunError(f"The model is kept, but it could not be scored: {error}") from error
    _write_card(run_dir, card)


def _write_card(run_dir: Path, card: Card) -> None:
    write_json(run_dir / CARD_FILE, card.to_json())
    write_text(run_dir / MODEL_CARD_FILE, render_model_card(run_dir.name, card.to_json()))


def _score_subsets(prepared: PreparedRun, classifier: Classifier, val_outputs: np.ndarray | None) -> dict[str, Scores]:
    """Returns the scores on the data set's own val and test pictures; those of test are first read here."""
    data, scores = prepared.data, {}
    if val_outputs is not None:
        own_outputs = val_outputs[: prepared.num_own_val]
        scores["val"] = _score(classifier, data.dataset.samples[data.subsets == "val"], own_outputs)
    if (mask := data.subsets == "test").any():
        images = load_images(data.dataset, data.scan, mask, classifier.input_size_px)
        scores["test"] = _score(classifier, data.dataset.samples[mask], classifier.compute_outputs(images))
    return scores


def _score(classifier: Classifier, samples: pd.DataFrame, outputs: np.ndarray) -> Scores:
    predictions = classifier.interpret(outputs)
    scores = score_predictions(samples, predictions, threshold=classifier.threshold, band=classifier.abstention_band)
    return Scores.from_json(scores)


def _describe_run(prepared: PreparedRun, name: str) -> Card:
    """Returns the card without what training, calibration and scoring add to it."""
    plan, data, config = prepared.plan, prepared.data, prepared.plan.config
    recipe, class_spec = plan.recipe, plan.class_spec
    issue_limits = dataclasses.asdict(dataclasses.replace(IssueLimits(), **config.issue_limits))
    card_data = CardData(
        name=data.dataset.name,
        content_hash=data.dataset.content_hash,
        protocol=config.protocol,
        seed=config.seed,
        folder_choices=dict(data.dataset.spec.folder_choices),
        depressed_emotions=data.dataset.spec.depressed_emotions,
        num_images={subset: int((data.subsets == subset).sum()) for subset in SUBSETS},
        dropped_issues=data.num_dropped,
        # All of them, so that the split can be made again when the defaults have changed.
        issue_limits=issue_limits if data.num_dropped else {},
        leaks={subset: LeakCounts(**vars(leak)) for subset, leak in data.leaks.items()},
        num_in_training_set=prepared.num_in_pretraining,
        num_drawn_faces=prepared.num_drawn_faces or None,
    )
    return Card(
        recipe=recipe.name,
        class_names=tuple(class_spec.class_names),
        positive_classes=tuple(class_spec.positive_classes),
        input_size_px=recipe.input_size_px,
        uses_flip_tta=recipe.uses_flip_tta,
        data=card_data,
        command=run_config.describe_command(config, name),
        earlier_commands=tuple(_list_earlier_commands(config)),
        versions=_list_versions(recipe),
    )


def _list_versions(recipe: Recipe) -> dict[str, str]:
    versions = {"facedep": __version__, "python": platform.python_version(), "numpy": np.__version__}
    if not recipe.pretrained:
        import keras

        versions |= {"keras": keras.__version__, "backend": keras.backend.backend()}
    return versions


def _list_earlier_commands(config: RunConfig) -> list[str]:
    """Returns the commands that made the runs which this one builds on, in their order."""
    commands: list[str] = []
    for name in filter(None, (config.teacher, config.refit_of)):
        card = read_card(run_folder.find_run_dir(name))
        commands += [*card.earlier_commands, card.command]
    return list(dict.fromkeys(filter(None, commands)))


def _describe_training(fitted: FittedRun, config: RunConfig, *, seconds: float) -> TrainingSummary:
    summary = fitted.summary
    return TrainingSummary(
        num_epochs=summary.num_epochs_done,
        selected_epoch=summary.kept_epoch,
        seconds=round(seconds, 1),
        was_stopped=summary.was_stopped,
        num_images_seen=summary.num_images_seen,
        has_diverged=summary.has_diverged,
        teacher=config.teacher,
        refit_of=config.refit_of,
        graph_difference=fitted.graph_difference,
    )
