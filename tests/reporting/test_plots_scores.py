"""Figures are tested by their data; an empty input gives an empty figure that says so."""

import json

import numpy as np
import pandas as pd
import pytest

from facedep.emotions import DEPRESSED, NON_DEPRESSED
from facedep.evaluation.curves import Curve
from facedep.evaluation.metrics import Confusion
from facedep.evaluation.reliability import Reliability
from facedep.evaluation.slices import Slice
from facedep.networks.majority_baseline import MajorityBaseline
from facedep.reporting.plots import comparison, errors, theme
from facedep.reporting.plots import scores as plots_scores
from facedep.reporting.plots.theme import color_of

CONFUSION = Confusion(num_true_depressed=30, num_false_alarms=20, num_missed=10, num_true_non_depressed=140)
NOTHING = Confusion(0, 0, 0, 0)
CURVE = Curve(x=np.array([0, 0.25, 1]), y=np.array([0, 0.75, 1]), thresholds=np.array([np.inf, 0.6, 0.1]))
UNDEFINED = Curve(*(np.full(2, np.nan) for _ in range(2)), np.array([np.inf, 0.5]))
NO_BINS = Reliability(*(np.full(3, np.nan) for _ in range(2)), np.zeros(3, int), *(np.full(3, np.nan) for _ in "ab"))
NO_LABELS = np.zeros(0, bool)


def words_of(figure):
    return [annotation.text for annotation in figure.layout.annotations]


