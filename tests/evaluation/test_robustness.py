"""Distorted pictures, what a model answers to them, and the table made of it."""

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from facedep.cli.main import main
from facedep.data.dataset_spec import DatasetSpec
from facedep.data.scan import load_images, scan_dataset
from facedep.data.sources import Dataset, load_dataset
from facedep.errors import ModelError
from facedep.evaluation import robustness
from facedep.evaluation.robustness import (
    COLUMNS,
    CORRUPTIONS,
    build_robustness_table,
    choose_measured,
    corrupt_images,
    find_robustness_path,
    list_conditions,
    read_robustness,
)
from facedep.evaluation.robustness_run import measure_robustness
from facedep.images.alignment import EYE_DISTANCE, EYE_HEIGHT
from facedep.networks.card import CARD_FILE, MODEL_FILE
from facedep.networks.classifier import load_classifier
from facedep.networks.decision_threshold import write_threshold
from facedep.networks.recipes import COMPACT
from facedep.training.architecture import build_network, save_network

PATHS = [f"{emotion}/{number}.png" for number in range(4) for emotion in ("Happy", "Sad")]


def _draw_images(num_images: int = 3, size: int = 48) -> np.ndarray:
    """Returns slopes with a soft random pattern on them, with all gray levels."""
    noise = np.random.default_rng(0).normal(size=(num_images, size, size))
    soft = np.array([cv2.GaussianBlur(picture, (0, 0), 1.2) for picture in noise])
    slope = np.linspace(0, 2, size)
    ranks = (soft + slope).reshape(num_images, -1).argsort(axis=1).argsort(axis=1) * 255 // (size * size - 1)
    return ranks.reshape(num_images, size, size, 1).astype(np.uint8)


def _measure_detail(images: np.ndarray) -> float:
    return float(np.abs(np.diff(images[..., 0].astype(float), axis=2)).mean())


# Corruptions


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_first_strength_changes_nothing_and_each_next_one_more(name):
    images = _draw_images()
    original = images.copy()
    changes = []
    for strength in CORRUPTIONS[name].strengths:
        corrupted = corrupt_images(images, name, strength)
        assert (corrupted.shape, corrupted.dtype) == (images.shape, np.uint8)
        changes.append(np.abs(corrupted.astype(float) - images).mean())
    assert changes[0] == 0
    assert (np.diff(changes) > 0).all()
    assert (images == original).all()
    assert list(CORRUPTIONS[name].strengths) == sorted(set(CORRUPTIONS[name].strengths))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_picture_is_corrupted_in_the_same_way_whatever_is_beside_it(name):
    images = _draw_images(4)
    strength = CORRUPTIONS[name].strengths[2]
    together = corrupt_images(images, name, strength)
    assert (corrupt_images(images, name, strength) == together).all()
    alone = np.concatenate([corrupt_images(images[[number]], name, strength) for number in (3, 1, 0, 2)])
    assert (alone == together[[3, 1, 0, 2]]).all()
    assert corrupt_images(images[:0], name, strength).shape == (0, 48, 48, 1)


def test_each_corruption_does_what_its_unit_says():
    flat = np.full((1, 96, 96, 1), 100, np.uint8)
    assert corrupt_images(flat, "noise", 20).std() == pytest.approx(20, rel=0.05)
    assert np.unique(corrupt_images(flat, "darkness", 0.6)).tolist() == [40]
    for name in ("blur", "rotation", "resolution", "eyes", "mouth"):  # the edges bring no light of their own
        assert (corrupt_images(flat, name, CORRUPTIONS[name].strengths[-1]) == 100).all(), name
    images = _draw_images()
    assert _measure_detail(corrupt_images(images, "blur", 1)) < 0.8 * _measure_detail(images)
    step = np.zeros((1, 96, 96, 1), np.uint8)
    step[:, :, 48:] = 200
    small_step = step[:, ::2, ::2]
    wide, narrow = (corrupt_images(picture, "blur", 2)[0, 0, :, 0] for picture in (step, small_step))
    assert np.sum((wide > 20) & (wide < 180)) == pytest.approx(2 * np.sum((narrow > 20) & (narrow < 180)), abs=2)


def test_pictures_are_turned_to_either_side_by_the_angle():
    bar = np.zeros((8, 96, 96, 1), np.uint8)
    for number in range(8):
        bar[number, 44:52] = 200 + number
    turned = corrupt_images(bar, "rotation", 30)
    slopes = []
    for picture in turned[..., 0]:
        y, x = np.nonzero(picture > 100)
        inner = np.abs(x - 47.5) < 30
        slopes.append(np.degrees(np.arctan(np.polyfit(x[inner], y[inner], 1)[0])))
    assert np.abs(slopes) == pytest.approx([30] * 8, abs=2)
    assert {slope > 0 for slope in slopes} == {True, False}


