"""All that comes before the first step: from settings and a data source to a network and the arrays it learns from."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from facedep import emotions
from facedep.audit.cleaning import clean_scan
from facedep.data.scan import Scan, load_images, scan_dataset
from facedep.data.sources import Dataset, load_dataset
from facedep.data.splits import SUBSETS, Leak, count_leaks, merge_val_into_train, split_dataset
from facedep.errors import RunError
from facedep.networks.architecture import build_network, copy_stages, cut_at_features
from facedep.networks.card import Card
from facedep.networks.classifier import Classifier, compute_outputs, fill_batch, load_classifier
from facedep.networks.majority_baseline import UNKNOWN, find_majority_baseline
from facedep.networks.recipes import Recipe, find_recipe
from facedep.runs import run_folder
from facedep.runs.run_config import RunConfig
from facedep.runs.writer import RunWriter
from facedep.training.checkpoint import has_checkpoint
from facedep.training.checks import check_run, read_refit_card
from facedep.training.devices import Devices, find_devices, skip_graph_rewriting
from facedep.training.inputs import ArrayDataset, ClassSpec, FitPlan

_TEACHER_SHARE = 0.5
_SECONDS_BETWEEN_REPORTS = 0.5
_FEATURES_BATCH_SIZE = 256


class StopRequestedError(Exception):
    """Somebody asked the run to end before there was anything to keep."""


@dataclass(frozen=True)
class PreparedRun:
    """A run before its first step.

    Attributes:
        plan: How its network is fitted.
        dataset: The data set.
        scan: Its scan.
        split: Each picture's part: `str` array of shape `(n,)`, "train", "val", "test", or "" for left out.
        num_left_out: Pictures that were cleaned away, by fault; empty where nothing was to be cleaned.
        leaks: For val and test, how many of their pictures are also in train.
        parts: The training part, and the validation part where there is one.
        network: The network that becomes the model.
        learner: What is fitted: the network, or for `quick` its head, which shares its weights.
        learned_parts: What that is fitted to: the parts, or their features.
        devices: What shares the work.
        shipped: The model that the run starts from; None for a start from nothing.
        refit_card: The card of the run that a final fit follows; None for any other run.
    """

    plan: FitPlan
    dataset: Dataset
    scan: Scan
    split: np.ndarray
    num_left_out: dict[str, int]
    leaks: dict[str, Leak]
    parts: dict[str, ArrayDataset]
    network: keras.Model
    learner: keras.Model
    learned_parts: dict[str, ArrayDataset]
    devices: Devices
    shipped: Classifier | None
    refit_card: Card | None

    @property
    def num_in_pretraining(self) -> dict[str, int]:
        """For each part, how many of its pictures the model that the run starts from was trained on."""
        return _count_in_training_set(self.shipped, self.scan, self.split)


def prepare_run(config: RunConfig, source: str, writer: RunWriter) -> PreparedRun:
    """Reads and splits the pictures, and builds the network, everything at random from the run's seed.

    Args:
        config: The settings.
        source: The data source, as `data.load_dataset` takes it.
        writer: The run's writer.

    Raises:
        FacedepError: The data cannot be used as it is.
        StopRequestedError: The run was asked to end meanwhile.
    """
    devices = find_devices(config.num_devices)
    skip_graph_rewriting()
    keras.utils.set_random_seed(config.seed)
    dataset = load_dataset(config.build_dataset_spec(source))
    check_run(config, dataset, run_dir=writer.run_dir)
    scan = scan_dataset(dataset, on_progress=_report_progress(writer, "Looking at the pictures"))
    refit_card = read_refit_card(config, dataset) if config.refit_of else None
    split, num_left_out = _split(config, dataset, scan, writer)
    recipe = find_recipe(config.recipe)
    names = find_class_names(dataset.samples[split == "train"], recipe)
    positive = {emotions.DEPRESSED, *config.depressed_emotions}
    class_spec = ClassSpec(names, [name for name in names if name in positive])
    parts = _load_parts(dataset, scan, split, recipe, class_spec, writer=writer)
    if config.teacher:
        writer.write_status(run_folder.RUNNING, stage="loading", message=f"Asking {config.teacher!r} for its answers")
        teacher = load_classifier(run_folder.find_run_dir(config.teacher))
        parts["train"] = mix_in_predictions(parts["train"], teacher, class_spec)
    network = build_network(recipe, len(names))
    shipped = load_classifier(run_folder.locate_run(run_folder.SHIPPED_RUN)) if recipe.pretrained else None
    leaks = count_leaks(split, scan)
    if writer.is_stop_requested:
        raise StopRequestedError
    if not has_checkpoint(writer.run_dir):
        _write_start(
            writer, parts, config, leaks=leaks, num_in_pretraining=_count_in_training_set(shipped, scan, split)
        )
    learner, learned_parts = _prepare_head(network, shipped, parts, writer) if shipped else (network, parts)
    last_epoch = refit_card.training.selected_epoch if refit_card else None
    return PreparedRun(
        plan=FitPlan(class_spec, recipe, config, last_epoch, dataset.content_hash),
        dataset=dataset,
        scan=scan,
        split=split,
        num_left_out=num_left_out,
        leaks=leaks,
        parts=parts,
        network=network,
        learner=learner,
        learned_parts=learned_parts,
        devices=devices,
        shipped=shipped,
        refit_card=refit_card,
    )


def find_class_names(samples: pd.DataFrame, recipe: Recipe) -> list[str]:
    """Returns what the network's outputs stand for: the emotions present, or `["depressed"]` for a two-group network.

    Args:
        samples: The training pictures' rows of the samples table.
        recipe: The recipe; where it learns emotions but some pictures name none, the groups are learned instead.
    """
    present = [emotion for emotion in emotions.EMOTIONS if (samples["emotion"] == emotion).any()]
    learns_emotions = recipe.learns == "emotions" and len(present) > 1 and not (samples["emotion"] == "").any()
    return present if learns_emotions else [emotions.DEPRESSED]


def _split(config: RunConfig, dataset: Dataset, scan: Scan, writer: RunWriter) -> tuple[np.ndarray, dict[str, int]]:
    """Returns each picture's part, and how many pictures were cleaned away before, by fault."""
    on_progress = _report_progress(writer, "Looking for faces")
    cleaned, num_left_out = clean_scan(dataset, scan, config.drop_issues, config.issue_limits, on_progress=on_progress)
    split = split_dataset(dataset.samples, cleaned, config.protocol, seed=config.seed)
    if config.refit_of:
        split = merge_val_into_train(dataset.samples, cleaned, split, config.protocol)
    return split, num_left_out


