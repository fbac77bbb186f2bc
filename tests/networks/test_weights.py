"""Weights read without Keras are those that Keras reads; what is no plain array of the right shape is not read."""

import io
import zipfile
from pathlib import Path

import h5py
import keras_networks
import numpy as np
import pytest

from facedep.networks.layers import list_layers, list_weight_shapes
from facedep.networks.recipes import COMPACT
from facedep.networks.weights import WEIGHTS_MEMBER, read_weights
from facedep.paths import PROJECT_DIR
from facedep.runs.run_folder import SHIPPED_RUN
from facedep.training.architecture import list_weights

SHIPPED_DIR = PROJECT_DIR / "models" / SHIPPED_RUN
SHAPES = list_weight_shapes(list_layers(COMPACT, 7), 48)
SMALL = {"probabilities": [(2, 3), (3,)]}


def test_weights_are_those_that_keras_reads():
    expected = list_weights(keras_networks.load_network(SHIPPED_DIR))
    found = read_weights(SHIPPED_DIR / "model.keras", SHAPES)
    assert found.keys() == expected.keys()
    for name, of_layer in expected.items():
        assert all(np.array_equal(one, other) for one, other in zip(found[name], of_layer, strict=True))


def _write(folder: Path, fill, *, padding: int = 0) -> Path:
    """Writes a model file whose HDF5 part `fill` makes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(WEIGHTS_MEMBER, buffer.getvalue() + bytes(padding))
    return path


def _make_group(file: h5py.File, name: str = "probabilities") -> h5py.Group:
    group = file.create_group("layers/dense/vars")
    group.attrs["name"] = name
    return group


def _fill_soundly(file: h5py.File) -> None:
    group = _make_group(file)
    group["0"], group["1"] = np.ones((2, 3), np.float32), np.zeros(3, np.float32)


def test_sound_file_is_read(tmp_path):
    kernel, bias = read_weights(_write(tmp_path, _fill_soundly), SMALL)["probabilities"]
    assert (kernel.tolist(), bias.tolist()) == ([[1.0] * 3] * 2, [0.0] * 3)


def _declare_large(file: h5py.File) -> None:
    group = _make_group(file)
    group.create_dataset("0", shape=(60_000, 60_000), dtype=np.float32, chunks=(100, 100))
    group["1"] = np.zeros(3, np.float32)


def _compress(file: h5py.File) -> None:
    group = _make_group(file)
    group.create_dataset("0", data=np.ones((2, 3), np.float32), compression="gzip")
    group["1"] = np.zeros(3, np.float32)


def _link_to_another_file(file: h5py.File) -> None:
    group = _make_group(file)
    group["0"] = h5py.ExternalLink("/etc/hostname", "/x")
    group["1"] = np.zeros(3, np.float32)


def _link_softly(file: h5py.File) -> None:
    _fill_soundly(file)
    del file["layers/dense/vars/0"]
    file["kernel"] = np.ones((2, 3), np.float32)
    file["layers/dense/vars/0"] = h5py.SoftLink("/kernel")


def _store_elsewhere(file: h5py.File) -> None:
    group = _make_group(file)
    group.create_dataset("0", shape=(2, 3), dtype=np.float32, external=[("/etc/passwd", 0, 24)])
    group["1"] = np.zeros(3, np.float32)


def _make_virtual(file: h5py.File) -> None:
    group = _make_group(file)
    layout = h5py.VirtualLayout((2, 3), np.float32)
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (2, 3))
    group.create_virtual_dataset("0", layout)
    group["1"] = np.zeros(3, np.float32)


def _use_another_type(file: h5py.File) -> None:
    group = _make_group(file)
    group["0"], group["1"] = np.ones((2, 3), np.float64), np.zeros(3, np.float32)


def _make_a_group_of_it(file: h5py.File) -> None:
    _make_group(file).create_group("0")


def _turn_in_a_circle(file: h5py.File) -> None:
    group = _make_group(file)
    group["0"] = group


def _name_another_layer(file: h5py.File) -> None:
    group = _make_group(file, "another")
    group["0"], group["1"] = np.ones((2, 3), np.float32), np.zeros(3, np.float32)


@pytest.mark.parametrize(
    "fill",
    [_declare_large, _compress, _link_to_another_file, _link_softly, _store_elsewhere, _make_virtual,
     _use_another_type, _make_a_group_of_it, _turn_in_a_circle, _name_another_layer],
)  # fmt: skip
def test_anything_else_is_refused_before_it_is_read(fill, tmp_path):
    with pytest.raises((ValueError, KeyError)):
        read_weights(_write(tmp_path, fill), SMALL)


def test_file_much_larger_than_its_network_is_not_unpacked(tmp_path):
    with pytest.raises(ValueError, match="far more than the weights"):
        read_weights(_write(tmp_path, _fill_soundly, padding=5 * 1024**2), SMALL)
