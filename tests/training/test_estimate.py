"""The estimate of a training's duration."""

import pytest

from facedep.networks.recipes import ARTICLE, COMPACT
from facedep.runs import lifecycle, run_config, run_folder
from facedep.runs.writer import RunWriter
from facedep.training.estimate import describe_seconds, estimate_training_seconds, find_last_speed, measure_speed


def test_published_recipe_on_the_kaggle_set_is_estimated_as_it_was_measured():
    # Measured on two cores whose matrix product reaches 185 GFLOP/s: 10 epochs in 300 s.
    seconds = estimate_training_seconds(
        ARTICLE, 10, num_train=2554, num_val=546, images_per_second=None, operations_per_second=185e9
    )
    assert 200 < seconds < 450


def test_twice_the_epochs_take_twice_as_long_but_for_the_start():
    few, many = (
        estimate_training_seconds(
            ARTICLE, epochs, num_train=1000, num_val=200, images_per_second=100, operations_per_second=1e11
        )
        for epochs in (5, 10)
    )
    start = 2 * few - many
    assert 0 < start < 30
    assert few - start == pytest.approx(5 * (1000 + 200 / 3) / 100)


def test_speed_of_the_last_run_with_the_recipe_is_found():
    assert find_last_speed(ARTICLE) is None
    config = run_config.RunConfig("article", "faces", 1, 32, 0.001)
    run_dir = lifecycle.create_run(config, "mine")
    with RunWriter(run_dir) as writer:
        writer.write_metrics(kind="start", num_train=300, num_steps=10, num_epochs=1)
        values = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
        writer.write_metrics(kind="epoch", epoch=1, **values, seconds=3, train_seconds=2.0)
        writer.write_status(run_folder.FINISHED)
    assert find_last_speed(ARTICLE) == 150
    assert find_last_speed(COMPACT) is None


def test_speed_of_this_machine_is_plausible():
    assert 1e9 < measure_speed() < 1e14


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2, "about 5 seconds"),
        (41, "about 40 seconds"),
        (70, "about a minute"),
        (350, "about 6 minutes"),
        (9000, "about 2.5 hours"),
    ],
)
def test_duration_is_said_no_more_exactly_than_it_is_known(seconds, words):
    assert describe_seconds(seconds) == words
