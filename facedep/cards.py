"""The `card.json` of a model: what its outputs mean, what it was trained on, how it scored. Read without Keras."""

import json
from pathlib import Path
from typing import Any

from facedep import emotions
from facedep.dataset_spec import find_record_problem
from facedep.errors import ModelError
from facedep.recipes import RECIPES

MODEL_FILE = "model.keras"
CARD_FILE = "card.json"
MODEL_CARD_FILE = "MODEL_CARD.md"
FINGERPRINTS_FILE = "trained_on.txt"
ANSWERS_FILE = "answers.npz"  # of a run whose model file is not there: what it answered to one data set
_SCORE_NAMES = {"num_images", "accuracy", "always_non_depressed_accuracy", "balanced_accuracy", "roc_auc"}
_LEAK_NAMES = {"num_images", "num_identical", "num_similar"}


def read_card(run_dir: Path) -> dict[str, Any]:
    """Returns the content of a run's `card.json`, checked.

    Raises:
        ModelError: There is no such run or card, or the card is not one of this project's.
    """
    path = run_dir / CARD_FILE
    try:
        card = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        found = "has no finished model" if run_dir.is_dir() else "does not exist"
        raise ModelError(f"The model {run_dir.name!r} {found}. Choose one from the list on the Train page.") from None
    except (OSError, ValueError, RecursionError):
        raise ModelError(
            f"{CARD_FILE} of {run_dir.name!r} cannot be read. Delete this model, or load it again."
        ) from None
    problem = find_card_problem(card)
    if problem:
        raise ModelError(f"{CARD_FILE} of {run_dir.name!r} is not one of this app's: {problem}. Choose another model.")
    return card


def find_card_problem(card: Any) -> str | None:
    """Returns what is wrong with a card's content, or None: classes and recipe known, threshold in 0..1."""
    if not isinstance(card, dict):
        return "it is no table of names and values"
    names, positive = card.get("class_names"), card.get("positive_classes")
    if not _is_list_of_names(names) or not _is_list_of_names(positive):
        return "its class names are missing"
    if not set(positive) <= set(names) or len(set(names)) != len(names):
        return "its class names contradict each other"
    if names != [emotions.DEPRESSED] and not set(names) <= set(emotions.EMOTIONS):
        return "its class names are unknown"
    if not isinstance(card.get("recipe"), str) or card["recipe"] not in RECIPES:
        return f"its recipe {card.get('recipe')!r} is unknown"
    threshold = card.get("threshold", 0.5)
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        return "its threshold is not between 0 and 1"
    if (problem := _find_calibration_problem(card.get("calibration", {}), threshold)) is not None:
        return problem
    if not isinstance(card.get("averages_mirror", False), bool):
        return "whether it averages with the mirror image is not said"
    trained_on = card.get("data", {})
    seed = trained_on.get("seed", 0) if isinstance(trained_on, dict) else None
    if not isinstance(seed, int) or seed < 0:
        return "its seed is no whole number"
    if (problem := find_record_problem(trained_on)) is not None:
        return problem
    for name in ("left_out", "thresholds"):
        rules = trained_on.get(name) or {}
        if not isinstance(rules, dict) or not all(map(_is_number, rules.values())):
            return "what it says of the pictures that were cleaned away is no table of numbers"
    if not _is_table(card.get("training", {}), {"num_epochs", "kept_epoch", "seconds"}):
        return "what it says of its training is no table of numbers"
    for name, needed in (("scores", _SCORE_NAMES), ("leaks", _LEAK_NAMES)):
        tables = card.get(name, {}) if name == "scores" else trained_on.get(name, {})
        if not isinstance(tables, dict) or not all(_is_table(table, needed) for table in tables.values()):
            return f"its {name} are no tables of numbers"
    return None


def _find_calibration_problem(calibration: Any, threshold: float) -> str | None:
    if not isinstance(calibration, dict):
        return "its calibration is no table"
    temperature, band = calibration.get("temperature", 1.0), calibration.get("uncertain")
    if not _is_number(temperature) or not 0 < temperature < 1000:
        return "its temperature is no number above 0"
    if band is None:
        return None
    if not isinstance(band, dict) or not all(_is_number(band.get(name)) for name in ("low", "high", "target_error")):
        return "its uncertain band is no table of numbers"
    return (
        None if 0 <= band["low"] <= threshold <= band["high"] <= 1 else "its uncertain band is not around its threshold"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_table(value: Any, needed: set[str]) -> bool:
    """Whether a value is empty, or a table that holds a number, or null, under each of the needed names."""
    if not isinstance(value, dict) or (value and not needed <= value.keys()):
        return False
    return all(value[name] is None or isinstance(value[name], int | float) for name in needed & value.keys())


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)
