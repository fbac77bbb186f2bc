"""How well a model does, gathered out of its `card.json` for the model card: tables, and what follows from them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from facedep.evaluation.intervals import compute_wilson_interval
from facedep.networks.majority_baseline import read_majority_baseline
from facedep.networks.recipes import RECIPES
from facedep.reporting.card_values import clean_text, get_interval, get_number, get_table, get_text
from facedep.reporting.model_card_facts import find_known, gather_model, is_sample

MISSING = "–"
_FEW_IMAGES = 50  # a share's interval holds a true 0.95 in 91 of 100 simulations with 50 pictures, in 77 with 30
_MEASURES = ("accuracy", "balanced_accuracy", "roc_auc", "ece", "emotion_accuracy")


@dataclass(frozen=True)
class Table:
    """A table's header and its rows, without columns that have no value in any row."""

    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class OtherData:
    """Data that the model did not learn from but was scored on, if anything is known of them."""

    name: str
    title: str
    issues: list[str]
    is_sample: bool


@dataclass(frozen=True)
class ScoreFacts:
    """How well the model does on everything that it was scored on.

    Attributes:
        measures: Scores that the card holds, by their names in `card.json`.
        has_intervals: Whether it holds intervals of any of them.
        has_wilson_intervals: Whether the intervals of shares are Wilson's; earlier versions recorded the bootstrap's.
        has_emotions: Whether it holds scores for each emotion.
        evaluation_table: What it was scored on; None if on nothing.
        val_chose: What the val subset was used to choose, if its scores are shown.
        other_data: What is known of other data that it was scored on.
        score_table: The scores; None if there are none.
        not_better: Title of what it is not shown to do better on than by always giving one answer, and that answer.
        emotion_tables: Title and scores for each emotion.
        has_narrow_intervals: Whether intervals in those are too narrow, as the bootstrap's are with fewer pictures than
            `few_images`.
        few_images: Fewer pictures than these make intervals too narrow.
        selective_table: The scores outside the abstention band; None without any.
        remembered: Title and number of pictures identical to a training picture.
    """

    measures: set[str]
    has_intervals: bool
    has_wilson_intervals: bool
    has_emotions: bool
    evaluation_table: Table | None
    val_chose: list[str]
    other_data: list[OtherData]
    score_table: Table | None
    not_better: list[tuple[str, str]]
    emotion_tables: list[tuple[str, Table]]
    has_narrow_intervals: bool
    few_images: int
    selective_table: Table | None
    remembered: list[tuple[str, float]]


@dataclass(frozen=True)
class _ScoredSet:
    """One set of pictures that the model was scored on; None where the card does not say."""

    title: str
    split: str
    scores: dict[str, Any]
    num_identical: float | None
    num_similar: float | None


def gather_scores(card: dict[str, Any]) -> ScoreFacts:
    """Returns how well the model does on everything that it was scored on.

    Args:
        card: The content of a `card.json`.
    """
    sets = _find_scored_sets(card)
    tables, has_narrow_intervals = _build_emotion_tables(card, sets)
    has_wilson_intervals = all(_has_wilson_interval(scored.scores) for scored in sets)
    return ScoreFacts(
        measures={name for name in _MEASURES if any(get_number(scored.scores, name) is not None for scored in sets)},
        has_intervals=any(_has_intervals(scored.scores) for scored in sets),
        has_wilson_intervals=has_wilson_intervals,
        has_emotions=any(get_table(scored.scores, "per_emotion") for scored in sets),
        evaluation_table=_build_evaluation_table(sets),
        val_chose=_list_val_choices(card) if sets else [],
        other_data=_list_other_data(card),
        score_table=_build_score_table(sets),
        not_better=_list_not_better(sets),
        emotion_tables=tables,
        has_narrow_intervals=has_narrow_intervals and not has_wilson_intervals,
        few_images=_FEW_IMAGES,
        selective_table=_build_selective_table(sets),
        remembered=[(scored.title, scored.num_identical) for scored in sets if scored.num_identical],
    )


# What it was scored on


