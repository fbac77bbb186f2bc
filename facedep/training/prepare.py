"""All that comes before the first step: from settings and a data source to the arrays that a network learns from."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facedep import emotions
from facedep.audit.cleaning import clean_scan
from facedep.data.scan import Scan, load_images, scan_dataset
from facedep.data.sources import Dataset, load_dataset
from facedep.data.splits import SUBSETS, Leak, count_leaks, merge_val_into_train, split_dataset
from facedep.errors import RunError
from facedep.networks.card import Card
from facedep.networks.classifier import Classifier, load_classifier
from facedep.networks.majority_baseline import UNKNOWN, find_majority_baseline
from facedep.networks.recipes import Recipe, find_recipe
from facedep.runs import run_folder
from facedep.runs.run_config import RunConfig
from facedep.runs.writer import RunWriter
from facedep.training.checkpoint import has_checkpoint
from facedep.training.checks import check_run, read_refit_card
from facedep.training.inputs import ArrayDataset, ClassSpec, FitPlan
from facedep.training.sampling import repeat_rare_classes

_TEACHER_SHARE = 0.5
_MIN_TAUGHT_SHARE = 0.01
_SECONDS_BETWEEN_REPORTS = 0.5


class StopRequestedError(Exception):
    """Somebody asked the run to end before there was anything to keep."""


@dataclass(frozen=True)
class SplitDataset:
    """A data set, scanned and split.

    Attributes:
        dataset: The data set.
        scan: Its scan.
        subsets: Each picture's subset: `str` array of shape `(n,)`, "train", "val", "test", or "" for none.
        num_dropped: Pictures that were dropped before the split, by issue; empty if none were to be.
        leaks: For val and test, how many of their pictures are also in train.
    """

    dataset: Dataset
    scan: Scan
    subsets: np.ndarray
    num_dropped: dict[str, int]
    leaks: dict[str, Leak]

    def count_in_training_set(self, classifier: Classifier) -> dict[str, int]:
        """Returns how many pictures of each subset a model was trained on."""
        is_known = np.isin(self.scan.fingerprints, sorted(classifier.fingerprints))
        masks = {subset: self.subsets == subset for subset in SUBSETS}
        return {subset: int((is_known & mask).sum()) for subset, mask in masks.items() if mask.any()}


@dataclass(frozen=True)
class PreparedRun:
    """A run before its first step.

    Attributes:
        plan: How its network is fitted.
        data: The pictures and their split.
        arrays: The train subset as arrays, and the val subset if there is one.
        pretrained: The model that the run starts from; None for random weights.
        num_in_pretraining: How many pictures of each subset that model was trained on; empty without one.
        refit_card: The card of the run that is refitted; None for any other run.
        num_drawn_faces: Drawn faces in the train subset, after its own pictures.
        num_own_val: Val pictures of the data set itself; drawn ones come after them.
    """

    plan: FitPlan
    data: SplitDataset
    arrays: dict[str, ArrayDataset]
    pretrained: Classifier | None
    num_in_pretraining: dict[str, int]
    refit_card: Card | None
    num_drawn_faces: int
    num_own_val: int


def prepare_run(config: RunConfig, source: str, writer: RunWriter) -> PreparedRun:
    """Reads and splits the pictures, everything at random from the run's seed.

    Args:
        config: The settings.
        source: The data source, as `DatasetSpec.source`.
        writer: The run's writer.

    Raises:
        FacedepError: The data cannot be used as it is.
        StopRequestedError: The run was asked to end meanwhile.
    """
    dataset = load_dataset(config.build_dataset_spec(source))
    check_run(config, dataset, run_dir=writer.run_dir)
    refit_card = read_refit_card(config, dataset) if config.refit_of else None
    data = _scan_and_split(config, dataset, writer)
    recipe = find_recipe(config.recipe)
    class_spec = _build_class_spec(config, data, recipe)
    arrays = _load_arrays(data, recipe, class_spec, writer)
    if config.teacher:
        arrays["train"] = _distill(arrays["train"], class_spec, config.teacher, writer)
    arrays["train"] = repeat_rare_classes(arrays["train"], config.repeat_threshold, seed=config.seed)
    num_own_val = len(arrays["val"].images) if "val" in arrays else 0
    num_own_train = len(arrays["train"].images)
    if config.num_drawn_faces:
        arrays = _add_drawn_faces(arrays, config, recipe, class_spec, writer)
    pretrained = load_classifier(run_folder.locate_run(run_folder.SHIPPED_RUN)) if recipe.pretrained else None
    num_in_pretraining = data.count_in_training_set(pretrained) if pretrained else {}
    if writer.is_stop_requested:
        raise StopRequestedError
    if pretrained or not has_checkpoint(writer.run_dir):  # a head is trained anew, in seconds
        _write_start(writer, arrays, config, leaks=data.leaks, num_in_pretraining=num_in_pretraining)
    last_epoch = refit_card.training.selected_epoch if refit_card and refit_card.training else None
    return PreparedRun(
        plan=FitPlan(class_spec, recipe, config, last_epoch, dataset.content_hash),
        data=data,
        arrays=arrays,
        pretrained=pretrained,
        num_in_pretraining=num_in_pretraining,
        refit_card=refit_card,
        num_drawn_faces=len(arrays["train"].images) - num_own_train,
        num_own_val=num_own_val,
    )


def _scan_and_split(config: RunConfig, dataset: Dataset, writer: RunWriter) -> SplitDataset:
    scan = scan_dataset(dataset, on_progress=report_progress(writer, "Looking at the pictures"))
    on_progress = report_progress(writer, "Looking for faces")
    cleaned, num_dropped = clean_scan(dataset, scan, config.drop_issues, config.issue_limits, on_progress=on_progress)
    subsets = split_dataset(dataset.samples, cleaned, config.protocol, seed=config.seed)
    if config.refit_of:
        subsets = merge_val_into_train(dataset.samples, cleaned, subsets, config.protocol)
    return SplitDataset(dataset, scan, subsets, num_dropped, count_leaks(subsets, scan))


def _build_class_spec(config: RunConfig, data: SplitDataset, recipe: Recipe) -> ClassSpec:
    names = find_class_names(data.dataset.samples[data.subsets == "train"], recipe)
    positive = {emotions.DEPRESSED, *config.depressed_emotions}
    return ClassSpec(names, [name for name in names if name in positive])


def find_class_names(samples: pd.DataFrame, recipe: Recipe) -> list[str]:
    """Returns what the network's outputs stand for: the emotions present, or `["depressed"]` for a two-group network.

    Args:
        samples: The training pictures' rows of the samples table.
        recipe: The recipe; where it learns emotions but some pictures name none, the groups are learned instead.
    """
    present = [emotion for emotion in emotions.EMOTIONS if (samples["emotion"] == emotion).any()]
    learns_emotions = recipe.learns == "emotions" and len(present) > 1 and not (samples["emotion"] == "").any()
    return present if learns_emotions else [emotions.DEPRESSED]


def _load_arrays(
    data: SplitDataset, recipe: Recipe, class_spec: ClassSpec, writer: RunWriter
) -> dict[str, ArrayDataset]:
    """Returns the train subset and, if there is one, the val subset; the test subset is read after the fit."""
    arrays = {}
    for subset in ("train", "val"):
        if (mask := data.subsets == subset).any():
            report = report_progress(writer, f"Preparing the {subset} pictures")
            images = load_images(data.dataset, data.scan, mask, recipe.input_size_px, on_progress=report)
            targets, is_depressed = _build_targets(data.dataset.samples[mask], class_spec)
            arrays[subset] = ArrayDataset(images, targets, is_depressed, data.scan.fingerprints[mask].tolist())
    return arrays


def _build_targets(samples: pd.DataFrame, class_spec: ClassSpec) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the network should predict, and whether that counts as *depressed*; see `ArrayDataset`."""
    is_depressed = (samples["label"] == emotions.DEPRESSED).to_numpy()
    if class_spec.class_names == [emotions.DEPRESSED]:
        return is_depressed[:, np.newaxis].astype(np.float32), is_depressed
    is_class = samples["emotion"].to_numpy()[:, np.newaxis] == np.array(class_spec.class_names)
    return is_class.astype(np.float32), is_depressed


