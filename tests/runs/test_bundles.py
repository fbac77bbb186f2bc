"""A run as one file: what goes in comes out, and nothing else does."""

import io
import json
import os
import shutil
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import keras_networks
import numpy as np
import pytest

from facedep.errors import ModelError
from facedep.networks.classifier import load_classifier
from facedep.paths import PROJECT_DIR, models_dir
from facedep.runs import run_folder
from facedep.runs.bundles import pack_run, unpack_run


@pytest.fixture
def shipped():
    shutil.copytree(PROJECT_DIR / "models" / run_folder.SHIPPED_RUN, models_dir() / run_folder.SHIPPED_RUN)
    return run_folder.read_run(models_dir() / run_folder.SHIPPED_RUN)


def with_card(**changes):
    """Returns the shipped model's card with some entries replaced, as a file's content."""
    card = json.loads((PROJECT_DIR / "models" / run_folder.SHIPPED_RUN / "card.json").read_text())
    return json.dumps({**card, **changes}).encode()


def rewrite(bundle, changes):
    """Returns a bundle with members replaced (bytes) or left out (None); names are relative to the run's folder."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = changes.get(name.split("/")[-1], old.read(name))
            if content is not None:
                new.writestr(name, content)
        for name in changes.keys() - {name.split("/")[-1] for name in old.namelist()}:
            new.writestr(name, changes[name])
    return out.getvalue()


def rename(bundle, name):
    """Returns a bundle as if it had been packed from a run of another name."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.namelist():
            new.writestr(f"{name}/{member.split('/')[-1]}", old.read(member))
    return out.getvalue()


def test_bundle_of_a_run_that_claims_to_run_is_a_finished_one(shipped):
    name = unpack_run(rewrite(pack_run(shipped), {"status.json": b'{"state": "running"}'}))
    assert run_folder.read_run(models_dir() / name).state == run_folder.FINISHED
    assert run_folder.find_active_run() is None


def test_packed_run_comes_back_under_a_new_name_with_the_same_answers(shipped):
    name = unpack_run(pack_run(shipped))
    assert name == f"{run_folder.SHIPPED_RUN} 2"
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 1), dtype=np.uint8)
    before, after = (load_classifier(models_dir() / run).predict(images) for run in (run_folder.SHIPPED_RUN, name))
    np.testing.assert_array_equal(before.probabilities, after.probabilities)
    assert not run_folder.read_run(models_dir() / name).is_shipped


def test_bundle_names_no_path_of_this_computer(shipped):
    (shipped.path / run_folder.LOG_FILE).write_text("/home/somebody/faces")
    with zipfile.ZipFile(io.BytesIO(pack_run(shipped))) as archive:
        assert run_folder.LOG_FILE not in {name.split("/")[-1] for name in archive.namelist()}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"card.json": None}, "has no card.json"),
        ({"model.keras": None}, "has no model.keras"),
        ({"card.json": b"{"}, "cannot be read"),
        ({"card.json": b'{"class_names": ["x"], "positive_classes": ["x"], "recipe": "compact"}'}, "unknown"),
        ({"model.keras": b"no model"}, "damaged or belongs to another network"),
        ({"card.json": with_card(scores=[])}, "scores is no table"),
        ({"card.json": with_card(scores={"test": {"accuracy": 0.9}})}, "num_images of its scores is missing"),
        ({"card.json": with_card(training={"seconds": "long"})}, "of its training"),
    ],
)
def test_damaged_bundle_is_a_sentence_and_leaves_nothing_behind(shipped, changes, sentence):
    with pytest.raises(ModelError, match=sentence):
        unpack_run(rewrite(pack_run(shipped), changes))
    assert [path.name for path in models_dir().iterdir() if path.is_dir()] == [run_folder.SHIPPED_RUN]


def test_file_that_is_no_zip_is_a_sentence():
    with pytest.raises(ModelError, match=r"not a \.zip archive"):
        unpack_run(b"no zip")


def test_unknown_and_escaping_members_are_not_taken_out(shipped, tmp_path):
    bundle = rewrite(pack_run(shipped), {"../../evil.py": b"print()", "notes.txt": b"hello"})
    name = unpack_run(bundle)
    assert {path.name for path in (models_dir() / name).iterdir()} <= {
        "config.json", "status.json", "metrics.jsonl", "card.json", "trained_on.txt", "model.keras"
    }  # fmt: skip
    assert not list(tmp_path.rglob("evil.py"))


def test_bundle_with_damaged_bytes_is_a_sentence(shipped):
    content = bytearray(pack_run(shipped))
    start = content.find(b"trained_on.txt") + len(b"trained_on.txt")
    for place in range(start + 20, start + 400):
        content[place] ^= 0xFF
    with pytest.raises(ModelError, match="damaged"):
        unpack_run(bytes(content))
    assert [path.name for path in models_dir().iterdir() if path.is_dir()] == [run_folder.SHIPPED_RUN]


def test_bundles_loaded_at_once_keep_their_own_names_and_weights(shipped, tmp_path):
    bundles = {}
    network = keras_networks.load_network(shipped.path)
    own_weights = network.get_weights()
    for number in range(4):
        network.set_weights([weights + number for weights in own_weights])
        network.save(tmp_path / "model.keras")
        changed = rewrite(pack_run(shipped), {"model.keras": (tmp_path / "model.keras").read_bytes()})
        bundles[f"model {number}"] = rename(changed, f"model {number}")
    barrier = threading.Barrier(4)

    def load(bundle):
        barrier.wait()
        return unpack_run(bundle)

    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(load, bundles.values()))
    assert names == list(bundles)
    for number, name in enumerate(names):
        (loaded,) = load_classifier(models_dir() / name).graph.weights["stem_conv"]
        np.testing.assert_allclose(loaded, own_weights[0] + number, rtol=1e-6)
    assert not list(models_dir().glob(".loading*"))


def test_one_bundle_loaded_twice_at_once_becomes_two_runs(shipped):
    bundle = rename(pack_run(shipped), "twin")
    with ThreadPoolExecutor(2) as pool:
        names = list(pool.map(unpack_run, [bundle, bundle]))
    assert sorted(names) == ["twin", "twin 2"]
    assert all(run_folder.read_run(models_dir() / name).has_model for name in names)


def test_what_a_killed_load_left_is_cleared_and_a_load_under_way_is_not(shipped):
    stale, fresh = models_dir() / ".loading-stale", models_dir() / ".loading-fresh"
    for folder in (stale, fresh):
        folder.mkdir()
        (folder / "card.json").write_text("{}")
    yesterday = time.time() - 24 * 3600
    os.utime(stale, (yesterday, yesterday))
    unpack_run(pack_run(shipped))
    assert not stale.exists()
    assert fresh.exists()
