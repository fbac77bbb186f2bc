"""Charts of how a run learns: measurements in, a Plotly figure out. No computing, no Streamlit."""

from collections.abc import Sequence
from typing import Any

from facedep.reporting.plots.theme import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    RUN_STYLES,
    Figure,
    finish_figure,
    mark_empty,
    style_figure,
)
from facedep.runs.progress import Progress


def plot_curve(progress: Progress, measure: str) -> Figure:
    """Returns the live curve of one measure: a line within epochs, points at their ends, the best epoch marked.

    Args:
        progress: The run's measurements.
        measure: "loss" (low is good) or "accuracy" (share put into the right group, high is good).
    """
    figure = Figure()
    figure.add_scatter(
        name="within the epoch",
        x=[row["position"] for row in progress.steps],
        y=[row[measure] for row in progress.steps],
        mode="lines+markers" if len(progress.steps) < 20 else "lines",
        line={"color": GRAY, "width": 1.2},
        marker={"size": 3},
        opacity=0.6,
        hovertemplate="epoch %{x:.2f}: %{y:.3f}<extra></extra>",
    )
    for name, key, color, dash in (("training", measure, BLUE, "dot"), ("validation", f"val_{measure}", GREEN, None)):
        if progress.epochs and all(row[key] is None for row in progress.epochs):
            continue  # a final fit has no validation pictures
        figure.add_scatter(
            name=name,
            x=[row["epoch"] for row in progress.epochs],
            y=[row[key] for row in progress.epochs],
            mode="lines+markers",
            line={"color": color, "width": 2.5, "dash": dash},
            marker={"size": 7 if progress.num_epochs <= 20 else 4},
            hovertemplate="epoch %{x}: %{y:.3f} " + name + "<extra></extra>",
        )
    if best := progress.best_epoch:
        figure.add_scatter(
            name="best epoch",
            x=[best["epoch"]],
            y=[best[f"val_{measure}"]],
            mode="markers",
            marker={"symbol": "circle-open", "size": 17, "color": GREEN, "line": {"width": 2.5}},
            hovertemplate=f"best epoch so far: {best['epoch']}<extra></extra>",
        )
    if measure == "accuracy":
        if progress.majority_baseline.is_known:
            constant = f"always {progress.majority_baseline.label}"
            figure.add_scatter(
                name=constant,
                x=[0, max(1, progress.num_epochs)],
                y=[progress.majority_baseline.share] * 2,
                mode="lines",
                line={"color": ORANGE, "dash": "dash", "width": 1.5},
                hovertemplate=constant + ": %{y:.1%}<extra></extra>",
            )
        figure.update_yaxes(tickformat=".0%")
    last = max(1, progress.num_epochs)
    figure.update_xaxes(title="epoch", range=[0, last + 0.25], tickformat="d", dtick=1 if last <= 12 else None)
    if not progress.steps and not progress.epochs:
        figure.update_yaxes(range=[0, 1])
        figure.add_annotation(
            text="The curve starts with the first step", showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper"
        )
    title = "Loss (lower is better)" if measure == "loss" else "In the right group (higher is better)"
    return style_figure(figure, title, height=380)


def plot_learning(curves: dict[str, Sequence[dict[str, Any]]]) -> Figure:
    """Returns how often up to three runs were right on their validation pictures, epoch after epoch.

    Args:
        curves: Run to its epochs, from `progress.read_progress`: `epoch` and `val_accuracy`, 0..1; None in a final fit.
    """
    figure = Figure()
    known = {name: [row for row in epochs if row["val_accuracy"] is not None] for name, epochs in curves.items()}
    for place, (name, epochs) in enumerate(known.items()):
        color, dash = RUN_STYLES[place % len(RUN_STYLES)]
        figure.add_scatter(
            name=name if epochs else f"{name}: no validation pictures",
            x=[row["epoch"] for row in epochs],
            y=[row["val_accuracy"] for row in epochs],
            mode="lines+markers",
            line={"color": color, "width": 2.5, "dash": dash},
            hovertemplate="epoch %{x}: %{y:.1%}<extra></extra>",
            showlegend=True,
        )
    mark_empty(figure, "No curves are kept", is_empty=not any(known.values()))
    last = max((row["epoch"] for epochs in known.values() for row in epochs), default=1)
    figure.update_xaxes(title="epoch", range=[0, last + 0.5], tickformat="d", dtick=1 if last <= 12 else None)
    lowest = min((row["val_accuracy"] for epochs in known.values() for row in epochs), default=0)
    figure.update_yaxes(range=[max(0, lowest - 0.05), 1], tickformat=".0%")
    return finish_figure(
        figure,
        "How they learned",
        height=330 + 21 * len(curves),
        y_title="share of the validation pictures put into the right group",
        num_legend_lines=1 + len(curves),
    )
