"""Charts of how good the probabilities are: scores in, a Plotly figure out. No computing, no Streamlit."""

from typing import Any

import numpy as np
from plotly.subplots import make_subplots

from facedep import emotions
from facedep.evaluation.curves import Curve
from facedep.evaluation.reliability import Reliability
from facedep.reporting.plots.theme import (
    GRAY,
    GREEN,
    GROUP_NAMES,
    INK,
    QUIET,
    RUN_STYLES,
    Figure,
    add_text,
    build_error_bars,
    color_of,
    fade,
    finish_figure,
    mark_empty,
    mark_group,
)

_MAX_CURVE_POINTS = 1000  # more are not seen, and are megabytes in a report
_NUM_SCORE_BINS = 20


def plot_roc(curves: dict[str, Curve], aucs: dict[str, float], *, point: tuple[float, float] | None = None) -> Figure:
    """Returns the ROC curves of up to three runs.

    Args:
        curves: Run to its curve: false positive rate, true positive rate, 0..1.
        aucs: Run to the area under it, 0..1, high is good.
        point: Where the first run's threshold lies, x and y, 0..1.

    Reference: Fawcett 2006, "An introduction to ROC analysis", Pattern Recognition Letters 27(8).
    """
    figure = Figure()
    num_defined = _add_curves(
        figure,
        curves,
        {name: f"{name}: area {area:.3f}" for name, area in aucs.items()},
        "finds %{y:.0%} of the “depressed” and calls<br>%{x:.0%} of the “non-depressed” “depressed”",
    )
    if num_defined:
        _add_guide(figure, [0, 1], [0, 1])
        add_text(figure, "guessing", 0.72, 0.72, size=12, color=QUIET, xanchor="left", yanchor="top")
    _add_threshold_point(figure, point)
    mark_empty(figure, "No curve: both groups are needed", is_empty=not num_defined)
    _set_share_axes(figure, "false alarms: share of the “non-depressed”")
    return finish_figure(
        figure,
        "How well it separates the groups",
        "ROC curve: the further up and left, the better",
        y_title="found: share of the “depressed”",
        height=430,
        num_legend_lines=num_defined + (point is not None),
    )


def plot_precision_recall(
    curves: dict[str, Curve],
    average_precisions: dict[str, float],
    *,
    share_depressed: float | None = None,
    point: tuple[float, float] | None = None,
) -> Figure:
    """Returns the precision-recall curves of up to three runs.

    Args:
        curves: Run to its curve: recall, precision, 0..1.
        average_precisions: Run to its average precision, 0..1, high is good.
        share_depressed: The share of the pictures labelled *depressed*, 0..1: what guessing gets.
        point: Where the first run's threshold lies, x and y, 0..1.

    Reference: Saito & Rehmsmeier 2015, PLoS ONE 10(3), why to look at it where the groups differ in size.
    """
    figure = Figure()
    num_defined = _add_curves(
        figure,
        curves,
        {name: f"{name}: average precision {precision:.3f}" for name, precision in average_precisions.items()},
        "finds %{x:.0%} of the “depressed”; of those it<br>calls “depressed”, %{y:.0%} are labelled so",
    )
    if share_depressed is not None and num_defined:
        _add_guide(figure, [0, 1], [share_depressed] * 2)
        text = f"guessing: {share_depressed:.0%}"
        add_text(figure, text, 0.01, share_depressed, size=12, color=QUIET, xanchor="left", yanchor="top")
    _add_threshold_point(figure, point)
    mark_empty(figure, "No curve: both groups are needed", is_empty=not num_defined)
    _set_share_axes(figure, "found: share of the “depressed” (recall)")
    return finish_figure(
        figure,
        "How far to trust its “depressed”",
        "Precision-recall curve: the higher, the better",
        y_title="of those it calls “depressed”, right (precision)",
        height=430,
        num_legend_lines=num_defined + (point is not None),
    )