def _find_scored_sets(card: dict[str, Any]) -> list[_ScoredSet]:
    """Returns what the model was scored on: its own data's parts, test first, then other data."""
    data = get_table(card, "data")
    name = get_text(data, "name") or "its own data"
    sets = []
    for part in ("test", "val"):
        scores, leaks = get_table(get_table(card, "scores"), part), get_table(get_table(data, "leaks"), part)
        if not scores or (part == "val" and _is_refit(card)):  # a refit has learned val
            continue
        sets.append(
            _ScoredSet(
                title=f"{name}, {part}",
                split=get_text(data, "protocol"),
                scores=scores,
                num_identical=get_number(leaks, "num_identical"),
                num_similar=get_number(leaks, "num_similar"),
            )
        )
    for evaluation in _get_evaluations(card):
        part, split = get_text(evaluation, "subset"), get_text(evaluation, "protocol")
        title = ", ".join(text for text in (get_text(evaluation, "data") or "other data", part) if text)
        sets.append(
            _ScoredSet(
                title=title,
                split="" if part == "all" else split,
                scores=evaluation,
                num_identical=get_number(evaluation, "num_in_training_set"),
                num_similar=None,
            )
        )
    return sets


def _list_val_choices(card: dict[str, Any]) -> list[str]:
    """Returns what the val subset was used to choose, which makes its scores flatter; nothing if it has none."""
    if "val" not in get_table(card, "scores") or _is_refit(card):
        return []
    choices = []
    recipe, calibration = card.get("recipe"), get_table(card, "calibration")
    if isinstance(recipe, str) and recipe in RECIPES and RECIPES[recipe].checkpoint_policy == "best":
        choices.append("the epoch to keep")
    if calibration.get("chosen_on") == "val" and not calibration.get("run"):
        choices.append("the calibration")
    return choices


def _list_other_data(card: dict[str, Any]) -> list[OtherData]:
    """Returns what is known of other data that the model was scored on; each issue once."""
    data, others = get_table(card, "data"), []
    named = [find_known(data)]
    for evaluation in _get_evaluations(card):
        known, name = find_known(evaluation), get_text(evaluation, "data")
        if known and known not in named:
            named_issues = [issue for known_data in named if known_data for issue in known_data.issues]
            issues = [issue for issue in known.issues if issue not in named_issues]
            others.append(OtherData(name, known.title, issues, is_sample=False))
            named.append(known)
        elif is_sample(evaluation) and not is_sample(data):
            others.append(OtherData(name, "", [], is_sample=True))
    return others


def _list_not_better(sets: list[_ScoredSet]) -> list[tuple[str, str]]:
    """Returns what the model is not shown to be better on than always answering the larger group, and that group."""
    titles = []
    for scored in sets:
        accuracy, baseline = get_number(scored.scores, "accuracy"), read_majority_baseline(scored.scores)
        interval = get_interval(get_table(scored.scores, "intervals"), "accuracy")
        if accuracy is not None and (interval[0] if interval else accuracy) <= baseline.share:
            titles.append((scored.title, baseline.label))
    return titles


# The tables


def _build_evaluation_table(sets: list[_ScoredSet]) -> Table | None:
    header = ["scored on", "split", "pictures", "identical to a training picture", "identical or similar to one"]
    rows = [
        [
            scored.title,
            scored.split or MISSING,
            _format(_count, get_number(scored.scores, "num_images")),
            _format(_count, scored.num_identical),
            _format(_count, scored.num_similar),
        ]
        for scored in sets
    ]
    return _build_table(header, rows)


def _build_score_table(sets: list[_ScoredSet]) -> Table | None:
    header = ["scored on", "pictures", "right", "always one answer", "balanced", "ROC AUC", "ECE", "right emotion"]
    return _build_table(header, [_build_score_row(scored) for scored in sets])


def _build_score_row(scored: _ScoredSet) -> list[str]:
    scores, intervals = scored.scores, get_table(scored.scores, "intervals")
    return [
        scored.title,
        _format(_count, get_number(scores, "num_images")),
        _format_share(scores, "accuracy", get_interval(intervals, "accuracy")),
        _format_baseline(scores),
        _format_decimal(scores, "balanced_accuracy", get_interval(intervals, "balanced_accuracy")),
        _format_decimal(scores, "roc_auc", get_interval(intervals, "roc_auc")),
        _format(_decimal, get_number(scores, "ece")),
        _format_share(scores, "emotion_accuracy", get_interval(scores, "emotion_accuracy_interval")),
    ]


