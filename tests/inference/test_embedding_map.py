"""The map: neighbours stay neighbours, and odd input gives points all the same."""

import numpy as np
import pytest

from facedep.inference import embedding_map as projection
from facedep.inference.embedding_map import project_features


def _draw_clusters(num_each: int, num_clusters: int = 4, num_features: int = 128) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    clusters = np.repeat(np.arange(num_clusters), num_each)
    centres = random.normal(size=(num_clusters, num_features))
    features = centres[clusters] + 0.3 * random.normal(size=(len(clusters), num_features))
    return features.astype(np.float16), clusters


@pytest.mark.slow
def test_what_lies_together_stays_together_and_each_time_the_same():
    features, clusters = _draw_clusters(60)
    steps = []
    points = project_features(features, on_progress=lambda *step: steps.append(step))
    assert (points.shape, points.dtype) == ((240, 2), np.float32)
    distances = np.linalg.norm(points[:, np.newaxis] - points, axis=2)
    nearest = np.argsort(distances, axis=1)[:, 1:11]
    assert (clusters[nearest] == clusters[:, np.newaxis]).mean() > 0.99
    np.testing.assert_array_equal(project_features(features), points)
    assert steps == [(number, 750) for number in range(50, 751, 50)]


def test_equal_pictures_get_one_point_and_unread_ones_none():
    features, _ = _draw_clusters(5)
    features[3] = features[7]
    features[11, 5] = np.nan
    points = project_features(features)
    np.testing.assert_array_equal(points[3], points[7])
    assert np.isnan(points).all(axis=1).tolist() == [row == 11 for row in range(20)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("num_images", "num_features"), [(0, 5), (1, 5), (2, 1), (9, 8), (10, 8), (11, 1), (12, 200)])
def test_few_pictures_and_features_give_finite_points(num_images, num_features):
    features = np.random.default_rng(0).normal(size=(num_images, num_features)).astype(np.float16)
    points = project_features(features)
    assert (points.shape, np.isfinite(points).all()) == ((num_images, 2), True)
    assert len(np.unique(points, axis=0)) == num_images


@pytest.mark.filterwarnings("error")
def test_pictures_that_are_all_equal_lie_on_one_point():
    assert len(np.unique(project_features(np.ones((30, 8), np.float16)), axis=0)) == 1


def test_many_features_are_reduced_before(monkeypatch):
    features, _ = _draw_clusters(10)
    noise = np.random.default_rng(1).normal(scale=1e-3, size=(40, 500))
    monkeypatch.setattr(projection, "_NUM_COMPONENTS", 3)  # four clusters span three dimensions
    points = project_features(np.concatenate([features, noise], axis=1))
    assert np.isfinite(points).all()