def _distill(train: ArrayDataset, class_spec: ClassSpec, teacher: str, writer: RunWriter) -> ArrayDataset:
    writer.write_status(run_folder.RUNNING, stage="loading", message=f"Running {teacher!r} on the training pictures")
    return mix_in_predictions(train, load_classifier(run_folder.find_run_dir(teacher)), class_spec)


def mix_in_predictions(train: ArrayDataset, teacher: Classifier, class_spec: ClassSpec) -> ArrayDataset:
    """Returns pictures with half of each label replaced by a trained model's mean prediction for it and its mirror.

    A label that does not fit the face counts less that way: ten people's votes agree with 62 % of FER2013's. Labels of
    classes with fewer than 1 % of the pictures stay whole: a teacher that has hardly seen a class never predicts it.

    Reference: Hinton et al. 2015, arXiv 1503.02531; with two networks of the same kind, Furlanello et al. 2018, arXiv
    1805.04770; the votes, Barsoum et al. 2016, arXiv 1608.01041.

    Args:
        train: The train subset.
        teacher: The trained model.
        class_spec: What the outputs mean.

    Raises:
        RunError: The teacher has other classes or another input size.
    """
    if teacher.class_names != class_spec.class_names or teacher.input_size_px != train.images.shape[1]:
        raise RunError(
            f"The model {teacher.name!r} cannot teach this one: it predicts {', '.join(teacher.class_names)}. "
            f"Choose one that predicts {', '.join(class_spec.class_names)}."
        )
    outputs = teacher.graph.compute(train.images, uses_flip_tta=True)
    is_rare = train.targets.mean(axis=0) < _MIN_TAUGHT_SHARE
    teacher_shares = _TEACHER_SHARE * (1 - train.targets @ is_rare)[:, np.newaxis]
    targets = ((1 - teacher_shares) * train.targets + teacher_shares * outputs).astype(np.float32)
    return dataclasses.replace(train, targets=targets)