def trace_of(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def build_slice(name, accuracy, low, high, *, is_small=False, p_value=1.0):
    return Slice("emotion", name, 100, accuracy, low, high, is_small, np.arange(100), p_value)


@pytest.mark.parametrize(
    "figure",
    [
        errors.plot_confusion(NOTHING),
        plots_scores.plot_roc({}, {}),
        plots_scores.plot_roc({"a": UNDEFINED}, {"a": float("nan")}),
        plots_scores.plot_precision_recall({}, {}, share_depressed=float("nan")),
        plots_scores.plot_reliability(NO_BINS, float("nan")),
        plots_scores.plot_scores(NO_LABELS, np.zeros(0), 0.5),
        errors.plot_emotion_errors({}),
        errors.plot_emotion_confusion(np.zeros((0, 0), int), []),
        errors.plot_emotion_confusion(np.zeros((2, 2), int), ["sad", "happy"]),
        errors.plot_slices([]),
        comparison.plot_robustness({}, title="Blur", unit="pixels"),
        comparison.plot_robustness(
            {"a": pd.DataFrame(columns=["strength", "accuracy", "low", "high"])}, title="B", unit=""
        ),
        comparison.plot_protocol_comparison([]),
        comparison.plot_accuracies([], MajorityBaseline(NON_DEPRESSED, 0.6)),
        comparison.plot_inversion(NOTHING),
        comparison.plot_game(NO_LABELS, NO_LABELS, NO_LABELS),
    ],
)
def test_nothing_to_show_gives_an_empty_labelled_figure(figure):
    assert not figure.data
    assert figure.layout.title.text
    assert len(words_of(figure)) == 1


def test_confusion_has_counts_row_shares_and_clickable_cells():
    figure = errors.plot_confusion(CONFUSION)
    cells, points = figure.data
    assert np.array(cells.z).tolist() == [[0.75, -0.25], [-0.125, 0.875]]
    assert dict(zip(points.customdata, zip(points.x, points.y, strict=True), strict=True)) == {
        "true_depressed": (0, 0),
        "missed": (1, 0),
        "false_alarm": (0, 1),
        "true_non_depressed": (1, 1),
    }
    assert figure.layout.hoverdistance == -1
    assert set(words_of(figure)) == {
        "<b>30</b>", "75% right", "<b>10</b>", "25% missed", "<b>20</b>", "12% false alarms", "<b>140</b>", "88% right",
    }  # fmt: skip
    assert "20 of 160 faces labelled “non-depressed”" in points.hovertext[2]
    assert not figure.layout.shapes
    (frame,) = errors.plot_confusion(CONFUSION, chosen="missed").layout.shapes
    assert (frame.x0 < 1 < frame.x1, frame.y0 < 0 < frame.y1) == (True, True)


def test_confusion_without_one_group_names_no_share_of_it():
    texts = words_of(errors.plot_confusion(Confusion(0, 2, 0, 6)))
    assert texts.count("–") == 2
    assert "25% false alarms" in texts


@pytest.mark.parametrize("plot", [plots_scores.plot_roc, plots_scores.plot_precision_recall])
def test_curves_of_runs_have_a_line_each_with_its_score_and_the_threshold_is_marked(plot):
    figure = plot({"one": CURVE, "two": UNDEFINED, "three": CURVE}, dict.fromkeys(("one", "two", "three"), 0.875),
                  point=(0.25, 0.75))  # fmt: skip
    names = [trace.name for trace in figure.data if trace.name]
    assert [name.partition(":")[0] for name in names] == ["one", "three", "at the chosen threshold"]
    assert names[0].endswith("0.875")
    first, second = (trace for trace in figure.data if trace.name in names[:2])
    assert (list(first.x), list(first.y)) == ([0, 0.25, 1], [0, 0.75, 1])
    assert list(first.customdata) == [1, 0.6, 0.1]
    assert (first.line.color, second.line.color) == (theme.color_of_run(0), theme.color_of_run(2))
    mark = trace_of(figure, "at the chosen threshold")
    assert (list(mark.x), list(mark.y)) == ([0.25], [0.75])
    assert "Infinity" not in figure.to_json()


def test_a_long_curve_is_thinned_out_and_keeps_its_ends():
    steps = np.linspace(0, 1, 30_000)
    line = plots_scores.plot_roc({"a": Curve(steps, steps, steps[::-1])}, {"a": 0.5}).data[0]
    assert len(line.x) == 1000
    assert (line.x[0], line.x[-1]) == (0, 1)


def test_precision_recall_shows_what_guessing_gets():
    figure = plots_scores.plot_precision_recall({"a": CURVE}, {"a": 0.5}, share_depressed=0.35)
    guess = next(trace for trace in figure.data if trace.line.dash == "dash")
    assert list(guess.y) == [0.35, 0.35]
    assert "guessing: 35%" in words_of(figure)


def test_reliability_leaves_out_empty_bins_and_draws_intervals():
    nan = float("nan")
    reliability = Reliability(
        mean_probability=np.array([0.1, nan, 0.9]),
        share_depressed=np.array([0.2, nan, 0.75]),
        num_images=np.array([10, 0, 4]),
        low=np.array([0.1, nan, 0.5]),
        high=np.array([0.4, nan, 1.0]),
    )
    figure = plots_scores.plot_reliability(reliability, 0.123)
    points = next(trace for trace in figure.data if trace.mode == "markers+lines")
    assert (list(points.x), list(points.y)) == ([0.1, 0.9], [0.2, 0.75])
    assert np.array(points.error_y.array) == pytest.approx([0.2, 0.25])
    assert np.array(points.error_y.arrayminus) == pytest.approx([0.1, 0.25])
    numbers = next(trace for trace in figure.data if trace.type == "bar")
    assert (list(numbers.x), list(numbers.y)) == (pytest.approx([1 / 6, 5 / 6]), [10, 4])
    assert "12.3 points off" in figure.layout.title.text


def test_scores_part_right_from_wrong_exactly_at_the_threshold():
    is_depressed = np.array([True, True, True, True, False, False])
    probabilities = np.array([0.41, 0.42, 0.43, 0.99, 0.1, 0.44])
    figure = plots_scores.plot_scores(is_depressed, probabilities, 0.42, (0.3, 0.7))
    filled = {
        trace.name: {round(x, 3): y for x, y in zip(trace.x, trace.y, strict=True) if y}
        for trace in figure.data
        if trace.type == "bar"
    }
    assert filled == {
        "labelled depressed, right": {0.425: 0.5, 0.975: 0.25},
        "labelled depressed, wrong": {0.425: 0.25},
        "labelled non-depressed, right": {0.125: 0.5},
        "labelled non-depressed, wrong": {0.425: 0.5},
    }
    assert [shape.x0 for shape in figure.layout.shapes if shape.type == "line"] == [0.42, 0.42]
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"] == [(0.3, 0.7)] * 2
    assert any("25% missed" in text for text in words_of(figure))
    assert any("50% false alarms" in text for text in words_of(figure))


def test_scores_of_one_group_only_show_that_group():
    figure = plots_scores.plot_scores(np.array([False, False]), np.array([0.2, np.nan]), 0.5)
    assert {trace.name for trace in figure.data} == {"labelled non-depressed, right", "labelled non-depressed, wrong"}


def test_emotion_errors_are_the_share_called_depressed_with_its_interval():
    scores = {
        "sad": {"num_images": 10, "group_accuracy": 0.7, "group_accuracy_interval": [0.6, 0.8]},
        "happy": {"num_images": 20, "group_accuracy": 0.9, "group_accuracy_interval": [0.85, 0.97]},
        "fear": {"num_images": 0, "group_accuracy": float("nan"), "group_accuracy_interval": [float("nan")] * 2},
    }
    depressed, others = errors.plot_emotion_errors(scores).data
    assert (list(depressed.y), list(depressed.x)) == (["sad"], [0.7])
    assert (list(others.y), list(others.x)) == (["happy"], pytest.approx([0.1]))
    assert (others.error_x.array[0], others.error_x.arrayminus[0]) == pytest.approx((0.05, 0.07))
    assert (depressed.error_x.color, others.error_x.color) == (color_of(DEPRESSED), color_of(NON_DEPRESSED))
    (everything,) = errors.plot_emotion_errors({"sad": scores["sad"]}, depressed_emotions=()).data
    assert list(everything.x) == pytest.approx([0.3])


def test_emotion_confusion_puts_depressed_emotions_first_and_its_cells_name_themselves():
    matrix = np.array([[8, 2, 0], [1, 3, 0], [5, 0, 5]])
    figure = errors.plot_emotion_confusion(matrix, ["happy", "sad", "surprise"], chosen="sad|happy")
    cells, points = figure.data
    assert list(points.customdata) == [
        "sad|sad", "sad|happy", "sad|surprise", "happy|sad", "happy|happy", "happy|surprise", "surprise|sad",
        "surprise|happy", "surprise|surprise",
    ]  # fmt: skip
    shares = np.array([[0.75, 0.25, 0], [0.2, 0.8, 0], [0, 0.5, 0.5]])
    assert np.abs(np.array(cells.z)) == pytest.approx(shares * np.where(np.eye(3), 1, 1.5))
    assert (np.array(cells.z)[~np.eye(3, dtype=bool)] <= 0).all()
    assert "1 of 4 sad faces" in points.hovertext[1]
    frames = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(frame.x0 < 1 < frame.x1, frame.y0 < 0 < frame.y1) for frame in frames] == [(True, True)]
    lines = [shape for shape in figure.layout.shapes if shape.type == "line"]
    assert {(line.x0, line.y0) for line in lines} == {(0.5, -0.5), (-0.5, 0.5)}


