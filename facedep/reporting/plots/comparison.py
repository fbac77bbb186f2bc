"""Charts that compare: runs, ways to choose pictures, worse pictures, people. No computing, no Streamlit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from plotly.subplots import make_subplots

from facedep import emotions
from facedep.evaluation.metrics import Confusion
from facedep.networks.majority_baseline import UNKNOWN, MajorityBaseline
from facedep.reporting.plots.theme import (
    ACCURACY_TEXT,
    DEPRESSED_TEXT,
    GRAY,
    GREEN,
    GROUP_NAMES,
    INK,
    NON_DEPRESSED_TEXT,
    RUN_STYLES,
    Figure,
    add_text,
    build_error_bars,
    color_of,
    color_of_run,
    fade,
    find_axis_start,
    finish_figure,
    mark_empty,
    set_accuracy_axis,
)


def plot_robustness(
    curves: dict[str, pd.DataFrame], *, title: str, unit: str, baseline: MajorityBaseline = UNKNOWN
) -> Figure:
    """Returns how the accuracy falls with one corruption, a line with its 95 % band for each of up to three runs.

    Args:
        curves: Run to its table, cut to this corruption: columns `strength`, `accuracy`, `low`, `high` (0..1).
        title: The corruption in words.
        unit: Of its strength, in words.
        baseline: What always answering the larger group would get.
    """
    figure = Figure()
    shown = {name: table for name, table in curves.items() if len(table)}
    for place, (name, table) in enumerate(shown.items()):
        color, dash = RUN_STYLES[place % len(RUN_STYLES)]
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
    if baseline.is_known and shown:
        lows.append(baseline.share)
        strengths = [strength for table in shown.values() for strength in table["strength"]]
        figure.add_scatter(
            name=f"{_name_baseline(baseline)}: {baseline.share:.0%}",
            x=[min(strengths), max(strengths)],
            y=[baseline.share] * 2,
            mode="lines",
            line={"color": GRAY, "dash": "longdash", "width": 1.5},
            hoverinfo="skip",
        )
    mark_empty(figure, "Not measured yet", is_empty=not shown)
    figure.update_xaxes(title=unit)
    figure.update_yaxes(range=[find_axis_start(lows), 1], tickformat=".0%", nticks=6)
    return finish_figure(
        figure, title, y_title="share put into the right group", height=380, num_legend_lines=len(shown) + 1
    )


def plot_protocol_comparison(rows: Sequence[dict[str, Any]]) -> Figure:
    """Returns one run's score on different pictures beside what remembering and a constant answer get there.

    Args:
        rows: `evaluation.list_flattering_scores`'s: `what`, `num_images`, `accuracy`, `interval`,
            `majority_baseline`, `lookup_accuracy` (0..1; NaN or None where there is none), `num_in_train` and
            `num_in_training_set`.
    """
    figure = Figure()
    places = list(range(len(rows)))
    scores = [row["accuracy"] for row in rows]
    lows, highs = ([row["interval"][end] for row in rows] for end in (0, 1))
    lookups = [float("nan") if row["lookup_accuracy"] is None else row["lookup_accuracy"] for row in rows]
    baselines = [row["majority_baseline"] for row in rows]
    if rows:
        marks = (
            (_name_baseline(*baselines), [one.share for one in baselines], GRAY, "line-ns", 14),
            ("a table that only remembers its training data", lookups, RUN_STYLES[1][0], "diamond-open", 11),
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
                error_x=build_error_bars(values, lows, highs, color) if is_model else None,
                hovertemplate=f"{name}: %{{x:.0%}} right<extra></extra>",
            )
    for place, row in zip(places, rows, strict=True):
        notes = [f"{row['num_images']:,} faces"]
        if row["num_in_train"]:
            notes.append(f"{row['num_in_train']:,} also in train")
        if row["num_in_training_set"]:
            notes.append(f"{row['num_in_training_set']:,} seen by the model")
        note = ", ".join(notes)
        _write_row_name(figure, place, f"<b>{row['accuracy']:.0%} {row['what']}</b><br>{note}")
    mark_empty(figure, "Nothing to compare yet", is_empty=not rows)
    _set_tracks(figure, len(rows))
    figure.update_layout(legend_traceorder="reversed")
    numbers = [value for row in rows for value in (row["interval"][0], row["majority_baseline"].share)]
    numbers += lookups
    set_accuracy_axis(figure, numbers)
    return finish_figure(
        figure,
        "Honest against flattering",
        ACCURACY_TEXT,
        "It is worth what it has above the other marks",
        height=180 + 80 * max(2, len(rows)),
        num_legend_lines=3 if rows else 0,
    )


def plot_accuracies(scores: Sequence[tuple[str, float, float, float]], baseline: MajorityBaseline = UNKNOWN) -> Figure:
    """Returns the accuracies of some runs with their intervals, in the order given, the first on top.

    Args:
        scores: Name, accuracy, low and high end of its interval, 0..1.
        baseline: What always answering the larger group would get.
    """
    figure = Figure()
    for place, (name, accuracy, low, high) in enumerate(scores):
        color = color_of_run(place)
        if accuracy == accuracy:
            figure.add_scatter(
                name=name,
                x=[accuracy],
                y=[place],
                mode="markers",
                marker={"size": 12, "color": color},
                error_x=build_error_bars([accuracy], [low], [high], color),
                hovertemplate=f"{name}: %{{x:.1%}} right<br>(between {low:.1%} and {high:.1%})<extra></extra>",
                showlegend=False,
            )
        words = f"{accuracy:.1%} ({low:.0%} to {high:.0%})" if accuracy == accuracy else "not defined"
        _write_row_name(figure, place, f"<b>{name}</b>: {words}")
    if baseline.is_known and scores:
        figure.add_scatter(
            name=f"{_name_baseline(baseline)}: {baseline.share:.0%}",
            x=[baseline.share] * len(scores),
            y=list(range(len(scores))),
            mode="markers",
            marker={"size": 14, "symbol": "line-ns", "line": {"width": 2.5, "color": GRAY}},
            hoverinfo="skip",
            showlegend=True,
        )
    mark_empty(figure, "No scores yet", is_empty=not scores)
    _set_tracks(figure, len(scores))
    set_accuracy_axis(figure, [low for _, _, low, _ in scores] + ([baseline.share] if baseline.is_known else []))
    return finish_figure(
        figure,
        "How often it is right",
        ACCURACY_TEXT,
        height=130 + 58 * max(2, len(scores)),
        num_legend_lines=1 if baseline.is_known and scores else 0,
    )


def plot_inversion(confusion: Confusion) -> Figure:
    """Returns how the article's code inverts every answer: what the network means, and what is printed.

    `flow_from_directory` numbers folders by name, so class 1 and the network's output are P(non-depressed), but its
    prediction code reads an output above 0.5 as *depressed*.

    Args:
        confusion: The counts of the answers as the network means them.
    """
    c = confusion
    meant = (c.num_true_depressed + c.num_false_alarms, c.num_missed + c.num_true_non_depressed)
    num_all = sum(meant)
    figure = make_subplots(rows=2, cols=1, row_heights=[0.62, 0.38], specs=[[{"type": "domain"}], [{"type": "xy"}]])
    if num_all:
        _add_flow(figure, meant)
        _add_shares_right(figure, (c.num_true_depressed + c.num_true_non_depressed) / num_all)
    else:
        mark_empty(figure, "No answers yet")
    figure.update_layout(barmode="stack")
    figure.update_yaxes(range=[1.3, -0.8], showticklabels=False, showgrid=False)
    figure.update_xaxes(range=[0, 1], showticklabels=False, showgrid=False, zeroline=False)
    columns = (("the network means", "left", 0), ("the article’s code prints", "right", 1)) if num_all else ()
    for words, side, place in columns:
        add_text(figure, words, place, 1, xref="paper", xanchor=side, yref="paper", yanchor="bottom")
    return finish_figure(
        figure,
        "Every published prediction is inverted",
        "The network learned: 1 means “non-depressed”.",
        "The article’s code reads 1 as “depressed”.",
        height=430,
        room_above=22,
    )


def _add_flow(figure: Figure, meant: tuple[int, int]) -> None:
    """Adds how the answers that mean *depressed*, and those that do not, are printed as the other."""
    colors = [color_of(group) for group in (emotions.DEPRESSED, emotions.NON_DEPRESSED)]
    names = [DEPRESSED_TEXT, NON_DEPRESSED_TEXT]
    figure.add_sankey(
        arrangement="fixed",
        node={
            "label": names * 2,
            "x": [0.001, 0.001, 0.999, 0.999],
            "y": [y for first in (meant[0], meant[1]) for y in _stack_two(first / sum(meant))],
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


def _add_shares_right(figure: Figure, share_right: float) -> None:
    """Adds the shares of right and wrong answers, as meant and as printed."""
    rights = [share_right, 1 - share_right]
    for name, values, color in (("right", rights, GREEN), ("wrong", rights[::-1], RUN_STYLES[1][0])):
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
        above: dict[str, Any] = {"xref": "paper", "xanchor": "left", "yref": "y", "yanchor": "bottom", "yshift": 15}
        add_text(figure, f"answers {row}", 0, row, **above)


def plot_game(truths: np.ndarray, guesses: np.ndarray, model_labels: np.ndarray) -> Figure:
    """Returns a round face by face: the label, the visitor's and the model's answer, crossed out where it is not it.

    A selected point's `customdata` is the face's place in the round.

    Args:
        truths: `bool` array of shape `(n,)`: where the label says *depressed*.
        guesses: `bool` array of shape `(n,)`: where the visitor says so.
        model_labels: `bool` array of shape `(n,)`: where the model says so.
    """
    figure = Figure()
    rows = (("the label", truths), ("you", guesses), ("the model", model_labels))
    num_faces = len(truths)
    if num_faces:
        _add_guesses(figure, rows)
    for row, (_, labels) in enumerate(rows):
        is_wrong = np.asarray(labels) != np.asarray(truths)
        if row and num_faces:
            for face in np.nonzero(is_wrong)[0].tolist():
                add_text(figure, "<b>✕</b>", face, row, size=15, yanchor="middle")
            words = f"<b>{num_faces - int(is_wrong.sum())}</b> of {num_faces}"
            add_text(figure, words, num_faces - 0.4, row, size=14, xanchor="left", yanchor="middle")
    mark_empty(figure, "No face guessed yet", is_empty=not num_faces)
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
    return finish_figure(
        figure,
        "You against the model",
        "✕: not the label’s answer",
        height=270,
        num_legend_lines=2 if num_faces else 0,
        room_above=12,
    )


def _add_guesses(figure: Figure, rows: Sequence[tuple[str, np.ndarray]]) -> None:
    """Adds a mark for each face in each row: name, and where it says *depressed*."""
    for group in (emotions.DEPRESSED, emotions.NON_DEPRESSED):
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


def _name_baseline(*baselines: MajorityBaseline) -> str:
    """Returns what always answering the larger group is called, on pictures among which it is not always the same."""
    labels = {baseline.label for baseline in baselines}
    return f"always “{labels.pop()}”" if len(labels) == 1 else "always the larger group"


def _set_tracks(figure: Figure, num_rows: int) -> None:
    """Draws a line for each row instead of upright ones, which would run through the rows' names."""
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(
        tickvals=list(range(num_rows)), showticklabels=False, showgrid=True, zeroline=False,
        range=[num_rows - 0.5 if num_rows else 1, -0.75],
    )  # fmt: skip


def _write_row_name(figure: Figure, place: int, words: str) -> None:
    """Writes a row's name above its marks, as beside them a phone has no room."""
    above: dict[str, Any] = {"xref": "paper", "xanchor": "left", "align": "left", "yanchor": "bottom", "yshift": 10}
    add_text(figure, words, 0, place, **above)


def _stack_two(share: float) -> tuple[float, float]:
    """Returns the middles of two bars, the first of that share, that fill the height but for a gap."""
    gap = 0.1
    return share * (1 - gap) / 2, 1 - (1 - share) * (1 - gap) / 2
