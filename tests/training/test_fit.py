"""Steps, epochs, the weights worth keeping, and a run that goes on after its process was killed."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import small_networks
from PIL import Image

from facedep import processes
from facedep.cli.main import main
from facedep.errors import RunError
from facedep.files import write_json
from facedep.networks.classifier import load_classifier
from facedep.networks.recipes import COMPACT
from facedep.runs import lifecycle, run_folder
from facedep.runs.run_config import RunConfig
from facedep.runs.run_folder import CHECKPOINT_FILE
from facedep.runs.writer import RunWriter
from facedep.training import fit as fitting
from facedep.training import prepare as training_prepare
from facedep.training.architecture import build_network, compute_outputs
from facedep.training.augmentation import AUGMENTATIONS, Augmentation, augment_images, mirror_images
from facedep.training.batches import Batches
from facedep.training.callbacks import TrainingMonitor
from facedep.training.fit import fit_network
from facedep.training.inputs import ArrayDataset, ClassSpec, FitPlan

PROJECT_DIR = Path(__file__).resolve().parents[2]
CONFIG = RunConfig("compact", "pictures", num_epochs=5, batch_size=16, learning_rate=3e-3, seed=3)
GROUPS = ClassSpec(["depressed"], ["depressed"])
PLAN = FitPlan(GROUPS, COMPACT, CONFIG)


@pytest.fixture(scope="module", autouse=True)
def _small_networks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_networks.shrink_networks(patch)
        yield


def _make_part(number: int, size: int = 48) -> ArrayDataset:
    rng = np.random.default_rng(number)
    targets = (np.arange(number) % 2).astype(np.float32)[:, np.newaxis]
    images = rng.integers(0, 256, (number, size, size, 1), dtype=np.uint8)
    return ArrayDataset(images, targets, targets[:, 0] == 1)


def _read_rows(run_dir: Path, kind: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run_dir / run_folder.METRICS_FILE).read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


class _RaiseRateAfterFirstEpoch(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if epoch == 1:
            self.model.optimizer.learning_rate = 1e30


def test_best_epoch_comes_back_after_the_loss_became_no_number(tmp_path):
    keras.utils.set_random_seed(0)
    network = build_network(COMPACT, 1)
    network.compile(optimizer=keras.optimizers.SGD(1e-3), loss=keras.losses.BinaryCrossentropy(), metrics=["accuracy"])
    part = _make_part(32)
    with RunWriter(tmp_path) as writer:
        progress = TrainingMonitor(writer, network, part, plan=PLAN, num_steps=2)
        network.fit(
            Batches(part, CONFIG, augment=augment_images, first_epoch=0),
            epochs=5,
            callbacks=[_RaiseRateAfterFirstEpoch(), progress],
            verbose=0,
        )
    assert progress.has_diverged
    assert (progress.num_epochs_done, progress.kept_epoch) == (2, 1)
    progress.restore_kept_weights()
    rows = _read_rows(tmp_path, "epoch")
    assert (rows[1]["val_loss"], len(rows)) == (None, 2)
    restored = network.evaluate(part.images, part.targets, batch_size=256, verbose=0, return_dict=True)
    assert restored["loss"] == pytest.approx(rows[0]["val_loss"], abs=1e-5)


def test_fit_ends_when_no_better_epoch_came_for_as_long_as_the_recipe_waits(tmp_path):
    """Labels that a coin has thrown: what is learned by heart makes every other picture worse."""
    rng = np.random.default_rng(1)
    train, val = (
        dataclasses.replace(part, targets=rng.integers(0, 2, part.targets.shape).astype(np.float32))
        for part in (_make_part(64), _make_part(65))
    )
    recipe = dataclasses.replace(COMPACT, patience=2, augmentation="none")
    config = dataclasses.replace(CONFIG, num_epochs=60)
    network = build_network(recipe, 1)
    with RunWriter(tmp_path) as writer:
        plan = FitPlan(GROUPS, recipe, config)
        progress = fit_network(network, {"train": train, "val": val}, plan=plan, writer=writer)
    losses = [row["val_loss"] for row in _read_rows(tmp_path, "epoch")]
    assert progress.is_past_patience
    assert len(losses) == progress.num_epochs_done < 60
    assert progress.kept_epoch == int(np.argmin(losses)) + 1 == len(losses) - 2


@pytest.mark.parametrize("patience", [1, 2])
@pytest.mark.slow
def test_patience_counts_from_the_first_epoch_after_the_early_ones(patience, tmp_path):
    recipe = dataclasses.replace(COMPACT, patience=patience)
    config = dataclasses.replace(CONFIG, num_epochs=4, num_progressive_resizing_epochs=2)
    parts = {"train": _make_part(32), "val": _make_part(40)}
    with RunWriter(tmp_path) as writer:
        progress = fit_network(build_network(recipe, 1), parts, plan=FitPlan(GROUPS, recipe, config), writer=writer)
    losses = [row["val_loss"] for row in _read_rows(tmp_path, "epoch")]
    assert progress.num_epochs_done == len(losses) > 2
    assert progress.kept_epoch == 3 + int(np.argmin(losses[2:]))


def test_without_a_validation_part_the_last_epoch_asked_for_is_kept(tmp_path):
    with RunWriter(tmp_path) as writer:
        progress = fit_network(
            build_network(COMPACT, 1),
            {"train": _make_part(32)},
            plan=dataclasses.replace(PLAN, last_epoch=2),
            writer=writer,
        )
    rows = _read_rows(tmp_path, "epoch")
    assert (progress.num_epochs_done, progress.kept_epoch, len(rows)) == (2, 2, 2)
    assert all("val_loss" not in row for row in rows)


def test_measurements_after_an_epoch_are_those_of_the_network_then(tmp_path):
    val = _make_part(40)
    network = build_network(COMPACT, 1)
    config = dataclasses.replace(CONFIG, num_epochs=1)
    with RunWriter(tmp_path) as writer:
        plan = dataclasses.replace(PLAN, config=config)
        fit_network(network, {"train": _make_part(32), "val": val}, plan=plan, writer=writer)
    (row,) = _read_rows(tmp_path, "epoch")
    loss, accuracy = network.evaluate(val.images, val.targets, verbose=0)
    assert (row["val_loss"], row["val_accuracy"]) == pytest.approx((loss, accuracy), abs=1e-5)
    from sklearn.metrics import roc_auc_score

    expected = roc_auc_score(val.is_depressed, compute_outputs(network, val.images)[:, 0])
    assert row["val_roc_auc"] == pytest.approx(expected, abs=1e-9)


class _Recorder(keras.Model):
    """Keeps every batch that a fit hands to the network."""

    def train_step(self, data: Any) -> dict[str, float]:
        self.batches.append(tuple(np.asarray(array) for array in data))
        return {"loss": 0.0}


def _record_epochs(seed: int, *, num_epochs: int = 3, first_epoch: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns what some epochs hand to a network: for each all pictures and all targets, in order."""
    part = dataclasses.replace(_make_part(100, 24), targets=np.arange(100, dtype=np.float32)[:, np.newaxis])
    inputs = keras.Input((24, 24, 1))
    network = _Recorder(inputs, keras.layers.Flatten()(inputs))
    network.batches = []
    network.compile(optimizer="sgd", loss="mse", run_eagerly=True)
    batches = Batches(part, dataclasses.replace(CONFIG, seed=seed), augment=augment_images, first_epoch=first_epoch)
    network.fit(batches, initial_epoch=first_epoch, epochs=num_epochs, shuffle=False, verbose=0)
    assert len(network.batches) == (num_epochs - first_epoch) * 7
    epochs = [network.batches[start : start + 7] for start in range(0, len(network.batches), 7)]
    return [tuple(np.concatenate(arrays) for arrays in zip(*epoch, strict=True)) for epoch in epochs]


