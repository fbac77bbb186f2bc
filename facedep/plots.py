"""Every chart of the app: numbers in, a Plotly figure out. No computing, no Streamlit.

Colours are from Okabe & Ito's set, which people with any common colour vision tell apart:
https://jfly.uni-koeln.de/color/.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from facedep import emotions
from facedep.progress import Progress

Figure = go.Figure

_BLUE, _ORANGE, GREEN, GRAY = "#0072B2", "#E69F00", "#009E73", "#8A94A6"
INK, VERMILION = "#1B2733", "#D55E00"
GROUP_NAMES = {emotions.DEPRESSED: "depressed", emotions.NON_DEPRESSED: "non-depressed"}
PART_NAMES = {"train": "train", "val": "val", "test": "test", "": "no split"}
# Purple to green, ColorBrewer's PRGn (colour-blind safe, https://colorbrewer2.org): neither is the colour of a group.
DIVERGING = [[0, "#762A83"], [0.25, "#C2A5CF"], [0.5, "#FFFFFF"], [0.75, "#A6DBA0"], [1, "#1B7837"]]
# Okabe & Ito's eight, one for each emotion.
_EMOTION_COLORS = dict(
    zip(
        emotions.EMOTIONS,
        ("#D55E00", "#009E73", "#CC79A7", "#F0E442", "#56B4E9", "#0072B2", "#E69F00", "#000000"),
        strict=True,
    )
)
_MARGIN = {"l": 10, "r": 10, "t": 40, "b": 10}


def color_of(group: str) -> str:
    """Returns the colour of a group, the same in every chart."""
    return {emotions.DEPRESSED: _BLUE, emotions.NON_DEPRESSED: _ORANGE}[group]


def style_figure(figure: go.Figure, title: str, *, height: int) -> go.Figure:
    """Gives a figure what all have in common, and returns it.

    Args:
        figure: It is changed.
        title: What it shows, in words.
        height: In pixels.
    """
    figure.update_layout(
        title={"text": title, "font": {"size": 16}, "x": 0, "xanchor": "left", "xref": "container"},
        height=height,
        margin=_MARGIN,
        legend={"orientation": "h", "y": -0.22, "x": 0, "title": None},
        uirevision="keep",
        hoverlabel={"namelength": -1},
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def plot_balance(index: pd.DataFrame) -> go.Figure:
    """Returns stacked bars: pictures per split, divided into the two groups.

    Args:
        index: The data set's index table; columns `split` and `label`.
    """
    counts = index.groupby(["split", "label"]).size()
    splits = [split for split in PART_NAMES if split in set(index["split"])]
    figure = go.Figure()
    for group in reversed(emotions.GROUPS):
        numbers = [int(counts.get((split, group), 0)) for split in splits]
        figure.add_bar(
            name=GROUP_NAMES[group],
            x=[PART_NAMES[split] for split in splits],
            y=numbers,
            text=[f"{number:,}" if number else "" for number in numbers],
            marker_color=color_of(group),
            hovertemplate="%{x}: %{y:,} " + GROUP_NAMES[group] + "<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    return style_figure(figure, "Pictures per split and group", height=340)


def plot_emotions(index: pd.DataFrame) -> go.Figure:
    """Returns bars: pictures per emotion, coloured by the group it counts as, the largest on top.

    Args:
        index: The data set's index table; columns `emotion` and `label`.
    """
    counts = index.assign(emotion=index["emotion"].replace("", "not named")).groupby(["emotion", "label"]).size()
    counts = counts.sort_values()
    order = list(dict.fromkeys(counts.index.get_level_values("emotion")))
    figure = go.Figure()
    for group in reversed(emotions.GROUPS):
        rows = [(emotion, int(number)) for (emotion, label), number in counts.items() if label == group]
        figure.add_bar(
            name=GROUP_NAMES[group],
            orientation="h",
            y=[emotion for emotion, _ in rows],
            x=[number for _, number in rows],
            text=[f"{number:,}" for _, number in rows],
            marker_color=color_of(group),
            hovertemplate="%{y}: %{x:,} pictures, counted as " + GROUP_NAMES[group] + "<extra></extra>",
        )
    figure.update_yaxes(categoryorder="array", categoryarray=order)
    figure.update_layout(barmode="stack")
    return style_figure(figure, "Emotions, and the group each counts as", height=340)


def plot_curve(progress: Progress, measure: str) -> go.Figure:
    """Returns the live curve of one measure: a line within epochs, points at their ends, the best epoch marked.

    Args:
        progress: The run's measurements.
        measure: "loss" (low is good) or "accuracy" (share put into the right group, high is good).
    """
    figure = go.Figure()
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
    for name, key, color, dash in (("training", measure, _BLUE, "dot"), ("validation", f"val_{measure}", GREEN, None)):
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
                line={"color": _ORANGE, "dash": "dash", "width": 1.5},
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


def plot_probability(probability: float, threshold: float, band: tuple[float, float] | None = None) -> go.Figure:
    """Returns a gauge of P(depressed) with the threshold as a line and the uncertain band as a darker stretch.

    Args:
        probability: P(depressed), 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
        band: P(depressed) from and up to which the model is uncertain; None where it never is.
    """
    group = emotions.DEPRESSED if probability >= threshold else emotions.NON_DEPRESSED
    is_uncertain = band is not None and band[0] <= probability < band[1]
    steps = [{"range": [100 * band[0], 100 * band[1]], "color": "rgba(138,148,166,0.38)"}] if band else []
    figure = go.Figure(
        go.Indicator(
            mode="gauge+number",
            value=100 * probability,
            number={"suffix": " %", "valueformat": ".0f", "font": {"size": 40}},
            gauge={
                "axis": {"range": [0, 100], "tickvals": [0, 25, 50, 75, 100], "ticksuffix": " %"},
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


def plot_emotion_probabilities(probabilities: dict[str, float], positive_classes: list[str]) -> go.Figure:
    """Returns bars of the emotions' probabilities, coloured by the group each counts as, the likeliest on top.

    Args:
        probabilities: Emotion to probability, 0..1.
        positive_classes: The emotions that count as *depressed*.
    """
    order = sorted(probabilities, key=probabilities.get)
    figure = go.Figure()
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


def plot_leak(num_images: int, num_identical: int, num_similar: int, part: str) -> go.Figure:
    """Returns one bar for a part: how many of its pictures are copies out of train, near-copies, or truly new.

    Args:
        num_images: Pictures in the part.
        num_identical: Those with a pixel-identical copy in train.
        num_similar: Those with an identical or near-identical picture in train.
        part: "val" or "test".
    """
    figure = go.Figure()
    pieces = (
        ("also in train", num_identical, VERMILION),
        ("nearly the same in train", num_similar - num_identical, _ORANGE),
        ("new", num_images - num_similar, GREEN),
    )
    for name, number, color in pieces:
        figure.add_bar(
            name=name,
            orientation="h",
            y=[part],
            x=[number],
            text=[f"{number:,}" if number else ""],
            marker_color=color,
            hovertemplate=f"{number:,} of {num_images:,} {part} pictures: {name}<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(range=[0, max(1, num_images)])
    figure = style_figure(figure, f"The {num_images:,} {part} pictures", height=170)
    return figure.update_layout(legend={"y": -0.5})


def plot_difference(difference: np.ndarray, *, first_name: str = "depressed") -> go.Figure:
    """Returns the difference of two average faces as a picture, in one colour where brighter, in another where darker.

    Args:
        difference: First mean less second: float array of shape `(height, width)`, gray levels.
        first_name: What the first group is called.
    """
    height, width = difference.shape
    # Whole gray levels, the same on both sides, so that white is "no difference" in every picture.
    limit = max(1, math.ceil(np.abs(difference).max(initial=0)))
    figure = go.Figure(
        go.Heatmap(
            z=np.round(difference, 2),
            colorscale=DIVERGING,
            zmin=-limit,
            zmax=limit,
            colorbar={
                "orientation": "h",
                "y": 0,
                "yanchor": "top",
                "len": 0.75,
                "thickness": 14,
                "tickvals": [-limit, 0, limit],
                "ticktext": [f"{limit} darker", "0", f"{limit} brighter"],
                "title": {"text": f"gray levels in “{first_name}”", "side": "bottom"},
            },
            hovertemplate="%{z:+.1f} gray levels<extra></extra>",
        )
    )
    figure.update_xaxes(visible=False, constrain="domain", range=[-0.5, width - 0.5])
    figure.update_yaxes(
        visible=False, constrain="domain", range=[height - 0.5, -0.5], scaleanchor="x", scaleratio=1, fixedrange=True
    )
    return style_figure(figure, "Where the average faces differ", height=400)


def plot_flow(index: pd.DataFrame) -> go.Figure:
    """Returns a Sankey diagram: how the emotions flow into the two groups, in each group the largest on top.

    Args:
        index: The data set's index table; columns `emotion` and `label`.
    """
    counts = index.assign(emotion=index["emotion"].replace("", "not named")).groupby(["emotion", "label"]).size()
    sizes = counts.groupby(level="emotion").sum()
    groups = [group for group in emotions.GROUPS if group in set(index["label"])]
    # The emotions of one group lie together, so that no two streams cross.
    main_group = {emotion: counts[emotion].idxmax() for emotion in sizes.index}
    order = sorted(sizes.index, key=lambda emotion: (groups.index(main_group[emotion]), -sizes[emotion], emotion))
    names = [*order, *groups]
    labels = [f"{emotion} {sizes[emotion]:,}" for emotion in order]
    labels += [f"{GROUP_NAMES[group]} {(index['label'] == group).sum():,}" for group in groups]
    figure = go.Figure(
        go.Sankey(
            arrangement="fixed",
            node={
                "label": labels,
                "color": [color_of(main_group.get(name, name)) for name in names],
                "pad": 14,
                "thickness": 16,
                "line": {"width": 0},
                "hovertemplate": "%{label} pictures<extra></extra>",
            },
            link={
                "source": [names.index(emotion) for emotion, _ in counts.index],
                "target": [names.index(group) for _, group in counts.index],
                "value": [int(number) for number in counts],
                "color": [fade(color_of(group)) for _, group in counts.index],
                "customdata": [f"{emotion}, counted as {GROUP_NAMES[group]}" for emotion, group in counts.index],
                "hovertemplate": "%{customdata}: %{value:,} pictures<extra></extra>",
            },
            textfont={"size": 14, "shadow": "none", "color": INK},
            valueformat=",",
        )
    )
    return style_figure(figure, "How the emotions become two groups", height=380)


def fade(color: str, opacity: float = 0.35) -> str:
    """Returns a colour, "#RRGGBB", with some opacity, 0 (not to be seen) .. 1."""
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def plot_map(places: np.ndarray, names: np.ndarray, rows: np.ndarray) -> go.Figure:
    """Returns all pictures as points, one colour for each emotion, drawn by the graphics card.

    Args:
        places: `float` array of shape `(n, 2)`.
        names: Each picture's emotion or group: `str`, shape `(n,)`.
        rows: Each picture's row in the index: `int`, shape `(n,)`, handed back with a selection.
    """
    figure = go.Figure()
    known = [name for name in (*emotions.EMOTIONS, *emotions.GROUPS) if (names == name).any()]
    for name in known:
        chosen = names == name
        figure.add_scattergl(
            name=GROUP_NAMES.get(name, name),
            x=places[chosen, 0],
            y=places[chosen, 1],
            customdata=rows[chosen],
            mode="markers",
            marker={"size": 5, "opacity": 0.7, "color": _EMOTION_COLORS.get(name) or color_of(name)},
            hovertemplate=f"{GROUP_NAMES.get(name, name)}<extra></extra>",
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    figure = style_figure(figure, "All pictures by their look", height=560)
    return figure.update_layout(dragmode="lasso", legend={"y": -0.02, "itemsizing": "constant"})


def plot_visit(probabilities: Sequence[float], threshold: float, band: tuple[float, float] | None = None) -> go.Figure:
    """Returns how P(depressed) moved from snapshot to snapshot, with the threshold and the uncertain band.

    Args:
        probabilities: P(depressed) of each snapshot, the oldest first, 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
        band: P(depressed) from and up to which the model is uncertain; None where it never is.
    """
    figure = go.Figure()
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
