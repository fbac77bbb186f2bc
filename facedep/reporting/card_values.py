"""Values out of a `card.json` that may come from anywhere: those of unexpected kinds count as missing."""

from typing import Any

from facedep.reporting.rendering import clean_line

_MAX_NUMBER = 1e15  # a larger one is no count, score or time
_MAX_TEXT = 300


def get_table(parent: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns a table in a table; an empty one for anything else."""
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def get_names(parent: dict[str, Any], name: str) -> list[str]:
    """Returns the texts of a list; none for anything else."""
    value = parent.get(name)
    return [clean_text(item) for item in value if isinstance(item, str)] if isinstance(value, list) else []


def get_text(parent: dict[str, Any], name: str) -> str:
    """Returns a text as `clean_text` does."""
    return clean_text(parent.get(name))


def get_number(parent: dict[str, Any], name: str) -> float | None:
    """Returns a number; None for anything else, and for one that is not finite or implausibly large."""
    value = parent.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MAX_NUMBER:
        return None
    return float(value)


def get_interval(parent: dict[str, Any], name: str) -> tuple[float, float] | None:
    """Returns an interval's low and high end; None for anything else."""
    value = parent.get(name)
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = (get_number({"end": end}, "end") for end in value)
    return None if low is None or high is None else (low, high)


def clean_text(value: Any, max_length: int = _MAX_TEXT) -> str:
    """Returns a text as one line without control characters, cut if it is implausibly long; "" for anything else."""
    if not isinstance(value, str):
        return ""
    line = clean_line(value)
    return line if len(line) <= max_length else line[: max_length - 1] + "…"
