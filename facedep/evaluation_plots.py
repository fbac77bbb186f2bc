"""Charts of how good a model is: scores in, a Plotly figure out, as in `plots`. No computing, no Streamlit.

All are read on a phone as well: titles of some 40 letters at most, what the upright axis shows stands above it, and
names stand beside the marks or below the chart, never over it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from facedep import emotions
from facedep.metrics import Confusion, Curve, Reliability
from facedep.plots import (
    DIVERGING,
    GRAY,
    GREEN,
    GROUP_NAMES,
    INK,
    VERMILION,
    Figure,
    color_of,
    fade,
    style_figure,
)
from facedep.slices import Slice

# One for each of up to three runs: green, purple and slate, as blue and orange are the groups' own.
_RUN_STYLES = ((GREEN, "solid"), ("#A6477F", "dash"), ("#4A5568", "dot"))
_QUIET = "#5F6B7C"  # for words: gray enough to stand back, dark enough to read (5.4 to 1 on white)
_MOST_CURVE_POINTS = 1000  # more are not seen, and are megabytes in a report
_NUM_SCORE_BINS = 20
_ACCURACY_WORDS = "share put into the right group, with its 95% interval"
_DEPRESSED, _NON_DEPRESSED = (f"“{GROUP_NAMES[group]}”" for group in (emotions.DEPRESSED, emotions.NON_DEPRESSED))


def color_of_run(place: int) -> str:
    """Returns the colour of a run by its place among those compared, the same in every chart."""
    return _RUN_STYLES[place % len(_RUN_STYLES)][0]


def plot_confusion(confusion: Confusion, *, chosen: str | None = None) -> Figure:
    """Returns the four cells of labels and answers, each with its count and its share of the row; cells are clickable.

    A selected point's `customdata` is "true_depressed", "missed", "false_alarm" or "true_non_depressed".

    Args:
        confusion: The counts.
        chosen: The cell to draw a frame around.
    """
    c = confusion
    cells = [
        ("true_depressed", 0, 0, c.num_true_depressed, "right"),
        ("missed", 1, 0, c.num_missed, "missed"),
        ("false_alarm", 0, 1, c.num_false_alarms, "false alarms"),
        ("true_non_depressed", 1, 1, c.num_true_non_depressed, "right"),
    ]
    totals = (c.num_true_depressed + c.num_missed, c.num_false_alarms + c.num_true_non_depressed)
    figure = go.Figure()
    if any(totals):
        shares = np.zeros((2, 2))
        texts, hovers = [], []
        for _, column, row, number, word in cells:
            share = number / totals[row] if totals[row] else 0
            shares[row, column] = share if column == row else -share
            texts.append((column, row, f"<b>{number:,}</b>", f"{share:.0%} {word}" if totals[row] else "–"))
            label, answer = ((_DEPRESSED, _NON_DEPRESSED)[place] for place in (row, column))
            hovers.append(f"{number:,} of {totals[row]:,} faces labelled {label}<br>are called {answer}: {share:.1%}")
        figure.add_heatmap(z=shares, x=[0, 1], y=[0, 1], **_cell_look())
        # Points that are not seen make the cells selectable.
        figure.add_scatter(
            x=[cell[1] for cell in cells],
            y=[cell[2] for cell in cells],
            customdata=[cell[0] for cell in cells],
            hovertext=hovers,
            **_cell_points(),
        )
        for column, row, number, share in texts:
            _write(figure, number, column, row, size=24, yshift=12, yanchor="middle")
            _write(figure, share, column, row, yshift=-14, yanchor="middle")
        for name, column, row, *_ in cells:
            if name == chosen:
                _frame(figure, column, row)
    else:
        _say_empty(figure, "No answers yet")
    words = [_mark_group(_DEPRESSED, emotions.DEPRESSED), _mark_group(_NON_DEPRESSED, emotions.NON_DEPRESSED)]
    figure.update_xaxes(title="the model answers", tickvals=[0, 1], ticktext=words, range=[-0.5, 1.5], showgrid=False)
    figure.update_yaxes(
        tickvals=[0, 1],
        ticktext=[f"{word}<br>{total:,}" for word, total in zip(words, totals, strict=True)],
        range=[1.5, -0.5],
        showgrid=False,
    )
    figure.update_layout(hoverdistance=-1, hovermode="closest")
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(zeroline=False)
    return _finish(figure, "What it says and what the label says", "↓ the label is", height=370)


def plot_roc(curves: dict[str, Curve], aucs: dict[str, float], *, point: tuple[float, float] | None = None) -> Figure:
    """Returns the ROC curves of up to three runs.

    Args:
        curves: Run to its curve: false positive rate, true positive rate, 0..1.
        aucs: Run to the area under it, 0..1, high is good.
        point: Where the first run's threshold lies, x and y, 0..1.

    Reference: Fawcett 2006, "An introduction to ROC analysis", Pattern Recognition Letters 27(8).
    """
    figure = go.Figure()
    is_defined = [bool(np.isfinite(np.add(curve.x, curve.y)).any()) for curve in curves.values()]
    for place, (name, curve) in enumerate(curves.items()):
        if not is_defined[place]:
            continue
        _add_curve(
            figure,
            place,
            f"{name}: area {aucs[name]:.3f}",
            curve,
            "finds %{y:.0%} of the “depressed” and calls<br>%{x:.0%} of the “non-depressed” “depressed”",
        )
    if any(is_defined):
        _add_guide(figure, [0, 1], [0, 1])
        _write(figure, "guessing", 0.72, 0.72, size=12, color=_QUIET, xanchor="left", yanchor="top")
    _add_threshold_point(figure, point)
    _say_empty(figure, "No curve: both groups are needed", is_empty=not any(is_defined))
    _set_share_axes(figure, "false alarms: share of the “non-depressed”")
    return _finish(
        figure,
        "How well it tells the groups apart",
        "ROC curve: the further up and left, the better",
        y_title="found: share of the “depressed”",
        height=430,
        num_legend_lines=sum(is_defined) + (point is not None),
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
    figure = go.Figure()
    is_defined = [bool(np.isfinite(np.add(curve.x, curve.y)).any()) for curve in curves.values()]
    for place, (name, curve) in enumerate(curves.items()):
        if not is_defined[place]:
            continue
        _add_curve(
            figure,
            place,
            f"{name}: average precision {average_precisions[name]:.3f}",
            curve,
            "finds %{x:.0%} of the “depressed”; of those it<br>calls “depressed”, %{y:.0%} are labelled so",
        )
    if share_depressed is not None and any(is_defined):
        _add_guide(figure, [0, 1], [share_depressed] * 2)
        words = f"guessing: {share_depressed:.0%}"
        _write(figure, words, 0.01, share_depressed, size=12, color=_QUIET, xanchor="left", yanchor="top")
    _add_threshold_point(figure, point)
    _say_empty(figure, "No curve: both groups are needed", is_empty=not any(is_defined))
    _set_share_axes(figure, "found: share of the “depressed” (recall)")
    return _finish(
        figure,
        "How far to trust its “depressed”",
        "Precision-recall curve: the higher, the better",
        y_title="of those it calls “depressed”, right (precision)",
        height=430,
        num_legend_lines=sum(is_defined) + (point is not None),
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
        _write(figure, "says too little", 0.04, 0.93, size=12, color=_QUIET, xanchor="left", row=1, col=1)
        _write(figure, "says too much", 0.97, 0.06, size=12, color=_QUIET, xanchor="right", row=1, col=1)
        figure.add_scatter(
            x=said,
            y=held,
            mode="markers+lines",
            marker={"size": 8, "color": GREEN},
            cliponaxis=False,
            line={"width": 1.5, "color": fade(GREEN, 0.5)},
            error_y=_whiskers(held, low, high, GREEN),
            customdata=np.column_stack([numbers, low, high]),
            hovertemplate="says %{x:.0%} on average, and %{y:.0%} are labelled so<br>"
            "(%{customdata[1]:.0%} to %{customdata[2]:.0%}, %{customdata[0]:,} faces)<extra></extra>",
            showlegend=False,
            row=1,
            col=1,
        )
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
        corner = {"xref": "paper", "xanchor": "right", "yref": "y2 domain", "yanchor": "top"}
        _write(figure, "how many faces", 1, 1, size=12, color=_QUIET, **corner)
    else:
        _say_empty(figure, "No answers yet")
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%", dtick=0.25, row=1, col=1)
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", dtick=0.25)
    figure.update_xaxes(title="what the model says: P(“depressed”)", row=2, col=1)
    figure.update_yaxes(nticks=3, title=None, row=2, col=1)
    off = f"{100 * ece:.1f} points off on average (calibration error, ECE)" if ece == ece else ""
    return _finish(figure, "Is its 70% really 70%?", off, y_title="what holds: share labelled “depressed”", height=460)


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
        words = _mark_group(f"<b>labelled “{GROUP_NAMES[group]}”</b>", group)
        words += f": {(~is_right).mean():.0%} {wrong}"
        axis = "y" if row == 1 else "y2"
        _write(figure, words, 0, 1, xref="paper", xanchor="left", yref=f"{axis} domain", yanchor="bottom")
        if band is not None:
            figure.add_vrect(
                x0=band[0], x1=band[1], fillcolor=fade(GRAY, 0.25), line_width=0, layer="below", row=row, col=1
            )
        figure.add_vline(x=threshold, line={"color": INK, "width": 2}, row=row, col=1)
    if highest:
        figure.update_yaxes(range=[0, 1.08 * highest])
    else:
        _say_empty(figure, "No answers yet")
    figure.update_yaxes(tickformat=".0%", nticks=4)
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_xaxes(title="what the model says: P(“depressed”)", row=2, col=1)
    figure.update_layout(barmode="stack")
    note = f"Line: threshold {threshold:.2f}; pale: wrong" + ("; gray: uncertain" if band is not None else "")
    return _finish(figure, "What it says about either group", note, height=440, room_above=20)


def plot_emotion_errors(
    per_emotion: dict[str, dict[str, Any]], *, depressed_emotions: Sequence[str] = emotions.DEPRESSED_EMOTIONS
) -> Figure:
    """Returns for each true emotion the share called *depressed*, with its interval, the largest on top.

    Args:
        per_emotion: `scores.score_answers`'s: emotion to `num_images`, `group_accuracy` (0..1) and
            `group_accuracy_interval`.
        depressed_emotions: The emotions that count as *depressed*: there high is good, elsewhere low is good.
    """
    rows = []
    for emotion, scores in per_emotion.items():
        share, low, high = scores["group_accuracy"], *scores["group_accuracy_interval"]
        if emotion not in depressed_emotions:
            share, low, high = 1 - share, 1 - high, 1 - low
        if share == share:
            rows.append((emotion, scores["num_images"], share, low, high))
    rows.sort(key=lambda row: row[2])
    aims = {emotions.DEPRESSED: "more", emotions.NON_DEPRESSED: "fewer"}
    figure = go.Figure()
    for group in (emotions.DEPRESSED, emotions.NON_DEPRESSED):
        some = [row for row in rows if (row[0] in depressed_emotions) == (group == emotions.DEPRESSED)]
        if not some:
            continue
        names, numbers, shares, lows, highs = (list(values) for values in zip(*some, strict=True))
        color = color_of(group)
        figure.add_bar(
            name=f"counts as “{GROUP_NAMES[group]}”: the {aims[group]}, the better",
            orientation="h",
            y=names,
            x=shares,
            marker={"color": fade(color, 0.55)},
            error_x=_whiskers(shares, lows, highs, color),
            customdata=list(zip(numbers, lows, highs, strict=True)),
            hovertemplate="%{y}: %{x:.0%} of %{customdata[0]:,} faces called “depressed”<br>"
            "(between %{customdata[1]:.0%} and %{customdata[2]:.0%})<extra></extra>",
        )
    for name, _, share, *_ in rows:
        _write(figure, f"{share:.0%}", 1, name, xref="paper", xanchor="right")
    _say_empty(figure, "No emotions are named in these pictures", is_empty=not rows)
    figure.update_yaxes(categoryorder="array", categoryarray=[row[0] for row in rows], showgrid=False)
    figure.update_xaxes(range=[0, 1.16], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return _finish(
        figure,
        "Which faces it calls “depressed”",
        "share called so of each emotion, with its 95% interval",
        height=150 + 34 * max(4, len(rows)),
        num_legend_lines=len(figure.data),
    )


def plot_emotion_confusion(
    matrix: np.ndarray,
    names: Sequence[str],
    *,
    depressed_emotions: Sequence[str] = emotions.DEPRESSED_EMOTIONS,
    chosen: str | None = None,
) -> Figure:
    """Returns true against answered emotions, the share of the row in each cell; cells are clickable.

    The emotions that count as *depressed* come first, a line parts them from the others. A selected point's
    `customdata` is "true|answered", like "sad|neutral".

    Args:
        matrix: `int` array of shape `(k, k)`, pictures; rows are the true emotions.
        names: The k emotions in the matrix's order.
        depressed_emotions: The emotions that count as *depressed*.
        chosen: The cell to draw a frame around, "true|answered".
    """
    order = sorted(range(len(names)), key=lambda place: names[place] not in depressed_emotions)
    counts = np.asarray(matrix)[np.ix_(order, order)] if len(names) else np.zeros((0, 0), int)
    ordered = [names[place] for place in order]
    totals = counts.sum(axis=1)
    figure = go.Figure()
    if counts.sum():
        shares = counts / np.maximum(totals, 1)[:, np.newaxis]
        weights = np.where(np.eye(len(ordered)), 1, -1.5)  # mistakes are spread over many cells: paler, none is seen
        figure.add_heatmap(z=shares * weights, x=list(range(len(ordered))), y=list(range(len(ordered))), **_cell_look())
        places = [(row, column) for row in range(len(ordered)) for column in range(len(ordered))]
        figure.add_scatter(
            x=[column for _, column in places],
            y=[row for row, _ in places],
            customdata=[f"{ordered[row]}|{ordered[column]}" for row, column in places],
            hovertext=[
                f"{counts[row, column]:,} of {totals[row]:,} {ordered[row]} faces<br>"
                f"are called {ordered[column]}: {shares[row, column]:.1%}"
                for row, column in places
            ],
            **_cell_points(),
        )
        for row, column in places:
            if shares[row, column] >= 0.005:
                words = f"{100 * shares[row, column]:.0f}"
                words = f"<b>{words}</b>" if row == column else words
                _write(figure, words, column, row, yanchor="middle")
            if f"{ordered[row]}|{ordered[column]}" == chosen:
                _frame(figure, column, row)
        num_depressed = sum(name in depressed_emotions for name in ordered)
        if 0 < num_depressed < len(ordered):
            for direction in ("x", "y"):
                other = {"x": "y", "y": "x"}[direction]
                ends = {f"{direction}{end}": num_depressed - 0.5 for end in (0, 1)}
                ends |= {f"{other}0": -0.5, f"{other}1": len(ordered) - 0.5}
                figure.add_shape(type="line", line={"color": INK, "width": 1.5}, **ends)
    else:
        _say_empty(figure, "The model names no emotions here")
    groups = [emotions.DEPRESSED if name in depressed_emotions else emotions.NON_DEPRESSED for name in ordered]
    words = [_mark_group(name, group) for name, group in zip(ordered, groups, strict=True)]
    ticks = {"tickvals": list(range(len(ordered))), "ticktext": words, "showgrid": False, "zeroline": False}
    figure.update_xaxes(title="the model answers", tickangle=-45, range=[-0.5, max(0.5, len(ordered) - 0.5)], **ticks)
    figure.update_yaxes(range=[max(0.5, len(ordered) - 0.5), -0.5], **ticks)
    figure.update_layout(hoverdistance=-1, hovermode="closest")
    return _finish(
        figure,
        "Which emotions it mixes up",
        "In each row: of 100 such faces, so many are called so.",
        _mark_group("counts as “depressed”", emotions.DEPRESSED),
        "↓ the label is",
        height=480,
    )


def plot_slices(slices: Sequence[Slice], *, accuracy: float | None = None) -> Figure:
    """Returns the accuracy of each slice with its interval, in the order given, the first on top.

    Slices that are surely worse than all pictures together are coloured, too small ones hollow. A selected point's
    `customdata` is the slice's place in the list.

    Args:
        slices: `slices.find_slices`'s or `find_worst`'s.
        accuracy: Of all pictures together, 0..1.
    """
    figure = go.Figure()
    kinds = {"worse": [], "usual": [], "small": []}
    for place, one in enumerate(slices):
        is_worse = accuracy is not None and one.high < accuracy
        kinds["small" if one.is_small else "worse" if is_worse else "usual"].append(place)
    looks = {
        "worse": ("worse than all faces together", VERMILION, "circle"),
        "usual": ("about as good or better", _RUN_STYLES[2][0], "circle"),
        "small": ("too few faces to say", GRAY, "circle-open"),
    }
    for kind, (name, color, symbol) in looks.items():
        some = [slices[place] for place in kinds[kind]]
        if not some:
            continue
        figure.add_scatter(
            name=name,
            x=[one.accuracy for one in some],
            y=kinds[kind],
            customdata=kinds[kind],
            mode="markers",
            marker={"size": 10, "color": color, "symbol": symbol, "line": {"width": 2, "color": color}},
            error_x=_whiskers(*([getattr(one, end) for one in some] for end in ("accuracy", "low", "high")), color),
            hovertext=[
                f"{one.name}: {one.accuracy:.0%} right<br>(between {one.low:.0%} and {one.high:.0%}, "
                f"{one.num_images:,} faces)"
                for one in some
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            unselected={"marker": {"opacity": 1}},
        )
    if accuracy is not None and slices:
        _mark_baseline(figure, accuracy, f"all faces: {accuracy:.0%}")
    _say_empty(figure, "No pictures to divide", is_empty=not slices)
    figure.update_yaxes(
        tickvals=list(range(len(slices))),
        ticktext=[f"{_break_name(one.name)} ({one.num_images:,})" for one in slices],
        range=[len(slices) - 0.5 if slices else 1, -0.5],
        zeroline=False,
    )
    _set_accuracy_axis(figure, [one.low for one in slices])
    figure.update_layout(hoverdistance=-1, hovermode="closest")  # a finger anywhere in a row finds its mark
    return _finish(
        figure,
        "Where it is right, and where less so",
        _ACCURACY_WORDS,
        height=170 + 36 * max(3, len(slices)),
        num_legend_lines=len(figure.data),
        room_above=20,
    )


def plot_robustness(curves: dict[str, pd.DataFrame], *, title: str, unit: str, always: float | None = None) -> Figure:
    """Returns how the accuracy falls with one distortion, a line with its 95 % band for each of up to three runs.

    Args:
        curves: Run to its table, cut to this distortion: columns `strength`, `accuracy`, `low`, `high` (0..1).
        title: The distortion in words.
        unit: Of its strength, in words.
        always: What always answering *non-depressed* would get, 0..1.
    """
    figure = go.Figure()
    shown = {name: table for name, table in curves.items() if len(table)}
    for place, (name, table) in enumerate(shown.items()):
        color, dash = _RUN_STYLES[place % len(_RUN_STYLES)]
        strengths = table["strength"].tolist()
        figure.add_scatter(
            x=strengths + strengths[::-1],
            y=table["high"].tolist() + table["low"].tolist()[::-1],
            fill="toself",
            fillcolor=fade(color, 0.15),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            name=name,
            x=strengths,
            y=table["accuracy"].tolist(),
            mode="lines+markers",
            line={"color": color, "width": 2.5, "dash": dash},
            marker={"size": 7},
            customdata=table[["low", "high"]].to_numpy(),
            hovertemplate=f"{name}, %{{x}} {unit}: %{{y:.0%}} right<br>"
            "(between %{customdata[0]:.0%} and %{customdata[1]:.0%})<extra></extra>",
        )
    lows = [low for table in shown.values() for low in table["low"]]
    if always is not None and shown:
        lows.append(always)
        strengths = [strength for table in shown.values() for strength in table["strength"]]
        figure.add_scatter(
            name=_name_always(always),
            x=[min(strengths), max(strengths)],
            y=[always] * 2,
            mode="lines",
            line={"color": GRAY, "dash": "longdash", "width": 1.5},
            hoverinfo="skip",
        )
    _say_empty(figure, "Not measured yet", is_empty=not shown)
    figure.update_xaxes(title=unit)
    figure.update_yaxes(range=[_floor(lows), 1], tickformat=".0%", nticks=6)
    return _finish(figure, title, y_title="share put into the right group", height=380, num_legend_lines=len(shown) + 1)


def plot_flattery(rows: Sequence[dict[str, Any]]) -> Figure:
    """Returns one run's score on different pictures beside what remembering and a constant answer get there.

    Args:
        rows: `protocol_comparison.compare_protocols`'s: `what`, `num_images`, `accuracy`, `interval`,
            `always_non_depressed`, `lookup_accuracy` (0..1; NaN or None where there is none), `num_in_train` and
            `num_seen`.
    """
    figure = go.Figure()
    places = list(range(len(rows)))
    scores = [row["accuracy"] for row in rows]
    lows, highs = ([row["interval"][end] for row in rows] for end in (0, 1))
    lookups = [float("nan") if row["lookup_accuracy"] is None else row["lookup_accuracy"] for row in rows]
    if rows:
        marks = (
            ("always “non-depressed”", [row["always_non_depressed"] for row in rows], GRAY, "line-ns", 14),
            ("a table that only remembers its training data", lookups, _RUN_STYLES[1][0], "diamond-open", 11),
            ("the model", scores, GREEN, "circle", 12),
        )
        for name, values, color, symbol, size in marks:
            is_model = name == "the model"
            figure.add_scatter(
                name=name,
                x=values,
                y=places,
                mode="markers",
                marker={"size": size, "color": color, "symbol": symbol, "line": {"width": 2.5, "color": color}},
                error_x=_whiskers(values, lows, highs, color) if is_model else None,
                hovertemplate=f"{name}: %{{x:.0%}} right<extra></extra>",
            )
    for place, row in zip(places, rows, strict=True):
        notes = [f"{row['num_images']:,} faces"]
        if row["num_in_train"]:
            notes.append(f"{row['num_in_train']:,} also in train")
        if row["num_seen"]:
            notes.append(f"{row['num_seen']:,} seen by the model")
        note = ", ".join(notes)
        _write_row_name(figure, place, f"<b>{row['accuracy']:.0%} {row['what']}</b><br>{note}")
    _say_empty(figure, "Nothing to compare yet", is_empty=not rows)
    _set_tracks(figure, len(rows))
    figure.update_layout(legend_traceorder="reversed")
    numbers = [value for row in rows for value in (row["interval"][0], row["always_non_depressed"])] + lookups
    _set_accuracy_axis(figure, numbers)
    return _finish(
        figure,
        "Honest against flattering",
        _ACCURACY_WORDS,
        "It is worth what it has above the other marks",
        height=180 + 80 * max(2, len(rows)),
        num_legend_lines=3 if rows else 0,
    )


def plot_accuracies(scores: Sequence[tuple[str, float, float, float]], always: float | None = None) -> Figure:
    """Returns the accuracies of some runs with their intervals, in the order given, the first on top.

    Args:
        scores: Name, accuracy, low and high end of its interval, 0..1.
        always: What always answering *non-depressed* would get, 0..1.
    """
    figure = go.Figure()
    for place, (name, accuracy, low, high) in enumerate(scores):
        color = color_of_run(place)
        if accuracy == accuracy:
            figure.add_scatter(
                name=name,
                x=[accuracy],
                y=[place],
                mode="markers",
                marker={"size": 12, "color": color},
                error_x=_whiskers([accuracy], [low], [high], color),
                hovertemplate=f"{name}: %{{x:.1%}} right<br>(between {low:.1%} and {high:.1%})<extra></extra>",
                showlegend=False,
            )
        words = f"{accuracy:.1%} ({low:.0%} to {high:.0%})" if accuracy == accuracy else "not defined"
        _write_row_name(figure, place, f"<b>{name}</b>: {words}")
    if always is not None and scores:
        figure.add_scatter(
            name=_name_always(always),
            x=[always] * len(scores),
            y=list(range(len(scores))),
            mode="markers",
            marker={"size": 14, "symbol": "line-ns", "line": {"width": 2.5, "color": GRAY}},
            hoverinfo="skip",
            showlegend=True,
        )
    _say_empty(figure, "No scores yet", is_empty=not scores)
    _set_tracks(figure, len(scores))
    _set_accuracy_axis(figure, [low for _, _, low, _ in scores] + ([always] if always is not None else []))
    return _finish(
        figure,
        "How often it is right",
        _ACCURACY_WORDS,
        height=130 + 58 * max(2, len(scores)),
        num_legend_lines=1 if always is not None and scores else 0,
    )


def plot_learning(curves: dict[str, Sequence[dict[str, Any]]]) -> Figure:
    """Returns how often up to three runs were right on their validation pictures, epoch after epoch.

    Args:
        curves: Run to its epochs, from `progress.read_progress`: `epoch` and `val_accuracy`, 0..1; None in a final fit.
    """
    figure = go.Figure()
    known = {name: [row for row in epochs if row["val_accuracy"] is not None] for name, epochs in curves.items()}
    for place, (name, epochs) in enumerate(known.items()):
        color, dash = _RUN_STYLES[place % len(_RUN_STYLES)]
        figure.add_scatter(
            name=name if epochs else f"{name}: no validation pictures",
            x=[row["epoch"] for row in epochs],
            y=[row["val_accuracy"] for row in epochs],
            mode="lines+markers",
            line={"color": color, "width": 2.5, "dash": dash},
            hovertemplate="epoch %{x}: %{y:.1%}<extra></extra>",
            showlegend=True,
        )
    _say_empty(figure, "No curves are kept", is_empty=not any(known.values()))
    last = max((row["epoch"] for epochs in known.values() for row in epochs), default=1)
    figure.update_xaxes(title="epoch", range=[0, last + 0.5], tickformat="d", dtick=1 if last <= 12 else None)
    lowest = min((row["val_accuracy"] for epochs in known.values() for row in epochs), default=0)
    figure.update_yaxes(range=[max(0, lowest - 0.05), 1], tickformat=".0%")
    return _finish(
        figure,
        "How they learned",
        height=330 + 21 * len(curves),
        y_title="share of the validation pictures put into the right group",
        num_legend_lines=1 + len(curves),
    )


def plot_inversion(confusion: Confusion) -> Figure:
    """Returns how the article's code turns every answer round: what the network means, and what is printed.

    `flow_from_directory` numbers folders by name, so class 1 and the network's output are P(non-depressed), but its
    prediction code reads an output above 0.5 as *depressed*.

    Args:
        confusion: The counts of the answers as the network means them.
    """
    c = confusion
    meant = (c.num_true_depressed + c.num_false_alarms, c.num_missed + c.num_true_non_depressed)
    num_all = sum(meant)
    figure = make_subplots(rows=2, cols=1, row_heights=[0.62, 0.38], specs=[[{"type": "domain"}], [{"type": "xy"}]])
    groups = (emotions.DEPRESSED, emotions.NON_DEPRESSED)
    if num_all:
        colors = [color_of(group) for group in groups]
        names = [_DEPRESSED, _NON_DEPRESSED]
        figure.add_sankey(
            arrangement="fixed",
            node={
                "label": names * 2,
                "x": [0.001, 0.001, 0.999, 0.999],
                "y": [y for first in (meant[0], meant[1]) for y in _stack_two(first / num_all)],
                "color": colors * 2,
                "pad": 24,
                "thickness": 16,
                "line": {"width": 0},
                "hovertemplate": "%{label}: %{value:,} faces<extra></extra>",
            },
            link={
                "source": [0, 1],
                "target": [3, 2],
                "value": list(meant),
                "color": [fade(color) for color in colors],
                "customdata": [f"meant {names[0]}, printed {names[1]}", f"meant {names[1]}, printed {names[0]}"],
                "hovertemplate": "%{value:,} faces: %{customdata}<extra></extra>",
            },
            textfont={"size": 14, "shadow": "none", "color": INK},
            row=1,
            col=1,
        )
        num_right = c.num_true_depressed + c.num_true_non_depressed
        rights = [num_right / num_all, 1 - num_right / num_all]
        for name, values, color in (("right", rights, GREEN), ("wrong", rights[::-1], _RUN_STYLES[1][0])):
            figure.add_bar(
                name=name,
                orientation="h",
                y=["as meant", "as printed"],
                x=values,
                width=0.42,
                text=[f"{value:.0%} {name}" for value in values],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                marker_color=fade(color, 0.45),
                textfont={"color": INK, "size": 14},
                hovertemplate=f"%{{y}}: %{{x:.1%}} {name}<extra></extra>",
                showlegend=False,
                row=2,
                col=1,
            )
        for row in ("as meant", "as printed"):
            above = {"xref": "paper", "xanchor": "left", "yref": "y", "yanchor": "bottom", "yshift": 15}
            _write(figure, f"answers {row}", 0, row, **above)
    else:
        _say_empty(figure, "No answers yet")
    figure.update_layout(barmode="stack")
    figure.update_yaxes(range=[1.3, -0.8], showticklabels=False, showgrid=False)
    figure.update_xaxes(range=[0, 1], showticklabels=False, showgrid=False, zeroline=False)
    columns = (("the network means", "left", 0), ("the article’s code prints", "right", 1)) if num_all else ()
    for words, side, place in columns:
        _write(figure, words, place, 1, xref="paper", xanchor=side, yref="paper", yanchor="bottom")
    return _finish(
        figure,
        "Every published answer is turned round",
        "The network learned: 1 means “non-depressed”.",
        "The article’s code reads 1 as “depressed”.",
        height=430,
        room_above=22,
    )


def plot_game(truths: np.ndarray, guesses: np.ndarray, model_labels: np.ndarray) -> Figure:
    """Returns a round face by face: the label, the visitor's and the model's answer, crossed out where it is not it.

    A selected point's `customdata` is the face's place in the round.

    Args:
        truths: `bool` array of shape `(n,)`: where the label says *depressed*.
        guesses: `bool` array of shape `(n,)`: where the visitor says so.
        model_labels: `bool` array of shape `(n,)`: where the model says so.
    """
    figure = go.Figure()
    rows = (("the label", truths), ("you", guesses), ("the model", model_labels))
    num_faces = len(truths)
    for group in (emotions.DEPRESSED, emotions.NON_DEPRESSED) if num_faces else ():
        points = [
            (face, row, f"face {face + 1}, {name}: {GROUP_NAMES[group]}")
            for row, (name, labels) in enumerate(rows)
            for face in np.nonzero(np.asarray(labels) == (group == emotions.DEPRESSED))[0].tolist()
        ]
        figure.add_scatter(
            name=GROUP_NAMES[group],
            x=[point[0] for point in points],
            y=[point[1] for point in points],
            customdata=[point[0] for point in points],
            hovertext=[point[2] for point in points],
            mode="markers",
            marker={
                "size": 17,
                "color": color_of(group),
                "symbol": "circle" if group == emotions.DEPRESSED else "square",
            },
            hovertemplate="%{hovertext}<extra></extra>",
            unselected={"marker": {"opacity": 1}},
        )
    for row, (_, labels) in enumerate(rows):
        is_wrong = np.asarray(labels) != np.asarray(truths)
        if row and num_faces:
            for face in np.nonzero(is_wrong)[0].tolist():
                _write(figure, "<b>✕</b>", face, row, size=15, yanchor="middle")
            words = f"<b>{num_faces - int(is_wrong.sum())}</b> of {num_faces}"
            _write(figure, words, num_faces - 0.4, row, size=14, xanchor="left", yanchor="middle")
    _say_empty(figure, "No face guessed yet", is_empty=not num_faces)
    figure.update_layout(hoverdistance=-1, hovermode="closest")
    figure.update_xaxes(
        tickvals=list(range(num_faces)),
        ticktext=[str(face + 1) for face in range(num_faces)],
        range=[-0.6, max(1, num_faces) * 1.2],
        side="top",
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(
        tickvals=[0, 1, 2], ticktext=[name for name, _ in rows], range=[2.5, -0.5], showgrid=False, zeroline=False
    )
    return _finish(
        figure,
        "You against the model",
        "✕: not the label’s answer",
        height=270,
        num_legend_lines=2 if num_faces else 0,
        room_above=12,
    )


def _finish(
    figure: Figure,
    title: str,
    *subtitles: str,
    height: int,
    y_title: str = "",
    num_legend_lines: int = 0,
    room_above: int = 0,
) -> Figure:
    """Gives a figure its words, the room they take, and no zoom, so that a finger on it scrolls the page."""
    figure = style_figure(figure, title, height=height)
    small = [*filter(None, subtitles), *([f"↑ {y_title}"] if y_title else [])]
    words = [title, *(f"<span style='font-size:13px;font-weight:400'>{line}</span>" for line in small)]
    figure.update_layout(
        title={
            "text": "<br>".join(words),
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 6 if len(words) == 1 else 20},
        },
        margin={"t": 16 + 21 * len(words) + room_above, "b": 10 + 21 * num_legend_lines},
        legend={
            "orientation": "v",
            "x": 0,
            "yref": "container",
            "y": 0.01,
            "yanchor": "bottom",
            "itemclick": False,
            "itemdoubleclick": False,
        },
        dragmode=False,
    )
    figure.update_xaxes(fixedrange=True, title_standoff=8)
    figure.update_yaxes(fixedrange=True)
    return figure


def _write(
    figure: Figure, words: str, x: float, y: float | str, *, size: int = 13, color: str = INK, **place: Any
) -> None:
    figure.add_annotation(text=words, x=x, y=y, showarrow=False, font={"size": size, "color": color}, **place)


def _say_empty(figure: Figure, words: str, *, is_empty: bool = True) -> None:
    if is_empty:
        _write(figure, words, 0.5, 0.5, xref="paper", yref="paper")
        figure.update_xaxes(visible=False)
        figure.update_yaxes(visible=False)


def _mark_group(words: str, group: str) -> str:
    """Returns words with a square in the group's colour before them; as letters, orange is too pale to read."""
    return f"<span style='color:{color_of(group)}'>■</span> {words}"


