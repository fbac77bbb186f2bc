"""Read the weights in a `.keras` file, numbers of known shapes, and nothing else that it may hold; and write one."""

import io
import math
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np

from facedep.files import write_atomically

Weights = dict[str, list[np.ndarray]]  # each layer's weights, in Keras' order, by the layer's name

WEIGHTS_MEMBER = "model.weights.h5"
# What zipfile and h5py are seen to raise on damaged files.
READER_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, OverflowError,
                 MemoryError, zlib.error, zipfile.BadZipFile, NotImplementedError)  # fmt: skip
_BYTES_PER_WEIGHT = 4
_MAX_STRUCTURE_BYTES = 4 * 1024**2  # HDF5's own; 0.2 MB in the model that ships


def read_weights(path: Path, shapes: dict[str, list[tuple[int, ...]]]) -> Weights:
    """Returns the weights that Keras has saved, without Keras.

    The layout is that of Keras 3.15's `saving_lib`: a zip archive with an HDF5 file, in it one group per layer below
    `layers`, in it a group `vars` whose attribute `name` is the layer's, in it a dataset per weight, named 0, 1, ...
    Keras does not document it; `tests/networks/test_weights.py` compares it with Keras' own reading.

    Nothing larger than such a network is unpacked, no dataset of another shape or type is read, no link is followed.

    Args:
        path: The file.
        shapes: Of the weights, from `layers.list_weight_shapes`.

    Raises:
        READER_ERRORS: It is damaged, holds another network, or is far larger than this one.
    """
    num_bytes = _BYTES_PER_WEIGHT * sum(math.prod(shape) for layer in shapes.values() for shape in layer)
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(WEIGHTS_MEMBER).file_size > num_bytes + _MAX_STRUCTURE_BYTES:
            raise ValueError("far more than the weights of such a network")
        content = archive.read(WEIGHTS_MEMBER)
    with h5py.File(io.BytesIO(content), "r") as file:
        groups = _find_groups(file)
        return {name: [_read_dataset(groups[name], i, shape) for i, shape in enumerate(of_layer)]
                for name, of_layer in shapes.items()}  # fmt: skip


def write_weights(path: Path, weights: Weights) -> None:
    """Writes weights as Keras would, for `read_weights`; without the description of the layers that Keras adds.

    Args:
        path: The file.
        weights: By the names of the layers.

    Raises:
        OSError: The disk does not take them.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number, (name, of_layer) in enumerate(weights.items()):
            group = file.create_group(f"layers/layer_{number}/vars")
            group.attrs["name"] = name
            for i, values in enumerate(of_layer):
                group[str(i)] = values
    with write_atomically(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        archive.writestr(WEIGHTS_MEMBER, buffer.getvalue())


def _find_groups(file: h5py.File) -> dict[str, h5py.Group]:
    """Returns the groups with layers' weights, by the layers' names."""
    found = {}
    layers = _get(file, "layers")
    for key in layers:
        variables = _get(_get(layers, key), "vars")
        found[str(variables.attrs["name"])] = variables
    return found


def _read_dataset(group: h5py.Group, number: int, shape: tuple[int, ...]) -> np.ndarray:
    dataset = _get(group, str(number))
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != shape or dataset.dtype != np.float32:
        raise ValueError(f"weight {number} is not of the shape {shape}")
    if dataset.external or dataset.is_virtual or dataset.chunks:
        raise ValueError(f"weight {number} does not lie in one piece in this file")
    return dataset[...]


def _get(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """Returns a member of a group, which has to lie in this file."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} is a link")
    return group[name]
