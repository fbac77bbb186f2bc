"""Real trainings of a few tiny epochs, in real processes where the process matters, and what comes after them."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks
from PIL import Image

from facedep.audit.cleaning import clean_scan
from facedep.cli.main import main
from facedep.data.eval_subset import EvalSubset
from facedep.data.scan import scan_dataset
from facedep.data.sources import load_dataset
from facedep.data.splits import split_dataset
from facedep.errors import DataError, RunError
from facedep.evaluation.evaluation import evaluate_run
from facedep.evaluation.subset_selection import split_like_training
from facedep.files import write_json
from facedep.images.opening import compute_fingerprint
from facedep.inference.pipeline import predict_picture
from facedep.networks import calibration
from facedep.networks.card import CARD_FILE, FINGERPRINTS_FILE, MODEL_CARD_FILE, MODEL_FILE, Card, read_card
from facedep.networks.card_scores import Scores
from facedep.networks.classifier import Classifier, build_graph, load_classifier
from facedep.networks.decision_threshold import write_threshold
from facedep.networks.recipes import ARTICLE, COMPACT
from facedep.runs import lifecycle, run_folder
from facedep.runs.progress import TOO_EARLY, UNJUDGED, judge_learning, read_progress
from facedep.runs.run_config import RunConfig
from facedep.runs.writer import RunWriter
from facedep.training import fit, train
from facedep.training import prepare as training_prepare
from facedep.training.architecture import build_network, list_weights
from facedep.training.augmentation import augment_images
from facedep.training.checks import check_run
from facedep.training.inputs import ArrayDataset, ClassSpec

PROJECT_DIR = Path(__file__).resolve().parents[2]
NUM_BY_EMOTION = {"happy": 40, "neutral": 20, "sad": 30}
CONFIG = RunConfig("compact", "pictures", num_epochs=2, batch_size=16, learning_rate=3e-3, seed=1, ema_momentum=0.95)
QUICK_CONFIG = dataclasses.replace(CONFIG, recipe="quick", ema_momentum=0.0, num_progressive_resizing_epochs=0)


@dataclass(frozen=True)
class Workshop:
    """A folder with pictures and a folder of runs, shared by the tests of this file."""

    folder: Path
    pictures: Path
    groups: Path
    models: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "FACEDEP_MODELS_DIR": str(self.models),
            "FACEDEP_CACHE_DIR": str(self.folder / "cache"),
            "PYTHONPATH": str(PROJECT_DIR),
        }

    def call(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs the command line in a process of its own, as a user would, but with small networks."""
        return subprocess.run(
            [sys.executable, small_networks.__file__, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=240,
        )

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Makes this process use the same folders."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield

    def train(self, name: str, source: Path, config: RunConfig) -> Path:
        """Trains in this process, which has loaded TensorFlow already."""
        run_dir = self.models / name
        run_dir.mkdir()
        write_json(run_dir / run_folder.CONFIG_FILE, dataclasses.asdict(config))
        with self.entered(), RunWriter(run_dir) as writer:
            writer.write_status(train.train_run(config, str(source), writer))
        return run_dir


def _draw(seed: int, *, mean: int = 128) -> np.ndarray:
    return np.random.default_rng(seed).integers(max(mean - 120, 0), min(mean + 120, 255), (32, 32), dtype=np.uint8)


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module", autouse=True)
def _small_networks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_networks.shrink_networks(patch)
        yield


@pytest.fixture(scope="module")
def workshop(tmp_path_factory) -> Workshop:
    """90 different pictures of three emotions, a copy and a damaged file; and 60 dark or bright ones of two groups."""
    folder = tmp_path_factory.mktemp("workshop")
    made = Workshop(folder, folder / "pictures", folder / "groups", folder / "runs")
    made.models.mkdir()
    for start, (emotion, number) in zip((0, 100, 200), NUM_BY_EMOTION.items(), strict=True):
        for n in range(number):
            _write(made.pictures / emotion / f"{n:02d}.png", _draw(start + n))
    _write(made.pictures / "happy" / "copy.png", _draw(0))
    (made.pictures / "sad" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    for n in range(30):
        _write(made.groups / "depressed" / f"{n:02d}.png", _draw(300 + n, mean=70))
        _write(made.groups / "non_depressed" / f"{n:02d}.png", _draw(400 + n, mean=190))
    return made


@pytest.fixture(scope="module")
def first(workshop) -> subprocess.CompletedProcess:
    """The one training through the command line; its run is called "first"."""
    return workshop.call("train", "--data", "pictures", "--recipe", "compact", "--epochs", "2", "--batch-size", "16",
                         "--seed", "1", "--name", "first")  # fmt: skip


@pytest.fixture(scope="module")
def first_dir(first, workshop) -> Path:
    assert first.returncode == 0, first.stderr
    return workshop.models / "first"


@pytest.fixture(scope="module")
def classifier(first_dir):
    return load_classifier(first_dir)


@pytest.fixture(scope="module")
def parts(workshop) -> dict[str, set[str]]:
    """The fingerprints in each part of the split that the first run made."""
    with workshop.entered():
        dataset = load_dataset(str(workshop.pictures))
        scan = scan_dataset(dataset)
        part_of = split_dataset(dataset.samples, scan, "leak-free", seed=1)
    return {part: set(scan.fingerprints[part_of == part].tolist()) for part in ("train", "val", "test")}


def _read_rows(run_dir: Path, kind: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run_dir / run_folder.METRICS_FILE).read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


def _wait_until(is_so, *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


# The run folder of a finished training


def test_training_from_the_command_line_ends_with_its_scores_and_its_folder(first, workshop):
    assert first.returncode == 0
    val, test, folder = first.stdout.splitlines()
    assert val.startswith("val: 13 pictures, accuracy 0.")
    assert test.startswith("test: 14 pictures, accuracy 0.")
    assert folder == str(workshop.models / "first")
    assert "Traceback" not in first.stderr


def test_finished_run_has_its_files_and_no_others(first_dir):
    names = {path.name for path in first_dir.iterdir()}
    written = {run_folder.CONFIG_FILE, run_folder.STATUS_FILE, run_folder.METRICS_FILE, run_folder.HEARTBEAT_FILE}
    assert names == written | {MODEL_FILE, CARD_FILE, FINGERPRINTS_FILE, MODEL_CARD_FILE}
    run = run_folder.read_run(first_dir)
    assert (run.state, run.has_model, run.message) == ("finished", True, "")
    assert run.config == CONFIG


def test_run_files_name_the_data_by_name_and_hash_and_never_by_a_path(first_dir, workshop):
    for name in (run_folder.CONFIG_FILE, run_folder.STATUS_FILE, run_folder.METRICS_FILE, CARD_FILE):
        assert str(workshop.folder) not in (first_dir / name).read_text("utf-8")
    card = read_card(first_dir)
    assert card.data.name == "pictures"
    assert card.data.content_hash == load_dataset(str(workshop.pictures)).content_hash


def test_card_says_what_the_outputs_mean_and_how_it_was_trained(first_dir, parts):
    card = read_card(first_dir)
    assert card.class_names == ("happy", "neutral", "sad")
    assert card.positive_classes == ("neutral", "sad")
    assert (card.recipe, card.input_size_px, card.decision_threshold) == ("compact", 48, 0.5)
    assert (card.data.protocol, card.data.seed) == ("leak-free", 1)
    assert card.data.num_images == {part: len(parts[part]) for part in parts}
    assert {part: leak.num_similar for part, leak in card.data.leaks.items()} == {"val": 0, "test": 0}
    assert set(card.scores) == {"val", "test"}
    assert card.scores["test"].num_images == len(parts["test"])
    assert card.training.num_epochs == 2
    assert not card.training.was_stopped


def test_measurements_tell_the_whole_story(first_dir, parts):
    (start,) = _read_rows(first_dir, "start")
    num_train = len(parts["train"])
    assert (start["num_train"], start["num_val"]) == (num_train, len(parts["val"]))
    assert (start["num_epochs"], start["num_steps"], start["checkpoint_policy"]) == (2, -(-num_train // 16), "best")
    steps, epochs = _read_rows(first_dir, "step"), _read_rows(first_dir, "epoch")
    assert steps
    assert all(1 <= row["step"] <= start["num_steps"] and row["epoch"] in (1, 2) for row in steps)
    assert [row["epoch"] for row in epochs] == [1, 2]
    for row in epochs:
        assert row["loss"] > 0
        assert row["val_loss"] > 0
        assert 0 <= row["accuracy"] <= 1
        assert 0 < row["train_seconds"] <= row["seconds"]
    best = min(epochs, key=lambda row: row["val_loss"])
    assert read_card(first_dir).training.selected_epoch == best["epoch"]


def test_fingerprints_are_those_of_the_train_part_and_of_no_other(first_dir, parts):
    kept = (first_dir / FINGERPRINTS_FILE).read_text().splitlines()
    assert set(kept) == parts["train"]
    assert len(kept) == len(parts["train"])
    assert not set(kept) & (parts["val"] | parts["test"])
    drawn = {compute_fingerprint(_draw(start + n)) for start, number in ((0, 40), (100, 20), (200, 30))
             for n in range(number)}  # fmt: skip
    assert parts["train"] | parts["val"] | parts["test"] == drawn


def test_same_seed_gives_the_same_losses_in_another_process(first_dir, workshop):
    second_dir = workshop.train("second", workshop.pictures, CONFIG)
    for first_row, second_row in zip(_read_rows(first_dir, "epoch"), _read_rows(second_dir, "epoch"), strict=True):
        for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert second_row[key] == pytest.approx(first_row[key], abs=2e-5)
    first, second = (load_classifier(folder).graph.weights for folder in (first_dir, second_dir))
    for name in first:
        assert all(np.allclose(one, two, atol=1e-4) for one, two in zip(first[name], second[name], strict=True))


def test_two_folders_train_a_network_of_one_output_even_with_a_recipe_for_emotions(workshop):
    config = dataclasses.replace(CONFIG, num_epochs=1, batch_size=1024)  # one batch, larger than the data
    run_dir = workshop.train("two groups", workshop.groups, config)
    card = read_card(run_dir)
    assert (card.class_names, card.positive_classes) == (("depressed",), ("depressed",))
    assert _read_rows(run_dir, "start")[0]["num_steps"] == 1
    loaded = load_classifier(run_dir)
    assert loaded.graph.num_outputs == 1
    with workshop.entered():
        scores = evaluate_run(run_dir, load_dataset(str(workshop.pictures)), EvalSubset()).scores
    assert np.isnan(scores["emotion_accuracy"])


def test_dark_faces_called_depressed_are_answered_depressed(workshop):
    config = RunConfig("article", "groups", num_epochs=4, batch_size=16, learning_rate=1e-3)
    run_dir = workshop.train("dark", workshop.groups, config)
    card = read_card(run_dir)
    assert (card.recipe, card.class_names, card.training.selected_epoch) == ("article", ("depressed",), 4)
    assert card.scores["test"].roc_auc == 1.0
    loaded = load_classifier(run_dir)
    dark, bright = (
        predict_picture(loaded, workshop.groups / folder / "00.png", "x").faces[0].probability_depressed
        for folder in ("depressed", "non_depressed")
    )
    assert dark > bright


# Starting from another model


@pytest.fixture(scope="module")
def shipped_dir(first_dir, workshop) -> Path:
    """The first run once more under the name that the app's own model has."""
    return Path(shutil.copytree(first_dir, workshop.models / run_folder.SHIPPED_RUN))


@pytest.fixture(scope="module")
def quick_dir(shipped_dir, workshop) -> Path:
    return workshop.train("quick", workshop.pictures, dataclasses.replace(QUICK_CONFIG, num_epochs=6))


def test_quick_takes_the_shipped_stages_as_they_are_and_learns_the_rest(quick_dir, shipped_dir):
    quick, shipped = load_classifier(quick_dir).graph.weights, load_classifier(shipped_dir).graph.weights
    for name in shipped.keys() - {"probabilities"}:
        assert all(np.array_equal(one, other) for one, other in zip(shipped[name], quick[name], strict=True))
    losses = [row["loss"] for row in _read_rows(quick_dir, "epoch")]
    assert len(losses) == 6
    assert losses[-1] < losses[0]


def test_quick_measures_what_its_whole_network_then_answers(quick_dir, workshop):
    """The head alone is trained, on features; together with the stages it must be the same network."""
    card = read_card(quick_dir)
    with workshop.entered():
        dataset = load_dataset(str(workshop.pictures))
        scan = scan_dataset(dataset)
        is_val = split_dataset(dataset.samples, scan, "leak-free", seed=1) == "val"
        images = scan.thumbnails[is_val][..., np.newaxis]
    outputs = load_classifier(quick_dir).graph.compute(images)
    columns = [card.class_names.index(name) for name in card.positive_classes]
    is_depressed = (dataset.samples["label"][is_val] == "depressed").to_numpy()
    best = min(_read_rows(quick_dir, "epoch"), key=lambda row: row["val_loss"])
    accuracy = np.mean((outputs[:, columns].sum(axis=1) >= 0.5) == is_depressed)
    assert card.training.selected_epoch == best["epoch"]
    assert accuracy == pytest.approx(best["val_accuracy"], abs=1e-6)


def test_card_says_how_far_the_graph_that_predicts_is_from_the_network_that_was_trained(first_dir, quick_dir):
    assert 0 < read_card(first_dir).training.graph_difference < 1e-5
    assert read_card(quick_dir).training.graph_difference is None  # Keras had no part in it


def test_network_that_predicts_otherwise_than_it_was_trained_is_no_model(workshop, monkeypatch):
    monkeypatch.setattr(fit, "_MAX_GRAPH_DIFFERENCE", 0.0)
    run_dir = lifecycle.create_run(dataclasses.replace(CONFIG, num_epochs=1), "differs")
    assert main(["train", "--run", str(run_dir), "--data", str(workshop.pictures)]) == 1
    run = run_folder.read_run(run_dir)
    assert run.message.startswith("The trained network predicts otherwise in ONNX Runtime than in Keras")
    assert (run.state, run.has_model, run.can_resume) == ("failed", False, True)


def test_pictures_that_are_gone_after_the_last_epoch_cost_the_scores_and_not_the_model(
    shipped_dir, workshop, monkeypatch
):
    def load_images(*_):
        raise DataError("The pictures are gone.")

    monkeypatch.setattr(train, "load_images", load_images)
    with workshop.entered():
        run_dir = lifecycle.create_run(dataclasses.replace(QUICK_CONFIG, num_epochs=2), "unscored")
        assert main(["train", "--run", str(run_dir), "--data", str(workshop.pictures)]) == 1
    run = run_folder.read_run(run_dir)
    assert (run.state, run.has_model) == ("failed", True)
    assert run.message == "The model is kept, but it could not be scored: The pictures are gone."
    assert load_classifier(run_dir).graph.num_outputs == 3


def test_quick_says_how_many_pictures_the_shipped_model_has_seen(quick_dir, parts, first_dir):
    card = read_card(quick_dir)
    assert card.data.num_in_training_set == {"train": len(parts["train"]), "val": 0, "test": 0}  # the same split
    assert set((quick_dir / FINGERPRINTS_FILE).read_text().split()) == parts["train"]
    assert _read_rows(quick_dir, "start")[0]["num_val_in_pretraining"] == 0


def test_quick_counts_shipped_pictures_among_those_it_has_seen(shipped_dir, workshop, parts):
    config = dataclasses.replace(QUICK_CONFIG, num_epochs=1, seed=8)  # another split of the same pictures
    run_dir = workshop.train("quick again", workshop.pictures, config)
    seen = read_card(run_dir).data.num_in_training_set
    assert sum(seen.values()) == len(parts["train"])
    assert seen["test"] > 0
    assert set((run_dir / FINGERPRINTS_FILE).read_text().split()) > parts["train"]


def test_quick_works_with_two_folders(shipped_dir, workshop):
    run_dir = workshop.train("quick groups", workshop.groups, dataclasses.replace(QUICK_CONFIG))
    card = read_card(run_dir)
    assert card.class_names == ("depressed",)
    assert card.data.num_in_training_set == {"train": 0, "val": 0, "test": 0}


def test_quick_without_the_shipped_model_is_a_sentence(workshop, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEDEP_MODELS_DIR", str(tmp_path))
    run_dir = lifecycle.create_run(dataclasses.replace(QUICK_CONFIG), "alone")
    assert main(["train", "--run", str(run_dir), "--data", str(workshop.pictures)]) == 1
    assert run_folder.read_run(run_dir).message.startswith(f"The model '{run_folder.SHIPPED_RUN}' does not exist.")


def test_teacher_makes_half_of_each_label(first_dir, workshop):
    teacher = load_classifier(first_dir)
    images = np.random.default_rng(0).integers(0, 256, (8, 48, 48, 1), dtype=np.uint8)
    targets = np.eye(3, dtype=np.float32)[np.arange(8) % 3]
    part = ArrayDataset(images, targets, targets[:, 0] == 0)
    class_spec = ClassSpec(["happy", "neutral", "sad"], ["neutral", "sad"])
    taught = training_prepare.mix_in_predictions(part, teacher, class_spec)
    straight, mirrored = (teacher.graph.compute(array) for array in (images, images[:, :, ::-1]))
    assert taught.targets == pytest.approx((targets + (straight + mirrored) / 2) / 2, abs=1e-6)
    with pytest.raises(RunError, match=r"cannot teach this one: it predicts happy, neutral, sad\. Choose one"):
        training_prepare.mix_in_predictions(part, teacher, ClassSpec(["depressed"], ["depressed"]))


def test_teacher_makes_half_of_each_label_of_two_groups_too():
    class_spec = ClassSpec(["depressed"], ["depressed"])
    graph = build_graph(ARTICLE, 1, list_weights(build_network(ARTICLE, 1)))
    teacher = Classifier("teacher", graph, Card("article", ("depressed",), ("depressed",), 128), frozenset())
    images = np.random.default_rng(0).integers(0, 256, (8, 128, 128, 1), dtype=np.uint8)
    is_depressed = np.arange(8) % 2 == 0
    train = ArrayDataset(images, is_depressed[:, np.newaxis].astype(np.float32), is_depressed)
    taught = training_prepare.mix_in_predictions(train, teacher, class_spec)
    outputs = graph.compute(images, uses_flip_tta=True)
    assert taught.targets == pytest.approx((train.targets + outputs) / 2, abs=1e-5)


def test_labels_of_a_class_that_is_rare_stay_whole(first_dir):
    teacher = load_classifier(first_dir)
    labels = np.array([0] * 120 + [1] * 120 + [2])
    images = np.random.default_rng(0).integers(0, 256, (241, 48, 48, 1), dtype=np.uint8)
    train = ArrayDataset(images, np.eye(3, dtype=np.float32)[labels], labels > 0)
    class_spec = ClassSpec(["happy", "neutral", "sad"], ["neutral", "sad"])
    taught = training_prepare.mix_in_predictions(train, teacher, class_spec)
    assert taught.targets[-1].tolist() == [0, 0, 1]
    assert (taught.targets[:-1].max(axis=1) < 1).all()


@pytest.mark.parametrize(("recipe", "folder"), [("article", "pictures"), ("compact", "groups")])
def test_logit_adjustment_without_emotions_to_learn_is_refused_before_the_scan(workshop, recipe, folder):
    config = dataclasses.replace(CONFIG, recipe=recipe, logit_adjustment=0.5)
    with pytest.raises(RunError, match="needs a network that learns emotions"):
        check_run(config, load_dataset(str(workshop.folder / folder)))


def test_drawn_faces_are_trained_on_beside_the_pictures_and_the_scores_are_of_the_pictures_alone(first_dir, workshop):
    config = dataclasses.replace(CONFIG, num_epochs=1, num_drawn_faces=10, augmentation="camera", logit_adjustment=0.7)
    run_dir = workshop.train("drawn", workshop.pictures, config)
    card, first = read_card(run_dir), read_card(first_dir)
    assert {name: scores.num_images for name, scores in card.scores.items()} == {
        name: scores.num_images for name, scores in first.scores.items()
    }
    (start,), (first_start,) = (_read_rows(path, "start") for path in (run_dir, first_dir))
    assert start["num_train"] == first_start["num_train"] + 3 * 10  # three emotions
    assert start["num_val"] == first_start["num_val"] + 3 * 2
    known = [set((path / "trained_on.txt").read_text().split()) for path in (run_dir, first_dir)]
    assert len(known[0] - known[1]) == 30
    assert (card.data.num_drawn_faces, first.data.num_drawn_faces) == (30, None)
    assert "Also trained on 30 faces drawn by code" in (run_dir / MODEL_CARD_FILE).read_text("utf-8")
    assert "--augmentation camera --logit-adjustment 0.7 --drawn-faces 10 --seed 1" in card.command


def test_run_with_a_teacher_says_so_in_its_card_and_command(first_dir, workshop):
    run_dir = workshop.train("taught", workshop.pictures, dataclasses.replace(CONFIG, num_epochs=1, teacher="first"))
    card = read_card(run_dir)
    assert card.training.teacher == "first"
    assert card.command == (
        "python -m facedep train --data pictures --recipe compact --protocol leak-free --epochs 1 --batch-size 16 "
        "--seed 1 --teacher first --name taught"
    )


def test_final_fit_learns_from_train_and_val_for_as_many_epochs_as_were_kept(first_dir, workshop, parts):
    with workshop.entered():
        assert main(["train", "--data", str(workshop.pictures), "--refit", "first", "--name", "final"]) == 0
    run_dir, before = workshop.models / "final", read_card(first_dir)
    card = read_card(run_dir)
    assert set((run_dir / FINGERPRINTS_FILE).read_text().split()) == parts["train"] | parts["val"]
    assert card.data.num_images == {
        "train": len(parts["train"] | parts["val"]), "val": 0, "test": len(parts["test"])}  # fmt: skip
    assert card.training.num_epochs == card.training.selected_epoch == before.training.selected_epoch
    assert card.training.refit_of == card.calibration.run == "first"
    assert card.calibration.temperature == before.calibration.temperature
    assert set(card.scores) == {"test"}
    assert card.command == "python -m facedep train --data pictures --refit first --name final"
    assert card.earlier_commands == (before.command,)
    assert judge_learning(read_progress(run_dir))[0] in (UNJUDGED, TOO_EARLY)


def test_final_fit_on_other_pictures_is_refused(first_dir, workshop, capsys):
    with workshop.entered():
        command = ["train", "--data", str(workshop.groups), "--refit", "first", "--name", "final elsewhere"]
        assert main(command) == 1
    assert "was trained on other pictures" in capsys.readouterr().err


# Calibration


def test_calibrated_run_answers_as_its_card_says(workshop, monkeypatch):
    monkeypatch.setattr(calibration, "MIN_IMAGES", 5)
    run_dir = workshop.train("calibrated", workshop.groups, dataclasses.replace(CONFIG, num_epochs=8))
    card = read_card(run_dir)
    found = card.calibration
    assert (found.chosen_on, found.run, found.num_images) == ("val", "", card.data.num_images["val"])
    assert found.temperature != 1.0
    loaded = load_classifier(run_dir)
    images = np.random.default_rng(0).integers(0, 256, (6, 48, 48, 1), dtype=np.uint8)
    outputs = (loaded.graph.compute(images) + loaded.graph.compute(images[:, :, ::-1])) / 2
    logits = np.log(outputs[:, 0] / (1 - outputs[:, 0])) / found.temperature
    assert loaded.predict(images).probabilities == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-5)


def test_too_few_validation_pictures_calibrate_nothing(first_dir):
    found = read_card(first_dir).calibration
    assert (found.temperature, found.abstention_band, found.num_images) == (1.0, None, 13)


def test_article_is_neither_calibrated_nor_mirrored(workshop):
    config = dataclasses.replace(CONFIG, recipe="article", num_epochs=1)
    card = read_card(workshop.train("plain article", workshop.pictures, config))
    assert card.calibration is None
    assert card.uses_flip_tta is False


def test_model_card_is_written_for_reading(first_dir):
    text = (first_dir / MODEL_CARD_FILE).read_text("utf-8")
    assert text.startswith("# Model card: first\n")
    assert read_card(first_dir).command in text


def test_recorded_evaluation_joins_the_card_once(first_dir, workshop):
    command = ["evaluate", "--model", "first", "--data", str(workshop.groups), "--subset", "all", "--record"]
    with workshop.entered():
        assert main(command) == main(command) == 0
    (evaluation,) = read_card(first_dir).evaluations
    assert (evaluation.data, evaluation.subset, evaluation.scores.num_images) == ("groups", "all", 60)
    assert "groups" in (first_dir / MODEL_CARD_FILE).read_text("utf-8")


# Evaluate


@pytest.fixture(scope="module")
def evaluated(first_dir, workshop) -> subprocess.CompletedProcess:
    return workshop.call("evaluate", "--model", "first", "--data", "pictures", "--json")


def test_evaluate_prints_one_json_object_and_nothing_else(evaluated, first_dir):
    assert evaluated.returncode == 0
    scores = json.loads(evaluated.stdout)
    required = {"num_images", "accuracy", "balanced_accuracy", "roc_auc", "ece", "emotion_accuracy",
                "num_in_training_set"}  # fmt: skip
    assert required <= set(scores)
    assert (scores["model"], scores["data"], scores["protocol"], scores["subset"]) == (
        "first", "pictures", "leak-free", "test")  # fmt: skip
    assert scores["num_in_training_set"] == 0
    assert scores["num_unreadable"] == 1
    assert 0 <= scores["emotion_accuracy"] <= 1
    assert set(scores["emotion_recall"]) == {"happy", "neutral", "sad"}
    assert "Traceback" not in evaluated.stderr


def test_evaluate_gives_the_scores_on_the_card_again(evaluated, first_dir):
    on_card = _flatten(read_card(first_dir).scores["test"])
    assert len(on_card) > 20
    assert _flatten(Scores.from_json(json.loads(evaluated.stdout))) == pytest.approx(on_card, abs=1e-6, nan_ok=True)


def _flatten(scores: Scores) -> list[float]:
    """Returns the numbers in scores, in order, without those that are only known of an evaluation."""

    def list_numbers(value: Any) -> list[float]:
        if isinstance(value, dict | list | tuple):
            items = value.values() if isinstance(value, dict) else value
            return [number for item in items for number in list_numbers(item)]
        return [] if value is None or isinstance(value, str) else [float(value)]

    return list_numbers(dataclasses.asdict(dataclasses.replace(scores, extra={})))


def test_every_training_picture_counts_as_seen(first_dir, workshop, parts):
    with workshop.entered():
        scores = evaluate_run(first_dir, load_dataset(str(workshop.pictures)), EvalSubset(subset="train")).scores
    assert scores["num_in_training_set"] == scores["num_images"] == len(parts["train"])


def test_part_all_takes_every_readable_picture_once(first_dir, workshop, parts):
    with workshop.entered():
        scores = evaluate_run(first_dir, load_dataset(str(workshop.pictures)), EvalSubset(subset="all")).scores
    assert scores["num_images"] == 90  # of 92 files one is a copy and one is damaged
    assert scores["num_in_training_set"] == len(parts["train"])


def test_undefined_scores_are_null_in_json(first_dir, workshop, tmp_path, capsys):
    for n in range(12):
        _write(tmp_path / "faces" / "Happy" / f"{n}.png", _draw(900 + n))
    with workshop.entered():
        status = main(
            ["evaluate", "--model", str(first_dir), "--data", str(tmp_path / "faces"), "--subset", "all", "--json"]
        )
    output = capsys.readouterr().out
    assert status == 0
    assert "NaN" not in output
    scores = json.loads(output)
    assert (scores["num_images"], scores["roc_auc"], scores["balanced_accuracy"]) == (12, None, None)
    assert 0 <= scores["accuracy"] <= 1


def test_test_part_of_the_published_split_is_refused_in_a_sentence(first_dir, workshop, capsys):
    with workshop.entered():
        status = main(
            ["evaluate", "--model", "first", "--data", str(workshop.pictures), "--protocol", "published", "--json"]
        )
    output = capsys.readouterr()
    assert (status, output.out) == (1, "")
    assert "The published split has no test part." in output.err


def test_split_that_the_folders_do_not_have_is_refused_in_a_sentence(first_dir, workshop):
    with workshop.entered(), pytest.raises(DataError, match="no supplied split"):
        evaluate_run(first_dir, load_dataset(str(workshop.pictures)), EvalSubset("supplied"))


def test_evaluate_in_the_background_says_how_far_it_is_and_leaves_out_what_was_seen(first_dir, workshop, parts, capsys):
    progress_path = workshop.folder / "evaluate.json"
    words = ["evaluate", "--model", "first", "--data", str(workshop.pictures), "--subset", "all"]
    with workshop.entered():
        assert (
            main([*words, "--exclude-training-images", "--progress", str(progress_path), "--folder-choices", "{}"]) == 0
        )
    num_seen = len(parts["train"])
    output = capsys.readouterr()
    assert f"{90 - num_seen} pictures, accuracy" in output.out
    assert f"{num_seen} pictures that it was trained on" in output.out
    assert json.loads(progress_path.read_text())["state"] == "finished"
    with workshop.entered():
        assert main([*words, "--exclude-training-images", "--record", "--progress", str(progress_path)]) == 1
        assert main(["evaluate", "--model", "none", "--progress", str(progress_path)]) == 1
    assert "Give --record or --exclude-training-images, not both." in capsys.readouterr().err
    job = json.loads(progress_path.read_text())
    assert (job["state"], job["message"][:27]) == ("failed", "There is no model 'none'. K")


def test_recorded_scores_are_at_the_cards_own_threshold(first_dir, workshop, tmp_path, capsys):
    run_dir = shutil.copytree(first_dir, tmp_path / "copy")
    write_threshold(run_dir, 0.0)
    words = ["evaluate", "--model", str(run_dir), "--data", str(workshop.pictures), "--json"]
    with workshop.entered():
        assert main(words) == main([*words, "--record"]) == 0
    recorded = read_card(run_dir).evaluations[-1]
    assert recorded.decision_threshold == 0.5
    assert recorded.scores.accuracy == read_card(run_dir).scores["test"].accuracy


def test_answers_kept_beside_the_card_are_scored_without_the_model(first_dir, workshop, tmp_path, capsys):
    run_dir = shutil.copytree(first_dir, tmp_path / "models" / "copy")
    words = ["evaluate", "--model", str(run_dir), "--data", str(workshop.pictures), "--json"]
    with workshop.entered():
        assert main([*words, "--save-predictions"]) == 0
        output = capsys.readouterr()
        assert output.err.endswith(f"facedep: {run_dir / 'predictions.npz'}\n")
        (run_dir / MODEL_FILE).unlink()
        assert main(words) == 0
        assert capsys.readouterr().out == output.out
        assert main(["evaluate", "--model", str(run_dir), "--data", str(workshop.groups)]) == 1
        assert "only its predictions for other pictures than groups" in capsys.readouterr().err
        assert main(["embed", "--model", str(run_dir), "--data", str(workshop.pictures)]) == 1
        assert "only its scores are here" in capsys.readouterr().err


# Predict


@pytest.fixture(scope="module")
def predicted(first_dir, workshop) -> tuple[list[str], subprocess.CompletedProcess]:
    _write(workshop.folder / "wide.png", np.random.default_rng(5).integers(0, 256, (40, 100), dtype=np.uint8))
    (workshop.folder / "empty.jpg").touch()
    (workshop.folder / "grüße.txt").write_text("no picture")
    (workshop.folder / "nothing").mkdir()
    files = ["./wide.png", "no such file.png", "empty.jpg", "pictures//sad/00.png", "grüße.txt", "nothing", "wide.png"]
    if sys.platform == "linux":
        files.append(os.fsdecode(b"not utf-8 \xff.png"))
    return files, workshop.call("predict", "--model", "first", "--json", *files)


def test_predict_prints_one_object_a_picture_in_the_order_given(predicted):
    files, process = predicted
    answers = json.loads(process.stdout)
    assert [answer["path"] for answer in answers] == files
    assert all(set(answer) == {"path", "error", "note", "faces"} for answer in answers)


def test_one_bad_file_never_stops_the_rest_and_the_exit_status_says_so(predicted):
    files, process = predicted
    answers = dict(zip(files, json.loads(process.stdout), strict=True))
    assert process.returncode == 1
    good = {"./wide.png", "pictures//sad/00.png", "wide.png"}
    for file, answer in answers.items():
        assert (answer["error"] is None) == (file in good)
        assert len(answer["faces"]) == (1 if file == "pictures//sad/00.png" else 0)  # the wide one shows no face
    assert answers["no such file.png"]["error"] == "no such file.png: there is no such file. Check the path."
    assert answers["empty.jpg"]["error"].startswith("empty.jpg is empty (0 bytes).")
    assert answers["nothing"]["error"].startswith("nothing holds no pictures.")
    assert "not a picture" in answers["grüße.txt"]["error"]
    assert "Traceback" not in process.stderr


def test_face_in_json_keeps_the_contract(predicted):
    files, process = predicted
    answers = dict(zip(files, json.loads(process.stdout), strict=True))
    (face,) = answers["pictures//sad/00.png"]["faces"]
    assert set(face) == {"probability_depressed", "label", "uncertain", "box", "emotions", "caution"}
    assert face["caution"] is None
    assert face["uncertain"] is False  # 13 validation pictures calibrate nothing
    assert face["box"] is None
    assert set(face["emotions"]) == {"happy", "neutral", "sad"}
    assert sum(face["emotions"].values()) == pytest.approx(1, abs=1e-5)
    total = face["emotions"]["neutral"] + face["emotions"]["sad"]
    assert face["probability_depressed"] == pytest.approx(total, abs=1e-6)
    assert face["label"] == ("depressed" if total >= 0.5 else "non_depressed")
    assert "answered as a whole" in answers["pictures//sad/00.png"]["note"]
    assert "No face was found" in answers["wide.png"]["note"]


def test_predict_without_a_bad_file_has_status_0_and_words_without_json(first_dir, workshop, capsys):
    with workshop.entered():
        status = main(["predict", "--model", "first", str(workshop.folder / "pictures" / "sad" / "00.png")])
    output = capsys.readouterr()
    assert status == 0
    assert "00.png: " in output.out
    assert "depressed, P(depressed) = 0." in output.out
    assert "Not a diagnosis" in output.err


def test_predict_is_the_same_through_the_command_line_and_the_function(predicted, classifier, workshop):
    files, process = predicted
    answers = dict(zip(files, json.loads(process.stdout), strict=True))
    content = (workshop.pictures / "sad" / "00.png").read_bytes()  # as a page hands it over
    answer = predict_picture(classifier, content, "pictures//sad/00.png").to_json()
    expected = answers["pictures//sad/00.png"]
    assert answer["faces"][0].pop("emotions") == pytest.approx(expected["faces"][0].pop("emotions"), abs=1e-5)
    assert answer["faces"][0].pop("probability_depressed") == pytest.approx(
        expected["faces"][0].pop("probability_depressed"), abs=1e-5
    )
    assert answer == expected


# Stop, crash, and data that cannot be used


@pytest.mark.slow
def test_stop_ends_the_run_and_keeps_the_model(workshop):
    with workshop.entered():
        run_dir = lifecycle.create_run(dataclasses.replace(CONFIG, recipe="article", num_epochs=1000), "stopped")
        lifecycle.start_worker(run_dir, str(workshop.pictures))
        _wait_until(lambda: (run_dir / run_folder.METRICS_FILE).exists() and _read_rows(run_dir, "epoch"))
        assert run_folder.find_active_run().name == "stopped"
        with pytest.raises(RunError, match="'stopped' is still running"):
            lifecycle.create_run(CONFIG, "second while one runs")
        lifecycle.stop_run(run_folder.read_run(run_dir))
        assert run_folder.read_run(run_dir).state in ("stopping", "stopped")
        _wait_until(lambda: not run_folder.read_run(run_dir).is_active)
    run = run_folder.read_run(run_dir)
    assert (run.state, run.has_model) == ("stopped", True)
    num_epochs = len(_read_rows(run_dir, "epoch"))
    assert 1 <= num_epochs < 1000
    assert (run.card.training.was_stopped, run.card.training.num_epochs) == (True, num_epochs)
    face = predict_picture(load_classifier(run_dir), workshop.pictures / "sad" / "00.png", "x").faces[0]
    assert 0 < face.probability_depressed < 1
    assert "Traceback" not in run_folder.read_log_tail(run, 1000)


@pytest.mark.slow
def test_ctrl_c_on_the_command_line_keeps_what_was_learned(workshop):
    command = [sys.executable, "-m", "facedep", "train", "--data", "pictures", "--recipe", "article", "--epochs",
               "1000", "--protocol", "published", "--name", "interrupted"]  # fmt: skip
    process = subprocess.Popen(
        command,
        cwd=workshop.folder,
        env={**os.environ, **workshop.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run_dir = workshop.models / "interrupted"
    _wait_until(lambda: (run_dir / run_folder.METRICS_FILE).exists() and _read_rows(run_dir, "epoch"))
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Press Ctrl-C again to end at once." in errors
    assert output.splitlines()[-1] == str(run_dir)
    assert "Traceback" not in errors
    run = run_folder.read_run(run_dir)
    assert (run.state, run.has_model, run.card.data.protocol) == ("stopped", True, "published")
    assert set(run.card.scores) == {"val"}
    assert load_classifier(run_dir).class_names == ["depressed"]


@pytest.mark.slow
def test_worker_that_crashes_leaves_a_sentence_and_a_traceback_in_the_log(workshop):
    with workshop.entered():
        run_dir = lifecycle.create_run(dataclasses.replace(CONFIG, recipe="article", num_epochs=1), "crashed")
        (run_dir / FINGERPRINTS_FILE).mkdir()  # so that the file of this name cannot be written
        lifecycle.start_worker(run_dir, str(workshop.pictures))
        _wait_until(lambda: not run_folder.read_run(run_dir).is_active)
    run = run_folder.read_run(run_dir)
    assert (run.state, run.has_model) == ("failed", False)
    assert run.message.startswith("The training broke off: IsADirectoryError: ")
    assert run.message.endswith(" The log says more.")
    assert "Traceback (most recent call last):" in run_folder.read_log_tail(run, 1000)
    with workshop.entered():
        assert run_folder.find_active_run() is None


@pytest.mark.parametrize(
    ("folders", "sentence"),
    [
        ({}, "holds no pictures"),
        ({"holiday": 3}, "names no known class"),
        ({"happy": 3, "surprise": 3}, "has no depressed pictures (found: happy, surprise)"),
        ({"sad": 3}, "has no non-depressed pictures (found: sad)"),
    ],
)
def test_data_that_cannot_be_trained_on_give_a_sentence_and_no_run(folders, sentence, workshop, tmp_path, capsys):
    (tmp_path / "faces").mkdir()
    for folder, number in folders.items():
        for n in range(number):
            _write(tmp_path / "faces" / folder / f"{n}.png", _draw(n))
    before = sorted(workshop.models.iterdir())
    with workshop.entered():
        assert main(["train", "--data", str(tmp_path / "faces")]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert sentence in output.err
    assert output.err.startswith("facedep: ")
    assert "Traceback" not in output.err
    assert sorted(workshop.models.iterdir()) == before


def test_too_few_pictures_end_the_run_as_failed_with_a_sentence(workshop, tmp_path, capsys):
    for folder in ("happy", "sad"):
        _write(tmp_path / "faces" / folder / "0.png", _draw(len(folder)))
    with workshop.entered():
        run_dir = lifecycle.create_run(CONFIG, "too few")
        status = main(["train", "--run", str(run_dir), "--data", str(tmp_path / "faces")])
    run = run_folder.read_run(run_dir)
    assert (status, run.state) == (1, "failed")
    assert run.message.startswith("Too few pictures for this split: its val part has no")
    output = capsys.readouterr()
    assert run.message in output.err
    assert "Traceback" not in output.err


def test_split_that_the_folders_do_not_have_ends_the_run_before_any_picture_is_opened(workshop, monkeypatch):
    monkeypatch.setattr(training_prepare, "scan_dataset", None)
    with workshop.entered():
        run_dir = lifecycle.create_run(dataclasses.replace(CONFIG, protocol="supplied"), "no folders")
        assert main(["train", "--run", str(run_dir), "--data", str(workshop.pictures)]) == 1
    assert "so it has no supplied split" in run_folder.read_run(run_dir).message


def test_stop_before_the_first_step_ends_the_run_without_a_model(workshop, capsys):
    with workshop.entered():
        run_dir = lifecycle.create_run(CONFIG, "too early")
        lifecycle.stop_run(run_folder.read_run(run_dir))
        status = main(["train", "--run", str(run_dir), "--data", str(workshop.pictures)])
    run = run_folder.read_run(run_dir)
    assert (status, run.state, run.has_model) == (0, "stopped", False)
    assert run.message == "Stopped before anything was learned."
    assert _read_rows(run_dir, "start") == []


def test_training_that_diverges_ends_with_a_sentence_and_no_model(workshop):
    config = dataclasses.replace(CONFIG, recipe="article", num_epochs=20, learning_rate=1e30)
    with pytest.raises(RunError, match=r"With the learning rate 1e\+30 the loss is no longer a number"):
        workshop.train("diverged", workshop.groups, config)
    run_dir = workshop.models / "diverged"
    assert not (run_dir / MODEL_FILE).exists()
    assert len(_read_rows(run_dir, "epoch")) < 20


# Inside the training


def test_recipe_for_emotions_learns_groups_where_a_training_picture_names_no_emotion(workshop):
    samples = load_dataset(str(workshop.pictures)).samples
    assert training_prepare.find_class_names(samples, COMPACT) == ["happy", "neutral", "sad"]
    assert training_prepare.find_class_names(samples, ARTICLE) == ["depressed"]
    assert training_prepare.find_class_names(samples[samples["emotion"] == "sad"], COMPACT) == ["depressed"]
    mixed = samples.copy()
    mixed.loc[3, "emotion"] = ""
    assert training_prepare.find_class_names(mixed, COMPACT) == ["depressed"]


def test_augmented_pictures_keep_shape_and_type_are_seeded_and_differ():
    images = np.random.default_rng(0).integers(0, 256, (20, 48, 48, 1), dtype=np.uint8)
    before = images.copy()
    changed = augment_images(images, np.random.default_rng(7))
    assert (changed.shape, changed.dtype) == ((20, 48, 48, 1), np.uint8)
    assert np.array_equal(images, before)
    assert np.array_equal(changed, augment_images(images, np.random.default_rng(7)))
    assert not np.array_equal(changed, augment_images(images, np.random.default_rng(8)))
    assert all(not np.array_equal(one, other) for one, other in zip(images, changed, strict=True))


def test_augmented_pictures_are_still_the_same_faces():
    ramp = np.tile(np.linspace(40, 200, 48).astype(np.uint8), (48, 1)).T[np.newaxis, :, :, np.newaxis]
    changed = augment_images(np.repeat(ramp, 200, axis=0), np.random.default_rng(0))[..., 0].astype(float)
    upper, lower = changed[:, :16].mean(axis=(1, 2)), changed[:, -16:].mean(axis=(1, 2))
    assert (lower > upper).mean() > 0.95  # never upside down, at most partly covered
    assert 60 < np.median(changed) < 180


def test_faulty_pictures_are_left_out_of_every_part_and_the_card_says_how_many(workshop, tmp_path):
    folder = tmp_path / "faulty"
    shutil.copytree(workshop.pictures, folder)
    first = sorted((folder).rglob("*.png"))[:3]
    for place, path in enumerate(first):
        Image.fromarray(np.full((48, 48), 10 * place, np.uint8)).save(path)
    dataset = load_dataset(str(folder))
    scan = scan_dataset(dataset)
    config = dataclasses.replace(CONFIG, drop_issues=("blank",))
    cleaned, left_out = clean_scan(dataset, scan, config.drop_issues, config.issue_limits)
    assert left_out == {"all": 3, "blank": 3}
    split = split_dataset(dataset.samples, cleaned, config.protocol, seed=config.seed)
    blank = {str(path.relative_to(folder)) for path in first}
    assert not blank & set(dataset.samples["path"][split != ""])
    assert (split != "").sum() == scan.is_readable.sum() - 3
    assert scan.is_readable[[p in blank for p in dataset.samples["path"]]].all()  # the kept scan is unchanged
    config = dataclasses.replace(config, num_epochs=1, issue_limits={"min_entropy": 4.7})
    card = read_card(workshop.train("cleaned", folder, config))
    assert card.data.dropped_issues == left_out
    assert card.data.issue_limits["min_entropy"] == 4.7
    own = split_like_training(workshop.models / "cleaned", dataset, scan, config.protocol)
    np.testing.assert_array_equal(own, split)
    with workshop.entered():
        scores = evaluate_run(workshop.models / "cleaned", dataset, EvalSubset()).scores
    on_card = _flatten(card.scores["test"])
    assert _flatten(Scores.from_json(scores)) == pytest.approx(on_card, abs=1e-6, nan_ok=True)
