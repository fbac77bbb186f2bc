"""How the JSON of a card is read: older formats become today's, and every value is checked for its kind and range."""

import math
from collections.abc import Mapping
from typing import Any

from facedep import emotions

FORMAT = 2
_MAX_COUNT = 10**12  # pictures shown in a training of 1,000 epochs stay far below
_MAX_LIMIT = 1e6
_NAN = float("nan")
_MISSING = object()
_CARD_NAMES = {"threshold": "decision_threshold", "averages_mirror": "uses_flip_tta"}
_CALIBRATION_NAMES = {"uncertain": "abstention_band"}
_DATA_NAMES = {
    "split": "protocol",
    "left_out": "dropped_issues",
    "thresholds": "issue_limits",
    "num_seen_before": "num_in_training_set",
}
_TRAINING_NAMES = {"kept_epoch": "selected_epoch", "final_fit_of": "refit_of"}
_EVALUATION_NAMES = {
    "split": "protocol",
    "part": "subset",
    "threshold": "decision_threshold",
    "num_seen_in_training": "num_in_training_set",
    "num_left_out_seen": "num_skipped",
}


class DamagedCardError(Exception):
    """A card's content is not what it has to be; the message is a clause without a capital and a full stop."""


# Older formats -------------------------------------------------------------------------------------------------------


def upgrade_card(values: Any) -> dict[str, Any]:
    """Returns the content of a `card.json` of any format under the names of today's. What is damaged stays damaged.

    Raises:
        DamagedCardError: It is no table, or of a format that came later.
    """
    if not isinstance(values, dict):
        raise DamagedCardError("it is no table of names and values")
    number = values.get("format", 1)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= FORMAT:
        raise DamagedCardError(f"its format {number!r} is unknown, this version knows 1 to {FORMAT}")
    if number == FORMAT:
        return values
    card = {**_rename(values, _CARD_NAMES), "format": FORMAT}
    for name, names in (("data", _DATA_NAMES), ("calibration", _CALIBRATION_NAMES), ("training", _TRAINING_NAMES)):
        if isinstance(card.get(name), dict):
            card[name] = _rename(card[name], names)
    if isinstance(card.get("scores"), dict):
        card["scores"] = {subset: upgrade_scores(scores) for subset, scores in card["scores"].items()}
    if isinstance(card.get("evaluations"), list):
        card["evaluations"] = [upgrade_evaluation(evaluation) for evaluation in card["evaluations"]]
    return card


def upgrade_evaluation(values: Any) -> Any:
    """Returns scores on a data set, and what was scored, under the names of today's format."""
    return upgrade_scores(_rename(values, _EVALUATION_NAMES)) if isinstance(values, Mapping) else values


def upgrade_scores(values: Any) -> Any:
    """Returns scores under the names of today's format; those that have them already stay as they are."""
    if not isinstance(values, Mapping):
        return values
    scores = _rename_baseline(values, "majority_baseline")
    answered = scores.pop("answered", None)
    if isinstance(answered, Mapping):
        names = {"share": "coverage", "num_images": "num_covered", "accuracy": "selective_accuracy"}
        names["accuracy_interval"] = "selective_accuracy_interval"
        scores |= _rename(_rename_baseline(answered, "selective_majority_baseline"), names)
    elif answered is not None:
        raise DamagedCardError("answered of its scores is no table")
    return scores


def _rename(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}


def _rename_baseline(scores: Mapping[str, Any], new_name: str) -> dict[str, Any]:
    """Returns scores in which the share of always *non-depressed* has become the better constant answer's."""
    renamed = {}
    for name, value in scores.items():
        if name != "always_non_depressed_accuracy":
            renamed[name] = value
        elif not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            renamed[new_name] = None if value is None or value != value else value
        elif value < 0.5:
            renamed[new_name] = {"name": emotions.DEPRESSED, "share": 1 - value}
        else:
            renamed[new_name] = {"name": emotions.NON_DEPRESSED, "share": value}
    return renamed


# Checked values ------------------------------------------------------------------------------------------------------


def find_record_problem(record: Mapping[str, Any]) -> str | None:
    """Returns what is wrong with choices as a card holds them, or None. A card may come from anywhere."""
    choices, grouping = record.get("folder_choices", {}), record.get("depressed_emotions", [])
    if not isinstance(choices, dict) or not all(isinstance(choice, str) for choice in choices.values()):
        return "what it says of folders is no table of names"
    if not isinstance(grouping, list) or not all(emotion in emotions.EMOTIONS for emotion in grouping):
        return "the emotions that it counts as depressed are unknown"
    return None


