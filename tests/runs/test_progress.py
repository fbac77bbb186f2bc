"""What is read from a run's measurements: how far, how fast, and whether it is learning."""

import dataclasses
import json

import pytest

from facedep.networks.majority_baseline import MajorityBaseline
from facedep.runs.progress import LEARNING, MEMORISING, NOT_LEARNING, TOO_EARLY, UNJUDGED, judge_learning, read_progress
from facedep.runs.run_folder import METRICS_FILE


def write_rows(folder, losses, *, num_epochs=10, torn=""):
    """Writes a run's measurements: one (training loss, validation loss) per epoch, 10 steps each of 20 seconds."""
    rows = [
        {"kind": "start", "num_train": 100, "num_steps": 10, "num_epochs": num_epochs, "checkpoint_policy": "best",
         "majority_baseline": {"name": "non_depressed", "share": 0.67}}
    ]  # fmt: skip
    for epoch, (loss, val_loss) in enumerate(losses, start=1):
        rows += [
            {"kind": "step", "epoch": epoch, "step": step, "loss": loss, "accuracy": 0.7,
             "seconds": (epoch - 1) * 20 + step * 2}
            for step in (5, 10)
        ]  # fmt: skip
        rows.append(
            {"kind": "epoch", "epoch": epoch, "loss": loss, "accuracy": 0.7, "val_loss": val_loss,
             "val_accuracy": 0.71, "seconds": epoch * 20, "train_seconds": 18}
        )  # fmt: skip
    (folder / METRICS_FILE).write_text("\n".join(map(json.dumps, rows)) + "\n" + torn)
    return read_progress(folder)


def test_share_speed_and_time_left_follow_from_the_measurements(tmp_path):
    progress = write_rows(tmp_path, [(1.0, 1.0), (0.9, 0.9)])
    assert progress.share_done == pytest.approx(0.2)
    assert progress.seconds_left == pytest.approx(160)
    assert progress.images_per_second == pytest.approx(5)  # half of 100 pictures in 10 seconds
    assert [row["position"] for row in progress.steps] == [0.5, 1.0, 1.5, 2.0]
    assert progress.best_epoch["epoch"] == 2


def test_falling_loss_without_telling_the_groups_apart_is_said(tmp_path):
    progress = write_rows(tmp_path, [(1.0, 1.0), (0.9, 0.9)])
    assert "always answering non-depressed would get 67%" in judge_learning(progress)[1]
    at_chance = dataclasses.replace(progress, majority_baseline=MajorityBaseline("non_depressed", 0.71))
    assert "does not yet distinguish the two groups" in judge_learning(at_chance)[1]


def write_at_chance(folder, start, *, val_accuracy=0.72, val_roc_auc=0.5):
    """Writes two epochs with a falling validation loss: 400 validation pictures, of which 72 % are *depressed*."""
    rows = [
        {"kind": "start", "num_train": 100, "num_val": 400, "num_steps": 10, "num_epochs": 9, "keeps": "best", **start},
        *(
            {"kind": "epoch", "epoch": epoch, "loss": loss, "accuracy": 0.72, "val_loss": loss, "seconds": epoch,
             "val_accuracy": val_accuracy, "val_roc_auc": val_roc_auc, "train_seconds": 1}
            for epoch, loss in ((1, 1.0), (2, 0.6))
        ),
    ]  # fmt: skip
    (folder / METRICS_FILE).write_text("\n".join(map(json.dumps, rows)))
    return judge_learning(read_progress(folder))


