"""What all charts share: colours, fonts, layout, and the marks that several of them use.

Colours are from Okabe & Ito's set, which people with any common colour vision can distinguish:
https://jfly.uni-koeln.de/color/. All charts are read on a phone as well: titles of some 40 letters at most, what the
upright axis shows is written above it, and names are beside the marks or below the chart, never over it.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from plotly.graph_objects import Figure

from facedep import emotions

BLUE, ORANGE, GREEN, GRAY = "#0072B2", "#E69F00", "#009E73", "#8A94A6"
INK, VERMILION = "#1B2733", "#D55E00"
QUIET = "#5F6B7C"  # for words: gray enough to stay in the background, dark enough to read (5.4 to 1 on white)
FONT = "'Source Sans 3', 'Source Sans Pro', 'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
GROUP_NAMES = {emotions.DEPRESSED: "depressed", emotions.NON_DEPRESSED: "non-depressed"}
DEPRESSED_TEXT, NON_DEPRESSED_TEXT = (
    f"“{GROUP_NAMES[group]}”" for group in (emotions.DEPRESSED, emotions.NON_DEPRESSED)
)
ACCURACY_TEXT = "share put into the right group, with its 95% interval"
# Purple to green, ColorBrewer's PRGn (colour-blind safe, https://colorbrewer2.org): neither is the colour of a group.
DIVERGING = [[0, "#762A83"], [0.25, "#C2A5CF"], [0.5, "#FFFFFF"], [0.75, "#A6DBA0"], [1, "#1B7837"]]
# Okabe & Ito's eight, one for each emotion.
EMOTION_COLORS = dict(
    zip(
        emotions.EMOTIONS,
        ("#D55E00", "#009E73", "#CC79A7", "#F0E442", "#56B4E9", "#0072B2", "#E69F00", "#000000"),
        strict=True,
    )
)
# One for each of up to three runs: green, purple and slate, as blue and orange are the groups' own.
RUN_STYLES = ((GREEN, "solid"), ("#A6477F", "dash"), ("#4A5568", "dot"))
_MARGIN = {"l": 10, "r": 10, "t": 40, "b": 10}


def color_of(group: str) -> str:
    """Returns the colour of a group, the same in every chart."""
    return {emotions.DEPRESSED: BLUE, emotions.NON_DEPRESSED: ORANGE}[group]


def color_of_run(i: int) -> str:
    """Returns the colour of a run by its position among those compared, the same in every chart."""
    return RUN_STYLES[i % len(RUN_STYLES)][0]


def fade(color: str, opacity: float = 0.35) -> str:
    """Returns a colour, "#RRGGBB", with some opacity, 0 (not to be seen) .. 1."""
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def style_figure(figure: Figure, title: str, *, height: int) -> Figure:
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


def finish_figure(
    figure: Figure,
    title: str,
    *subtitles: str,
    height: int,
    y_title: str = "",
    num_legend_lines: int = 0,
    room_above: int = 0,
) -> Figure:
    """Gives a figure its title, the room that its words take, and no zoom, so that a finger on it scrolls the page.

    Args:
        figure: It is changed, and returned.
        title: What it shows.
        subtitles: Smaller lines below the title; empty ones are skipped.
        height: In pixels.
        y_title: What the upright axis shows; it is written above the axis.
        num_legend_lines: Lines of the legend, which is below the chart.
        room_above: Pixels between the title and the chart, for text there.
    """
    figure = style_figure(figure, title, height=height)
    small = [*filter(None, subtitles), *([f"↑ {y_title}"] if y_title else [])]
    lines = [title, *(f"<span style='font-size:13px;font-weight:400'>{line}</span>" for line in small)]
    figure.update_layout(
        title={
            "text": "<br>".join(lines),
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 6 if len(lines) == 1 else 20},
        },
        margin={"t": 16 + 21 * len(lines) + room_above, "b": 10 + 21 * num_legend_lines},
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


def add_text(
    figure: Figure, text: str, x: float, y: float | str, *, size: int = 13, color: str = INK, **position: Any
) -> None:
    """Writes text into a figure.

    Args:
        figure: It is changed.
        text: Plotly's markup.
        x: Where, on the x axis, or as `position` says.
        y: Where, on the y axis, or as `position` says.
        size: Of the letters, in pixels.
        color: Of the letters.
        position: Other arguments of Plotly's annotations.
    """
    figure.add_annotation(text=text, x=x, y=y, showarrow=False, font={"size": size, "color": color}, **position)


def mark_empty(figure: Figure, reason: str, *, is_empty: bool = True) -> None:
    """Hides the axes of a figure without data and says why it is empty.

    Args:
        figure: It is changed.
        reason: Why it is empty.
        is_empty: Whether it is; else nothing happens.
    """
    if is_empty:
        add_text(figure, reason, 0.5, 0.5, xref="paper", yref="paper")
        figure.update_xaxes(visible=False)
        figure.update_yaxes(visible=False)


def mark_group(text: str, group: str) -> str:
    """Returns text with a square in the group's colour before them; as letters, orange is too pale to read."""
    return f"<span style='color:{color_of(group)}'>■</span> {text}"


def build_error_bars(
    values: Sequence[float] | np.ndarray,
    lows: Sequence[float] | np.ndarray,
    highs: Sequence[float] | np.ndarray,
    color: str,
) -> dict[str, Any]:
    """Returns intervals as Plotly's error bars.

    Args:
        values: The marks.
        lows: The intervals' low ends.
        highs: The intervals' high ends.
        color: Of the bars.
    """
    marks = np.asarray(values, float)
    return {
        "type": "data", "symmetric": False, "array": np.asarray(highs, float) - marks,
        "arrayminus": marks - np.asarray(lows, float), "thickness": 2.5,
        "width": 0, "color": color,
    }  # fmt: skip


def set_accuracy_axis(figure: Figure, numbers: Sequence[float]) -> None:
    """Gives a figure an x axis of accuracies that holds all of the numbers (0..1)."""
    figure.update_xaxes(range=[find_axis_start(numbers), 1.02], tickformat=".0%", nticks=7, zeroline=False)


def find_axis_start(numbers: Sequence[float]) -> float:
    """Returns where an axis of accuracies starts: at 0.5 or, where something is lower, a tenth below that."""
    defined = [number for number in numbers if number == number]
    return max(0.0, math.floor(10 * min([0.55, *defined]) - 0.2) / 10)
