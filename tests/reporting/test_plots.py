"""Figures are tested by their data."""

import numpy as np
import pandas as pd
import pytest

from facedep.emotions import DEPRESSED, NON_DEPRESSED
from facedep.networks.majority_baseline import UNKNOWN, MajorityBaseline
from facedep.reporting.plots import data, prediction, theme, training
from facedep.runs.progress import Progress

INDEX = pd.DataFrame(
    [("sad", DEPRESSED, "train")] * 3 + [("happy", NON_DEPRESSED, "train")] * 2 + [("happy", NON_DEPRESSED, "test")],
    columns=["emotion", "label", "subset"],
)
MAJORITY = MajorityBaseline(DEPRESSED, 0.67)
EMPTY = INDEX.iloc[:0]


def bars(figure):
    return {trace.name: dict(zip(trace.x, trace.y, strict=True)) for trace in figure.data}


def test_balance_counts_pictures_per_split_and_group():
    assert bars(data.plot_balance(INDEX)) == {
        "depressed": {"train": 3, "test": 0},
        "non-depressed": {"train": 2, "test": 1},
    }


def test_emotions_are_coloured_by_the_group_they_count_as():
    figure = data.plot_emotions(INDEX)
    assert {trace.name: (list(trace.y), list(trace.x), trace.marker.color) for trace in figure.data} == {
        "depressed": (["sad"], [3], theme.color_of(DEPRESSED)),
        "non-depressed": (["happy"], [3], theme.color_of(NON_DEPRESSED)),
    }


@pytest.mark.parametrize("plot", [data.plot_balance, data.plot_emotions])
def test_empty_data_gives_an_empty_labelled_figure(plot):
    figure = plot(EMPTY)
    assert figure.layout.title.text
    assert all(len(trace.x) == 0 for trace in figure.data)


def test_curve_holds_steps_epochs_and_the_best_epoch():
    steps = [{"epoch": 1, "position": 0.5, "loss": 2.0, "accuracy": 0.5, "seconds": 1}]
    epochs = [
        {"epoch": 1, "loss": 1.5, "val_loss": 1.4, "accuracy": 0.6, "val_accuracy": 0.62, "seconds": 2},
        {"epoch": 2, "loss": 1.2, "val_loss": 1.6, "accuracy": 0.7, "val_accuracy": 0.61, "seconds": 4},
    ]
    figure = training.plot_curve(Progress(3, 100, MAJORITY, 20, 0, 0, "best", steps, epochs), "loss")
    points = {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data}
    assert points == {
        "within the epoch": ([0.5], [2.0]),
        "training": ([1, 2], [1.5, 1.2]),
        "validation": ([1, 2], [1.4, 1.6]),
        "best epoch": ([1], [1.4]),
    }
    accuracy = training.plot_curve(Progress(3, 100, MAJORITY, 20, 0, 0, "best", steps, epochs), "accuracy")
    assert list(next(trace for trace in accuracy.data if trace.name == "always depressed").y) == [0.67, 0.67]


def test_curve_of_a_final_fit_names_no_validation():
    epochs = [{"epoch": 1, "loss": 1.5, "val_loss": None, "accuracy": 0.6, "val_accuracy": None, "seconds": 2}]
    figure = training.plot_curve(Progress(3, 100, UNKNOWN, 0, 0, 0, "last", [], epochs), "loss")
    assert [trace.name for trace in figure.data if trace.name != "best epoch"] == ["within the epoch", "training"]


def test_curve_before_the_first_step_says_so():
    figure = training.plot_curve(Progress(0, 0, UNKNOWN, 0, 0, 0, "last", [], []), "accuracy")
    assert "first step" in figure.layout.annotations[0].text


def test_gauge_shows_percent_and_threshold_in_the_colour_of_the_answer():
    gauge = prediction.plot_probability(0.4, 0.3).data[0]
    assert gauge.value == pytest.approx(40)
    assert gauge.gauge.threshold.value == pytest.approx(30)
    assert gauge.gauge.bar.color == theme.color_of(DEPRESSED)
    assert prediction.plot_probability(0.2, 0.3).data[0].gauge.bar.color == theme.color_of(NON_DEPRESSED)


