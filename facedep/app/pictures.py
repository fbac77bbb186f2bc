"""Single pictures as pages show them: drawn faces, enlarged pixels, and what a picture is called."""

import io

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from facedep.data import sample_faces


@st.cache_data(max_entries=256, show_spinner=False)
def load_sample_face(emotion: str, number: int) -> np.ndarray:
    """Returns one drawn face: `uint8` array of shape `(128, 128, 3)`, RGB.

    Args:
        emotion: What it shows.
        number: Which of the faces with this emotion.
    """
    return sample_faces.draw_sample_face(emotion, number)


def encode_sample_face(emotion: str, number: int) -> bytes:
    """Returns one drawn face as a PNG file's content.

    Args:
        emotion: What it shows.
        number: Which of the faces with this emotion.
    """
    buffer = io.BytesIO()
    Image.fromarray(load_sample_face(emotion, number)).save(buffer, format="PNG")
    return buffer.getvalue()


def enlarge(gray: np.ndarray, size_px: int) -> Image.Image:
    """Returns a small gray picture enlarged without smoothing, so that its pixels can be seen.

    Args:
        gray: `uint8` array of shape `(height, width)`, 0-255.
        size_px: The side of the result.
    """
    return Image.fromarray(gray).resize((size_px, size_px), Image.Resampling.NEAREST)


def enlarge_times(gray: np.ndarray, factor: int) -> Image.Image:
    """Returns a small gray picture of any shape, with each of its pixels drawn as a square.

    Args:
        gray: `uint8` array of shape `(height, width)`, 0-255.
        factor: The squares' side.
    """
    return Image.fromarray(gray.repeat(factor, axis=0).repeat(factor, axis=1))


def describe_labels(samples: pd.DataFrame) -> list[str]:
    """Returns each picture's label for readers: its emotion, or its group if no emotion is named.

    Args:
        samples: Rows of a samples table.
    """
    pairs = zip(samples["emotion"].astype(str), samples["label"].astype(str), strict=True)
    return [emotion or label.replace("_", "-") for emotion, label in pairs]