@pytest.mark.parametrize("size", [48, 128])
def test_covers_lie_on_the_eyes_and_the_mouth(size):
    images = _draw_images(1, size)

    def find_covered(name: str, strength: float) -> np.ndarray:
        return (corrupt_images(images, name, strength) != images)[0, :, :, 0]

    def find_box(covered: np.ndarray) -> list[float]:
        y, x = np.nonzero(covered)
        return [x.min() / size, (x.max() + 1) / size, y.min() / size, (y.max() + 1) / size]

    half_eyes = find_covered("eyes", 0.5)
    for x in (0.5 - EYE_DISTANCE / 2, 0.5 + EYE_DISTANCE / 2):
        part = half_eyes[round((EYE_HEIGHT - 0.02) * size) : round((EYE_HEIGHT + 0.02) * size)]
        assert part[:, round((x - 0.03) * size) : round((x + 0.03) * size)].mean() > 0.9
    assert not half_eyes[:, round(0.5 * size)].any()
    assert find_box(find_covered("eyes", 1)) == pytest.approx([0.13, 0.87, 0.27, 0.51], abs=0.03)
    assert find_covered("eyes", 1)[:, round(0.5 * size)].any()
    assert find_box(find_covered("mouth", 1)) == pytest.approx([0.3, 0.7, 0.65, 0.91], abs=0.03)


def test_an_unknown_corruption_is_a_mistake():
    with pytest.raises(ValueError, match="unknown corruption 'fog'"):
        corrupt_images(_draw_images(), "fog", 1)


# Which pictures, and the table


def test_at_most_600_pictures_are_measured_and_always_the_same():
    few, many = np.arange(900) % 3 == 0, np.ones(2000, bool)
    many[:100] = False
    assert choose_measured(few).tolist() == list(range(0, 900, 3))
    chosen = choose_measured(many)
    assert len(set(chosen.tolist())) == 600
    assert chosen.min() >= 100
    assert (chosen == choose_measured(many)).all()
    assert (np.diff(chosen) > 0).all()


def test_the_table_has_exact_scores_for_every_strength():
    is_depressed = np.array([True, True, False, False])
    conditions = list_conditions()
    probabilities = np.tile([0.9, 0.6, 0.4, 0.1], (len(conditions), 1))
    probabilities[conditions.index(("blur", 3.0))] = [0.2, 0.7, 0.4, 0.6]
    table = build_robustness_table(is_depressed, probabilities, 0.5)
    assert tuple(table) == COLUMNS
    assert len(table) == sum(len(kind.strengths) for kind in CORRUPTIONS.values())
    assert list(dict.fromkeys(table["corruption"])) == list(CORRUPTIONS)
    blur = table[table["corruption"] == "blur"]
    assert blur["strength"].tolist() == list(CORRUPTIONS["blur"].strengths)
    assert blur["accuracy"].tolist() == [1, 1, 1, 1, 0.5]
    assert blur["roc_auc"].tolist() == [1, 1, 1, 1, 0.5]
    assert (table["num_images"] == 4).all()
    assert blur["low"].iloc[-1] == pytest.approx(0.15004, abs=1e-5)  # Wilson, 2 of 4
    assert blur["high"].iloc[-1] == pytest.approx(0.84996, abs=1e-5)
    strict = build_robustness_table(is_depressed, probabilities, 0.8)
    assert strict["accuracy"].iloc[0] == 0.75


def test_one_group_alone_has_no_roc_auc():
    table = build_robustness_table(np.ones(3, bool), np.full((len(list_conditions()), 3), 0.9), 0.5)
    assert (table["accuracy"] == 1).all()
    assert table["roc_auc"].isna().all()


# A model


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory) -> Path:
    """A run folder with a small network of random weights."""
    folder = tmp_path_factory.mktemp("models") / "small"
    keras.utils.set_random_seed(3)
    network = build_network(COMPACT, 2)
    head = network.layers[-1]
    head.set_weights([np.random.default_rng(0).normal(size=head.kernel.shape), np.zeros(2)])
    folder.mkdir()
    save_network(network, COMPACT, folder / MODEL_FILE)
    card = {"recipe": COMPACT.name, "class_names": ["happy", "sad"], "positive_classes": ["sad"], "data": {}}
    (folder / CARD_FILE).write_text(json.dumps(card), "utf-8")
    return folder


