"""What the stages see: each picture is looked at once, whatever its place in the set."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from facedep.inference import stage_features
from facedep.inference.stage_features import compute_stage_features, find_stage_features_path
from facedep.networks.classifier import load_classifier
from facedep.networks.graph import STAGE_FEATURES, Graph
from facedep.paths import PROJECT_DIR
from facedep.runs.run_folder import SHIPPED_RUN


@pytest.fixture(scope="module")
def graph() -> Graph:
    return load_classifier(PROJECT_DIR / "models" / SHIPPED_RUN).graph


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 48, 48, 1), dtype=np.uint8)


def test_features_are_those_of_the_picture_and_of_its_mirror_image(graph, images):
    found = compute_stage_features(graph, images, content_hash="a")
    assert (found.shape, found.dtype) == ((70, 2, 1152), np.float16)
    np.testing.assert_allclose(found[:, 0], graph.compute(images, STAGE_FEATURES), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(found[:, 1], graph.compute(images[:, :, ::-1], STAGE_FEATURES), rtol=2e-3, atol=2e-3)


def test_a_known_picture_is_not_looked_at_again_whatever_its_place(graph, images, monkeypatch):
    first = compute_stage_features(graph, images[:60], content_hash="a")
    told = []
    order = np.random.default_rng(1).permutation(70)
    again = compute_stage_features(graph, images[order], content_hash="a", on_progress=lambda *step: told.append(step))
    assert told == [(0, 10)]
    assert np.array_equal(again[np.argsort(order)][:60], first)
    monkeypatch.setattr(stage_features, "_run", None)  # nothing is left to look at
    with pytest.raises(TypeError):
        compute_stage_features(graph, images, content_hash="another set")


def test_identical_pictures_are_looked_at_once(graph, images):
    told = []
    same = np.repeat(images[:2], 5, axis=0)
    found = compute_stage_features(graph, same, content_hash="b", on_progress=lambda *step: told.append(step))
    assert told == [(0, 2)]
    assert all(np.array_equal(found[i], found[i // 5 * 5]) for i in range(10))


def test_other_weights_or_another_set_have_a_file_of_their_own(graph):
    paths = {find_stage_features_path(graph, name) for name in ("a", "b")}
    assert len(paths) == 2
    assert graph.weights_hash == load_classifier(PROJECT_DIR / "models" / SHIPPED_RUN).graph.weights_hash


def test_a_damaged_file_is_made_again(graph, images):
    expected = compute_stage_features(graph, images[:5], content_hash="c")
    path = find_stage_features_path(graph, "c")
    path.write_bytes(path.read_bytes()[:-100])
    assert np.array_equal(compute_stage_features(graph, images[:5], content_hash="c"), expected)


def test_two_who_look_at_the_same_pictures_take_turns(graph, images):
    looked_at = []
    with ThreadPoolExecutor(2) as pool:
        note = lambda *step: looked_at.append(step)  # noqa: E731
        jobs = [pool.submit(compute_stage_features, graph, images, content_hash="e", on_progress=note) for _ in "ab"]
    assert np.array_equal(*(job.result() for job in jobs))
    assert looked_at.count((64, 70)) == 1  # the second batch


def test_no_pictures_have_no_features(graph, images):
    assert compute_stage_features(graph, images[:0], content_hash="d").shape == (0, 2, 1152)
