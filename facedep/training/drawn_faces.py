"""Drawn faces as extra training pictures: other people than those of the built-in data set, in the same hand.

A network that has seen photographs alone does not read drawings; a few hundred of each emotion teach it both.
"""

import functools
from collections.abc import Callable

import numpy as np
from PIL import Image

from facedep import emotions
from facedep.data.duplicates import find_near_duplicate_groups
from facedep.data.sample_faces import NUM_PER_EMOTION, SAMPLE_EMOTIONS, draw_sample_face
from facedep.data.scan import THUMBNAIL_SIZE_PX
from facedep.images.opening import compute_fingerprint, prepare_image, to_gray
from facedep.training.inputs import ArrayDataset, ClassSpec

# Numbers that the built-in set does not use, and none of the val faces among the train faces.
FIRST_TRAIN_NUMBER, FIRST_VAL_NUMBER = 1_000, 500_000
VAL_SHARE = 0.15


def draw_training_faces(
    num_per_emotion: int,
    *,
    first_number: int,
    size_px: int,
    class_spec: ClassSpec,
    depressed_emotions: tuple[str, ...],
    on_progress: Callable[[int, int], None] | None = None,
) -> ArrayDataset:
    """Returns drawn faces with their targets, the same on every machine; none looks nearly like a built-in one.

    Args:
        num_per_emotion: Faces drawn of each emotion that the network knows; about 3 % are dropped for their likeness.
        first_number: The number of the first of each, at least `NUM_PER_EMOTION`.
        size_px: The side of the network's input.
        class_spec: What the network's outputs mean.
        depressed_emotions: The emotions that count as *depressed*, for a network that knows the two groups only.
        on_progress: Called now and then with the number of faces drawn and of all.

    Raises:
        ValueError: Some of the faces are those of the built-in data set.
    """
    if first_number < NUM_PER_EMOTION:
        raise ValueError(f"the built-in faces have the numbers 0 to {NUM_PER_EMOTION - 1}, not to be trained on")
    knows_emotions = class_spec.class_names != [emotions.DEPRESSED]
    chosen = [name for name in SAMPLE_EMOTIONS if not knows_emotions or name in class_spec.class_names]
    names = [emotion for emotion in chosen for _ in range(num_per_emotion)]
    images = np.empty((len(names), size_px, size_px, 1), np.uint8)
    thumbnails = np.empty((len(names), THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX), np.uint8)
    fingerprints = []
    for i, emotion in enumerate(names):
        gray = to_gray(Image.fromarray(draw_sample_face(emotion, first_number + i % num_per_emotion)))
        images[i] = prepare_image(gray, size_px)
        thumbnails[i] = prepare_image(gray, THUMBNAIL_SIZE_PX)[..., 0]
        fingerprints.append(compute_fingerprint(gray))
        if on_progress:
            on_progress(i + 1, len(names))
    mask = ~_find_like_built_in(thumbnails)
    names = [name for name, is_kept in zip(names, mask, strict=True) if is_kept]
    fingerprints = [fingerprint for fingerprint, is_kept in zip(fingerprints, mask, strict=True) if is_kept]
    is_depressed = np.isin(names, depressed_emotions)
    if knows_emotions:
        targets = (np.array(names)[:, np.newaxis] == np.array(class_spec.class_names)).astype(np.float32)
    else:
        targets = is_depressed[:, np.newaxis].astype(np.float32)
    return ArrayDataset(images[mask], targets, is_depressed, fingerprints)


def _find_like_built_in(thumbnails: np.ndarray) -> np.ndarray:
    """Returns which faces show, by the project's own search, nearly the same picture as a built-in one: `bool`."""
    built_in = _draw_built_in_thumbnails()
    groups = find_near_duplicate_groups(np.concatenate([built_in, thumbnails]))
    return np.isin(groups[len(built_in) :], groups[: len(built_in)])


@functools.cache
def _draw_built_in_thumbnails() -> np.ndarray:
    """Returns the built-in faces as a scan sees them: `uint8` of shape `(n, 48, 48)`; drawing them takes seconds."""
    portraits = [draw_sample_face(emotion, i) for emotion in SAMPLE_EMOTIONS for i in range(NUM_PER_EMOTION)]
    return np.stack([prepare_image(to_gray(Image.fromarray(face)), THUMBNAIL_SIZE_PX)[..., 0] for face in portraits])


def join_datasets(first: ArrayDataset, second: ArrayDataset) -> ArrayDataset:
    """Returns the pictures of both, in this order, in memory."""
    return ArrayDataset(
        images=np.concatenate([np.asarray(first.images), np.asarray(second.images)]),
        targets=np.concatenate([first.targets, second.targets]),
        is_depressed=np.concatenate([first.is_depressed, second.is_depressed]),
        fingerprints=[*first.fingerprints, *second.fingerprints],
    )