def plot_reliability(reliability: Reliability, ece: float) -> Figure:
    """Returns the reliability diagram: whether P(depressed) is what it says, and below it how often each is said.

    Args:
        reliability: The bins; empty ones have NaN.
        ece: Expected calibration error, 0..1, low is good.

    Reference: DeGroot & Fienberg 1983, The Statistician 32(1); Niculescu-Mizil & Caruana 2005 (ICML).
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.8, 0.2], vertical_spacing=0.04)
    is_filled = np.asarray(reliability.num_images) > 0
    said, held, numbers, low, high = (
        np.asarray(values)[is_filled]
        for values in (
            reliability.mean_probability,
            reliability.share_depressed,
            reliability.num_images,
            reliability.low,
            reliability.high,
        )
    )
    if is_filled.any():
        _add_guide(figure, [0, 1], [0, 1], row=1, col=1)
        add_text(figure, "says too little", 0.04, 0.93, size=12, color=QUIET, xanchor="left", row=1, col=1)
        add_text(figure, "says too much", 0.97, 0.06, size=12, color=QUIET, xanchor="right", row=1, col=1)
        figure.add_scatter(
            x=said,
            y=held,
            mode="markers+lines",
            marker={"size": 8, "color": GREEN},
            cliponaxis=False,
            line={"width": 1.5, "color": fade(GREEN, 0.5)},
            error_y=build_error_bars(held, low, high, GREEN),
            customdata=np.column_stack([numbers, low, high]),
            hovertemplate="says %{x:.0%} on average, and %{y:.0%} are labelled so<br>"
            "(%{customdata[1]:.0%} to %{customdata[2]:.0%}, %{customdata[0]:,} faces)<extra></extra>",
            showlegend=False,
            row=1,
            col=1,
        )
        _add_bin_sizes(figure, is_filled, numbers)
    else:
        mark_empty(figure, "No answers yet")
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%", dtick=0.25, row=1, col=1)
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", dtick=0.25)
    figure.update_xaxes(title="what the model says: P(“depressed”)", row=2, col=1)
    figure.update_yaxes(nticks=3, title=None, row=2, col=1)
    off = f"{100 * ece:.1f} points off on average (calibration error, ECE)" if ece == ece else ""
    return finish_figure(
        figure, "Is its 70% really 70%?", off, y_title="what holds: share labelled “depressed”", height=460
    )


def _add_bin_sizes(figure: Figure, is_filled: np.ndarray, numbers: np.ndarray) -> None:
    """Adds a bar for each filled bin to the second row: how many pictures it holds."""
    num_bins = len(is_filled)
    figure.add_bar(
        x=(np.nonzero(is_filled)[0] + 0.5) / num_bins,
        y=numbers,
        width=0.9 / num_bins,
        marker_color=GRAY,
        hovertemplate="%{y:,} faces<extra></extra>",
        showlegend=False,
        row=2,
        col=1,
    )
    corner: dict[str, Any] = {"xref": "paper", "xanchor": "right", "yref": "y2 domain", "yanchor": "top"}
    add_text(figure, "how many faces", 1, 1, size=12, color=QUIET, **corner)


def plot_scores(
    is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float, band: tuple[float, float] | None = None
) -> Figure:
    """Returns how P(depressed) is spread in either group; what lies on the wrong side of the threshold is pale.

    Args:
        is_depressed: `bool` array of shape `(n,)`, the data set's label.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
        band: P(depressed) from and up to which the model is uncertain; None where it never is.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.16)
    edges = np.linspace(0, 1, _NUM_SCORE_BINS + 1)
    highest = 0.0
    for row, group in enumerate((emotions.DEPRESSED, emotions.NON_DEPRESSED), start=1):
        is_positive = group == emotions.DEPRESSED
        values = probabilities[(is_depressed == is_positive) & ~np.isnan(probabilities)]
        if not len(values):
            continue
        is_right = (values >= threshold) == is_positive
        highest = max(highest, np.histogram(values, edges)[0].max() / len(values))
        for chosen, opacity, words in ((is_right, 1, "right"), (~is_right, 0.35, "wrong")):
            numbers = np.histogram(values[chosen], edges)[0]
            figure.add_bar(
                name=f"labelled {GROUP_NAMES[group]}, {words}",
                x=(edges[:-1] + edges[1:]) / 2,
                y=numbers / len(values),
                width=0.9 / _NUM_SCORE_BINS,
                marker={"color": fade(color_of(group), opacity), "line": {"width": 0}},
                customdata=[
                    f"{number:,} of {len(values):,} labelled “{GROUP_NAMES[group]}”<br>"
                    f"get P(“depressed”) {start:.0%} to {end:.0%}: {words}"
                    for number, start, end in zip(numbers, edges[:-1], edges[1:], strict=True)
                ],
                hovertemplate="%{customdata}<extra></extra>",
                showlegend=False,
                row=row,
                col=1,
            )
        wrong = "missed" if is_positive else "false alarms"
        words = mark_group(f"<b>labelled “{GROUP_NAMES[group]}”</b>", group)
        words += f": {(~is_right).mean():.0%} {wrong}"
        axis = "y" if row == 1 else "y2"
        add_text(figure, words, 0, 1, xref="paper", xanchor="left", yref=f"{axis} domain", yanchor="bottom")
        if band is not None:
            figure.add_vrect(
                x0=band[0], x1=band[1], fillcolor=fade(GRAY, 0.25), line_width=0, layer="below", row=row, col=1
            )
        figure.add_vline(x=threshold, line={"color": INK, "width": 2}, row=row, col=1)
    if highest:
        figure.update_yaxes(range=[0, 1.08 * highest])
    else:
        mark_empty(figure, "No answers yet")
    figure.update_yaxes(tickformat=".0%", nticks=4)
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_xaxes(title="what the model says: P(“depressed”)", row=2, col=1)
    figure.update_layout(barmode="stack")
    note = f"Line: threshold {threshold:.2f}; pale: wrong" + ("; gray: uncertain" if band is not None else "")
    return finish_figure(figure, "What it says about either group", note, height=440, room_above=20)