def _load_parts(
    dataset: Dataset, scan: Scan, split: np.ndarray, recipe: Recipe, class_spec: ClassSpec, *, writer: RunWriter
) -> dict[str, ArrayDataset]:
    """Returns the training part and, where there is one, the validation part; the test part is read after the fit."""
    parts = {}
    for name in ("train", "val"):
        if (mask := split == name).any():
            images = load_images(dataset, scan, mask, recipe.input_size_px, on_progress=_report_progress(writer, name))
            targets, is_depressed = _build_targets(dataset.samples[mask], class_spec)
            parts[name] = ArrayDataset(images, targets, is_depressed, scan.fingerprints[mask].tolist())
    return parts


def _build_targets(samples: pd.DataFrame, class_spec: ClassSpec) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the network should answer, and whether that counts as *depressed*; see `ArrayDataset`."""
    is_depressed = (samples["label"] == emotions.DEPRESSED).to_numpy()
    if class_spec.class_names == [emotions.DEPRESSED]:
        return is_depressed[:, np.newaxis].astype(np.float32), is_depressed
    is_class = samples["emotion"].to_numpy()[:, np.newaxis] == np.array(class_spec.class_names)
    return is_class.astype(np.float32), is_depressed


def mix_in_predictions(part: ArrayDataset, teacher: Classifier, class_spec: ClassSpec) -> ArrayDataset:
    """Returns a part with half of each label replaced by what a trained model predicts for the picture and its mirror.

    A label that this face does not bear out thereby counts less: ten people's votes agree with 62 % of FER2013's.

    Reference: Hinton et al. 2015, arXiv 1503.02531; with two networks of the same kind, Furlanello et al. 2018, arXiv
    1805.04770; the votes, Barsoum et al. 2016, arXiv 1608.01041.

    Args:
        part: The training part.
        teacher: The trained model.
        class_spec: What the outputs mean.

    Raises:
        RunError: The teacher names other classes or sees other pictures.
    """
    if teacher.class_names != class_spec.class_names or teacher.input_size_px != part.images.shape[1]:
        raise RunError(
            f"The model {teacher.name!r} cannot teach this one: it answers with {', '.join(teacher.class_names)}. "
            f"Choose one that answers with {', '.join(class_spec.class_names)}."
        )
    predictions = compute_outputs(teacher.network, part.images, uses_flip_tta=True)
    targets = ((1 - _TEACHER_SHARE) * part.targets + _TEACHER_SHARE * predictions).astype(np.float32)
    return dataclasses.replace(part, targets=targets)


def _prepare_head(
    network: keras.Model, shipped: Classifier, parts: dict[str, ArrayDataset], writer: RunWriter
) -> tuple[keras.Model, dict[str, ArrayDataset]]:
    """Puts the shipped stages into a `quick` network; returns its head and the parts as features, to train it on.

    Each training picture counts twice, as it is and mirrored.
    """
    copy_stages(shipped.network, network)
    body, head = cut_at_features(network)
    train, features = parts["train"], {}
    both = np.concatenate(
        [_compute_features(body, train, is_mirrored=mirrored, writer=writer) for mirrored in (False, True)]
    )
    features["train"] = ArrayDataset(both, np.tile(train.targets, (2, 1)), np.tile(train.is_depressed, 2))
    if "val" in parts:
        val = parts["val"]
        val_features = _compute_features(body, val, is_mirrored=False, writer=writer)
        features["val"] = dataclasses.replace(val, images=val_features)
    return head, features


def _compute_features(body: keras.Model, part: ArrayDataset, *, is_mirrored: bool, writer: RunWriter) -> np.ndarray:
    """Returns what the fixed stages give for each picture: `float32` array of shape `(n, length)`."""
    report = _report_progress(writer, "Looking at each picture once")
    num_images, size = len(part.images), _FEATURES_BATCH_SIZE
    features = np.empty((num_images, body.output_shape[-1]), np.float32)
    for start in range(0, num_images, size):
        report(start, num_images)
        images = np.asarray(part.images[start : start + size])
        filled = fill_batch(images[:, :, ::-1] if is_mirrored else images, size)
        features[start : start + size] = body.predict_on_batch(filled)[: len(images)]
    return features


def _count_in_training_set(shipped: Classifier | None, scan: Scan, split: np.ndarray) -> dict[str, int]:
    """Returns for each part how many of its pictures the shipped model was trained on, where a run starts from it."""
    if shipped is None:
        return {}
    is_seen = np.isin(scan.fingerprints, sorted(shipped.fingerprints))
    return {part: int((is_seen & (split == part)).sum()) for part in SUBSETS if (split == part).any()}


def _write_start(
    writer: RunWriter,
    parts: dict[str, ArrayDataset],
    config: RunConfig,
    *,
    leaks: dict[str, Leak],
    num_in_pretraining: dict[str, int],
) -> None:
    """Begins the measurements with what they are measured on; those of a broken-off first epoch are dropped."""
    val, recipe = parts.get("val"), find_recipe(config.recipe)
    num_train = len(parts["train"].images)
    num_inputs = 2 * num_train if recipe.pretrained else num_train  # see `_prepare_head`
    writer.forget_metrics_after(0)
    writer.write_metrics(
        kind="start",
        num_train=num_train,
        num_val=len(val.images) if val else 0,
        num_val_in_train=leaks["val"].num_similar if val else 0,
        num_val_in_pretraining=num_in_pretraining.get("val", 0),
        num_steps=-(-num_inputs // config.batch_size),
        num_epochs=config.num_epochs,
        checkpoint_policy=recipe.checkpoint_policy if val else "last",
        majority_baseline=dataclasses.asdict(find_majority_baseline(val.is_depressed) if val else UNKNOWN),
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
            name = f"Preparing the {what} pictures" if what in SUBSETS else what
            writer.write_status(run_folder.RUNNING, stage="loading", message=f"{name}: {num_done:,} of {num_all:,}")

    return report
