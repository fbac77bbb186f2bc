"""The map points to where the evidence was planted, and a steady network is called steady."""

import keras
import numpy as np
import pytest
from keras import layers

from facedep import runs
from facedep.explain import compute_occlusion_map, measure_steadiness, overlay_map
from facedep.model import Classifier, load_classifier
from facedep.paths import PROJECT_DIR
from facedep.sample_faces import draw_sample_face

CARD = {"class_names": ["depressed"], "positive_classes": ["depressed"], "threshold": 0.5}


def build_classifier(body, *, weight: float, bias: float) -> Classifier:
    """A network whose answer is a sigmoid of one number that `body` computes from the picture's 0-255."""
    inputs = keras.Input((48, 48, 1))
    number = layers.Flatten()(layers.GlobalAveragePooling2D()(body(layers.Rescaling(1 / 255)(inputs))))
    dense = layers.Dense(1, activation="sigmoid")
    network = keras.Model(inputs, dense(number))
    dense.set_weights([np.array([[weight]], np.float32), np.array([bias], np.float32)])
    return Classifier("planted", network, CARD, frozenset())


@pytest.mark.parametrize(
    ("crop", "rows", "columns"),
    [
        (((0, 36), (0, 36)), slice(0, 12), slice(0, 12)),
        (((0, 36), (36, 0)), slice(0, 12), slice(36, 48)),
        (((36, 0), (18, 18)), slice(36, 48), slice(18, 30)),
    ],
)
def test_map_points_to_the_only_place_that_the_network_reads(crop, rows, columns):
    picture = np.full((48, 48), 60, np.uint8)
    picture[rows, columns] = 220
    values = compute_occlusion_map(build_classifier(layers.Cropping2D(crop), weight=8, bias=-4), picture)
    inside = np.zeros((48, 48), bool)
    inside[rows, columns] = True
    assert values[inside].mean() > 10 * abs(values[~inside].mean())
    place = np.unravel_index(values.argmax(), values.shape)
    assert inside[place]
    against = compute_occlusion_map(build_classifier(layers.Cropping2D(crop), weight=-8, bias=4), picture)
    assert inside[np.unravel_index(against.argmin(), against.shape)]
    assert against[inside].mean() < 0


def test_overlay_is_the_face_alone_at_no_strength_and_coloured_at_full():
    face = np.full((48, 48), 100, np.uint8)
    values = np.zeros((48, 48), np.float32)
    values[:12, :12], values[36:, 36:] = 0.4, -0.2
    plain = overlay_map(face, values, size_px=96, strength=0)
    assert plain.shape == (96, 96, 3)
    assert (plain == 100).all()
    coloured = overlay_map(face, values, size_px=96, strength=1).astype(int)
    assert tuple(coloured[8, 8]) == (0, 114, 178)
    assert coloured[88, 88, 0] > coloured[88, 88, 2]
    assert (coloured[48, 48] == 100).all()


def test_network_that_looks_at_one_side_flips_when_the_picture_is_mirrored():
    picture = np.full((48, 48), 40, np.uint8)
    picture[:, :24] = 220
    found = measure_steadiness(build_classifier(layers.Cropping2D(((0, 0), (0, 24))), weight=10, bias=-5), picture)
    assert found.has_flipped
    assert found.probabilities["as it is"] > 0.9
    assert found.probabilities["mirrored"] == found.lowest < 0.1


def test_network_that_looks_at_nothing_is_steady():
    found = measure_steadiness(
        build_classifier(layers.Activation("linear"), weight=0, bias=1), np.eye(48, dtype=np.uint8)
    )
    assert not found.has_flipped
    assert found.highest - found.lowest < 1e-6


def test_shipped_model_is_explained_on_a_drawn_face():
    classifier = load_classifier(PROJECT_DIR / "models" / runs.SHIPPED_RUN)
    gray = draw_sample_face("happy", 1).mean(axis=2).astype(np.uint8)[:128:2, :128:2][:48, :48]
    values = compute_occlusion_map(classifier, gray)
    assert values.shape == (48, 48)
    assert np.isfinite(values).all()
    assert np.abs(values).max() > 0
    assert len(measure_steadiness(classifier, gray).probabilities) == 8
