"""The charts of the report: which ones a run gets, and how they get into a page."""

import html
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from facedep.evaluation.evaluation import Evaluation
from facedep.evaluation.protocol_comparison import ProtocolScore
from facedep.evaluation.robustness import CORRUPTIONS
from facedep.evaluation.slices import Slice
from facedep.networks.majority_baseline import read_majority_baseline
from facedep.reporting.plots import comparison, errors, scores
from facedep.reporting.plots.theme import FONT, INK, Figure

_MAX_NAME = 28  # letters of a run's name; more do not fit into a legend on a phone
_MAX_LINE = 48  # letters that fit into a line on a phone
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Chart:
    """A figure, and what the page must know before it is drawn."""

    figure: Figure

    @property
    def description(self) -> str:
        """What it shows, in words."""
        return html.unescape(_TAG.sub("", self.figure.layout.title.text.replace("<br>", ". ")))

    @property
    def height_px(self) -> int:
        """The height that it takes."""
        return round(self.figure.layout.height)


def draw_scores(evaluation: Evaluation) -> list[Chart]:
    """Returns the confusion matrix and the errors for each emotion."""
    per_emotion, depressed_emotions = evaluation.scores["per_emotion"], evaluation.dataset.depressed_emotions
    return [
        Chart(errors.plot_confusion(evaluation.confusion)),
        Chart(errors.plot_emotion_errors(per_emotion, depressed_emotions=depressed_emotions)),
    ]


def draw_curves(evaluation: Evaluation) -> list[Chart]:
    """Returns ROC and precision-recall curve, the reliability diagram and how P(depressed) is spread."""
    name, has_both = name_in_figure(evaluation.run.name), evaluation.has_both_groups
    figures = [
        scores.plot_roc(
            {name: evaluation.roc_curve} if has_both else {},
            {name: evaluation.scores["roc_auc"]},
            point=evaluation.roc_point,
        ),
        scores.plot_precision_recall(
            {name: evaluation.precision_recall_curve} if has_both else {},
            {name: evaluation.average_precision},
            share_depressed=float(evaluation.is_depressed.mean()),
            point=evaluation.precision_recall_point,
        ),
        scores.plot_reliability(evaluation.reliability, evaluation.scores["ece"]),
        scores.plot_scores(
            evaluation.is_depressed, evaluation.predictions.probabilities, evaluation.threshold, evaluation.band
        ),
    ]
    return [Chart(figure) for figure in figures]


def draw_failures(evaluation: Evaluation, slices: Sequence[Slice]) -> list[Chart]:
    """Returns the slices and, where the model and the labels name emotions, the confusion of these."""
    accuracy = evaluation.scores["accuracy"]
    charts = [Chart(errors.plot_slices(slices, accuracy=None if math.isnan(accuracy) else accuracy))]
    if evaluation.emotion_confusion is not None:
        matrix, names = evaluation.emotion_confusion
        depressed_emotions = evaluation.dataset.depressed_emotions
        charts.append(Chart(errors.plot_emotion_confusion(matrix, names, depressed_emotions=depressed_emotions)))
    return charts


def draw_comparison(evaluation: Evaluation, scored: Sequence[ProtocolScore]) -> list[Chart]:
    """Returns the scores on pictures chosen in different ways, and what the article's code would print."""
    rows = [{**vars(score), "what": "<br>".join(textwrap.wrap(score.what, _MAX_LINE))} for score in scored]
    figure = comparison.plot_protocol_comparison(rows)
    layout = figure.layout  # room for the first row's second line
    figure.update_layout(height=layout.height + 16, margin_t=layout.margin.t + 16)
    figure.update_annotations(font_size=12)  # a phone has room for 60 letters then
    return [Chart(figure), Chart(comparison.plot_inversion(evaluation.confusion))]


def draw_robustness(evaluation: Evaluation, table: pd.DataFrame) -> list[Chart]:
    """Returns a chart for each corruption."""
    name, baseline = name_in_figure(evaluation.run.name), read_majority_baseline(evaluation.scores)
    return [
        Chart(
            comparison.plot_robustness(
                {name: table[table["corruption"] == corruption]}, title=kind.title, unit=kind.unit, baseline=baseline
            )
        )
        for corruption, kind in CORRUPTIONS.items()
    ]


def name_in_figure(name: str) -> str:
    """Returns a run's name, short, and as text where Plotly would take it for markup."""
    short = name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"
    return html.escape(short, quote=False)


def write_charts(charts: Iterable[Chart]) -> str:
    """Returns figures as JSON in which no letter means anything to HTML, so that no name can end the script block."""
    text = f"[{','.join(_write_figure(chart.figure) for chart in charts)}]"
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _write_figure(figure: Figure) -> str:
    figure.update_layout(template="plotly_white", font={"family": FONT, "color": INK})
    return figure.to_json()
