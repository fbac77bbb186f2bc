"""The loss for classes of different sizes, against its formula and Keras' own cross-entropy."""

import keras
import numpy as np
import pytest
from keras import ops

from facedep.training.losses import LogitAdjustedCrossentropy

RNG = np.random.default_rng(0)
OUTPUTS = RNG.dirichlet(np.ones(4), 30).astype(np.float32)
TARGETS = RNG.dirichlet(np.ones(4), 30).astype(np.float32)
SHARES = np.array([0.5, 0.3, 0.15, 0.05])


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_without_adjustment_it_is_the_ordinary_cross_entropy(label_smoothing):
    ordinary = keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
    adjusted = LogitAdjustedCrossentropy(SHARES, 0.0, label_smoothing=label_smoothing)
    assert float(adjusted(TARGETS, OUTPUTS)) == pytest.approx(float(ordinary(TARGETS, OUTPUTS)), rel=1e-5)


def test_the_shares_are_added_to_the_logits():
    logits = np.log(OUTPUTS) + np.log(SHARES)
    powers = np.exp(logits)
    expected = -(TARGETS * np.log(powers / powers.sum(axis=1, keepdims=True))).sum(axis=1)
    np.testing.assert_allclose(LogitAdjustedCrossentropy(SHARES, 1.0).call(TARGETS, OUTPUTS), expected, rtol=1e-4)


def test_where_pictures_say_nothing_the_best_answer_is_the_same_for_each_class():
    """With labels as frequent as the shares, the ordinary loss wants the shares, the adjusted one equal outputs."""
    targets = np.eye(4, dtype=np.float32)[RNG.choice(4, 4000, p=SHARES)]
    equal, as_frequent = (np.tile(row, (4000, 1)).astype(np.float32) for row in (np.full(4, 0.25), SHARES))
    adjusted, ordinary = (LogitAdjustedCrossentropy(SHARES, strength) for strength in (1.0, 0.0))
    assert float(adjusted(targets, equal)) < float(adjusted(targets, as_frequent))
    assert float(ordinary(targets, equal)) > float(ordinary(targets, as_frequent))


def test_an_output_of_zero_is_no_infinite_loss():
    outputs = np.array([[1.0, 0.0, 0.0, 0.0]], np.float32)
    assert np.isfinite(float(ops.sum(LogitAdjustedCrossentropy(SHARES, 1.0).call(TARGETS[:1], outputs))))


def test_a_class_without_pictures_is_refused():
    with pytest.raises(ValueError, match="share above 0"):
        LogitAdjustedCrossentropy(np.array([1.0, 0.0]), 1.0)
