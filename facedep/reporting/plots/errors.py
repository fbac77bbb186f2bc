"""Charts of where a model is right and where it is wrong: counts in, a Plotly figure out. No Streamlit."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facedep import emotions
from facedep.evaluation.metrics import Confusion
from facedep.evaluation.slices import Slice
from facedep.reporting.plots.theme import (
    ACCURACY_TEXT,
    DEPRESSED_TEXT,
    DIVERGING,
    GRAY,
    GROUP_NAMES,
    INK,
    NON_DEPRESSED_TEXT,
    RUN_STYLES,
    VERMILION,
    Figure,
    add_text,
    build_error_bars,
    color_of,
    fade,
    finish_figure,
    mark_empty,
    mark_group,
    set_accuracy_axis,
)


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
    figure = Figure()
    if any(totals):
        shares = np.zeros((2, 2))
        texts: list[tuple[int, int, str, str]] = []
        hovers = []
        for _, column, row, number, word in cells:
            share = number / totals[row] if totals[row] else 0
            shares[row, column] = share if column == row else -share
            texts.append((column, row, f"<b>{number:,}</b>", f"{share:.0%} {word}" if totals[row] else "–"))
            label, answer = ((DEPRESSED_TEXT, NON_DEPRESSED_TEXT)[place] for place in (row, column))
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
        for column, row, count_text, share_text in texts:
            add_text(figure, count_text, column, row, size=24, yshift=12, yanchor="middle")
            add_text(figure, share_text, column, row, yshift=-14, yanchor="middle")
        for name, column, row, *_ in cells:
            if name == chosen:
                _frame(figure, column, row)
    else:
        mark_empty(figure, "No answers yet")
    words = [mark_group(DEPRESSED_TEXT, emotions.DEPRESSED), mark_group(NON_DEPRESSED_TEXT, emotions.NON_DEPRESSED)]
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
    return finish_figure(figure, "What it says and what the label says", "↓ the label is", height=370)


def plot_emotion_errors(
    per_emotion: dict[str, dict[str, Any]], *, depressed_emotions: Sequence[str] = emotions.DEPRESSED_EMOTIONS
) -> Figure:
    """Returns for each true emotion the share called *depressed*, with its interval, the largest on top.

    Args:
        per_emotion: `evaluation.score_predictions`'s: emotion to `num_images`, `group_accuracy` (0..1) and
            `group_accuracy_interval`.
        depressed_emotions: The emotions that count as *depressed*: there high is good, elsewhere low is good.
    """
    rows = []
    for emotion, scores in per_emotion.items():
        share = scores["group_accuracy"]
        low, high = scores["group_accuracy_interval"]
        if emotion not in depressed_emotions:
            share, low, high = 1 - share, 1 - high, 1 - low
        if share == share:
            rows.append((emotion, scores["num_images"], share, low, high))
    rows.sort(key=lambda row: row[2])
    aims = {emotions.DEPRESSED: "more", emotions.NON_DEPRESSED: "fewer"}
    figure = Figure()
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
            error_x=build_error_bars(shares, lows, highs, color),
            customdata=list(zip(numbers, lows, highs, strict=True)),
            hovertemplate="%{y}: %{x:.0%} of %{customdata[0]:,} faces called “depressed”<br>"
            "(between %{customdata[1]:.0%} and %{customdata[2]:.0%})<extra></extra>",
        )
    for name, _, share, *_ in rows:
        add_text(figure, f"{share:.0%}", 1, name, xref="paper", xanchor="right")
    mark_empty(figure, "No emotions are named in these pictures", is_empty=not rows)
    figure.update_yaxes(categoryorder="array", categoryarray=[row[0] for row in rows], showgrid=False)
    figure.update_xaxes(range=[0, 1.16], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return finish_figure(
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
    figure = Figure()
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
            _write_share(figure, shares, row=row, column=column)
            if f"{ordered[row]}|{ordered[column]}" == chosen:
                _frame(figure, column, row)
        _part_groups(figure, sum(name in depressed_emotions for name in ordered), len(ordered))
    else:
        mark_empty(figure, "The model names no emotions here")
    groups = [emotions.DEPRESSED if name in depressed_emotions else emotions.NON_DEPRESSED for name in ordered]
    words = [mark_group(name, group) for name, group in zip(ordered, groups, strict=True)]
    ticks = {"tickvals": list(range(len(ordered))), "ticktext": words, "showgrid": False, "zeroline": False}
    figure.update_xaxes(title="the model answers", tickangle=-45, range=[-0.5, max(0.5, len(ordered) - 0.5)], **ticks)
    figure.update_yaxes(range=[max(0.5, len(ordered) - 0.5), -0.5], **ticks)
    figure.update_layout(hoverdistance=-1, hovermode="closest")
    return finish_figure(
        figure,
        "Which emotions it mixes up",
        "In each row: of 100 such faces, so many are called so.",
        mark_group("counts as “depressed”", emotions.DEPRESSED),
        "↓ the label is",
        height=480,
    )


def _write_share(figure: Figure, shares: np.ndarray, *, row: int, column: int) -> None:
    """Writes a cell's share in percent, bold on the diagonal; nothing where it would be 0."""
    if shares[row, column] >= 0.005:
        words = f"{100 * shares[row, column]:.0f}"
        add_text(figure, f"<b>{words}</b>" if row == column else words, column, row, yanchor="middle")


