"""Which training pictures come more than once in an epoch."""

import dataclasses

import numpy as np

from facedep.training.inputs import ArrayDataset


def repeat_rare_classes(train: ArrayDataset, threshold: float, *, seed: int) -> ArrayDataset:
    """Returns the pictures with those of rare classes repeated, in memory; the others stay as they are.

    The classes are those that the network distinguishes: emotions, or the two groups. A class with a share f below the
    threshold t comes sqrt(t / f) times. If that is not a whole number, the rest is chosen at random: 2.4 means that
    each picture comes twice and two in five come three times.

    Args:
        train: The train subset; its targets may be mixed with a teacher's predictions.
        threshold: The share, 0..1, from which a class is not repeated; 0 repeats none.
        seed: Of the random choice.

    Reference: repeat factor sampling, Gupta, Dollár & Girshick 2019, arXiv 1908.03195, section 4.1.
    """
    has_one_output = train.targets.shape[1] == 1
    labels = train.is_depressed.astype(int) if has_one_output else train.targets.argmax(axis=1)
    shares = np.bincount(labels) / max(1, len(labels))
    factors = np.sqrt(np.maximum(1, threshold / np.maximum(shares, 1e-12)))[labels]
    whole = np.floor(factors).astype(int)
    is_once_more = np.random.default_rng([seed, 1]).random(len(labels)) < factors - whole
    indices = np.repeat(np.arange(len(labels)), whole + is_once_more)
    if len(indices) == len(labels):
        return train
    return dataclasses.replace(
        train,
        images=np.asarray(train.images)[indices],
        targets=train.targets[indices],
        is_depressed=train.is_depressed[indices],
    )
