"""The benchmark's pure parts: what its table says of given numbers. Nothing is timed here."""

import numpy as np
import pytest
from PIL import Image

from bench.key_figures import find_best_auc, find_seconds_to_quality, find_target_auc, find_training_rate
from bench.pictures import write_drawn_pictures
from bench.plot import plot_quality
from bench.report import render_report
from facedep.data.scan import scan_dataset
from facedep.data.sources import load_dataset

MIB = 1024**2
ABOUT = {
    "date": "2030-01-02",
    "processor": "a processor",
    "num_cores": 2,
    "memory_bytes": 8 * 1024**3,
    "platform": "Linux 6",
    "load": 0.1,
    "versions": {"Python": "3.11.7", "keras": "3.15.1"},
}
NUM_IMAGES = {"train": 1000, "val": 200, "test": 200}


def _make_rows(*epochs: tuple[float, float | None], train_seconds: float = 10.0) -> list[dict]:
    return [
        {"epoch": number, "train_seconds": train_seconds, "seconds": seconds, "val_roc_auc": auc}
        for number, (seconds, auc) in enumerate(epochs, start=1)
    ]


def _make_training(rows: list[dict], **changes) -> dict:
    training = {
        "rows": rows,
        "prepare_seconds": 2.0,
        "prepare_again_seconds": 0.5,
        "cores_used": 1.75,
        "seconds": rows[-1]["seconds"] + 5,
        "num_images": NUM_IMAGES,
        "num_in_pretraining": {},
        "test_roc_auc": 0.65,
        "peak_bytes": 900 * MIB,
        "import_bytes": 600 * MIB,
    }
    return training | changes


def _make_sections() -> dict:
    article = _make_rows((100, 0.60), (200, 0.66), (300, 0.64), train_seconds=100)
    path = {name: value for name, value in _make_training(article, seconds=300).items() if "again" not in name}
    path.pop("num_images")
    quality = {
        "data_name": "faces.zip",
        "num_images": NUM_IMAGES,
        "article_path": {**path, "num_train": 1000},
        "article": _make_training(_make_rows((110, 0.59), (210, 0.63))),
        "compact": _make_training(_make_rows((12, 0.5), (22, 0.6), (32, 0.65))),
        "quick": _make_training(_make_rows((20, 0.70), (21, 0.72)), num_in_pretraining={"val": 3}),
    }
    training = {
        "machine_speed": {"numpy": 80e9, "tensorflow": 100e9},
        "article_path": {"pipeline_rate": 3000.0},
        "article": {"pipeline_rate": 50_000.0},
    }
    first = {"article_path": [6.0, 9.0, 7.0], "own": [3.5, 3.0, 4.0]}
    warm = {"1": {"article_path": [0.1] * 4, "own": [0.005] * 4}}
    sizes = {
        "1000": {"article": _make_training(article, peak_bytes=700 * MIB)},
        "30000": {"article": _make_training(article, peak_bytes=750 * MIB)},
    }
    now = {
        "commit": "1234567",
        "predict_seconds": [1.0, 0.9, 1.1],
        "call_seconds": {"1": [0.0031, 0.0029], "100": [0.17]},
        "evaluate_seconds": [4.04],
        "evaluate_num_images": 3649,
        "server_bytes": 280 * MIB,
        "reasons": {"snapshot": "Error: no camera"},
    }
    before = {**now, "commit": "0123456", "predict_seconds": [4.8], "server_bytes": None, "reasons": {}}
    results = {
        "training": training,
        "quality": quality,
        "prediction": {"first_seconds": first, "warm_seconds": warm},
        "memory": {"num_steps": 20, "num_held_out": 200, "sizes": sizes},
        "app": {"before": before, "now": now},
    }
    return {name: {"about": ABOUT, "results": values} for name, values in results.items()}


