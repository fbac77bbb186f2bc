"""The `card.json` of a model: what its outputs mean, what it was trained on, how it scored. Read without Keras.

A card is parsed and checked once, here, and written by `Card.to_json` alone. Cards come with models from elsewhere: one
with a number of the wrong kind or out of range is damaged as a whole. Keys that this version does not know are kept.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facedep import emotions
from facedep.errors import ModelError
from facedep.files import read_json
from facedep.networks.card_format import (
    FORMAT,
    DamagedCardError,
    TableReader,
    drop_nan,
    find_record_problem,
    upgrade_card,
)
from facedep.networks.card_scores import RecordedEvaluation, Scores, read_evaluation_table, read_scores_table
from facedep.networks.majority_baseline import UNKNOWN, MajorityBaseline
from facedep.networks.recipes import RECIPES

MODEL_FILE = "model.keras"
CARD_FILE = "card.json"
MODEL_CARD_FILE = "MODEL_CARD.md"
FINGERPRINTS_FILE = "trained_on.txt"
PREDICTIONS_FILE = "predictions.npz"  # of a run whose model file is not there: what it answered to one data set
_MAX_SEED = 2**32 - 1
_MAX_SIZE_PX = 4096
_MAX_SECONDS = 1e9


@dataclass(frozen=True)
class LeakCounts:
    """How many of a subset's `num_images` are also in train: pixel for pixel, or at least nearly."""

    num_images: int
    num_identical: int
    num_similar: int
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CardData:
    """What a model was trained on.

    Attributes:
        name: The data set's name; "" where the card does not say.
        content_hash: Of its files; "" likewise.
        protocol: How it was cut, one of `splits.PROTOCOLS`; "" likewise.
        seed: Of the cut.
        folder_choices: What was said about folders of unknown name; None where the card does not say.
        depressed_emotions: The emotions that counted as *depressed*; None likewise.
        num_images: Subset to its number of pictures.
        dropped_issues: Name of an issue to the pictures that were dropped for it, and "all".
        issue_limits: Name of a limit of `issues.IssueLimits` to its value, where pictures were dropped.
        leaks: Subset to what of it is also in train.
        num_in_training_set: Subset to its pictures that the model which the run started from was trained on.
        num_drawn_faces: Drawn faces that it was trained on beside the data set's pictures; None for none.
        extra: Keys that this version does not know, as in all classes here.
    """

    name: str = ""
    content_hash: str = ""
    protocol: str = ""
    seed: int = 0
    folder_choices: Mapping[str, str] | None = None
    depressed_emotions: tuple[str, ...] | None = None
    num_images: Mapping[str, int] = field(default_factory=dict)
    dropped_issues: Mapping[str, int] = field(default_factory=dict)
    issue_limits: Mapping[str, float] = field(default_factory=dict)
    leaks: Mapping[str, LeakCounts] = field(default_factory=dict)
    num_in_training_set: Mapping[str, int] = field(default_factory=dict)
    num_drawn_faces: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_choices(self) -> dict[str, Any]:
        """Returns the folder choices and the grouping, as far as the card says, for `DatasetSpec.from_records`."""
        choices = {"folder_choices": self.folder_choices, "depressed_emotions": self.depressed_emotions}
        return {name: value for name, value in choices.items() if value is not None}


