"""Charts of a data set: numbers in, a Plotly figure out. No computing, no Streamlit."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from facedep import emotions
from facedep.reporting.plots.theme import (
    DIVERGING,
    EMOTION_COLORS,
    GREEN,
    GROUP_NAMES,
    INK,
    ORANGE,
    VERMILION,
    Figure,
    color_of,
    fade,
    style_figure,
)

SUBSET_NAMES = {"train": "train", "val": "val", "test": "test", "": "no split"}


def plot_balance(samples: pd.DataFrame) -> Figure:
    """Returns stacked bars: pictures per split, divided into the two groups.

    Args:
        samples: The data set's samples table; columns `subset` and `label`.
    """
    counts = samples.groupby(["subset", "label"]).size()
    splits = [split for split in SUBSET_NAMES if split in set(samples["subset"])]
    figure = Figure()
    for group in reversed(emotions.GROUPS):
        numbers = [int(counts.get((split, group), 0)) for split in splits]
        figure.add_bar(
            name=GROUP_NAMES[group],
            x=[SUBSET_NAMES[split] for split in splits],
            y=numbers,
            text=[f"{number:,}" if number else "" for number in numbers],
            marker_color=color_of(group),
            hovertemplate="%{x}: %{y:,} " + GROUP_NAMES[group] + "<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    return style_figure(figure, "Pictures per split and group", height=340)


def plot_emotions(samples: pd.DataFrame) -> Figure:
    """Returns bars: pictures per emotion, coloured by the group it counts as, the largest on top.

    Args:
        samples: The data set's samples table; columns `emotion` and `label`.
    """
    counts = samples.assign(emotion=samples["emotion"].replace("", "not named")).groupby(["emotion", "label"]).size()
    counts = counts.sort_values()
    order = list(dict.fromkeys(counts.index.get_level_values("emotion")))
    figure = Figure()
    for group in reversed(emotions.GROUPS):
        numbers = counts[counts.index.get_level_values("label") == group].droplevel("label")
        figure.add_bar(
            name=GROUP_NAMES[group],
            orientation="h",
            y=numbers.index.tolist(),
            x=numbers.tolist(),
            text=[f"{number:,}" for number in numbers],
            marker_color=color_of(group),
            hovertemplate="%{y}: %{x:,} pictures, counted as " + GROUP_NAMES[group] + "<extra></extra>",
        )
    figure.update_yaxes(categoryorder="array", categoryarray=order)
    figure.update_layout(barmode="stack")
    return style_figure(figure, "Emotions, and the group each counts as", height=340)


def plot_leak(num_images: int, num_identical: int, num_similar: int, part: str) -> Figure:
    """Returns one bar for a part: how many of its pictures are copies out of train, near-copies, or truly new.

    Args:
        num_images: Pictures in the subset.
        num_identical: Those with a pixel-identical copy in train.
        num_similar: Those with an identical or near-identical picture in train.
        part: "val" or "test".
    """
    figure = Figure()
    pieces = (
        ("also in train", num_identical, VERMILION),
        ("nearly the same in train", num_similar - num_identical, ORANGE),
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


def plot_difference(difference: np.ndarray, *, first_name: str = "depressed") -> Figure:
    """Returns the difference of two average faces as a picture, in one colour where brighter, in another where darker.

    Args:
        difference: First mean less second: float array of shape `(height, width)`, gray levels.
        first_name: What the first group is called.
    """
    height, width = difference.shape
    # Whole gray levels, the same on both sides, so that white is "no difference" in every picture.
    limit = max(1, math.ceil(np.abs(difference).max(initial=0)))
    figure = Figure(
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


def plot_flow(samples: pd.DataFrame) -> Figure:
    """Returns a Sankey diagram: how the emotions flow into the two groups, in each group the largest on top.

    Args:
        samples: The data set's samples table; columns `emotion` and `label`.
    """
    counts = samples.assign(emotion=samples["emotion"].replace("", "not named")).groupby(["emotion", "label"]).size()
    sizes = counts.groupby(level="emotion").sum()
    groups = [group for group in emotions.GROUPS if group in set(samples["label"])]
    # The emotions of one group lie together, so that no two streams cross.
    main_group = {emotion: counts[emotion].idxmax() for emotion in sizes.index}
    order = sorted(sizes.index, key=lambda emotion: (groups.index(main_group[emotion]), -sizes[emotion], emotion))
    names = [*order, *groups]
    labels = [f"{emotion} {sizes[emotion]:,}" for emotion in order]
    labels += [f"{GROUP_NAMES[group]} {(samples['label'] == group).sum():,}" for group in groups]
    figure = Figure(
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


def plot_map(places: np.ndarray, names: np.ndarray, rows: np.ndarray) -> Figure:
    """Returns all pictures as points, one colour for each emotion, drawn by the graphics card.

    Args:
        places: `float` array of shape `(n, 2)`.
        names: Each picture's emotion or group: `str`, shape `(n,)`.
        rows: Each picture's row in the index: `int`, shape `(n,)`, handed back with a selection.
    """
    figure = Figure()
    known = [name for name in (*emotions.EMOTIONS, *emotions.GROUPS) if (names == name).any()]
    for name in known:
        chosen = names == name
        figure.add_scattergl(
            name=GROUP_NAMES.get(name, name),
            x=places[chosen, 0],
            y=places[chosen, 1],
            customdata=rows[chosen],
            mode="markers",
            marker={"size": 5, "opacity": 0.7, "color": EMOTION_COLORS.get(name) or color_of(name)},
            hovertemplate=f"{GROUP_NAMES.get(name, name)}<extra></extra>",
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    figure = style_figure(figure, "All pictures by their look", height=560)
    return figure.update_layout(dragmode="lasso", legend={"y": -0.02, "itemsizing": "constant"})
