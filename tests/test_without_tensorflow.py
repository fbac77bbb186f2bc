"""No page and no command needs TensorFlow, but the training of a whole network: the server never holds it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from facedep.data.sample_faces import draw_sample_face
from facedep.paths import PROJECT_DIR, models_dir
from facedep.runs.run_folder import SHIPPED_RUN

SCRIPT = PROJECT_DIR / "tests" / "helpers" / "without_tensorflow.py"


@pytest.fixture
def faces(tmp_path) -> Path:
    """A small data set of drawn faces."""
    for emotion in ("happy", "sad"):
        folder = tmp_path / "faces" / emotion
        folder.mkdir(parents=True)
        for number in range(12):
            Image.fromarray(draw_sample_face(emotion, number)).resize((48, 48)).save(folder / f"{number}.png")
    return tmp_path / "faces"


@pytest.mark.slow
@pytest.mark.parametrize("what", ["app", "commands"])
def test_everything_but_the_training_of_a_whole_network_works_without_tensorflow(what, faces, tmp_path):
    shutil.copytree(PROJECT_DIR / "models" / SHIPPED_RUN, models_dir() / SHIPPED_RUN)
    picture = tmp_path / "me.png"
    Image.fromarray(draw_sample_face("sad", 1)).resize((256, 256)).save(picture)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), what, str(faces), str(picture), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
