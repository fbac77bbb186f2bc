"""A grid of pictures that can be clicked, and the details of the one that was."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from facedep.app import ui
from facedep.audit.neighbors import build_appearance, find_nearest_neighbors
from facedep.data.scan import Scan, find_cache_path
from facedep.data.sources import Dataset
from facedep.errors import ImageError
from facedep.images.opening import prepare_image, to_gray

THUMBNAIL_SIZE_PX = 96
NUM_LOOKALIKES = 8
_CSS = """
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)); gap: 8px; }
button { padding: 0; border: 2px solid transparent; border-radius: 8px; background: none; cursor: pointer;
         font: inherit; font-size: 0.8rem; color: var(--st-text-color); overflow: hidden; }
button:hover, button:focus-visible { border-color: var(--st-primary-color); outline: none; }
img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 6px;
      background: var(--st-secondary-background-color); }
span { display: block; padding: 2px 0 4px; line-height: 1.2; overflow-wrap: anywhere; }
"""
_JS = """
export default function({ data, setTriggerValue, parentElement }) {
    const grid = parentElement.querySelector('.grid');
    grid.replaceChildren(...data.map((picture) => {
        const button = document.createElement('button');
        button.type = 'button';
        button.setAttribute('aria-label', picture.label);
        const image = document.createElement('img');
        image.src = picture.src;
        image.alt = '';
        const caption = document.createElement('span');
        caption.textContent = picture.caption;
        button.append(image, caption);
        button.onclick = () => setTriggerValue('picked', picture.row);
        return button;
    }));
}
"""


@st.cache_resource(show_spinner=False)
def _find_grid() -> Any:
    """Returns the component, registered once in a server's life."""
    return st.components.v2.component("picture_grid", html='<div class="grid"></div>', css=_CSS, js=_JS)


def show_grid(dataset: Dataset, rows: Sequence[int], *, key: str, captions: Sequence[str] = ()) -> int | None:
    """Shows pictures side by side; returns the row of the one that was just clicked, or None.

    Args:
        dataset: The data set.
        rows: Which pictures, as positions among its samples.
        key: The widget's key.
        captions: A few words beneath each; by default its emotion, or its group where none is named.
    """
    samples = dataset.samples
    shown = []
    for number, row in enumerate(rows):
        path, emotion, label = samples["path"].iat[row], samples["emotion"].iat[row], samples["label"].iat[row]
        name = emotion or label.replace("_", "-")
        caption = captions[number] if captions else name
        source = encode_thumbnail(dataset, path)
        words = caption if source else f"{caption} (cannot be read)"
        shown.append({"row": int(row), "src": source, "caption": words, "label": f"{name}, picture {row + 1:,}"})
    return _find_grid()(data=shown, key=key, on_picked_change=lambda: None).picked


def encode_thumbnail(dataset: Dataset, path: str) -> str:
    """Returns a small gray JPEG as a data address; "" for a picture that cannot be read."""
    return _encode_thumbnail(dataset.store.state_key, path, dataset)


@st.cache_data(max_entries=4096, show_spinner=False)  # of some 3 kB each
def _encode_thumbnail(state_key: str, path: str, _dataset: Dataset) -> str:
    try:
        picture = Image.fromarray(prepare_image(to_gray(_dataset.open(path)), THUMBNAIL_SIZE_PX)[:, :, 0])
    except ImageError:
        return ""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


@st.dialog("One picture", width="medium")
def show_details(dataset: Dataset, scan: Scan | None, row: int, facts: pd.Series | None = None) -> None:
    """Shows one picture with what is known of it, and the pictures that look most like it.

    Args:
        dataset: The data set.
        scan: Its scan, or None where it has not been looked at yet.
        row: The picture's position among the samples.
        facts: Further facts, a name and a value each.
    """
    picture = dataset.samples.iloc[row]
    left, right = st.columns([1, 1.4])
    with left:
        try:
            st.image(ui.enlarge(to_gray(dataset.open(picture["path"])), 240), width=240)
        except ImageError as error:
            st.warning(str(error))
    known = {
        "File": picture["path"],
        "Emotion": picture["emotion"] or "not named",
        "Group": picture["label"].replace("_", "-"),
        "Split": picture["subset"] or "none",
    }
    if scan is not None and scan.is_readable[row]:
        known["Size"] = f"{scan.sizes[row, 0]} x {scan.sizes[row, 1]} pixels"
    known |= {} if facts is None else facts.to_dict()
    with right:
        st.markdown("\n".join(f"- **{name}:** {str(value).replace('`', '')}" for name, value in known.items()))
    if scan is None or not scan.is_readable[row]:
        return
    st.markdown("**What looks most like it**")
    rows, correlations = find_nearest_neighbors(
        load_appearance(dataset, scan), row, NUM_LOOKALIKES, among=scan.is_readable
    )
    captions = [
        f"{dataset.samples['emotion'].iat[other] or dataset.samples['label'].iat[other]}"
        f"{', ' + dataset.samples['split'].iat[other] if dataset.samples['split'].iat[other] else ''}"
        f" · {correlation:.2f}"
        for other, correlation in zip(rows, correlations, strict=True)
    ]
    show_grid(dataset, rows.tolist(), key=f"lookalikes_{row}", captions=captions)
    st.caption("The number is the correlation of the pixels: 1.00 is the same picture.")


def load_appearance(dataset: Dataset, scan: Scan) -> np.ndarray:
    """Returns each picture's appearance, as `lookalikes.build_appearance` gives it, kept for the last data sets."""
    return _load_appearance(str(find_cache_path(dataset)), scan)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load_appearance(cache_path: str, _scan: Scan) -> np.ndarray:
    return build_appearance(_scan.thumbnails)
