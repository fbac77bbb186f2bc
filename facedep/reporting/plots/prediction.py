"""Charts of what a model predicts for one face or one visit: numbers in, a Plotly figure out. No Streamlit."""

from collections.abc import Sequence

import plotly.graph_objects as go

from facedep import emotions
from facedep.reporting.plots.theme import (
    GRAY,
    GROUP_NAMES,
    Figure,
    color_of,
    style_figure,
)


def plot_probability(probability: float, threshold: float, band: tuple[float, float] | None = None) -> Figure:
    """Returns a gauge of P(depressed) with the threshold as a line and the uncertain band as a darker stretch.

    Args:
        probability: P(depressed), 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
        band: P(depressed) from and up to which the model is uncertain; None where it never is.
    """
    group = emotions.DEPRESSED if probability >= threshold else emotions.NON_DEPRESSED
    is_uncertain = band is not None and band[0] <= probability < band[1]
    steps = [{"range": [100 * band[0], 100 * band[1]], "color": "rgba(138,148,166,0.38)"}] if band else []
    figure = Figure(
        go.Indicator(
            mode="gauge+number",
            value=100 * probability,
            number={"suffix": "%", "valueformat": ".0f", "font": {"size": 40}},
            gauge={
                "axis": {"range": [0, 100], "tickvals": [0, 25, 50, 75, 100], "ticksuffix": "%"},
                "bar": {"color": GRAY if is_uncertain else color_of(group), "thickness": 0.7},
                "steps": steps,
                "borderwidth": 0,
                "bgcolor": "rgba(138,148,166,0.18)",
                "threshold": {"line": {"color": GRAY, "width": 3}, "thickness": 1, "value": 100 * threshold},
            },
        )
    )
    figure = style_figure(figure, "P(“depressed”)", height=220)
    return figure.update_layout(margin={"l": 35, "r": 45, "t": 50, "b": 5})


def plot_emotion_probabilities(probabilities: dict[str, float], positive_classes: list[str]) -> Figure:
    """Returns bars of the emotions' probabilities, coloured by the group each counts as, the likeliest on top.

    Args:
        probabilities: Emotion to probability, 0..1.
        positive_classes: The emotions that count as *depressed*.
    """
    order = sorted(probabilities, key=lambda emotion: probabilities[emotion])
    figure = Figure()
    for group in reversed(emotions.GROUPS):
        names = [name for name in order if (name in positive_classes) == (group == emotions.DEPRESSED)]
        figure.add_bar(
            name=f"counts as {GROUP_NAMES[group]}",
            orientation="h",
            y=names,
            x=[probabilities[name] for name in names],
            text=[f"{probabilities[name]:.0%}" for name in names],
            textposition="outside",
            cliponaxis=False,
            marker_color=color_of(group),
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    figure.update_yaxes(categoryorder="array", categoryarray=order)
    figure.update_xaxes(range=[0, 1.12], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return style_figure(figure, "The emotions behind it", height=290)


def plot_visit(probabilities: Sequence[float], threshold: float, band: tuple[float, float] | None = None) -> Figure:
    """Returns how P(depressed) moved from snapshot to snapshot, with the threshold and the uncertain band.

    Args:
        probabilities: P(depressed) of each snapshot, the oldest first, 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
        band: P(depressed) from and up to which the model is uncertain; None where it never is.
    """
    figure = Figure()
    groups = [emotions.DEPRESSED if value >= threshold else emotions.NON_DEPRESSED for value in probabilities]
    is_uncertain = [band is not None and band[0] <= value < band[1] for value in probabilities]
    figure.add_scatter(
        x=list(range(1, len(probabilities) + 1)),
        y=list(probabilities),
        mode="lines+markers",
        line={"color": GRAY, "width": 2},
        marker={
            "size": 9,
            "color": [GRAY if unsure else color_of(group) for unsure, group in zip(is_uncertain, groups, strict=True)],
        },
        hovertemplate="snapshot %{x}: %{y:.0%}<extra></extra>",
    )
    if band:
        figure.add_hrect(y0=band[0], y1=band[1], fillcolor=GRAY, opacity=0.15, line_width=0)
        figure.add_annotation(
            text="uncertain", x=1, xref="paper", xanchor="right", y=band[1], yanchor="top", showarrow=False
        )
    figure.add_hline(y=threshold, line={"color": GRAY, "dash": "dash", "width": 1.5})
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_xaxes(title="snapshot", range=[0.5, max(10, len(probabilities)) + 0.5], tickformat="d")
    return style_figure(figure, "P(“depressed”) from snapshot to snapshot", height=260)
