"""What the tests of the app share: its text, archives of drawn faces, the wait for the model."""

import io
import time
import zipfile

import pytest
from PIL import Image

from facedep.data import sample_faces
from facedep.paths import PROJECT_DIR

APP = str(PROJECT_DIR / "streamlit_app.py")


def texts(app):
    """Returns all text that is on the page."""
    kinds = (app.markdown, app.caption, app.title, app.subheader, app.info, app.warning, app.error, app.success)
    return "\n".join(element.value for kind in kinds for element in kind)


def make_zip(*folders, num_images=12):
    """Returns an archive with so many drawn faces in each folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for folder in folders:
            for number in range(num_images):
                picture = io.BytesIO()
                emotion = sample_faces.SAMPLE_EMOTIONS[number % 7]
                Image.fromarray(sample_faces.draw_sample_face(emotion, number)).save(picture, "PNG")
                archive.writestr(f"{folder}/{number}.png", picture.getvalue())
    return buffer.getvalue()


def wait_for_model(app):
    """Runs the page until the model is loaded, and returns it."""
    for _ in range(120):
        if "The model is loading" not in texts(app):
            return app
        time.sleep(0.5)
        app.run()
    pytest.fail("the model never came")


def encode_face(emotion, number):
    """Returns a drawn face as a PNG file's content."""
    picture = io.BytesIO()
    Image.fromarray(sample_faces.draw_sample_face(emotion, number)).save(picture, "PNG")
    return picture.getvalue()
