"""What a model card says, gathered out of a run's `card.json`: texts and numbers, ready to be laid out.

Cards come with models from elsewhere: values of unexpected kinds count as missing, and texts are cut to one line. They
are escaped where they are laid out.
"""

from dataclasses import dataclass
from typing import Any

from facedep import emotions
from facedep.audit.issues import ISSUE_NAMES
from facedep.data.splits import PROTOCOLS, SUBSETS
from facedep.networks.recipes import RECIPES
from facedep.reporting.card_values import clean_text, get_names, get_number, get_table, get_text
from facedep.reporting.known_data import KNOWN_DATA, KnownData

SAMPLE_NAME = "sample faces (drawn)"  # as `data.load_dataset("sample")` names them
_MAX_COMMAND, _MAX_EARLIER = 2000, 10

_ARCHITECTURES = {
    "article": "three convolutions and two dense layers, as published",
    "compact": "residual blocks (He et al. 2015, arXiv 1512.03385) with squeeze-and-excitation (Hu et al. 2017, "
    "arXiv 1709.01507)",
    "quick": "the convolutions of the model that comes with the app, unchanged, and a layer of its own on top of them",
}


@dataclass(frozen=True)
class ModelFacts:
    """The network; "" and None where the card does not say."""

    recipe: str
    recipe_title: str
    architecture: str
    input_size_px: float | None
    class_names: list[str]
    positive_classes: list[str]
    knows_emotions: bool
    threshold: float | None
    uses_flip_tta: bool


@dataclass(frozen=True)
class DataFacts:
    """What the model learned from; "" and None where the card does not say."""

    name: str
    content_hash: str
    protocol: str
    protocol_text: str
    seed: float | None
    num_images: dict[str, float]
    num_dropped: float | None
    dropped_issues: list[str]
    num_drawn_faces: float | None
    is_sample: bool
    known: KnownData | None


@dataclass(frozen=True)
class TrainingFacts:
    """How the model was trained; "" and None where the card does not say."""

    commands: list[str]
    num_epochs: float | None
    selected_epoch: float | None
    num_images_seen: float | None
    seconds: float | None
    teacher: str
    refit_of: str
    was_stopped: bool
    has_diverged: bool
    versions: dict[str, str]


@dataclass(frozen=True)
class CalibrationFacts:
    """How the probabilities were calibrated and when the model is uncertain; "" and None where the card is silent."""

    subset: str
    run: str
    num_images: float | None
    temperature: float | None
    low: float | None
    high: float | None
    max_error: str


def gather_model(card: dict[str, Any]) -> ModelFacts:
    """Returns the network.

    Args:
        card: The content of a `card.json`.
    """
    names = get_names(card, "class_names")
    recipe = name if isinstance(name := card.get("recipe"), str) and name in RECIPES else ""
    return ModelFacts(
        recipe=recipe,
        recipe_title=RECIPES[recipe].title if recipe else "",
        architecture=_ARCHITECTURES.get(recipe, ""),
        input_size_px=get_number(card, "input_size_px"),
        class_names=names,
        positive_classes=get_names(card, "positive_classes"),
        knows_emotions=bool(names) and set(names) <= set(emotions.EMOTIONS),
        threshold=get_number(card, "decision_threshold"),
        uses_flip_tta=card.get("uses_flip_tta") is True,
    )


def gather_data(card: dict[str, Any]) -> DataFacts:
    """Returns what the model learned from.

    Args:
        card: The content of a `card.json`.
    """
    data = get_table(card, "data")
    numbers = {subset: get_number(get_table(data, "num_images"), subset) for subset in SUBSETS}
    dropped, protocol = get_table(data, "dropped_issues"), get_text(data, "protocol")
    return DataFacts(
        name=get_text(data, "name"),
        content_hash=get_text(data, "content_hash"),
        protocol=protocol,
        protocol_text=PROTOCOLS.get(protocol, ""),
        seed=get_number(data, "seed"),
        num_images={subset: number for subset, number in numbers.items() if number is not None},
        num_dropped=get_number(dropped, "all"),
        dropped_issues=[name.replace("_", " ") for name in dropped if name in ISSUE_NAMES],
        num_drawn_faces=get_number(data, "num_drawn_faces"),
        is_sample=is_sample(data),
        known=find_known(data),
    )


def gather_training(card: dict[str, Any]) -> TrainingFacts:
    """Returns how the model was trained.

    Args:
        card: The content of a `card.json`.
    """
    training, versions = get_table(card, "training"), get_table(card, "versions")
    earlier, command = card.get("earlier_commands"), clean_text(card.get("command"), _MAX_COMMAND)
    earlier = [clean_text(text, _MAX_COMMAND) for text in earlier[:_MAX_EARLIER]] if isinstance(earlier, list) else []
    return TrainingFacts(
        commands=[text for text in [*earlier, command] if text] if command else [],
        num_epochs=get_number(training, "num_epochs"),
        selected_epoch=get_number(training, "selected_epoch"),
        num_images_seen=get_number(training, "num_images_seen"),
        seconds=get_number(training, "seconds"),
        teacher=get_text(training, "teacher"),
        refit_of=get_text(training, "refit_of"),
        was_stopped=training.get("was_stopped") is True,
        has_diverged=training.get("has_diverged") is True,
        versions={clean_text(name): get_text(versions, name) for name in versions if get_text(versions, name)},
    )


def gather_calibration(card: dict[str, Any]) -> CalibrationFacts | None:
    """Returns the calibration and the abstention band; None for a model that has neither.

    Args:
        card: The content of a `card.json`.
    """
    calibration = get_table(card, "calibration")
    band = get_table(calibration, "abstention_band")
    target = get_number(band, "target_error")
    if not calibration:
        return None
    return CalibrationFacts(
        subset=get_text(calibration, "chosen_on"),
        run=get_text(calibration, "run"),
        num_images=get_number(calibration, "num_images"),
        temperature=get_number(calibration, "temperature"),
        low=get_number(band, "low"),
        high=get_number(band, "high"),
        max_error="" if target is None else f"{100 * target:.4g} %",
    )


def find_known(data: dict[str, Any]) -> KnownData | None:
    """Returns what is known of the data of a card, or of an evaluation."""
    return KNOWN_DATA.get(str(data.get("content_hash")))


def is_sample(data: dict[str, Any]) -> bool:
    """Whether the data are the drawn faces: the data of a card, or an evaluation."""
    return SAMPLE_NAME in (data.get("name"), data.get("data"))
