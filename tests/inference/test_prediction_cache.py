"""What a model answers to every picture: as `Classifier.predict` does, kept for as long as nothing changes."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import keras_networks
import numpy as np
import pytest
import small_networks

from facedep.cli.main import main
from facedep.data.array_files import read_arrays, write_arrays
from facedep.data.dataset_spec import DatasetSpec
from facedep.data.scan import load_images, scan_dataset
from facedep.data.sources import SAMPLE, Dataset, load_dataset
from facedep.errors import DataError, ModelError
from facedep.inference import dataset_predictions as answering
from facedep.inference.dataset_predictions import compute_predictions
from facedep.inference.embedding_map import compute_map, find_map_path, read_map
from facedep.inference.prediction_cache import (
    find_in_training_set,
    find_predictions_key,
    find_predictions_path,
    has_predictions,
    read_predictions,
    save_predictions_beside,
)
from facedep.networks.card import CARD_FILE, FINGERPRINTS_FILE, MODEL_FILE, PREDICTIONS_FILE
from facedep.networks.classifier import load_classifier
from facedep.networks.graph import Graph
from facedep.networks.recipes import ARTICLE, COMPACT, QUICK, Recipe
from facedep.paths import PROJECT_DIR, cache_dir
from facedep.runs.jobs import read_job
from facedep.runs.run_folder import SHIPPED_RUN
from facedep.training.architecture import build_network, save_network

EMOTIONS = ["angry", "happy", "neutral", "sad"]
DEPRESSED = ["depressed"]
PATHS = ["Happy/1.png", "Happy/2.png", "Happy/copy.png", "Sad/3.png", "Sad/damaged.png", "Sad/4.png", "Sad/5.png"]


def _save_model(run_dir: Path, recipe: Recipe, class_names: list[str], **card) -> Path:
    """Writes a run folder with a network whose answers differ from picture to picture."""
    keras.utils.set_random_seed(3)
    network = build_network(recipe, len(class_names))
    head = network.layers[-1]
    head.set_weights([np.random.default_rng(0).normal(size=head.kernel.shape), np.zeros(len(class_names))])
    run_dir.mkdir(parents=True)
    save_network(network, recipe, run_dir / MODEL_FILE)
    positive = [name for name in class_names if name in ("neutral", "sad", "depressed")]
    names = {"recipe": recipe.name, "class_names": class_names, "positive_classes": positive}
    (run_dir / CARD_FILE).write_text(json.dumps({**names, **card}), "utf-8")
    return run_dir


def _change_card(run_dir: Path, **values) -> None:
    path = run_dir / CARD_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}), "utf-8")


@pytest.fixture(scope="module")
def compact_dir(tmp_path_factory) -> Path:
    calibration = {"temperature": 0.7, "uncertain": {"low": 0.4, "high": 0.6, "target_error": 0.1}}
    folder = tmp_path_factory.mktemp("models") / "small"
    with pytest.MonkeyPatch.context() as patch:
        small_networks.shrink_networks(patch)
        return _save_model(folder, COMPACT, EMOTIONS, uses_flip_tta=True, calibration=calibration)


@pytest.fixture
def run_dir(compact_dir, tmp_path, monkeypatch) -> Path:
    """A run folder that may be changed."""
    small_networks.shrink_networks(monkeypatch)
    return shutil.copytree(compact_dir, tmp_path / "small")


@pytest.fixture
def dataset(write_pictures) -> Dataset:
    """Seven pictures; two are the same and one is damaged."""
    folder = write_pictures(PATHS)
    shutil.copy(folder / "Happy" / "1.png", folder / "Happy" / "copy.png")
    (folder / "Sad" / "damaged.png").write_bytes(b"no picture")
    return load_dataset(str(folder))


def _expect(run_dir: Path, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns P(depressed) and the outputs of every readable picture, as the model says them."""
    classifier, scan = load_classifier(run_dir), scan_dataset(dataset)
    predictions = classifier.predict(load_images(dataset, scan, scan.is_readable, classifier.input_size_px))
    if predictions.emotions is None:
        return predictions.probabilities, predictions.probabilities[:, np.newaxis]
    return predictions.probabilities, np.array([list(answer.values()) for answer in predictions.emotions])


# What is answered


