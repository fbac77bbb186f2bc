"""The graph that predicts is the network that Keras trains, whatever it is asked for and by however many at once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import keras_networks
import numpy as np
import pytest

from facedep.networks.classifier import build_graph, load_classifier
from facedep.networks.graph import CLASS_MAPS, FEATURES, PROBABILITIES, STAGE_FEATURES
from facedep.networks.layers import infer_shapes, list_layers, list_weight_shapes
from facedep.networks.recipes import ARTICLE, COMPACT, QUICK, RECIPES
from facedep.paths import PROJECT_DIR
from facedep.runs.run_folder import SHIPPED_RUN
from facedep.training.architecture import build_network, compute_outputs, list_weights

SHIPPED_DIR = PROJECT_DIR / "models" / SHIPPED_RUN


def _draw(num_images: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_images, size, size, 1), dtype=np.uint8)


def _build_trained(recipe, num_outputs: int) -> keras.Model:
    """Returns a network whose normalizations and biases are no longer those of a fresh one."""
    keras.utils.set_random_seed(0)
    network = build_network(recipe, num_outputs)
    rng = np.random.default_rng(1)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weights.shape) for weights in layer.get_weights()])
        elif layer.weights and layer.use_bias:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, rng.normal(scale=0.1, size=bias.shape)])
    return network


@pytest.mark.parametrize("num_outputs", [1, 7])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_graph_gives_what_keras_gives(recipe, num_outputs):
    network = _build_trained(recipe, num_outputs)
    graph = build_graph(recipe, num_outputs, list_weights(network))
    images = _draw(12, recipe.input_size_px)
    expected = compute_outputs(network, images)
    assert np.ptp(expected, axis=0).max() > 1e-3  # the pictures matter
    np.testing.assert_allclose(graph.compute(images), expected, atol=1e-5)
    features = keras.Model(network.input, network.layers[-1].input)
    np.testing.assert_allclose(graph.compute(images, FEATURES), compute_outputs(features, images), rtol=1e-3, atol=1e-3)


def test_shipped_graph_gives_what_keras_gives():
    graph = load_classifier(SHIPPED_DIR).graph
    images = _draw(30, 48)
    expected = compute_outputs(keras_networks.load_network(SHIPPED_DIR), images)
    np.testing.assert_allclose(graph.compute(images), expected, atol=1e-5)


def test_stages_of_compact_give_the_features_that_the_head_of_quick_is_trained_on():
    compact = _build_trained(COMPACT, 7)
    quick = build_network(QUICK, 4)
    for name, weights in list_weights(compact).items():
        if name != "probabilities":
            quick.get_layer(name).set_weights(weights)
    body = keras.Model(quick.input, quick.get_layer("features").output)
    images = _draw(5, 48)
    found = build_graph(COMPACT, 7, list_weights(compact)).compute(images, STAGE_FEATURES)
    assert found.shape == (5, 1152)
    np.testing.assert_allclose(found, compute_outputs(body, images), rtol=1e-3, atol=1e-3)


def test_shapes_are_those_that_keras_finds():
    for recipe in RECIPES.values():
        network, layers = build_network(recipe, 7), list_layers(recipe, 7)
        shapes = infer_shapes(layers, recipe.input_size_px)
        assert {layer.name: tuple(layer.output.shape[1:]) for layer in network.layers} == shapes
        expected = {layer.name: [weights.shape for weights in layer.get_weights()] for layer in network.layers}
        assert {name: shapes for name, shapes in expected.items() if shapes} == list_weight_shapes(
            layers, recipe.input_size_px
        )


def test_class_maps_are_there_where_only_an_average_follows_them():
    for recipe, has_maps in ((COMPACT, True), (QUICK, False), (ARTICLE, False)):
        graph = build_graph(recipe, 7, list_weights(build_network(recipe, 7)))
        assert (graph.has(CLASS_MAPS), graph.class_biases is not None) == (has_maps, has_maps)
        assert graph.has(STAGE_FEATURES) == (recipe is not ARTICLE)


def test_class_maps_add_up_to_the_logits():
    graph = load_classifier(SHIPPED_DIR).graph
    images = _draw(3, 48)
    logits = graph.compute(images, CLASS_MAPS).mean(axis=(1, 2)) + graph.class_biases
    powers = np.exp(logits)
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), graph.compute(images), atol=1e-5)


@pytest.mark.parametrize("num_images", [0, 1, 8, 9, 64, 65, 150])
def test_any_number_of_pictures_gets_the_outputs_that_each_gets_alone(num_images):
    graph = load_classifier(SHIPPED_DIR).graph
    images = _draw(num_images, 48)
    outputs = graph.compute(images, uses_flip_tta=True)
    assert outputs.shape == (num_images, 7)
    for i in {0, num_images // 2, num_images - 1} & set(range(num_images)):
        straight, mirrored = (graph.compute(one)[0] for one in (images[i : i + 1], images[i : i + 1, :, ::-1]))
        np.testing.assert_allclose(outputs[i], (straight + mirrored) / 2, atol=1e-5)


def test_visitors_at_the_same_moment_get_their_own_answers():
    graph = load_classifier(SHIPPED_DIR).graph
    images = _draw(40, 48)
    expected = graph.compute(images)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: graph.compute(images[i % 40 : i % 40 + (1, 20)[i % 2]]), range(80)))
    for i, outputs in enumerate(found):
        np.testing.assert_allclose(outputs, expected[i % 40 : i % 40 + len(outputs)], atol=1e-5)


def test_nothing_is_reported_to_the_maker_of_onnx_runtime(tmp_path):
    """With reports on, 1.32 keeps a session's identifier in the folder for temporary files at once."""
    code = f"""
import numpy as np
from pathlib import Path
from facedep.networks.classifier import load_classifier
load_classifier(Path({str(SHIPPED_DIR)!r})).predict(np.zeros((20, 48, 48, 1), np.uint8))
"""
    places = {"TMPDIR": "temporary", "HOME": "home", "XDG_CACHE_HOME": "home/cache", "XDG_DATA_HOME": "home/data"}
    for name in places.values():
        (tmp_path / name).mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment |= {name: str(tmp_path / value) for name, value in places.items()} | {"PYTHONPATH": str(PROJECT_DIR)}
    subprocess.run([sys.executable, "-B", "-c", code], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_graph_beside_the_weights_is_not_looked_at(tmp_path):
    for name in ("card.json", "model.keras"):
        (tmp_path / name).write_bytes((SHIPPED_DIR / name).read_bytes())
    for name in ("graph.onnx", "model.onnx"):
        (tmp_path / name).write_bytes(b"from elsewhere")
    assert load_classifier(Path(tmp_path)).graph.compute(_draw(1, 48), PROBABILITIES).shape == (1, 7)