STARTS = {
    "as written": {"majority_baseline": {"name": "depressed", "share": 0.72}},
    "of an earlier version": {"always_non_depressed": 0.28},
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_always_answering_the_larger_group_is_not_learning(tmp_path, start):
    verdict, reason = write_at_chance(tmp_path, start)
    assert verdict == NOT_LEARNING
    assert "always answering depressed would get 72%" in reason
    assert "28%" not in reason


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(("val_accuracy", "val_roc_auc"), [(0.72, 0.7), (0.8, 0.5), (0.8, 0.8)])
def test_ranking_or_accuracy_above_chance_is_learning(tmp_path, start, val_accuracy, val_roc_auc):
    verdict, reason = write_at_chance(tmp_path, start, val_accuracy=val_accuracy, val_roc_auc=val_roc_auc)
    assert verdict == LEARNING
    assert "always answering depressed would get 72%" in reason


def test_chance_in_few_validation_pictures_is_not_learning(tmp_path):
    # A network that guesses gets an AUC of 0.53 or more of 400 pictures (288 and 112) 18 times in 100.
    assert write_at_chance(tmp_path, STARTS["as written"], val_roc_auc=0.53)[0] == NOT_LEARNING
    assert write_at_chance(tmp_path, STARTS["as written"], val_roc_auc=0.56)[0] == LEARNING


def test_copies_among_the_validation_pictures_are_said(tmp_path):
    progress = write_rows(tmp_path, [(1.0, 1.0), (0.9, 0.9)])
    assert "on pictures it does not train on" in judge_learning(progress)[1]
    leaky = dataclasses.replace(progress, num_val=898, num_val_in_train=449)
    assert "449 of the 898 validation pictures are also in train" in judge_learning(leaky)[1]


def test_pictures_that_the_run_started_from_among_the_validation_ones_are_said(tmp_path):
    progress = write_rows(tmp_path, [(1.0, 1.0), (0.9, 0.9)])
    seen = dataclasses.replace(progress, num_val=300, num_val_in_pretraining=250)
    assert "was trained on 250 of the 300 validation pictures" in judge_learning(seen)[1]


def test_final_fit_without_validation_pictures_is_shown_and_not_judged(tmp_path):
    rows = [{"kind": "start", "num_train": 100, "num_val": 0, "num_steps": 10, "num_epochs": 9,
             "checkpoint_policy": "last", "majority_baseline": {"name": "non_depressed", "share": None}}]  # fmt: skip
    rows += [{"kind": "epoch", "epoch": epoch, "loss": 2.0 / epoch, "accuracy": 0.7, "seconds": epoch,
              "train_seconds": 1} for epoch in (1, 2)]  # fmt: skip
    (tmp_path / METRICS_FILE).write_text("\n".join(map(json.dumps, rows)))
    progress = read_progress(tmp_path)
    assert [row["val_loss"] for row in progress.epochs] == [None, None]
    assert progress.best_epoch is None
    verdict, reason = judge_learning(progress)
    assert verdict == UNJUDGED
    assert "from 2.00 to 1.00" in reason
    diverged = dataclasses.replace(progress, epochs=[*progress.epochs, {**progress.epochs[-1], "loss": None}])
    assert judge_learning(diverged)[0] == NOT_LEARNING


def test_leaping_loss_asks_for_a_lower_learning_rate(tmp_path):
    assert "lower learning rate" in judge_learning(write_rows(tmp_path, [(1.0, 1.0), (0.9, 40.0)]))[1]


def test_rows_without_their_columns_or_numbers_are_left_out(tmp_path):
    write_rows(tmp_path, [(1.0, 1.0)])
    with (tmp_path / METRICS_FILE).open("a") as file:
        file.write('{"kind": "epoch", "epoch": 2, "val_loss": 1.0}\n{"kind": "epoch", "epoch": "two", "loss": 1}\n')
    assert len(read_progress(tmp_path).epochs) == 1


def test_torn_last_line_and_nonsense_are_left_out(tmp_path):
    progress = write_rows(tmp_path, [(1.0, 1.0)], torn='{"kind": "epoch", "epoch": 2, "lo')
    assert len(progress.epochs) == 1
    (tmp_path / METRICS_FILE).write_text('[]\n3\n{"kind": "step", "epoch": 1, "step": 1}\nnull\n')
    assert read_progress(tmp_path).steps == []


def test_run_without_measurements_is_at_the_start(tmp_path):
    progress = read_progress(tmp_path)
    assert progress.share_done == 0
    assert progress.seconds_left is None
    assert progress.images_per_second is None
    assert judge_learning(progress)[0] == TOO_EARLY


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [
        ([(1.0, 1.0)], TOO_EARLY),
        ([(1.0, 1.0), (0.9, 0.9), (0.8, 0.85)], LEARNING),
        ([(1.0, 1.0), (0.8, 0.9), (0.6, 1.0), (0.4, 1.2)], MEMORISING),
        ([(1.0, 1.0), (0.9, 0.9), (0.89, 0.91)], LEARNING),
        ([(1.0, 1.0), (1.0, 1.0), (1.0, 0.999)], NOT_LEARNING),
        ([(1.0, 1.0), (0.9, 1.0)], NOT_LEARNING),
        ([(1.0, 1.0), (None, None)], NOT_LEARNING),
        ([(1.0, 1.0), (0.9, 40.0)], NOT_LEARNING),
    ],
)
def test_verdict_follows_from_the_losses_and_gives_a_reason(tmp_path, losses, verdict):
    progress = write_rows(tmp_path, losses)
    found, reason = judge_learning(progress)
    assert found == verdict
    assert reason.endswith(".")
    if verdict == MEMORISING:
        assert "Since epoch 2" in reason
        assert "from 0.80 to 0.40" in reason
        assert "from 0.90 to 1.20" in reason


def test_metrics_of_older_runs_are_read_under_their_old_names(tmp_path):
    start = {"kind": "start", "num_train": 1, "num_steps": 1, "num_epochs": 1, "num_val_seen_before": 7}
    (tmp_path / METRICS_FILE).write_text(json.dumps(start))
    assert read_progress(tmp_path).num_val_in_pretraining == 7
