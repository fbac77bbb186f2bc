"""The recipe `compact` with a tenth of its layers, for tests of what is done with a network and not of the network.

TensorFlow takes seconds to trace each of the real one's functions, however few the pictures. `quick` shrinks with it;
`article` is traced quickly and stays as it is. Run as a script, this is the command line with such networks.
"""

import sys

import pytest

from facedep.cli.main import main
from facedep.networks import layers
from facedep.networks.layers import Layer

_REAL_STAGES = layers.list_compact_stages


def shrink_networks(patch: pytest.MonkeyPatch) -> None:
    """Makes `compact` and `quick` consist of four convolutions in all, until the patch is undone."""
    patch.setattr(layers, "list_compact_stages", _list_small_stages)


def restore_networks(patch: pytest.MonkeyPatch) -> None:
    """Makes the recipes those of the real networks, in a file of tests that has shrunk them."""
    patch.setattr(layers, "list_compact_stages", _REAL_STAGES)


def _list_small_stages() -> tuple[list[Layer], list[str]]:
    found = [
        *layers.list_convolution("scale", 8, size=3, stride=2, name="stem"),
        Layer("relu", "stem_relu", ("stem_norm",)),
    ]
    ends = []
    for number, (width, stride) in enumerate(((8, 1), (8, 2), (16, 2)), start=1):
        name = f"block_{number}"
        found += layers.list_convolution(found[-1].name, width, size=3, stride=stride, name=name)
        found.append(Layer("relu", f"{name}_relu", (f"{name}_norm",)))
        ends.append(found[-1].name)
    return found, ends


if __name__ == "__main__":
    shrink_networks(pytest.MonkeyPatch())
    sys.exit(main())
