"""The recipe `compact` with a tenth of its layers, for tests of what is done with a network and not of the network.

TensorFlow takes seconds to trace each of the real one's functions, however few the pictures. `quick` shrinks with it;
`article` is traced quickly and stays as it is. Run as a script, this is the command line with such networks.
"""

import sys

import keras
import pytest
from keras import layers

from facedep.cli.main import main
from facedep.networks import architecture

_REAL_STAGES = architecture._build_compact_stages


def shrink_networks(patch: pytest.MonkeyPatch) -> None:
    """Makes `build_network` build `compact` and `quick` with four convolutions in all, until the patch is undone."""
    patch.setattr(architecture, "_build_compact_stages", _build_small_stages)


def restore_networks(patch: pytest.MonkeyPatch) -> None:
    """Makes `build_network` build the real networks, in a file of tests that has shrunk them."""
    patch.setattr(architecture, "_build_compact_stages", _REAL_STAGES)


def _build_small_stages(x: keras.KerasTensor) -> list[keras.KerasTensor]:
    x = _convolve(x, 8, stride=2, name="stem")
    stages = []
    for number, (width, stride) in enumerate(((8, 1), (8, 2), (16, 2)), start=1):
        x = _convolve(x, width, stride=stride, name=f"block_{number}")
        stages.append(x)
    return stages


def _convolve(x: keras.KerasTensor, width: int, *, stride: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


if __name__ == "__main__":
    shrink_networks(pytest.MonkeyPatch())
    sys.exit(main())