def _read_row(report: str, start: str) -> list[str]:
    line = next(line for line in report.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_the_first_epoch_that_is_good_enough_counts_and_the_target_itself_is_good_enough():
    rows = _make_rows((10, 0.5), (20, None), (30, 0.7), (40, 0.8), (50, 0.6))
    assert find_seconds_to_quality(rows, 0.7) == 30
    assert find_seconds_to_quality(rows, 0.71) == 40
    assert find_seconds_to_quality(rows, 0.81) is None
    assert find_seconds_to_quality(rows, None) is None
    assert find_best_auc(rows) == 0.8
    assert find_best_auc(_make_rows((10, None))) is None


def test_the_quality_to_reach_is_the_better_of_the_two_trainings_of_the_article_network():
    path, recipe = _make_rows((1, 0.6)), _make_rows((1, 0.62), (2, 0.61))
    assert find_target_auc({"article_path": {"rows": path}, "article": {"rows": recipe}}) == 0.62
    assert find_target_auc({"article_path": {"rows": path}}) == 0.6
    assert find_target_auc({}) is None


def test_the_first_epoch_does_not_count_for_the_speed():
    rows = _make_rows((1, 0.5), (2, 0.5), (3, 0.5), (4, 0.5))
    for row, seconds in zip(rows, (60, 8, 10, 13), strict=True):
        row["train_seconds"] = seconds
    assert find_training_rate(rows, 500) == 50
    assert find_training_rate(rows[:1], 500) is None


def test_the_report_gives_rates_ratios_and_shares_from_the_numbers():
    report = render_report({"command": "python -m bench", "sections": _make_sections()}, plot_name="plot.png")
    assert "80 GFLOP/s in NumPy, 100 GFLOP/s in TensorFlow" in report
    # 10 pictures/s x 6 x 134 million of 100 GFLOP/s
    assert _read_row(report, "the article's code path |") == ["134 M", "3,000", "10", "1.0 x", "8%"]
    assert _read_row(report, "recipe `compact` | 59 M") == ["59 M", "–", "100", "10.0 x", "35%"]
    # the target is 0.66; compact ends at 0.65
    assert _read_row(report, "recipe `compact` | 2.0")[:4] == ["2.0 / 0.50", "not reached", "–", "–"]
    assert _read_row(report, "recipe `quick` | 2.0") == [
        "2.0 / 0.50",
        "20.0",
        "10.0 x",
        "15.0 x",
        "26.0 (2)",
        "0.720",
        "0.650",
        "900",
    ]
    assert "3 of the val part" in report
    assert "article path 1.75, article 1.75, compact 1.75, quick 1.75;" in report
    assert _read_row(report, "first answer") == ["7.0", "3.5", "2.0 x"]
    assert _read_row(report, "warm, one face, median") == ["100.0", "5.0", "20.0 x"]
    assert _read_row(report, "recipe `article` | 2.0") == ["2.0 / 0.50", "2.0 / 0.50", "700", "750", "50"]
    assert "a processor, 2 cores, 8 GiB memory" in report
    assert "| | before (0123456) | now (1234567) |" in report
    assert _read_row(report, "`facedep predict FILE --json`") == ["4.8", "1.0"]
    assert _read_row(report, "one face, warm, library call") == ["3.0", "3.0"]
    assert _read_row(report, "3,649 faces evaluated") == ["4.0", "4.0"]
    assert _read_row(report, "server memory") == ["–", "280"]
    assert _read_row(report, "snapshot to gauge") == ["–", "–"]
    assert "Missing, now, snapshot: Error: no camera" in report
    assert "plot.png" in report


@pytest.mark.parametrize("section", ["training", "quality", "prediction", "memory", "app"])
def test_the_report_of_a_run_that_broke_off_has_what_was_measured(section):
    whole = _make_sections()[section]
    report = render_report({"command": "x", "sections": {section: whole}})
    assert report.count("\n## ") == 1
    empty = {"about": {**ABOUT, "memory_bytes": None, "load": None}, "results": {}}
    assert render_report({"command": "x", "sections": {section: empty}, "is_smoke": True}).count("\n## ") == 1


def test_the_report_of_a_system_without_peak_memory_leaves_it_open():
    sections = _make_sections()
    for measured in sections["quality"]["results"].values():
        if "peak_bytes" in measured:
            measured["peak_bytes"] = None
    assert _read_row(render_report({"command": "x", "sections": sections}), "recipe `quick` | 2.0")[-1] == "–"


def test_the_plot_shows_each_curve_and_the_article_best_epoch():
    figure = plot_quality({"sections": _make_sections()})
    curves = {trace.name.partition(" ")[0]: (list(trace.x), list(trace.y)) for trace in figure.data[:3]}
    assert curves["quick"] == ([20, 21], [0.70, 0.72])
    assert curves["compact"] == ([12, 22, 32], [0.5, 0.6, 0.65])
    assert list(figure.data[3].y) == [0.66, 0.66]
    assert len(plot_quality({"sections": {}}).data) == 3


def test_drawn_pictures_are_all_different_to_the_search_for_near_copies(tmp_path):
    write_drawn_pictures(tmp_path / "emotions", tmp_path / "groups", 140, 14)
    dataset = load_dataset(str(tmp_path / "emotions"))
    assert dataset.samples["subset"].value_counts().to_dict() == {"train": 140, "val": 14, "test": 14}
    assert len(np.unique(scan_dataset(dataset).duplicate_groups)) == 168
    regrouped = load_dataset(str(tmp_path / "groups")).samples
    assert regrouped["label"].value_counts().to_dict() == dataset.samples["label"].value_counts().to_dict()
    with Image.open(tmp_path / "groups" / "train" / "depressed" / "4.png") as picture:
        assert picture.size == (48, 48)
