"""How good a run is, section by section of the report: final texts, numbers and charts, ready to be laid out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from facedep.errors import FacedepError
from facedep.evaluation.evaluation import Evaluation
from facedep.evaluation.metrics import compute_brier_score
from facedep.evaluation.protocol_comparison import compare_protocols
from facedep.evaluation.robustness import CORRUPTIONS, MAX_IMAGES, read_robustness
from facedep.evaluation.slices import MIN_IMAGES, find_worst
from facedep.reporting import sentences
from facedep.reporting.report_facts import build_command
from facedep.reporting.report_figures import (
    Chart,
    draw_comparison,
    draw_curves,
    draw_failures,
    draw_robustness,
    draw_scores,
)

_MISSING = "–"


@dataclass(frozen=True)
class ScoreRow:
    """One score, what it means, and its interval or ""."""

    title: str
    meaning: str
    value: str
    interval: str = ""


@dataclass(frozen=True)
class Scores:
    """The section of the scores."""

    rows: list[ScoreRow]
    intervals: str
    confusion: str
    charts: list[Chart]


@dataclass(frozen=True)
class Curves:
    """The section of the curves."""

    has_both_groups: bool
    charts: list[Chart]


@dataclass(frozen=True)
class Failures:
    """The section of the slices."""

    has_small_slices: bool
    min_images: int
    unknown_people: str
    charts: list[Chart]


@dataclass(frozen=True)
class ComparisonRow:
    """The run on pictures chosen in one way."""

    title: str
    num_images: str
    accuracy: str
    interval: str
    lookup_accuracy: str
    baseline: str
    num_in_train: str
    num_in_training_set: str


@dataclass(frozen=True)
class Comparison:
    """The section that compares ways to choose pictures; only `problem` is shown where there is one."""

    problem: str
    lookup: str
    inversion: str
    has_missing_scores: bool
    rows: list[ComparisonRow]
    charts: list[Chart]


@dataclass(frozen=True)
class RobustnessRow:
    """One kind of worse pictures."""

    title: str
    better_up_to: str
    worst: str


@dataclass(frozen=True)
class Robustness:
    """The section of worse pictures; without rows only the command that measures it is shown."""

    has_network: bool
    command: str
    num_images: str
    is_sample: bool
    baseline: str
    rows: list[RobustnessRow]
    charts: list[Chart]


def gather_scores(evaluation: Evaluation) -> Scores:
    """Returns the section of the scores.

    Args:
        evaluation: What the report is about.
    """
    rows = [
        *_gather_group_scores(evaluation),
        *_gather_probability_scores(evaluation),
        *_gather_other_scores(evaluation),
    ]
    return Scores(
        rows,
        intervals=sentences.INTERVAL_TEXT,
        confusion=sentences.describe_confusion(evaluation.confusion),
        charts=draw_scores(evaluation),
    )


def _gather_group_scores(evaluation: Evaluation) -> list[ScoreRow]:
    scores = evaluation.record.scores
    baseline = scores.majority_baseline
    return [
        ScoreRow(
            "In the right group",
            "Accuracy: the share put into the group of their label.",
            _write_share(scores.accuracy),
            _write_share_interval(scores.intervals["accuracy"]),
        ),
        ScoreRow(
            f"Always “{baseline.label}”",
            "What this one answer for every picture would get.",
            _write_share(baseline.share),
        ),
        ScoreRow(
            "Mean of both groups",
            "Balanced accuracy: the mean of the groups' own shares; 50% is guessing.",
            _write_share(scores.balanced_accuracy),
            _write_share_interval(scores.intervals["balanced_accuracy"]),
        ),
    ]


def _gather_probability_scores(evaluation: Evaluation) -> list[ScoreRow]:
    scores = evaluation.record.scores
    is_depressed, probabilities = evaluation.is_depressed, evaluation.predictions.probabilities
    return [
        ScoreRow(
            "ROC AUC",
            "The chance that of two pictures, one of each group, the right one gets more; 0.5 is guessing.",
            _write_number(scores.roc_auc),
            _write_number_interval(scores.intervals["roc_auc"]),
        ),
        ScoreRow(
            "Average precision",
            f"Mean precision as the “depressed” are found; guessing gets {_write_number(is_depressed.mean())}.",
            _write_number(evaluation.average_precision),
        ),
        ScoreRow(
            "Calibration error (ECE)",
            "How far P(“depressed”) is off on average; 0 is best.",
            _write_number(scores.ece),
        ),
        ScoreRow(
            "Brier score",
            "The mean squared error of P(“depressed”); 0 is best, 0.25 is always saying 50%.",
            _write_number(compute_brier_score(is_depressed, probabilities)),
        ),
    ]


def _gather_other_scores(evaluation: Evaluation) -> list[ScoreRow]:
    """Returns scores that not every model has: of its emotions, and outside its abstention band."""
    scores, rows = evaluation.record.scores, []
    if not math.isnan(scores.emotion_accuracy):
        rows.append(
            ScoreRow(
                "Right emotion",
                f"The share whose most probable emotion of {len(evaluation.card.class_names)} is the label's.",
                _write_share(scores.emotion_accuracy),
                _write_share_interval(scores.emotion_accuracy_interval),
            )
        )
    if scores.num_covered:
        rows.append(
            ScoreRow(
                "Right where it is sure",
                f"Among the {_write_share(scores.coverage)} outside its uncertain band.",
                _write_share(scores.selective_accuracy),
                _write_share_interval(scores.selective_accuracy_interval),
            )
        )
    return rows


def gather_curves(evaluation: Evaluation) -> Curves:
    """Returns the section of the curves.

    Args:
        evaluation: What the report is about.
    """
    return Curves(evaluation.has_both_groups, charts=draw_curves(evaluation))


def gather_failures(evaluation: Evaluation) -> Failures:
    """Returns the section of the slices.

    Args:
        evaluation: What the report is about.
    """
    slices = find_worst(evaluation.slices)
    return Failures(
        has_small_slices=any(item.is_small for item in slices),
        min_images=MIN_IMAGES,
        unknown_people=sentences.UNKNOWN_PEOPLE_TEXT,
        charts=draw_failures(evaluation, slices),
    )


def gather_comparison(evaluation: Evaluation) -> Comparison:
    """Returns the section that compares ways to choose pictures.

    Args:
        evaluation: What the report is about.
    """
    try:
        scores = compare_protocols(evaluation.run.path, evaluation.dataset)
    except FacedepError as error:
        return Comparison(str(error), "", "", has_missing_scores=False, rows=[], charts=[])
    scored = [score for score in scores if not math.isnan(score.accuracy)]
    rows = [
        ComparisonRow(
            title=score.what,
            num_images=f"{score.num_images:,}",
            accuracy=_write_share(score.accuracy),
            interval=_write_share_interval(score.interval),
            lookup_accuracy=_write_share(score.lookup_accuracy),
            baseline=f"{_write_share(score.majority_baseline.share)} ({score.majority_baseline.label})",
            num_in_train=f"{score.num_in_train:,}",
            num_in_training_set=f"{score.num_in_training_set:,}",
        )
        for score in scored
    ]
    return Comparison(
        problem="",
        lookup=sentences.LOOKUP_TEXT,
        inversion=sentences.INVERSION_TEXT,
        has_missing_scores=len(scored) < len(scores),
        rows=rows,
        charts=draw_comparison(evaluation, scored),
    )


def gather_robustness(evaluation: Evaluation) -> Robustness:
    """Returns the section of worse pictures.

    Args:
        evaluation: What the report is about.
    """
    run, table = evaluation.run, None
    if run.has_model:
        table = read_robustness(run.path, evaluation.dataset, evaluation.mask, threshold=evaluation.threshold)
    if table is None:
        command = build_command(evaluation, "robustness")
        return Robustness(run.has_model, command, "", is_sample=False, baseline="", rows=[], charts=[])
    num_images = int(table["num_images"].iloc[0])
    baseline = evaluation.record.scores.majority_baseline
    rows = []
    for name, kind in CORRUPTIONS.items():
        curve = table[table["corruption"] == name]
        strengths = curve["strength"]
        is_better = (curve["low"] > baseline.share).cumprod().astype(bool)
        better_up_to = f"{strengths[is_better].iloc[-1]:g}" if is_better.any() else _MISSING
        worst = f"{_write_share(curve['accuracy'].iloc[-1])} at {strengths.iloc[-1]:g}"
        rows.append(RobustnessRow(kind.title, better_up_to, worst))
    return Robustness(
        has_network=True,
        command="",
        num_images=f"{num_images:,}",
        is_sample=num_images == MAX_IMAGES,
        baseline=baseline.label,
        rows=rows,
        charts=draw_robustness(evaluation, table),
    )


def _write_share(share: float | None) -> str:
    return _MISSING if share is None or math.isnan(share) else f"{share:.1%}"


def _write_number(number: float) -> str:
    return _MISSING if math.isnan(number) else f"{number:.3f}"


def _write_share_interval(interval: Sequence[float] | None) -> str:
    low, high = interval or (math.nan, math.nan)
    return _MISSING if math.isnan(low) or math.isnan(high) else f"{100 * low:.1f} to {100 * high:.1f}%"


def _write_number_interval(interval: Sequence[float]) -> str:
    low, high = interval
    return _MISSING if math.isnan(low) or math.isnan(high) else f"{low:.3f} to {high:.3f}"