@pytest.fixture
def dataset(write_pictures) -> Dataset:
    return load_dataset(str(write_pictures(PATHS)))


def test_a_measurement_is_the_models_answer_to_corrupted_pictures_and_is_kept(run_dir, dataset, monkeypatch):
    rows = np.arange(8) < 6
    assert read_robustness(run_dir, dataset, rows) is None
    reports = []
    table = measure_robustness(run_dir, dataset, rows, on_progress=lambda *numbers: reports.append(numbers))
    assert reports[0] == (6, reports[-1][1])
    assert reports[-1] == (6 * len(list_conditions()),) * 2
    classifier = load_classifier(run_dir)
    images = np.asarray(load_images(dataset, scan_dataset(dataset), rows, 48))
    is_depressed = (dataset.samples["label"] == "depressed").to_numpy()[rows]
    answers = classifier.predict(corrupt_images(images, "darkness", 0.8)).probabilities
    row = table[(table["corruption"] == "darkness") & (table["strength"] == 0.8)].iloc[0]
    assert row["accuracy"] == np.mean((answers >= 0.5) == is_depressed)
    kept = read_robustness(run_dir, dataset, rows)
    assert kept.equals(table)
    assert read_robustness(run_dir, dataset, np.ones(8, bool)) is None


def test_another_threshold_or_grouping_needs_no_network(run_dir, dataset, tmp_path):
    rows = np.ones(8, bool)
    measure_robustness(run_dir, dataset, rows)
    all_depressed = read_robustness(run_dir, dataset, rows, threshold=0.0)
    assert (all_depressed["accuracy"] == 0.5).all()
    regrouped = load_dataset(DatasetSpec(dataset.source, depressed_emotions=("happy",)))
    ours, theirs = (read_robustness(run_dir, data, rows) for data in (dataset, regrouped))
    assert (ours["accuracy"] + theirs["accuracy"]).to_numpy() == pytest.approx(1)
    write_threshold(run_dir, 0.0)
    try:
        assert read_robustness(run_dir, dataset, rows).equals(all_depressed)
    finally:
        (run_dir / "threshold.json").unlink()


def test_other_strengths_a_damaged_file_or_another_model_are_not_taken_for_it(run_dir, dataset, monkeypatch):
    rows = np.ones(8, bool)
    measure_robustness(run_dir, dataset, rows)
    path = find_robustness_path(run_dir, dataset, rows)
    monkeypatch.setitem(CORRUPTIONS, "blur", robustness.Corruption("Blur", "pixels", (0.0, 1.0)))
    assert find_robustness_path(run_dir, dataset, rows) != path
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:200])
    assert read_robustness(run_dir, dataset, rows) is None
    with pytest.raises(ModelError):
        read_robustness(run_dir.parent / "none", dataset, rows)


def test_the_command_measures_once_reports_and_prints_the_table(run_dir, dataset, capsys, tmp_path):
    progress_path = tmp_path / "robustness.json"
    words = ["robustness", "--model", str(run_dir), "--data", dataset.source, "--subset", "all"]
    assert main([*words, "--json", "--progress", str(progress_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    rows = np.ones(8, bool)
    assert printed == read_robustness(run_dir, dataset, rows).to_dict("records")
    progress = json.loads(progress_path.read_text())
    assert (progress["state"], progress["stage"]) == ("finished", "Running the model on ever worse pictures")
    assert progress["done"] == progress["total"] == 8 * len(list_conditions())
    written = find_robustness_path(run_dir, dataset, rows).stat().st_ino
    assert main(words) == 0
    out = capsys.readouterr().out
    assert f"small on 8 pictures of {dataset.name}" in out
    assert "Mouth covered (share of its width and height): 0: " in out
    assert find_robustness_path(run_dir, dataset, rows).stat().st_ino == written


def test_pictures_seen_in_training_can_be_left_out(run_dir, dataset, capsys, monkeypatch):
    fingerprints = scan_dataset(dataset).fingerprints
    seen_path = run_dir / "trained_on.txt"
    words = [
        "robustness",
        "--model",
        str(run_dir),
        "--data",
        dataset.source,
        "--subset",
        "all",
        "--exclude-training-images",
    ]
    try:
        seen_path.write_text("\n".join(fingerprints[:3]))
        assert main([*words, "--json"]) == 0
        assert {row["num_images"] for row in json.loads(capsys.readouterr().out)} == {5}
        seen_path.write_text("\n".join(fingerprints))
        assert main(words) == 1
        assert "trained on all of these pictures" in capsys.readouterr().err
    finally:
        seen_path.unlink()