@dataclass(frozen=True)
class AbstentionBand:
    """From `low` up to, not with, `high` a model does not answer; chosen for this share of errors outside, 0..1."""

    low: float
    high: float
    target_error: float
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    """How probabilities were made to mean what they say.

    Attributes:
        temperature: What the logits are divided by.
        abstention_band: None for a model that always answers.
        chosen_on: The subset both were chosen on; "" where the card does not say.
        num_images: Its pictures; None likewise.
        run: The run they were taken over from; "" for this one.
    """

    temperature: float = 1.0
    abstention_band: AbstentionBand | None = None
    chosen_on: str = ""
    num_images: int | None = None
    run: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingSummary:
    """How a training went.

    Attributes:
        num_epochs: Whole epochs.
        selected_epoch: Whose weights became the model; None for those of a first, unfinished one.
        seconds: What it took, scoring not included.
        was_stopped: Whether somebody ended it early.
        num_images_seen: Pictures shown, counted again in every epoch; None where the card does not say.
        has_diverged: Whether it ended because the loss was no number.
        teacher: The run whose predictions were mixed into the labels; "" for none.
        refit_of: The run whose settings were fitted again, on train and val together; "" for none.
        graph_difference: The largest difference of any probability, 0..1, between the network as Keras trained it and
            as `networks.graph` runs it; None where the card does not say.
    """

    num_epochs: int
    selected_epoch: int | None
    seconds: float
    was_stopped: bool = False
    num_images_seen: int | None = None
    has_diverged: bool = False
    teacher: str = ""
    refit_of: str = ""
    graph_difference: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """What a model is.

    Attributes:
        recipe: Name of its recipe.
        class_names: What each output stands for.
        positive_classes: Those of them that count as *depressed*.
        input_size_px: Side of the square gray input.
        decision_threshold: P(depressed) at and above which the answer is *depressed*, 0..1.
        uses_flip_tta: Whether each output is the mean over the face and its mirror image.
        data: What it was trained on.
        calibration: None for a model whose probabilities are used as they are.
        training: None where the card does not say.
        scores: Subset of its own data to the scores on it.
        evaluations: Scores on data sets that were recorded later.
        command: The command line that made it; "" where the card does not say.
        earlier_commands: Those that made the runs it builds on, in their order.
        versions: Name of a package to its version.
        extra: Keys that this version does not know.
    """

    recipe: str
    class_names: tuple[str, ...]
    positive_classes: tuple[str, ...]
    input_size_px: int
    decision_threshold: float = 0.5
    uses_flip_tta: bool = False
    data: CardData = CardData()
    calibration: Calibration | None = None
    training: TrainingSummary | None = None
    scores: Mapping[str, Scores] = field(default_factory=dict)
    evaluations: tuple[RecordedEvaluation, ...] = ()
    command: str = ""
    earlier_commands: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def temperature(self) -> float:
        """What the logits are divided by; 1 without calibration."""
        return self.calibration.temperature if self.calibration else 1.0

    @property
    def abstention_band(self) -> AbstentionBand | None:
        """Where the model does not answer; None for always answering."""
        return self.calibration.abstention_band if self.calibration else None

    @classmethod
    def from_json(cls, values: Any) -> "Card":
        """Returns the card that the content of a `card.json` of any format makes.

        Raises:
            ModelError: It is not one of this project's, or damaged.
        """
        try:
            return _read(values)
        except DamagedCardError as error:
            raise ModelError(f"{CARD_FILE} is not one of this app's: {error}. Choose another model.") from None

    def to_json(self) -> dict[str, Any]:
        """Returns what `card.json` holds: tables, lists, text and numbers, with null for what is undefined."""
        return {"format": FORMAT, **_write(self)}

    def with_evaluation(self, evaluation: RecordedEvaluation) -> "Card":
        """Returns this card with an evaluation added, in place of an older one on the same pictures."""

        def name_pictures(evaluation: RecordedEvaluation) -> tuple[str, str, str]:
            return evaluation.content_hash, evaluation.protocol, evaluation.subset

        others = [old for old in self.evaluations if name_pictures(old) != name_pictures(evaluation)]
        return dataclasses.replace(self, evaluations=(*others, evaluation))


def read_card(run_dir: Path) -> Card:
    """Returns a run's card, checked.

    Raises:
        ModelError: There is no such run or card, or the card is damaged or not one of this project's.
    """
    path = run_dir / CARD_FILE
    values = read_json(path)
    if values is None and not path.exists():
        found = "has no finished model" if run_dir.is_dir() else "does not exist"
        raise ModelError(f"The model {run_dir.name!r} {found}. Choose one from the list on the Train page.")
    if values is None:
        raise ModelError(f"{CARD_FILE} of {run_dir.name!r} cannot be read. Delete this model, or load it again.")
    try:
        return _read(values)
    except DamagedCardError as error:
        raise ModelError(
            f"{CARD_FILE} of {run_dir.name!r} is not one of this app's: {error}. Choose another model."
        ) from None


# Reading -------------------------------------------------------------------------------------------------------------