def test_each_epoch_shows_every_picture_once_in_a_new_order():
    orders = [targets[:, 0].astype(int).tolist() for _, targets in _record_epochs(seed=4)]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_same_seed_shows_the_same_changed_pictures_and_each_epoch_changes_them_anew():
    one, two, other = _record_epochs(seed=4), _record_epochs(seed=4), _record_epochs(seed=5)
    for (images, targets), (images_again, targets_again) in zip(one, two, strict=True):
        assert np.array_equal(images, images_again)
        assert np.array_equal(targets, targets_again)
    first_of = [images[targets[:, 0] == 0][0] for images, targets in (*one, other[0])]
    assert not any(np.array_equal(first_of[n], first_of[m]) for n in range(4) for m in range(n))


def test_run_that_goes_on_shows_what_the_unbroken_one_would_have_shown():
    unbroken, resumed = _record_epochs(seed=4), _record_epochs(seed=4, first_epoch=2)
    for one, other in zip(unbroken[2], resumed[0], strict=True):
        assert np.array_equal(one, other)


def test_batches_are_made_by_one_worker():
    """With two, Keras 3.15 on JAX shows some pictures twice an epoch and others never."""
    assert Batches(_make_part(8), CONFIG, augment=augment_images, first_epoch=0).workers == 1