def _cell_look() -> dict[str, Any]:
    """Returns a heatmap's look: right shares green, wrong ones (negative) purple, pale enough for dark words."""
    return {
        "colorscale": DIVERGING, "zmin": -1.5, "zmax": 1.5, "showscale": False, "hoverinfo": "skip",
        "xgap": 3, "ygap": 3,
    }  # fmt: skip


def _cell_points() -> dict[str, Any]:
    """Returns the look of points that stand for cells; with an unlimited hover distance the nearest one answers."""
    return {
        "mode": "markers",
        "marker": {"size": 1, "opacity": 0},
        "selected": {"marker": {"opacity": 0}},
        "unselected": {"marker": {"opacity": 0}},
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False,
    }


def _frame(figure: Figure, column: int, row: int) -> None:
    ends = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.48, "y1": row + 0.48}
    figure.add_shape(type="rect", line={"color": INK, "width": 3}, **ends)


def _add_curve(figure: Figure, place: int, name: str, curve: Curve, hover: str) -> None:
    color, dash = _RUN_STYLES[place % len(_RUN_STYLES)]
    num_points = len(curve.x)
    rows = np.unique(np.linspace(0, num_points - 1, min(num_points, _MOST_CURVE_POINTS)).astype(int))
    figure.add_scatter(
        name=name,
        x=np.asarray(curve.x)[rows],
        y=np.asarray(curve.y)[rows],
        customdata=np.minimum(np.asarray(curve.thresholds)[rows], 1),  # JSON has no infinity
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


def _stack_two(share: float) -> tuple[float, float]:
    """Returns the middles of two bars, the first of that share, that fill the height but for a gap."""
    gap = 0.1
    return share * (1 - gap) / 2, 1 - (1 - share) * (1 - gap) / 2


def _whiskers(values: Sequence[float], lows: Sequence[float], highs: Sequence[float], color: str) -> dict[str, Any]:
    values, lows, highs = (np.asarray(numbers, dtype=float) for numbers in (values, lows, highs))
    return {
        "type": "data", "symmetric": False, "array": highs - values, "arrayminus": values - lows, "thickness": 2.5,
        "width": 0, "color": color,
    }  # fmt: skip


def _floor(numbers: Sequence[float]) -> float:
    """Returns where an axis of accuracies starts: at 0.5 or, where something is lower, a tenth below that."""
    defined = [number for number in numbers if number == number]
    return max(0.0, np.floor(10 * min([0.55, *defined]) - 0.2) / 10)


def _set_accuracy_axis(figure: Figure, numbers: Sequence[float]) -> None:
    figure.update_xaxes(range=[_floor(numbers), 1.02], tickformat=".0%", nticks=7, zeroline=False)


def _mark_baseline(figure: Figure, value: float, words: str) -> None:
    figure.add_vline(x=value, line={"color": INK, "dash": "dash", "width": 1.5}, layer="below")
    _write(figure, words, value, 1, size=12, yref="paper", yanchor="bottom", yshift=2)


def _name_always(always: float) -> str:
    return f"always “non-depressed”: {always:.0%}"


def _set_tracks(figure: Figure, num_rows: int) -> None:
    """Draws a line for each row instead of upright ones, which would run through the rows' names."""
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(
        tickvals=list(range(num_rows)), showticklabels=False, showgrid=True, zeroline=False,
        range=[num_rows - 0.5 if num_rows else 1, -0.75],
    )  # fmt: skip


def _write_row_name(figure: Figure, place: int, words: str) -> None:
    """Writes a row's name above its marks, as beside them a phone has no room."""
    above = {"xref": "paper", "xanchor": "left", "align": "left", "yanchor": "bottom", "yshift": 10}
    _write(figure, words, 0, place, **above)


def _break_name(name: str) -> str:
    """Returns a slice's name on two lines where it has two parts."""
    return name.replace(": ", "<br>")