def test_slices_keep_their_order_and_tell_worse_and_small_ones_apart():
    found = [
        build_slice("fear", 0.5, 0.4, 0.6, p_value=0.04),
        build_slice("dark quarter: below 0.31", 0.7, 0.6, 0.8, p_value=0.06),
        build_slice("contempt", 0.2, 0.1, 0.5, is_small=True),
    ]
    figure = errors.plot_slices(found, accuracy=0.81)
    assert {trace.name: (list(trace.x), list(trace.customdata)) for trace in figure.data} == {
        "surely worse than on the other faces": ([0.5], [0]),
        "not surely worse": ([0.7], [1]),
        "too few faces to say": ([0.2], [2]),
    }
    assert list(figure.layout.yaxis.ticktext) == ["fear (100)", "dark quarter<br>below 0.31 (100)", "contempt (100)"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_robustness_has_a_line_and_a_band_for_each_run():
    table = pd.DataFrame({"strength": [0, 1], "accuracy": [0.8, 0.6], "low": [0.7, 0.45], "high": [0.9, 0.7]})
    figure = comparison.plot_robustness(
        {"a": table, "b": table}, title="Blur", unit="pixels", baseline=MajorityBaseline(DEPRESSED, 0.64)
    )
    assert [trace.name for trace in figure.data if trace.name] == ["a", "b", "always “depressed”: 64%"]
    line = trace_of(figure, "a")
    assert (list(line.x), list(line.y)) == ([0, 1], [0.8, 0.6])
    band = figure.data[0]
    assert (list(band.x), list(band.y), band.fill) == ([0, 1, 1, 0], [0.9, 0.7, 0.45, 0.7], "toself")
    assert figure.layout.yaxis.range[0] <= 0.45
    assert figure.layout.title.text.startswith("Blur")


def test_flattery_sets_the_score_beside_remembering_and_a_constant_answer():
    rows = [
        {"what": "As published", "num_images": 898, "accuracy": 0.81, "interval": (0.78, 0.84),
         "majority_baseline": MajorityBaseline(NON_DEPRESSED, 0.69), "lookup_accuracy": 0.79,
         "num_in_train": 446, "num_in_training_set": 12},
        {"what": "New faces", "num_images": 365, "accuracy": 0.68, "interval": (0.63, 0.73),
         "majority_baseline": MajorityBaseline(NON_DEPRESSED, 0.67), "lookup_accuracy": None,
         "num_in_train": 0, "num_in_training_set": 0},
    ]  # fmt: skip
    figure = comparison.plot_protocol_comparison(rows)
    assert list(trace_of(figure, "the model").x) == [0.81, 0.68]
    assert list(trace_of(figure, "always “non-depressed”").x) == [0.69, 0.67]
    remembered = trace_of(figure, "a table that only remembers its training data").x
    assert remembered[0] == 0.79
    assert np.isnan(remembered[1])
    assert words_of(figure) == [
        "<b>81% As published</b><br>898 faces, 446 also in train, 12 seen by the model",
        "<b>68% New faces</b><br>365 faces",
    ]
    assert figure.layout.legend.traceorder == "reversed"
    rows[1]["majority_baseline"] = MajorityBaseline(DEPRESSED, 0.72)
    assert list(trace_of(comparison.plot_protocol_comparison(rows), "always the larger group").x) == [0.69, 0.72]


def test_accuracies_show_each_run_and_leave_out_an_undefined_one():
    nan = float("nan")
    figure = comparison.plot_accuracies(
        [("a", 0.8, 0.75, 0.85), ("b", nan, nan, nan)], MajorityBaseline(NON_DEPRESSED, 0.64)
    )
    assert [trace.name for trace in figure.data] == ["a", "always “non-depressed”: 64%"]
    assert figure.data[0].error_x.array[0] == pytest.approx(0.05)
    assert words_of(figure) == ["<b>a</b>: 80.0% (75% to 85%)", "<b>b</b>: not defined"]


def test_inversion_prints_for_each_group_what_was_meant_for_the_other():
    flow, right, wrong = comparison.plot_inversion(CONFUSION).data
    assert list(flow.node.label) == ["“depressed”", "“non-depressed”"] * 2
    assert list(zip(flow.link.source, flow.link.target, flow.link.value, strict=True)) == [(0, 3, 50), (1, 2, 150)]
    assert list(right.x) == pytest.approx([0.85, 0.15])
    assert list(wrong.x) == pytest.approx([0.15, 0.85])


def test_game_shows_every_answer_and_crosses_out_those_unlike_the_label():
    truths, guesses, answers = (np.array(row, bool) for row in ([1, 0, 1], [1, 1, 1], [0, 1, 0]))
    figure = comparison.plot_game(truths, guesses, answers)
    points = {trace.name: set(zip(trace.x, trace.y, strict=True)) for trace in figure.data}
    assert points == {
        "depressed": {(0, 0), (2, 0), (0, 1), (1, 1), (2, 1), (1, 2)},
        "non-depressed": {(1, 0), (0, 2), (2, 2)},
    }
    crosses = {(note.x, note.y) for note in figure.layout.annotations if "✕" in note.text}
    assert crosses == {(1, 1), (0, 2), (1, 2), (2, 2)}
    assert {"<b>2</b> of 3", "<b>0</b> of 3"} <= set(words_of(figure))


def test_figures_are_valid_json_and_leave_scrolling_to_the_page():
    for figure in (errors.plot_confusion(CONFUSION), plots_scores.plot_roc({"a": CURVE}, {"a": 0.9})):
        json.loads(figure.to_json())
        assert figure.layout.dragmode is False
        assert figure.layout.xaxis.fixedrange