# A run that goes on after its process was killed


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for place, emotion in enumerate(("happy", "neutral", "sad")):
        (folder / emotion).mkdir()
        for n in range(60):
            pixels = np.random.default_rng(100 * place + n).integers(50 * place, 50 * place + 150, (32, 32))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / emotion / f"{n:02d}.png")
    return folder


# The command line with small networks, killed in the middle of its third epoch.
KILLED = """
import os, signal, sys
import pytest
import small_networks
from facedep.cli.main import main
from facedep.training.callbacks import TrainingMonitor

def die_in_third_epoch(self, batch, logs=None):
    on_train_batch_end(self, batch, logs)
    if (self._epoch, batch) == (3, 4):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

on_train_batch_end, TrainingMonitor.on_train_batch_end = TrainingMonitor.on_train_batch_end, die_in_third_epoch
small_networks.shrink_networks(pytest.MonkeyPatch())
sys.exit(main())
"""


def _read_rows_so_far(run_dir: Path) -> list[str]:
    return [line for line in (run_dir / run_folder.METRICS_FILE).read_text().splitlines() if '"kind": "epoch"' in line]


@pytest.mark.slow
def test_run_killed_after_its_second_epoch_goes_on_as_if_nothing_had_happened(pictures, monkeypatch):
    command = ["train", "--data", str(pictures), "--recipe", "compact", "--epochs", "5", "--batch-size", "16",
               "--seed", "3"]  # fmt: skip
    assert main([*command, "--name", "unbroken"]) == 0
    python_path = os.pathsep.join([str(PROJECT_DIR), str(Path(small_networks.__file__).parent)])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *command, "--name", "killed"],
        env={**os.environ, "PYTHONPATH": python_path},
        capture_output=True,
        timeout=240,
    )
    run_dir = run_folder.models_dir() / "killed"
    assert killed.returncode not in (0, 1), killed.stderr
    assert len(_read_rows_so_far(run_dir)) == 2
    monkeypatch.setattr(processes, "LOST_AFTER_SECONDS", 0.0)
    assert run_folder.read_run(run_dir).can_resume
    status = main(["train", "--data", str(pictures), "--resume", "killed"])
    assert status == 0

    expected, found = _read_rows(run_folder.models_dir() / "unbroken", "epoch"), _read_rows(run_dir, "epoch")
    assert [row["epoch"] for row in found] == [1, 2, 3, 4, 5]
    for expected_row, row in zip(expected, found, strict=True):
        for key in ("loss", "accuracy", "val_loss", "val_accuracy", "val_roc_auc"):
            assert row[key] == pytest.approx(expected_row[key], abs=1e-3)
    assert [row["seconds"] for row in found] == sorted(row["seconds"] for row in found)
    assert len(_read_rows(run_dir, "start")) == 1
    run = run_folder.read_run(run_dir)
    assert (run.state, run.card.training.num_epochs) == ("finished", 5)
    assert not (run_dir / CHECKPOINT_FILE).exists()
    unbroken, killed = (
        load_classifier(run_folder.models_dir() / name).graph.weights for name in ("unbroken", "killed")
    )
    for name in unbroken:
        assert all(np.allclose(one, other, atol=1e-3) for one, other in zip(unbroken[name], killed[name], strict=True))