def _part_groups(figure: Figure, num_depressed: int, num_emotions: int) -> None:
    """Draws the lines between the emotions that count as *depressed*, which come first, and the others."""
    if not 0 < num_depressed < num_emotions:
        return
    for direction in ("x", "y"):
        other = {"x": "y", "y": "x"}[direction]
        ends = {f"{direction}{end}": num_depressed - 0.5 for end in (0, 1)}
        ends |= {f"{other}0": -0.5, f"{other}1": num_emotions - 0.5}
        figure.add_shape(type="line", line={"color": INK, "width": 1.5}, **ends)


def plot_slices(slices: Sequence[Slice], *, accuracy: float | None = None) -> Figure:
    """Returns the accuracy of each slice with its interval, in the order given, the first on top.

    Slices on which the model is surely worse (`Slice.is_worse`) are coloured, too small ones hollow. A selected point's
    `customdata` is the slice's place in the list.

    Args:
        slices: `slices.find_slices`'s or `find_worst`'s.
        accuracy: Of all pictures together, 0..1.
    """
    figure = Figure()
    kinds: dict[str, list[int]] = {"worse": [], "usual": [], "small": []}
    for place, one in enumerate(slices):
        kinds["small" if one.is_small else "worse" if one.is_worse else "usual"].append(place)
    looks = {
        "worse": ("surely worse than on the other faces", VERMILION, "circle"),
        "usual": ("not surely worse", RUN_STYLES[2][0], "circle"),
        "small": ("too few faces to say", GRAY, "circle-open"),
    }
    for kind, (name, color, symbol) in looks.items():
        _add_slices(figure, slices, kinds[kind], name=name, color=color, symbol=symbol)
    if accuracy is not None and slices:
        _mark_baseline(figure, accuracy, f"all faces: {accuracy:.0%}")
    mark_empty(figure, "No pictures to divide", is_empty=not slices)
    figure.update_yaxes(
        tickvals=list(range(len(slices))),
        ticktext=[f"{_break_name(one.name)} ({one.num_images:,})" for one in slices],
        range=[len(slices) - 0.5 if slices else 1, -0.5],
        zeroline=False,
    )
    set_accuracy_axis(figure, [one.low for one in slices])
    figure.update_layout(hoverdistance=-1, hovermode="closest")  # a finger anywhere in a row finds its mark
    return finish_figure(
        figure,
        "Where it is right, and where less so",
        ACCURACY_TEXT,
        height=170 + 36 * max(3, len(slices)),
        num_legend_lines=len(figure.data),
        room_above=20,
    )


def _add_slices(
    figure: Figure, slices: Sequence[Slice], places: list[int], *, name: str, color: str, symbol: str
) -> None:
    """Adds the slices at these places, with their intervals, as marks of one kind."""
    some = [slices[place] for place in places]
    if not some:
        return
    figure.add_scatter(
        name=name,
        x=[one.accuracy for one in some],
        y=places,
        customdata=places,
        mode="markers",
        marker={"size": 10, "color": color, "symbol": symbol, "line": {"width": 2, "color": color}},
        error_x=build_error_bars(
            [item.accuracy for item in some], [item.low for item in some], [item.high for item in some], color
        ),
        hovertext=[
            f"{one.name}: {one.accuracy:.0%} right<br>(between {one.low:.0%} and {one.high:.0%}, "
            f"{one.num_images:,} faces)"
            for one in some
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        unselected={"marker": {"opacity": 1}},
    )


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


def _mark_baseline(figure: Figure, value: float, words: str) -> None:
    figure.add_vline(x=value, line={"color": INK, "dash": "dash", "width": 1.5}, layer="below")
    add_text(figure, words, value, 1, size=12, yref="paper", yanchor="bottom", yshift=2)


def _break_name(name: str) -> str:
    """Returns a slice's name on two lines where it has two parts."""
    return name.replace(": ", "<br>")
