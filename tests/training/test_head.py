"""The head that `quick` trains: it learns what can be learned, as Keras' layers would, and keeps the best epoch."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from facedep.errors import RunError
from facedep.networks.layers import HEAD_NORM
from facedep.networks.recipes import QUICK
from facedep.runs.run_config import RunConfig
from facedep.runs.writer import RunWriter
from facedep.training.head import HeadSettings, HeadTrainer, fit_head
from facedep.training.inputs import ArrayDataset, ClassSpec, FitPlan

SETTINGS = HeadSettings(num_epochs=30, batch_size=32, learning_rate=0.02)


def _make_data(num_images: int, num_classes: int, *, noise: float = 0.3, seed: int = 0) -> ArrayDataset:
    """Features of which the first ones say which class it is, on different scales."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_images) % num_classes
    features = rng.normal(scale=noise, size=(num_images, 20))
    features[:, :num_classes] += np.eye(num_classes)[labels]
    features = (features * np.logspace(-2, 2, 20) + 5).astype(np.float32)
    if num_classes == 2:
        return ArrayDataset(features, labels[:, np.newaxis].astype(np.float32), labels == 1)
    return ArrayDataset(features, np.eye(num_classes, dtype=np.float32)[labels], labels == 1)


def _train(data: ArrayDataset, settings: HeadSettings = SETTINGS) -> HeadTrainer:
    trainer = HeadTrainer(data.images, data.targets, settings)
    for _ in range(settings.num_epochs):
        trainer.train_epoch()
    return trainer


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_head_learns_what_the_features_say(num_classes):
    trainer = _train(_make_data(420, num_classes))
    new = _make_data(210, num_classes, seed=1)
    outputs = trainer.predict(new.images)
    if num_classes == 2:
        right = (outputs[:, 0] >= 0.5) == new.is_depressed
    else:
        right = outputs.argmax(axis=1) == new.targets.argmax(axis=1)
        assert outputs.sum(axis=1) == pytest.approx(np.ones(210), abs=1e-5)
    assert outputs.shape == new.targets.shape
    assert right.mean() > 0.85


def test_head_learns_nothing_from_labels_that_mean_nothing():
    data = _make_data(300, 3)
    shuffled = np.random.default_rng(5).permutation(data.targets)
    trainer = _train(ArrayDataset(data.images, shuffled, data.is_depressed))
    new = _make_data(300, 3, seed=1)
    assert np.mean(trainer.predict(new.images).argmax(axis=1) == new.targets.argmax(axis=1)) < 0.5


@pytest.mark.parametrize("num_classes", [2, 4])
def test_weights_mean_to_keras_what_they_mean_here(num_classes):
    data = _make_data(96, num_classes)
    trainer = _train(data)
    activation = "sigmoid" if num_classes == 2 else "softmax"
    network = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.BatchNormalization(name=HEAD_NORM),
            keras.layers.Dense(data.targets.shape[1], activation=activation, name="probabilities"),
        ]
    )
    for name, weights in trainer.weights.items():
        network.get_layer(name).set_weights(weights)
    outputs = trainer.predict(data.images)
    np.testing.assert_allclose(network.predict_on_batch(data.images), outputs, atol=1e-5)
    kind = keras.losses.BinaryCrossentropy if num_classes == 2 else keras.losses.CategoricalCrossentropy
    expected = float(kind(label_smoothing=SETTINGS.label_smoothing)(data.targets, outputs))
    assert trainer.compute_loss(outputs, data.targets) == pytest.approx(expected, rel=1e-4)


