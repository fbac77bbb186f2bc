"""Random changes of training pictures: what cameras do to a face."""

import cv2
import numpy as np
import pytest

from facedep.training.augmentation import (
    _PHOTOGRAPHIC_CHANCES,
    AUGMENTATIONS,
    augment_images,
    augment_like_cameras,
)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """200 smooth gray pictures of 48 x 48 pixels with a few edges, gray levels around 128."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(70, 190, (200, 6, 6)).astype(np.float32)
    return np.stack([cv2.resize(face, (48, 48)) for face in coarse]).astype(np.uint8)[..., np.newaxis]


@pytest.mark.parametrize("name", [name for name, augment in AUGMENTATIONS.items() if augment])
def test_the_same_state_of_chance_gives_the_same_pictures(name, faces):
    first, again, other = (AUGMENTATIONS[name](faces, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == faces.shape
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != other).any()


def test_the_pictures_given_stay_as_they_are(faces):
    before = faces.copy()
    augment_like_cameras(faces, np.random.default_rng(0))
    assert (faces == before).all()


def test_cameras_add_noise_darkness_and_blur_that_the_standard_changes_do_not(faces):
    def measure(images: np.ndarray) -> tuple[float, float, float]:
        pixels = images[..., 0].astype(float)
        roughness = np.abs(np.diff(pixels, 2, axis=2)).mean(axis=(1, 2))
        return (roughness > 15).mean(), (pixels.mean(axis=(1, 2)) < 40).mean(), np.median(roughness)

    standard = measure(augment_images(faces, np.random.default_rng(3)))
    camera = measure(augment_like_cameras(faces, np.random.default_rng(3)))
    assert standard[0] < 0.02
    assert camera[0] > 0.08
    assert standard[1] == 0
    assert camera[1] > 0.05


def test_about_one_face_in_five_is_spared_by_the_camera():
    assert 0.1 < np.prod(1 - np.array(_PHOTOGRAPHIC_CHANCES)) < 0.3


@pytest.mark.parametrize("size", [16, 48, 128])
def test_any_size_of_picture_is_taken(size):
    images = np.full((60, size, size, 1), 128, np.uint8)
    assert augment_like_cameras(images, np.random.default_rng(0)).shape == images.shape