def _add_drawn_faces(
    arrays: dict[str, ArrayDataset], config: RunConfig, recipe: Recipe, class_spec: ClassSpec, writer: RunWriter
) -> dict[str, ArrayDataset]:
    """Returns the subsets with drawn faces after the data set's own pictures."""
    # Here, because it brings SciPy's distances, 0.4 s that no other training needs.
    from facedep.training.drawn_faces import (
        FIRST_TRAIN_NUMBER,
        FIRST_VAL_NUMBER,
        VAL_SHARE,
        draw_training_faces,
        join_datasets,
    )

    numbers = {"train": (FIRST_TRAIN_NUMBER, config.num_drawn_faces)}
    if "val" in arrays:
        numbers["val"] = (FIRST_VAL_NUMBER, max(1, round(VAL_SHARE * config.num_drawn_faces)))
    joined = {}
    for subset, (first_number, num_per_emotion) in numbers.items():
        drawn = draw_training_faces(
            num_per_emotion,
            first_number=first_number,
            size_px=recipe.input_size_px,
            class_spec=class_spec,
            depressed_emotions=config.depressed_emotions,
            on_progress=report_progress(writer, "Drawing faces"),
        )
        joined[subset] = join_datasets(arrays[subset], drawn)
    return joined


def _write_start(
    writer: RunWriter,
    arrays: dict[str, ArrayDataset],
    config: RunConfig,
    *,
    leaks: dict[str, Leak],
    num_in_pretraining: dict[str, int],
) -> None:
    """Begins the measurements with what they are measured on; those of a broken-off first epoch are dropped."""
    val, recipe = arrays.get("val"), find_recipe(config.recipe)
    num_train = len(arrays["train"].images)
    num_inputs = 2 * num_train if recipe.pretrained else num_train  # see `head.compute_features`
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


def report_progress(writer: RunWriter, activity: str) -> Callable[[int, int], None]:
    """Returns a function that writes how far a step of the preparation is, and ends it on request."""
    last_report = 0.0

    def report(num_done: int, num_all: int) -> None:
        nonlocal last_report
        if writer.is_stop_requested:
            raise StopRequestedError
        if time.monotonic() - last_report >= _SECONDS_BETWEEN_REPORTS:
            last_report = time.monotonic()
            message = f"{activity}: {num_done:,} of {num_all:,}"
            writer.write_status(run_folder.RUNNING, stage="loading", message=message)

    return report