@pytest.mark.parametrize("batch_size", [2, 256])
@pytest.mark.parametrize(
    ("recipe", "class_names", "num_features", "uses_flip_tta"),
    [(COMPACT, EMOTIONS, 128, True), (QUICK, EMOTIONS, 1152, False), (ARTICLE, DEPRESSED, 128, False)],
    ids=["compact", "quick", "article"],
)
def test_answers_are_those_of_the_classifier(
    recipe, class_names, num_features, uses_flip_tta, batch_size, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(Graph, "batch_size", batch_size)
    calibration = {"temperature": 0.7}
    folder = tmp_path / "model"
    run_dir = _save_model(folder, recipe, class_names, uses_flip_tta=uses_flip_tta, calibration=calibration)
    found = compute_predictions(run_dir, dataset)
    probabilities, outputs = _expect(run_dir, dataset)
    is_predicted = [not path.endswith("damaged.png") for path in dataset.samples["path"]]
    assert found.is_predicted.tolist() == is_predicted
    assert (found.outputs.shape, found.outputs.dtype) == ((7, len(class_names)), np.float32)
    np.testing.assert_allclose(found.outputs[is_predicted], outputs, atol=1e-5)
    np.testing.assert_allclose(found.probabilities[is_predicted], probabilities, atol=1e-5)
    assert (found.features.shape, found.features.dtype) == ((7, num_features), np.float16)
    for values in (found.outputs, found.features, found.probabilities):
        assert np.isnan(values[6]).all()
        np.testing.assert_array_equal(values[0], values[2])
    assert len(np.unique(found.outputs[is_predicted], axis=0)) == 5


def test_features_are_what_the_last_layer_decides_on(run_dir, dataset):
    _change_card(run_dir, uses_flip_tta=False, calibration={})
    found = compute_predictions(run_dir, dataset)
    kernel, bias = load_classifier(run_dir).graph.weights["probabilities"]
    logits = found.features[found.is_predicted].astype(np.float64) @ kernel + bias
    powers = np.exp(logits)
    np.testing.assert_allclose(found.outputs[found.is_predicted], powers / powers.sum(axis=1, keepdims=True), atol=1e-2)


def test_the_shipped_model_answers_drawn_faces_as_its_classifier_does():
    sample = load_dataset(SAMPLE)
    few = replace(sample, samples=sample.samples[::300].reset_index(drop=True))
    run_dir = PROJECT_DIR / "models" / SHIPPED_RUN
    found = compute_predictions(run_dir, few)
    probabilities, outputs = _expect(run_dir, few)
    np.testing.assert_allclose(found.outputs, outputs, atol=1e-5)
    np.testing.assert_allclose(found.probabilities, probabilities, atol=1e-5)
    assert found.features.shape == (len(few.samples), 128)


def test_progress_is_told_after_each_batch_of_different_pictures(run_dir, dataset, monkeypatch):
    monkeypatch.setattr(Graph, "batch_size", 2)
    told = []
    compute_predictions(run_dir, dataset, on_progress=lambda *step: told.append(step))
    assert told == [(2, 5), (4, 5), (5, 5)]


def _rows(dataset: Dataset, *paths: str) -> np.ndarray:
    return dataset.samples["path"].isin(paths).to_numpy()


def test_only_the_wanted_pictures_are_asked_about_and_the_others_join_them(run_dir, dataset):
    scan = scan_dataset(dataset)
    told = []

    def ask(*paths: str):
        told.clear()
        mask = _rows(dataset, *paths) if paths else None
        return compute_predictions(run_dir, dataset, mask=mask, on_progress=lambda *step: told.append(step))

    some = ask("Happy/1.png", "Sad/3.png", "Sad/damaged.png")
    assert told == [(2, 2)]
    paths = dataset.samples["path"]
    assert paths[some.is_predicted].tolist() == ["Happy/1.png", "Happy/copy.png", "Sad/3.png"]  # the copy comes free
    assert not some.is_complete
    assert np.isnan(some.outputs[~some.is_predicted]).all()
    assert has_predictions(some, scan, _rows(dataset, "Happy/copy.png", "Sad/3.png", "Sad/damaged.png"))
    assert not has_predictions(some, scan, _rows(dataset, "Happy/1.png", "Sad/4.png"))
    assert not has_predictions(some, scan)
    assert not has_predictions(None, scan)
    again = ask("Happy/copy.png")
    assert told == []  # nothing is asked twice
    np.testing.assert_array_equal(again.outputs, read_predictions(run_dir, dataset).outputs)
    more = ask("Sad/4.png", "Sad/3.png")
    assert (told, more.is_complete, int(more.is_predicted.sum())) == ([(1, 1)], False, 4)
    whole = ask()
    assert (told, whole.is_complete) == ([(2, 2)], True)
    kept = read_predictions(run_dir, dataset)
    assert (kept.is_complete, has_predictions(kept, scan)) == (True, True)
    find_predictions_path(run_dir, dataset).unlink()
    at_once = ask()
    np.testing.assert_allclose(whole.outputs, at_once.outputs, atol=1e-6)
    np.testing.assert_allclose(whole.features, at_once.features, atol=1e-2)
    np.testing.assert_array_equal(whole.is_predicted, at_once.is_predicted)


def test_what_another_process_has_kept_meanwhile_is_not_lost(run_dir, dataset, monkeypatch):
    ask = answering._run_network

    def ask_slowly(*arguments):
        monkeypatch.setattr(answering, "_run_network", ask)
        compute_predictions(run_dir, dataset, mask=_rows(dataset, "Sad/5.png"))
        return ask(*arguments)

    monkeypatch.setattr(answering, "_run_network", ask_slowly)
    compute_predictions(run_dir, dataset, mask=_rows(dataset, "Sad/4.png"))
    kept = read_predictions(run_dir, dataset)
    assert dataset.samples["path"][kept.is_predicted].tolist() == ["Sad/4.png", "Sad/5.png"]


def test_selected_answers_are_the_classifiers(run_dir, dataset):
    found = compute_predictions(run_dir, dataset)
    probabilities, outputs = _expect(run_dir, dataset)
    selected = found.select(found.is_predicted)
    np.testing.assert_allclose(selected.probabilities, probabilities, atol=1e-5)
    assert list(selected.emotions[0]) == EMOTIONS
    np.testing.assert_allclose([list(answer.values()) for answer in selected.emotions], outputs, atol=1e-5)
    with pytest.raises(ValueError, match="1 of the pictures are not predicted"):
        found.select(np.ones(7, bool))


def test_a_data_set_without_a_readable_picture_has_no_answers(run_dir, write_pictures):
    folder = write_pictures(["Sad/1.png"])
    (folder / "Sad" / "1.png").write_bytes(b"no picture")
    found = compute_predictions(run_dir, load_dataset(str(folder)))
    assert found.is_predicted.tolist() == [False]
    assert np.isnan(found.outputs).all()


def test_answers_that_are_no_numbers_are_refused_and_not_kept(run_dir, dataset):
    network = keras_networks.load_network(run_dir)
    head = network.layers[-1]
    head.set_weights([np.full(head.kernel.shape, 3e38), np.full(len(EMOTIONS), 3e38)])
    save_network(network, COMPACT, run_dir / MODEL_FILE)
    with pytest.raises(ModelError, match="not numbers"):
        compute_predictions(run_dir, dataset)
    assert read_predictions(run_dir, dataset) is None


# What is kept


def test_kept_answers_are_the_computed_ones(run_dir, dataset):
    assert read_predictions(run_dir, dataset) is None
    computed = compute_predictions(run_dir, dataset)
    kept = read_predictions(run_dir, dataset)
    assert (kept.class_names, kept.positive_classes) == (EMOTIONS, ["neutral", "sad"])
    for name in ("outputs", "features", "is_predicted"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(computed, name))
        assert getattr(kept, name).dtype == getattr(computed, name).dtype
    assert [path.suffix for path in (cache_dir() / "answers").iterdir()] == [".npz"]


def test_whatever_changes_the_answers_makes_another_file(run_dir, dataset, write_pictures):
    paths = [find_predictions_path(run_dir, dataset)]
    _change_card(run_dir, calibration={"temperature": 0.8})
    paths.append(find_predictions_path(run_dir, dataset))
    _change_card(run_dir, uses_flip_tta=False)
    paths.append(find_predictions_path(run_dir, dataset))
    network = keras_networks.load_network(run_dir)
    head = network.layers[-1]
    head.set_weights([head.kernel.numpy() if hasattr(head.kernel, "numpy") else np.asarray(head.kernel), np.ones(4)])
    save_network(network, COMPACT, run_dir / MODEL_FILE)
    paths.append(find_predictions_path(run_dir, dataset))
    write_pictures(["Sad/new.png"])
    paths.append(find_predictions_path(run_dir, load_dataset(dataset.source)))
    assert len(set(paths)) == 5


def test_what_changes_no_answer_keeps_the_file(run_dir, dataset):
    path = find_predictions_path(run_dir, dataset)
    band = {"low": 0.3, "high": 0.7, "target_error": 0.2}
    _change_card(run_dir, threshold=0.6, calibration={"temperature": 0.7, "uncertain": band}, evaluations=[])
    renamed = run_dir.rename(run_dir.with_name("renamed"))
    assert (
        find_predictions_path(renamed, load_dataset(DatasetSpec(dataset.source, depressed_emotions=("sad",)))) == path
    )


@pytest.mark.parametrize("damage", ["cut off", "emptied", "other numbers", "fewer rows"])
def test_damaged_file_counts_as_none_and_is_made_anew(damage, run_dir, dataset):
    computed = compute_predictions(run_dir, dataset)
    path = find_predictions_path(run_dir, dataset)
    content = bytearray(path.read_bytes())
    if damage == "cut off":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "other numbers":
        place = bytes(content).index(computed.outputs[0].tobytes())
        content[place] ^= 1
        path.write_bytes(content)
    else:
        arrays = {name: getattr(computed, name)[:3] for name in ("outputs", "features", "is_predicted")}
        write_arrays(path, {**vars(computed), **arrays})
    assert read_predictions(run_dir, dataset) is None
    compute_predictions(run_dir, dataset)
    np.testing.assert_array_equal(read_predictions(run_dir, dataset).outputs, computed.outputs)


def test_the_eight_files_used_last_are_kept(tmp_path):
    for number in range(10):
        path = tmp_path / f"{number}.npz"
        write_arrays(path, {"x": np.arange(number)})
        os.utime(path, (number, number))
        if number == 7:
            assert read_arrays(tmp_path / "0.npz", ["x"]) is not None  # used again
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["0", *"3456789"]


def test_a_full_disk_gives_a_sentence_and_leaves_nothing(run_dir, dataset, monkeypatch):
    def fail(path, **arrays):
        path.write_bytes(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(DataError, match="No space left on device"):
        write_arrays(cache_dir() / "answers" / "x.npz", {"x": np.arange(3)})
    assert list((cache_dir() / "answers").iterdir()) == []


def test_without_a_model_file_there_is_a_sentence(run_dir, dataset):
    (run_dir / MODEL_FILE).unlink()
    for ask in (find_predictions_path, read_predictions, compute_predictions):
        with pytest.raises(ModelError, match="only its scores are here"):
            ask(run_dir, dataset)


# Kept beside the card of a run whose model is not here


@pytest.fixture
def scored_dir(run_dir, dataset) -> Path:
    """A run with its answers to the data set, and without its network."""
    compute_predictions(run_dir, dataset)
    assert save_predictions_beside(run_dir, dataset) == run_dir / PREDICTIONS_FILE
    (run_dir / MODEL_FILE).unlink()
    return run_dir


def test_answers_beside_the_card_are_read_where_the_model_is_not(run_dir, dataset, tmp_path):
    with pytest.raises(ModelError, match="There are not yet predictions of"):
        save_predictions_beside(run_dir, dataset)
    compute_predictions(run_dir, dataset, mask=_rows(dataset, "Sad/4.png"))
    with pytest.raises(ModelError, match="not yet predictions"):
        save_predictions_beside(run_dir, dataset)
    computed = compute_predictions(run_dir, dataset)
    key = find_predictions_key(run_dir, dataset)
    assert key == find_predictions_path(run_dir, dataset).stem
    save_predictions_beside(run_dir, dataset)
    assert find_predictions_key(run_dir, dataset) == key
    (run_dir / MODEL_FILE).unlink()
    assert find_predictions_key(run_dir, dataset) != key
    archive = shutil.make_archive(str(tmp_path / "zipped"), "zip", dataset.source)
    for same in (dataset, load_dataset(archive)):  # known by its content
        kept = read_predictions(run_dir, same)
        np.testing.assert_array_equal(kept.outputs, computed.outputs)
        np.testing.assert_array_equal(kept.is_predicted, computed.is_predicted)
        assert (kept.class_names, kept.positive_classes, kept.features.shape) == (EMOTIONS, ["neutral", "sad"], (7, 0))
        assert (kept.is_complete, has_predictions(kept, scan_dataset(same))) == (True, True)


def test_the_file_of_older_runs_is_read_unless_there_is_one_under_the_new_name(scored_dir, dataset):
    path = scored_dir / PREDICTIONS_FILE
    new = read_predictions(scored_dir, dataset)
    with np.load(path) as arrays:
        old = {("is_answered" if name == "is_predicted" else name): arrays[name] for name in arrays.files}
    path.unlink()
    np.savez(scored_dir / "answers.npz", **old)
    read = read_predictions(scored_dir, dataset)
    np.testing.assert_array_equal(read.outputs, new.outputs)
    np.testing.assert_array_equal(read.is_predicted, new.is_predicted)
    old_key = find_predictions_key(scored_dir, dataset)
    path.write_bytes(b"")
    assert find_predictions_key(scored_dir, dataset) != old_key
    with pytest.raises(ModelError, match=r"in predictions\.npz are damaged"):
        read_predictions(scored_dir, dataset)


def test_fewer_folders_of_the_same_pictures_have_their_answers_too(scored_dir, dataset):
    part = load_dataset(DatasetSpec(dataset.source, {"Happy": "leave out"}))
    assert len(part.samples) == 4
    whole = read_predictions(scored_dir, dataset)
    np.testing.assert_array_equal(read_predictions(scored_dir, part).outputs, whole.outputs[3:])


def test_other_pictures_have_no_answers_beside_the_card(scored_dir, dataset, write_pictures):
    write_pictures(["Sad/new.png"])
    for other in (load_dataset(dataset.source), load_dataset(SAMPLE)):
        with pytest.raises(ModelError, match="only its predictions for other pictures than"):
            read_predictions(scored_dir, other)


@pytest.mark.parametrize("damage", ["emptied", "fewer rows", "no numbers", "other classes", "words"])
def test_damaged_answers_beside_the_card_give_a_sentence(damage, scored_dir, dataset):
    path = scored_dir / PREDICTIONS_FILE
    with np.load(path) as arrays:
        kept = dict(arrays)
    if damage == "fewer rows":
        kept["outputs"] = kept["outputs"][:3]
    elif damage == "no numbers":
        kept["outputs"][0] = np.nan
    elif damage == "other classes":
        kept["class_names"] = np.array(["a", "b", "c", "d"])
    elif damage == "words":
        kept["outputs"] = kept["outputs"].astype(str)
    np.savez(path, **kept)
    if damage == "emptied":
        path.write_bytes(b"")
    with pytest.raises(ModelError, match="are damaged"):
        read_predictions(scored_dir, dataset)


def test_pictures_of_the_training_are_recognised(run_dir):
    fingerprints = np.array(["a" * 16, "", "b" * 16])
    assert find_in_training_set(run_dir, fingerprints).tolist() == [False, False, False]
    (run_dir / FINGERPRINTS_FILE).write_text(f"{'b' * 16}\n{'c' * 16}\n")
    assert find_in_training_set(run_dir, fingerprints).tolist() == [False, False, True]


# The map of these answers, and the command that makes both


def test_map_is_kept_beside_and_read_as_computed(run_dir, dataset):
    features = compute_predictions(run_dir, dataset).features
    assert read_map(run_dir, dataset) is None
    points = compute_map(run_dir, dataset, features=features)
    np.testing.assert_array_equal(read_map(run_dir, dataset), points)
    assert np.isnan(points).all(axis=1).tolist() == [row == 6 for row in range(7)]
    find_map_path(run_dir, dataset).write_bytes(b"")
    assert read_map(run_dir, dataset) is None


def test_embed_says_each_stage_and_the_second_time_takes_it_from_the_cache(run_dir, dataset, capsys, monkeypatch):
    progress_path = cache_dir() / "jobs" / "embed.json"
    progress_path.parent.mkdir()
    words = ["embed", "--data", dataset.source, "--model", str(run_dir), "--progress", str(progress_path)]
    assert main(words) == 0
    stages = [line.rpartition(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert stages == ["scan: 7 pictures", "predictions: 6 pictures, by small", "map: 6 pictures"]
    assert read_job("embed").state == "finished"
    assert read_predictions(run_dir, dataset) is not None
    assert read_map(run_dir, dataset) is not None
    monkeypatch.setattr(answering, "compute_predictions", None)
    assert main(words) == 0


def test_embed_counts_folders_as_it_is_told(run_dir, write_pictures, capsys):
    folder = write_pictures(["Happy/1.png", "Tired/2.png", "Tired/3.png"])
    choices = {"Tired": "sad"}
    words = ["embed", "--data", str(folder), "--model", str(run_dir), "--folder-choices", json.dumps(choices)]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("scan: 3 pictures, ")
    assert read_predictions(run_dir, load_dataset(DatasetSpec(str(folder), choices))) is not None


def test_embed_at_nothing_leaves_its_sentence_in_the_progress_file(tmp_path):
    progress_path = cache_dir() / "jobs" / "embed.json"
    progress_path.parent.mkdir()
    assert main(["embed", "--data", str(tmp_path / "nowhere"), "--progress", str(progress_path)]) == 1
    job = read_job("embed")
    assert (job.state, job.message.startswith("There is no folder or .zip file at")) == ("failed", True)