def drop_nan(value: Any) -> Any:
    """Returns a value, or null for a number that is none: JSON knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


class TableReader:
    """Reads one table of a card, name by name, and knows what is left.

    Each `read_` function raises `DamagedCardError` for a value of the wrong kind or out of range. A missing value is
    the default, and damage if there is none.

    Args:
        values: The table.
        where: What it is called in messages, like "its training".
    """

    def __init__(self, values: Any, where: str):
        if not isinstance(values, Mapping):
            raise DamagedCardError(f"{where} is no table of names and values")
        self._values, self._where, self._left = values, where, dict(values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def read_rest(self, *dropped: str) -> dict[str, Any]:
        """Returns what was not read, without these names."""
        return {name: value for name, value in self._left.items() if name not in dropped}

    def read_text(self, name: str) -> str:
        """Returns a text, "" where it is missing."""
        value = self._take(name, default="")
        if not isinstance(value, str):
            raise self._damage(name, "no text")
        return value

    def read_flag(self, name: str) -> bool:
        """Returns true or false; false where it is missing."""
        value = self._take(name, default=False)
        if not isinstance(value, bool):
            raise self._damage(name, "neither true nor false")
        return value

    def read_count(self, name: str, *, default: Any = _MISSING, low: int = 0, high: int = _MAX_COUNT) -> Any:
        """Returns a whole number within these limits."""
        value = self._take(name, default=default)
        return value if value is default else self._check_count(name, value, low, high)

    def read_number(self, name: str, low: float, high: float, *, default: Any = _MISSING) -> Any:
        """Returns a number within these limits."""
        value = self._take(name, default=default)
        return value if value is default else self._check_number(name, value, low, high)

    def read_score(self, name: str, *, is_needed: bool = False, default: Any = _NAN) -> Any:
        """Returns a number in 0..1, NaN for null; the default where it is missing and not needed."""
        value = self._take(name, default=_MISSING if is_needed else default)
        if value is default:
            return value
        return _NAN if _is_undefined(value) else self._check_number(name, value, 0, 1)

    def read_interval(self, name: str, *, default: Any = (_NAN, _NAN)) -> Any:
        """Returns two numbers in 0..1, each NaN for null; the default where they are missing."""
        value = self._take(name, default=default)
        return value if value is default else self.check_interval(value)

    def check_interval(self, value: Any) -> tuple[float, float]:
        """Returns an interval's low and high end, each NaN for null."""
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise DamagedCardError(f"an interval of {self._where} is no pair of numbers")
        low, high = (_NAN if _is_undefined(end) else self._check_number("interval", end, 0, 1) for end in value)
        if low > high:
            raise DamagedCardError(f"an interval of {self._where} ends before it begins")
        return low, high

    def read_any(self, name: str) -> Any:
        """Returns a value as it is, None where it is missing; whoever asks checks it."""
        return self._take(name, default=None)

    def read_names(self, name: str) -> tuple[str, ...]:
        """Returns a list of texts, empty where it is missing."""
        value = self._take(name, default=())
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise self._damage(name, "no list of texts")
        return tuple(value)

    def read_counts(self, name: str) -> dict[str, int]:
        """Returns a table of whole numbers, empty where it is missing or null."""
        return {key: self._check_count(name, value, 0, _MAX_COUNT) for key, value in self.read_dict(name).items()}

    def read_numbers(self, name: str) -> dict[str, float]:
        """Returns a table of numbers, empty where it is missing or null."""
        values = self.read_dict(name)
        return {key: self._check_number(name, value, -_MAX_LIMIT, _MAX_LIMIT) for key, value in values.items()}

    def read_dict(self, name: str) -> dict[str, Any]:
        """Returns a table as it is, empty where it is missing or null."""
        value = self._take(name, default={})
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self._damage(name, "no table")
        return dict(value)

    def read_table(self, name: str) -> "TableReader":
        """Returns a reader of a table, an empty one where it is missing or null."""
        return TableReader(self.read_dict(name), f"its {name}")

    def read_tables(self, name: str) -> dict[str, "TableReader"]:
        """Returns a reader for each table in a table; empty ones are left out."""
        readers = {key: TableReader(value, f"its {name}") for key, value in self.read_dict(name).items()}
        return {key: reader for key, reader in readers.items() if reader}

    def read_list_of_tables(self, name: str) -> list["TableReader"]:
        """Returns a reader for each table in a list; an empty list where it is missing."""
        value = self._take(name, default=[])
        if not isinstance(value, list | tuple):
            raise self._damage(name, "no list")
        return [TableReader(item, f"one of its {name}") for item in value]

    def _take(self, name: str, *, default: Any) -> Any:
        self._left.pop(name, None)
        value = self._values.get(name, _MISSING)
        if value is None and default is None:
            return None
        if value is not _MISSING:
            return value
        if default is _MISSING:
            raise self._damage(name, "missing")
        return default

    def _check_count(self, name: str, value: Any, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._damage(name, f"no whole number from {low:,} to {high:,}")
        return value

    def _check_number(self, name: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._damage(name, f"no number from {low:g} to {high:g}")
        return float(value)

    def _damage(self, name: str, problem: str) -> DamagedCardError:
        of = "" if self._where == "it" else f" of {self._where}"
        return DamagedCardError(f"{name}{of} is {problem}")


def _is_undefined(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
