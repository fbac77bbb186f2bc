"""One training shared by several devices learns what it learns on one; the devices are parts of the processor.

They are trained in processes of their own: the processor can be divided only before anything is computed.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest

from facedep.cli.main import main
from facedep.errors import RunError
from facedep.runs.run_config import RunConfig
from facedep.runs.run_folder import CHECKPOINT_FILE, METRICS_FILE, read_run
from facedep.training.batches import Batches
from facedep.training.devices import ONE_DEVICE, find_devices, skip_graph_rewriting
from facedep.training.inputs import ArrayDataset

PROJECT_DIR = Path(__file__).resolve().parents[2]
BACKENDS = ["tensorflow", "jax"]

# Fits a small network with batch normalization and dropout, as `facedep train` would, once for each given job, in a
# folder with its name. A job on several devices has to come first.
FIT = """
import dataclasses, json, sys
from pathlib import Path
import keras
import numpy as np
from keras import layers
from facedep.training import callbacks as training_callbacks
from facedep.training.devices import find_devices
from facedep.training.fit import fit_network
from facedep.networks.recipes import COMPACT
from facedep.runs.writer import RunWriter
from facedep.runs.run_config import RunConfig
from facedep.runs.run_folder import STOP_FILE
from facedep.training.inputs import ArrayDataset, ClassSpec, FitPlan

widths = []  # of the batches that the network was built for
class Look(layers.Layer):
    def call(self, x):
        widths.append(x.shape[0])
        return x

class Writer(RunWriter):
    num_steps, stop_after = 0, 0
    def write_metrics(self, **values):
        super().write_metrics(**values)
        self.num_steps += values["kind"] == "step"
        if self.num_steps == self.stop_after:
            (self.run_dir / STOP_FILE).touch()

training_callbacks._SECONDS_BETWEEN_POINTS, training_callbacks._MAX_DENSITY = 0, 10**9
recipe = dataclasses.replace(COMPACT, input_size_px=12)

def fit(folder, num_devices, num_images, dropout, stop_after):
    devices = find_devices(num_devices)
    widths.clear()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, num_images)
    images = rng.integers(0, 180, (num_images, 12, 12, 1)).astype(np.uint8)
    images[labels == 1, :6] += 70
    part = ArrayDataset(images, np.eye(3, dtype=np.float32)[labels], labels == 1)
    inputs = keras.Input((12, 12, 1))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False)(layers.Rescaling(1 / 255)(Look()(inputs))))
    x = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(layers.Activation("relu")(x)))
    network = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    config = RunConfig("compact", "x", num_epochs=2, batch_size=16, learning_rate=3e-3, seed=1, num_devices=num_devices)
    with Writer(folder) as writer:
        writer.stop_after = stop_after
        plan = FitPlan(ClassSpec(["happy", "neutral", "sad"], ["sad"]), recipe, config)
        progress = fit_network(network, {"train": part, "val": part}, plan=plan, writer=writer, devices=devices)
    found = {
        "widths": [width for width in widths if isinstance(width, int)],
        "shape": network.predict_on_batch(images[:5]).shape,
        "was_stopped": progress.was_stopped,
        "weights": np.concatenate([weights.ravel() for weights in network.get_weights()]).tolist(),
    }
    (folder / "found.json").write_text(json.dumps(found))

for name, *job in json.loads(sys.argv[1]):
    Path(name).mkdir(exist_ok=True)
    fit(Path(name), *job)