def _build_emotion_tables(card: dict[str, Any], sets: list[_ScoredSet]) -> tuple[list[tuple[str, Table]], bool]:
    """Returns title and table of each set with scores for each emotion; and whether an interval is too narrow."""
    model = gather_model(card)
    positive = model.positive_classes if model.knows_emotions else []
    header = ["emotion", "counts as", "pictures", "right group", "right emotion", "mean P(depressed)"]
    tables, has_narrow_intervals = [], False
    for scored in sets:
        table = get_table(scored.scores, "per_emotion")
        per_emotion = {clean_text(name): row for name, row in table.items() if isinstance(row, dict) and row}
        rows = [_build_emotion_row(emotion, row, positive) for emotion, row in per_emotion.items()]
        has_narrow_intervals |= any(map(_is_interval_narrow, per_emotion.values()))
        if emotion_table := _build_table(header, rows):
            tables.append((scored.title, emotion_table))
    return tables, has_narrow_intervals


def _build_emotion_row(emotion: str, row: dict[str, Any], positive: list[str]) -> list[str]:
    group = "depressed" if emotion in positive else "non-depressed"
    return [
        emotion,
        group if positive else MISSING,
        _format(_count, get_number(row, "num_images")),
        _format_share(row, "group_accuracy", get_interval(row, "group_accuracy_interval")),
        _format_share(row, "emotion_accuracy", get_interval(row, "emotion_accuracy_interval")),
        _format(_decimal, get_number(row, "mean_probability")),
    ]


def _is_interval_narrow(row: dict[str, Any]) -> bool:
    interval = get_interval(row, "group_accuracy_interval")
    return interval is not None and ((get_number(row, "num_images") or 0) < _FEW_IMAGES or interval[0] == interval[1])


def _build_selective_table(sets: list[_ScoredSet]) -> Table | None:
    header = ["scored on", "answered", "pictures answered", "right among them", "always one answer among them"]
    rows = []
    for scored in sets:
        scores = scored.scores
        if get_number(scores, "coverage") is not None:
            baseline = {"majority_baseline": get_table(scores, "selective_majority_baseline")}
            interval = get_interval(scores, "selective_accuracy_interval")
            rows.append(
                [
                    scored.title,
                    _format(_percent, get_number(scores, "coverage")),
                    _format(_count, get_number(scores, "num_covered")),
                    _format_share(scores, "selective_accuracy", interval),
                    _format_baseline(baseline),
                ]
            )
    return _build_table(header, rows)


def _build_table(header: list[str], rows: list[list[str]]) -> Table | None:
    """Returns a table without the columns that have no value in any row; None without rows."""
    columns = [column for column in range(len(header)) if column == 0 or any(row[column] != MISSING for row in rows)]
    if not rows:
        return None
    return Table([header[column] for column in columns], [[row[column] for column in columns] for row in rows])


# Numbers as text


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _decimal(score: float) -> str:
    return f"{score:.3f}"


def _format(formatter: Callable[[float], str], number: float | None) -> str:
    return MISSING if number is None else formatter(number)


def _format_baseline(scores: dict[str, Any]) -> str:
    baseline = read_majority_baseline(scores)
    return f"{_percent(baseline.share)} ({baseline.label})" if baseline.is_known else MISSING


def _format_share(scores: dict[str, Any], name: str, interval: tuple[float, float] | None) -> str:
    text = _format(_percent, get_number(scores, name))
    return text if interval is None or text == MISSING else f"{text} ({100 * interval[0]:.1f}–{100 * interval[1]:.1f})"


def _format_decimal(scores: dict[str, Any], name: str, interval: tuple[float, float] | None) -> str:
    text = _format(_decimal, get_number(scores, name))
    return text if interval is None or text == MISSING else f"{text} ({interval[0]:.3f}–{interval[1]:.3f})"


# What the card says


def _get_evaluations(card: dict[str, Any]) -> list[dict[str, Any]]:
    evaluations = card.get("evaluations")
    return [e for e in evaluations if isinstance(e, dict) and e] if isinstance(evaluations, list) else []


def _is_refit(card: dict[str, Any]) -> bool:
    return bool(get_text(get_table(card, "training"), "refit_of"))


def _has_intervals(scores: dict[str, Any]) -> bool:
    return any(get_interval(get_table(scores, "intervals"), name) for name in get_table(scores, "intervals"))


def _has_wilson_interval(scores: dict[str, Any]) -> bool:
    """Whether the interval of the accuracy, if there is any, is Wilson's; it follows from the share and the number."""
    accuracy, num_images = get_number(scores, "accuracy"), get_number(scores, "num_images")
    interval = get_interval(get_table(scores, "intervals"), "accuracy")
    if interval is None:
        return True
    if accuracy is None or num_images is None or not 0 <= accuracy <= 1 or num_images < 1:
        return False
    return np.allclose(interval, compute_wilson_interval(round(accuracy * num_images), round(num_images)), atol=1e-6)