def _read(values: Any) -> Card:
    card = TableReader(upgrade_card(values), "it")
    names, positive = card.read_names("class_names"), card.read_names("positive_classes")
    if not names or not positive:
        raise DamagedCardError("its class names are missing")
    if not set(positive) <= set(names) or len(set(names)) != len(names):
        raise DamagedCardError("its class names contradict each other")
    if names != (emotions.DEPRESSED,) and not set(names) <= set(emotions.EMOTIONS):
        raise DamagedCardError("its class names are unknown")
    recipe = card.read_text("recipe")
    if recipe not in RECIPES:
        raise DamagedCardError(f"its recipe {recipe!r} is unknown")
    threshold = card.read_number("decision_threshold", 0, 1, default=0.5)
    calibration = _read_calibration(table) if (table := card.read_table("calibration")) else None
    band = calibration.abstention_band if calibration else None
    if band and not band.low <= threshold <= band.high:
        raise DamagedCardError("its abstention band is not around its decision threshold")
    return Card(
        recipe=recipe,
        class_names=names,
        positive_classes=positive,
        input_size_px=card.read_count("input_size_px", default=RECIPES[recipe].input_size_px, low=1, high=_MAX_SIZE_PX),
        decision_threshold=threshold,
        uses_flip_tta=card.read_flag("uses_flip_tta"),
        data=_read_data(card.read_table("data")),
        calibration=calibration,
        training=_read_training(table) if (table := card.read_table("training")) else None,
        scores={name: read_scores_table(table) for name, table in card.read_tables("scores").items()},
        evaluations=tuple(read_evaluation_table(table) for table in card.read_list_of_tables("evaluations")),
        command=card.read_text("command"),
        earlier_commands=card.read_names("earlier_commands"),
        versions={name: str(version) for name, version in card.read_dict("versions").items()},
        extra=card.read_rest("format"),
    )


def _read_data(data: TableReader) -> CardData:
    choices = {name: data.read_any(name) for name in ("folder_choices", "depressed_emotions")}
    choices = {name: value for name, value in choices.items() if value is not None}
    if problem := find_record_problem(choices):
        raise DamagedCardError(problem)
    return CardData(
        name=data.read_text("name"),
        content_hash=data.read_text("content_hash"),
        protocol=data.read_text("protocol"),
        seed=data.read_count("seed", default=0, high=_MAX_SEED),
        folder_choices=choices.get("folder_choices"),
        depressed_emotions=tuple(names) if (names := choices.get("depressed_emotions")) is not None else None,
        num_images=data.read_counts("num_images"),
        dropped_issues=data.read_counts("dropped_issues"),
        issue_limits=data.read_numbers("issue_limits"),
        leaks={
            name: LeakCounts(
                num_images=leak.read_count("num_images"),
                num_identical=leak.read_count("num_identical"),
                num_similar=leak.read_count("num_similar"),
                extra=leak.read_rest(),
            )
            for name, leak in data.read_tables("leaks").items()
        },
        num_in_training_set=data.read_counts("num_in_training_set"),
        num_drawn_faces=data.read_count("num_drawn_faces", default=None),
        extra=data.read_rest(),
    )


def _read_calibration(calibration: TableReader) -> Calibration:
    band = calibration.read_table("abstention_band")
    return Calibration(
        temperature=calibration.read_number("temperature", 1e-6, 1000, default=1.0),
        abstention_band=AbstentionBand(
            low=band.read_number("low", 0, 1),
            high=band.read_number("high", 0, 1),
            target_error=band.read_number("target_error", 0, 1),
            extra=band.read_rest(),
        )
        if band
        else None,
        chosen_on=calibration.read_text("chosen_on"),
        num_images=calibration.read_count("num_images", default=None),
        run=calibration.read_text("run"),
        extra=calibration.read_rest(),
    )


def _read_training(training: TableReader) -> TrainingSummary:
    return TrainingSummary(
        num_epochs=training.read_count("num_epochs"),
        selected_epoch=training.read_count("selected_epoch", default=None),
        seconds=training.read_number("seconds", 0, _MAX_SECONDS),
        was_stopped=training.read_flag("was_stopped"),
        num_images_seen=training.read_count("num_images_seen", default=None),
        has_diverged=training.read_flag("has_diverged"),
        teacher=training.read_text("teacher"),
        refit_of=training.read_text("refit_of"),
        graph_difference=training.read_number("graph_difference", 0, 1, default=None),
        extra=training.read_rest(),
    )


# Writing -------------------------------------------------------------------------------------------------------------


def _write(value: Any) -> Any:
    """Returns a value of a card as JSON has it; what is optional and missing is not written."""
    if isinstance(value, MajorityBaseline):
        return {"name": value.name, "share": value.share} if value.is_known else None
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        extra, scores = dict(fields.pop("extra", {})), None
        if isinstance(value, RecordedEvaluation):  # its scores are written beside what was scored
            scores = _write(fields.pop("scores"))
        known = {name: _write(item) for name, item in fields.items() if item is not None and item != UNKNOWN}
        return {**known, **(scores or {}), **extra}
    if isinstance(value, Mapping):
        return {name: _write(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_write(item) for item in value]
    return drop_nan(value)
