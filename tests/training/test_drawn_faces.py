"""Drawn faces to train on: none of the built-in ones, none like them."""

import numpy as np
import pytest
from PIL import Image

from facedep.data.duplicates import find_near_duplicate_groups
from facedep.data.sample_faces import NUM_PER_EMOTION, SAMPLE_EMOTIONS, draw_sample_face
from facedep.images.opening import prepare_image, to_gray
from facedep.training.drawn_faces import FIRST_TRAIN_NUMBER, draw_training_faces, join_datasets
from facedep.training.inputs import ClassSpec

EMOTIONS = ClassSpec(list(SAMPLE_EMOTIONS), ["neutral", "sad"])
DEPRESSED = ("neutral", "sad")


def _draw(num: int, class_spec: ClassSpec = EMOTIONS, first_number: int = FIRST_TRAIN_NUMBER):
    return draw_training_faces(
        num, first_number=first_number, size_px=48, class_spec=class_spec, depressed_emotions=DEPRESSED
    )


def test_every_emotion_gets_its_faces_and_targets():
    drawn = _draw(3)
    assert drawn.images.shape == (21, 48, 48, 1)
    assert drawn.targets.sum(axis=0).tolist() == [3.0] * 7
    assert drawn.targets.sum(axis=1).tolist() == [1.0] * 21
    assert drawn.is_depressed.sum() == 6
    assert (drawn.targets[:, [4, 5]].sum(axis=1) == drawn.is_depressed).all()
    assert len(set(drawn.fingerprints)) == 21


def test_a_network_of_two_groups_gets_the_groups():
    drawn = _draw(2, ClassSpec(["depressed"], ["depressed"]))
    assert drawn.targets.shape == (14, 1)
    assert (drawn.targets[:, 0] == drawn.is_depressed).all()
    assert drawn.is_depressed.sum() == 4


def test_only_emotions_that_the_network_knows_are_drawn():
    assert len(_draw(2, ClassSpec(["happy", "sad"], ["sad"])).images) == 4


def test_the_built_in_faces_are_never_trained_on():
    with pytest.raises(ValueError, match="built-in faces"):
        _draw(1, first_number=NUM_PER_EMOTION - 1)


def test_joined_data_sets_keep_their_order():
    first, second = _draw(1), _draw(2)
    joined = join_datasets(first, second)
    assert (joined.images == np.concatenate([first.images, second.images])).all()
    assert joined.fingerprints == first.fingerprints + second.fingerprints
    assert (joined.targets[:7] == first.targets).all()


@pytest.mark.slow
def test_no_face_to_train_on_looks_nearly_the_same_as_a_built_in_one():
    built_in = [
        prepare_image(to_gray(Image.fromarray(draw_sample_face(emotion, i))), 48)[..., 0]
        for emotion in SAMPLE_EMOTIONS
        for i in range(NUM_PER_EMOTION)
    ]
    drawn = _draw(300).images[..., 0]
    assert 0.95 * 2100 < len(drawn) < 2100  # some were alike
    groups = find_near_duplicate_groups(np.concatenate([built_in, drawn]))
    assert not set(groups[: len(built_in)]) & set(groups[len(built_in) :])