def _add_curves(figure: Figure, curves: dict[str, Curve], titles: dict[str, str], hover: str) -> int:
    """Adds the curves that are defined, each in its run's own colour, and returns their number."""
    num_defined = 0
    for i, (name, curve) in enumerate(curves.items()):
        if np.isfinite(np.add(curve.x, curve.y)).any():
            _add_curve(figure, i, titles[name], curve, hover)
            num_defined += 1
    return num_defined


def _add_curve(figure: Figure, i: int, name: str, curve: Curve, hover: str) -> None:
    color, dash = RUN_STYLES[i % len(RUN_STYLES)]
    num_points = len(curve.x)
    indices = np.unique(np.linspace(0, num_points - 1, min(num_points, _MAX_CURVE_POINTS)).astype(int))
    figure.add_scatter(
        name=name,
        x=np.asarray(curve.x)[indices],
        y=np.asarray(curve.y)[indices],
        customdata=np.minimum(np.asarray(curve.thresholds)[indices], 1),  # JSON has no infinity
        mode="lines",
        line={"color": color, "width": 2.5, "dash": dash},
        hovertemplate=f"threshold %{{customdata:.2f}}: {hover}<extra></extra>",
    )


def _add_guide(figure: Figure, x: list[float], y: list[float], **place: int) -> None:
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"color": GRAY, "width": 1.5, "dash": "dash"}, hoverinfo="skip",
        showlegend=False, **place,
    )  # fmt: skip


def _add_threshold_point(figure: Figure, point: tuple[float, float] | None) -> None:
    if point is None:
        return
    figure.add_scatter(
        name="at the chosen threshold",
        x=[point[0]],
        y=[point[1]],
        mode="markers",
        marker={"size": 13, "color": "#FFFFFF", "line": {"width": 3, "color": INK}},
        hovertemplate="at the threshold<extra></extra>",
    )


def _set_share_axes(figure: Figure, x_title: str) -> None:
    figure.update_xaxes(title=x_title, range=[-0.02, 1.02], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