@pytest.fixture(scope="module")
def stopped_run_kept(pictures, tmp_path_factory) -> Path:
    from facedep.training.train import train_run

    class StopAfterOne(RunWriter):
        @property
        def is_stop_requested(self) -> bool:
            return bool(_read_rows_so_far(self.run_dir))

    config = dataclasses.replace(CONFIG, num_epochs=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEDEP_MODELS_DIR", str(tmp_path_factory.mktemp("kept")))
        run_dir = lifecycle.create_run(config, "stopped")
        with StopAfterOne(run_dir) as writer:
            writer.write_status(train_run(config, str(pictures), writer))
    return run_dir


@pytest.fixture
def stopped_run(stopped_run_kept) -> Path:
    """A run that was asked to end after its first whole epoch."""
    return Path(shutil.copytree(stopped_run_kept, run_folder.models_dir() / "stopped"))


@pytest.mark.slow
def test_stopped_run_goes_on_to_its_end(stopped_run, pictures):
    assert run_folder.read_run(stopped_run).card.training.num_epochs == 1
    assert main(["train", "--data", str(pictures), "--resume", "stopped"]) == 0
    run = run_folder.read_run(stopped_run)
    assert (run.state, run.card.training.num_epochs, run.can_resume) == ("finished", 3, False)
    with pytest.raises(RunError, match="'stopped' cannot be continued: it is finished"):
        lifecycle.reopen_run("stopped")


def test_resumed_run_stopped_while_loading_says_how_many_epochs_are_kept(stopped_run, pictures, capsys):
    lifecycle.reopen_run("stopped")
    lifecycle.stop_run(run_folder.read_run(stopped_run))
    assert main(["train", "--run", str(stopped_run), "--data", str(pictures)]) == 0
    run = run_folder.read_run(stopped_run)
    assert run.message == "Stopped before it went on. Its first epoch is kept."
    assert run.message in capsys.readouterr().err
    assert (run.state, run.can_resume, run.has_model) == ("stopped", True, True)


def test_other_pictures_are_noticed_before_any_is_opened(stopped_run, capsys, monkeypatch):
    monkeypatch.setattr(training_prepare, "scan_dataset", None)
    assert main(["train", "--data", "sample", "--resume", "stopped"]) == 1
    assert "began with other pictures than these" in capsys.readouterr().err


def test_run_does_not_go_on_with_other_pictures(stopped_run, capsys):
    assert main(["train", "--data", "sample", "--resume", "stopped"]) == 1
    assert "began with other pictures than these" in capsys.readouterr().err
    assert run_folder.read_run(stopped_run).can_resume  # nothing is lost


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 torn"])
def test_damaged_checkpoint_is_a_sentence(content, stopped_run, pictures, capsys):
    (stopped_run / CHECKPOINT_FILE).write_bytes(content)
    assert main(["train", "--data", str(pictures), "--resume", "stopped"]) == 1
    assert "checkpoint.npz of 'stopped' is damaged" in capsys.readouterr().err


def test_run_without_a_whole_epoch_cannot_go_on():
    run_dir = lifecycle.create_run(CONFIG, "young")
    write_json(run_dir / run_folder.STATUS_FILE, {"state": run_folder.FAILED})
    with pytest.raises(RunError, match="no whole epoch of it was kept"):
        lifecycle.reopen_run("young")


# Early epochs on smaller pictures, and the running mean of the weights

GENTLE = dataclasses.replace(CONFIG, num_epochs=4, num_progressive_resizing_epochs=2, ema_momentum=0.9)


class _SizeWatch(RunWriter):
    """Ends the run after some epochs, as the app's stop button does."""

    num_epochs_allowed = 99

    @property
    def is_stop_requested(self) -> bool:
        return len(_read_rows_so_far(self.run_dir)) >= self.num_epochs_allowed


def _fit_gently(run_dir: Path, *, num_epochs_allowed: int = 99) -> tuple[keras.Model, TrainingMonitor]:
    keras.utils.set_random_seed(0)
    network = build_network(COMPACT, 1)
    run_dir.mkdir(exist_ok=True)
    parts = {"train": _make_part(64), "val": _make_part(40)}
    with _SizeWatch(run_dir) as writer:
        writer.num_epochs_allowed = num_epochs_allowed
        return network, fit_network(network, parts, plan=dataclasses.replace(PLAN, config=GENTLE), writer=writer)


def test_early_epochs_see_smaller_pictures_and_the_later_ones_whole_ones(tmp_path, monkeypatch):
    seen = []

    def watch(name: str, change: Augmentation) -> Augmentation:
        return lambda images, rng: (seen.append((name, images.shape[1])), change(images, rng))[1]

    monkeypatch.setattr(fitting, "mirror_images", watch("mirror_images", mirror_images))
    monkeypatch.setitem(AUGMENTATIONS, "standard", watch("augment_images", augment_images))
    _fit_gently(tmp_path / "run")
    early, late = ("mirror_images", COMPACT.progressive_resizing_size_px), ("augment_images", 48)
    num_early = seen.count(early)
    assert num_early >= 8  # Keras draws one batch more to see its shape
    assert len(seen) - num_early >= 8
    assert seen == [early] * num_early + [late] * (len(seen) - num_early)
    assert [row["epoch"] for row in _read_rows(tmp_path / "run", "epoch")] == [1, 2, 3, 4]


@pytest.mark.slow
def test_no_early_epoch_of_the_real_network_is_kept_as_the_best(tmp_path, monkeypatch):
    small_networks.restore_networks(monkeypatch)
    _, progress = _fit_gently(tmp_path / "run")
    losses = [row["val_loss"] for row in _read_rows(tmp_path / "run", "epoch")]
    assert progress.kept_epoch == 3 + int(np.argmin(losses[2:]))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[keras.Model, list[dict[str, Any]]]:
    """A network fitted in both phases without a break, and what was measured after each epoch."""
    folder = tmp_path_factory.mktemp("unbroken")
    network, _ = _fit_gently(folder)
    return network, _read_rows(folder, "epoch")


@pytest.mark.slow
@pytest.mark.parametrize("num_epochs_before", [1, 2])
def test_run_broken_off_in_any_phase_goes_on_as_if_nothing_had_happened(num_epochs_before, unbroken, tmp_path):
    network, expected = unbroken
    _, stopped = _fit_gently(tmp_path / "broken", num_epochs_allowed=num_epochs_before)
    assert (stopped.was_stopped, stopped.num_epochs_done) == (True, num_epochs_before)
    resumed, progress = _fit_gently(tmp_path / "broken")
    assert progress.num_epochs_done == 4
    found = _read_rows(tmp_path / "broken", "epoch")
    assert [row["epoch"] for row in found] == [1, 2, 3, 4]
    for expected_row, row in zip(expected, found, strict=True):
        for key in ("loss", "val_loss", "val_roc_auc"):
            assert row[key] == pytest.approx(expected_row[key], abs=1e-3)
    assert all(
        np.allclose(one, other, atol=1e-3)
        for one, other in zip(network.get_weights(), resumed.get_weights(), strict=True)
    )


def test_run_stopped_in_the_early_phase_keeps_what_it_learned(tmp_path):
    network, progress = _fit_gently(tmp_path / "run", num_epochs_allowed=1)
    keras.utils.set_random_seed(0)
    untrained = build_network(COMPACT, 1)
    assert (progress.was_stopped, progress.kept_epoch) == (True, 1)
    change = [np.abs(a - b).max() for a, b in zip(network.get_weights(), untrained.get_weights(), strict=True)]
    assert max(change) > 1e-4


def test_averaged_weights_are_measured_and_kept_and_the_training_goes_on_with_its_own(tmp_path):
    val = _make_part(40)
    keras.utils.set_random_seed(0)
    network = build_network(COMPACT, 1)
    config = dataclasses.replace(CONFIG, num_epochs=1, ema_momentum=0.9)
    with RunWriter(tmp_path) as writer:
        plan = dataclasses.replace(PLAN, config=config)
        fit_network(network, {"train": _make_part(64), "val": val}, plan=plan, writer=writer)
    (row,) = _read_rows(tmp_path, "epoch")
    loss, _ = network.evaluate(val.images, val.targets, verbose=0)
    assert row["val_loss"] == pytest.approx(loss, abs=1e-5)
    with np.load(tmp_path / CHECKPOINT_FILE) as kept:
        own = kept["variable_0"]  # the stem's kernel, as the next step would change it
    assert np.abs(own - network.get_weights()[0]).max() > 1e-5


def test_mirrored_copies_are_the_picture_or_its_mirror_image():
    images = _make_part(200, 8).images
    changed = mirror_images(images, np.random.default_rng(0))
    is_mirrored = np.array([np.array_equal(c, i[:, ::-1]) for c, i in zip(changed, images, strict=True)])
    is_same = np.array([np.array_equal(c, i) for c, i in zip(changed, images, strict=True)])
    assert (is_mirrored ^ is_same).all()
    assert 70 < is_mirrored.sum() < 130