def test_gauge_shows_the_uncertain_band_and_no_colour_of_a_group_within_it():
    gauge = prediction.plot_probability(0.45, 0.5, (0.4, 0.6)).data[0].gauge
    assert [tuple(step.range) for step in gauge.steps] == [(40, 60)]
    assert gauge.bar.color not in {theme.color_of(DEPRESSED), theme.color_of(NON_DEPRESSED)}
    assert prediction.plot_probability(0.6, 0.5, (0.4, 0.6)).data[0].gauge.bar.color == theme.color_of(DEPRESSED)


def test_emotion_bars_mark_which_count_as_depressed():
    figure = prediction.plot_emotion_probabilities({"sad": 0.2, "happy": 0.5, "neutral": 0.3}, ["sad", "neutral"])
    groups = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in figure.data}
    assert groups == {
        "counts as depressed": {"sad": 0.2, "neutral": 0.3},
        "counts as non-depressed": {"happy": 0.5},
    }


def test_leak_bar_divides_all_pictures():
    figure = data.plot_leak(10, 6, 8, "test")
    assert [(trace.name, trace.x[0]) for trace in figure.data] == [
        ("also in train", 6),
        ("nearly the same in train", 2),
        ("new", 2),
    ]


def test_difference_picture_is_white_at_zero_square_and_the_right_way_up():
    difference = np.zeros((48, 48))
    difference[0, 0], difference[40, 24] = 4, -17.2
    figure = data.plot_difference(difference)
    (picture,) = figure.data
    assert (picture.zmin, picture.zmax, picture.zmid) == (-18, 18, None)
    assert picture.colorscale[2] == (0.5, "#FFFFFF")
    assert picture.z[40][24] == -17.2
    assert list(picture.colorbar.ticktext) == ["18 darker", "0", "18 brighter"]
    assert "“depressed”" in picture.colorbar.title.text
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    assert figure.layout.yaxis.scaleanchor == "x"
    assert data.plot_difference(np.zeros((48, 48))).data[0].zmax == 1


def test_flow_leads_every_emotion_into_its_group_and_keeps_the_groups_apart():
    counted = {("sad", DEPRESSED): 3, ("happy", NON_DEPRESSED): 1200, ("", NON_DEPRESSED): 2, ("fear", DEPRESSED): 4}
    rows = [pair for pair, number in counted.items() for _ in range(number)]
    (flow,) = data.plot_flow(pd.DataFrame(rows, columns=["emotion", "label"])).data
    labels = list(flow.node.label)
    assert labels == ["happy 1,200", "not named 2", "fear 4", "sad 3", "non-depressed 1,202", "depressed 7"]
    link = flow.link
    assert {
        (labels[source], labels[target], value)
        for source, target, value in zip(link.source, link.target, link.value, strict=True)
    } == {
        ("happy 1,200", "non-depressed 1,202", 1200),
        ("not named 2", "non-depressed 1,202", 2),
        ("fear 4", "depressed 7", 4),
        ("sad 3", "depressed 7", 3),
    }
    assert [theme.color_of(group) for group in (NON_DEPRESSED, DEPRESSED)] == list(flow.node.color[4:])


def test_flow_shows_an_emotion_that_stands_in_both_groups_as_two_streams():
    samples = pd.DataFrame({"emotion": ["sad"] * 3, "label": [DEPRESSED, DEPRESSED, NON_DEPRESSED]})
    (flow,) = data.plot_flow(samples).data
    assert sorted(zip(flow.link.source, flow.link.target, flow.link.value, strict=True)) == [(0, 1, 1), (0, 2, 2)]


def test_flow_of_no_pictures_is_an_empty_figure_with_its_title():
    figure = data.plot_flow(pd.DataFrame({"emotion": [], "label": []}, dtype=str))
    assert list(figure.data[0].node.label) == []
    assert "emotions" in figure.layout.title.text


def test_map_has_one_trace_for_each_emotion_and_hands_back_the_rows():
    places = np.array([[0, 0], [1, 1], [2, 2]], np.float32)
    figure = data.plot_map(places, np.array(["sad", "happy", "sad"]), np.array([5, 7, 9]))
    found = {trace.name: (list(trace.x), list(trace.customdata)) for trace in figure.data}
    assert found == {"happy": ([1], [7]), "sad": ([0, 2], [5, 9])}
    assert not data.plot_map(np.zeros((0, 2)), np.array([]), np.array([])).data