def test_one_step_is_that_of_keras_adamw(monkeypatch):
    monkeypatch.setattr("facedep.training.head.HEAD_DROPOUT", 0.0)
    data = _make_data(32, 3)
    settings = HeadSettings(num_epochs=1, batch_size=32, learning_rate=0.01)
    trainer = HeadTrainer(data.images, data.targets, settings)
    inputs = keras.Input((20,))
    dense = keras.layers.Dense(3, activation="softmax")
    network = keras.Model(inputs, dense(inputs))
    dense.set_weights(trainer.weights["probabilities"])
    rate = 0.01 / 25  # the first step's
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    network.compile(optimizer, keras.losses.CategoricalCrossentropy(label_smoothing=0.1))
    _, _, mean, variance = trainer.weights[HEAD_NORM]
    network.train_on_batch((data.images - mean) / np.sqrt(variance + 1e-3), data.targets)
    trainer.train_epoch()
    for found, expected in zip(trainer.weights["probabilities"], dense.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_logit_adjustment_makes_a_rare_class_more_likely():
    rng = np.random.default_rng(0)
    labels = np.array([0] * 190 + [1] * 10)
    features = rng.normal(size=(200, 20)).astype(np.float32)
    features[labels == 1, 0] += 1.5
    data = ArrayDataset(features, np.eye(2, dtype=np.float32)[labels], labels == 1)
    settings = HeadSettings(num_epochs=20, batch_size=32, learning_rate=0.02)
    plain = _train(data, settings).predict(features)[:, 1].mean()
    adjusted = HeadSettings(num_epochs=20, batch_size=32, learning_rate=0.02, logit_adjustment=1.0)
    assert _train(data, adjusted).predict(features)[:, 1].mean() > 1.5 * plain


def test_same_seed_same_head_and_half_floats_will_do():
    data = _make_data(100, 3)
    first, second = (_train(data).weights["probabilities"][0] for _ in range(2))
    assert np.array_equal(first, second)
    half = ArrayDataset(data.images.astype(np.float16), data.targets, data.is_depressed)
    np.testing.assert_allclose(_train(half).predict(half.images), _train(data).predict(data.images), atol=0.05)


# A whole fit ---------------------------------------------------------------------------------------------------------


def _plan(**changes) -> FitPlan:
    settings = {"num_epochs": 25, "batch_size": 32, "learning_rate": 0.02} | changes
    config = RunConfig("quick", "data", **settings)
    return FitPlan(ClassSpec(["happy", "sad", "angry"], ["sad"]), QUICK, config)


def _read_rows(run_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text("utf-8").splitlines()]


def test_fit_keeps_the_epoch_with_the_lowest_validation_loss(tmp_path):
    arrays = {"train": _make_data(90, 3, noise=1.0), "val": _make_data(60, 3, noise=1.0, seed=1)}
    with RunWriter(tmp_path) as writer:
        weights, summary = fit_head(arrays, plan=_plan(num_epochs=60, learning_rate=0.1), writer=writer)
    rows = _read_rows(tmp_path)
    best = min(rows, key=lambda row: row["val_loss"])
    assert summary.kept_epoch == best["epoch"]
    assert summary.num_epochs_done == len(rows) == min(60, best["epoch"] + QUICK.patience)
    trainer = HeadTrainer(arrays["train"].images, arrays["train"].targets, HeadSettings(60, 32, 0.1))
    for _ in range(summary.kept_epoch):
        trainer.train_epoch()
    assert np.array_equal(weights["probabilities"][0], trainer.weights["probabilities"][0])
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)


def test_fit_without_validation_pictures_keeps_the_last_epoch(tmp_path):
    with RunWriter(tmp_path) as writer:
        _, summary = fit_head({"train": _make_data(90, 3)}, plan=_plan(), writer=writer)
    assert (summary.kept_epoch, summary.num_epochs_done, summary.num_images_seen) == (25, 25, 25 * 96)
    assert "val_loss" not in _read_rows(tmp_path)[-1]


def test_stop_ends_the_fit_after_the_epoch_and_keeps_it(tmp_path):
    class StopAfterTwo(RunWriter):
        @property
        def is_stop_requested(self) -> bool:
            return len(_read_rows(tmp_path)) >= 2

    with StopAfterTwo(tmp_path) as writer:
        _, summary = fit_head({"train": _make_data(90, 3)}, plan=_plan(), writer=writer)
    assert (summary.was_stopped, summary.num_epochs_done, summary.kept_epoch) == (True, 2, 2)


def test_rate_that_is_far_too_high_is_a_sentence(tmp_path):
    with np.errstate(all="ignore"), RunWriter(tmp_path) as writer, pytest.raises(RunError, match="no longer a number"):
        fit_head({"train": _make_data(90, 3)}, plan=_plan(learning_rate=1e30), writer=writer)