"""


class _Job(NamedTuple):
    """A fit: the name of its folder, and what is to be done there."""

    name: str
    num_devices: int
    num_images: int = 48
    dropout: float = 0.0
    stop_after: int = 0


def _fit(folder: Path, backend: str, *jobs: _Job) -> dict[str, dict]:
    """Fits in one process; returns by job what was found, and its losses step by step and epoch by epoch."""
    environment = os.environ | {"KERAS_BACKEND": backend}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT_DIR), environment.get("PYTHONPATH")]))
    result = subprocess.run(
        [sys.executable, "-c", FIT, json.dumps(jobs)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,  # 25 s on an idle core
    )
    assert result.returncode == 0, result.stderr[-2000:]
    found = {}
    for job in jobs:
        rows = [json.loads(line) for line in (folder / job.name / METRICS_FILE).read_text().splitlines()]
        steps = [row["loss"] for row in rows if row["kind"] == "step"]
        epochs = [row["val_loss"] for row in rows if row["kind"] == "epoch"]
        values = json.loads((folder / job.name / "found.json").read_text())
        found[job.name] = values | {"steps": steps, "epochs": epochs}
    return found


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request) -> str:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def fits(backend, tmp_path_factory) -> tuple[Path, dict[str, dict]]:
    """The folder of all fits on one backend, and what was found in each."""
    folder = tmp_path_factory.mktemp(backend)
    dropout = 0.3 if backend == "jax" else 0.0  # on TensorFlow each device draws the dropout of its own share
    jobs = [
        _Job("two", 2, dropout=dropout),
        _Job("odd", 2, num_images=33),
        _Job("whole", 2, dropout=0.3),
        _Job("halves", 2, dropout=0.3, stop_after=4),
        _Job("one", 1, dropout=dropout),
    ]
    return folder, _fit(folder, backend, *jobs)


@pytest.mark.slow
def test_two_devices_learn_what_one_learns(fits):
    one, two = fits[1]["one"], fits[1]["two"]
    assert len(one["steps"]) == 6
    assert two["steps"] == pytest.approx(one["steps"], abs=1e-4)
    assert two["epochs"] == pytest.approx(one["epochs"], abs=1e-4)
    assert two["weights"] == pytest.approx(one["weights"], abs=1e-3)
    assert two["shape"] == [5, 3]  # not once from each device


@pytest.mark.slow
def test_each_device_gets_half_of_a_batch(fits, backend):
    widths = set(fits[1]["odd"]["widths"])
    if backend == "tensorflow":
        assert 8 in widths
        assert 16 not in widths
    else:  # JAX is given whole batches and divides them while it computes
        assert 16 in widths
        assert 8 not in widths


@pytest.mark.slow
def test_a_fit_on_two_devices_stopped_and_resumed_in_another_process_ends_like_one_in_one_go(fits, backend):
    folder, found = fits
    assert found["halves"]["was_stopped"]
    assert (folder / "halves" / CHECKPOINT_FILE).is_file()
    (folder / "halves" / "stop").unlink()
    resumed = _fit(folder, backend, _Job("halves", 2, dropout=0.3))["halves"]
    assert resumed["weights"] == found["whole"]["weights"]


@pytest.mark.parametrize(("num_images", "expected"), [(48, [16, 16, 16]), (33, [16, 16, 4]), (1, [4])])
def test_the_last_batch_is_filled_up_until_all_devices_get_as_much(num_images, expected):
    part = ArrayDataset(np.zeros((num_images, 2, 2, 1), np.uint8), np.arange(num_images)[:, np.newaxis], np.zeros(0))
    config = RunConfig("compact", "x", num_epochs=1, batch_size=16, learning_rate=1e-3, num_devices=4)
    batches = Batches(part, config, augment=None, first_epoch=0)
    targets = [batches[number][1] for number in range(len(batches))]
    assert [len(values) for values in targets] == expected
    assert set(np.concatenate(targets)[:, 0]) == set(range(num_images))


def test_one_device_changes_nothing():
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert find_devices(1) is ONE_DEVICE
    assert ONE_DEVICE.copy_network(network) is network


def test_more_devices_than_there_are_are_refused():
    keras.ops.convert_to_numpy(keras.ops.ones(1) + 1)  # from here on the processor cannot be divided
    with pytest.raises(RunError, match=r"^5 devices were asked for, and this machine has 1 \w+\. Choose --devices 1"):
        find_devices(5)


@pytest.mark.parametrize(("num_devices", "message"), [(0, "between 1 and"), (3, "multiple of 3"), (2.0, "whole")])
def test_a_number_of_devices_that_makes_no_sense_is_refused(num_devices, message):
    config = RunConfig("compact", "x", num_epochs=1, batch_size=16, learning_rate=1e-3, num_devices=num_devices)
    with pytest.raises(RunError, match=message):
        config.check()


@pytest.mark.slow
def test_the_command_line_trains_on_two_devices_and_the_model_answers(tmp_path, write_pictures, capsys):
    paths = [f"{emotion}/{number}.png" for emotion in ("happy", "sad") for number in range(24)]
    folder = write_pictures(paths)
    environment = os.environ | {"PYTHONPATH": str(PROJECT_DIR), "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-m", "facedep", "train", "--data", str(folder), "--recipe", "article", "--epochs", "1",
               "--batch-size", "16", "--devices", "2", "--name", "both"]  # fmt: skip
    trained = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
    assert trained.returncode == 0, trained.stderr[-2000:]
    run_dir = Path(os.environ["FACEDEP_MODELS_DIR"]) / "both"
    assert read_run(run_dir).config.num_devices == 2
    assert main(["predict", "--model", str(run_dir), "--json", str(folder / paths[0])]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_tensorflow_still_knows_the_option_that_skips_graph_rewriting():
    """Experimental in TensorFlow 2.21: if an upgrade drops it, the first step comes about two seconds later."""
    import tensorflow as tf

    skip_graph_rewriting()
    options = tf.config.optimizer.get_experimental_options()
    assert options.get("disable_meta_optimizer", False) == (not tf.config.list_physical_devices("GPU"))
