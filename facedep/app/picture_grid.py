"""A grid of pictures that can be clicked, and the details of the one that was."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from facedep.app import pictures
from facedep.audit.neighbors import build_appearance, find_nearest_neighbors
from facedep.data.scan import Scan, find_cache_path
from facedep.data.sources import Dataset
from facedep.errors import ImageError
from facedep.images.opening import prepare_image, to_gray

THUMBNAIL_SIZE_PX = 96
NUM_NEIGHBORS = 8
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
        button.onclick = () => setTriggerValue('picked', picture.index);
        return button;
    }));
}
"""


@st.cache_resource(show_spinner=False)
def _find_grid() -> Any:
    """Returns the component, registered once in a server's life."""
    return st.components.v2.component("picture_grid", html='<div class="grid"></div>', css=_CSS, js=_JS)


def show_grid(dataset: Dataset, indices: Sequence[int], *, key: str, captions: Sequence[str] = ()) -> int | None:
    """Shows pictures side by side; returns the index of the one that was just clicked, or None.

    Args:
        dataset: The data set.
        indices: Which pictures, as positions among its samples.
        key: The widget's key.
        captions: A few words beneath each; by default its emotion, or its group if none is named.
    """
    names = pictures.describe_labels(dataset.samples.iloc[list(indices)])
    shown = []
    for number, (i, name) in enumerate(zip(indices, names, strict=True)):
        source = encode_thumbnail(dataset, i)
        caption = captions[number] if captions else name
        text = caption if source else f"{caption} (cannot be read)"
        shown.append({"index": int(i), "src": source, "caption": text, "label": f"{name}, picture {i + 1:,}"})
    picked: int | None = _find_grid()(data=shown, key=key, on_picked_change=lambda: None).picked
    return picked


def encode_thumbnail(dataset: Dataset, i: int) -> str:
    """Returns a small gray JPEG as a data address; "" for a picture that cannot be read.

    Args:
        dataset: The data set.
        i: The picture's position among its samples.
    """
    return _encode_thumbnail(dataset.store.state_key, str(dataset.samples["path"].iat[i]), dataset)


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
def show_details(dataset: Dataset, scan: Scan | None, i: int, facts: Mapping[str, str] | None = None) -> None:
    """Shows one picture with what is known of it, and its nearest neighbors.

    Args:
        dataset: The data set.
        scan: Its scan, or None if it has not been scanned yet.
        i: The picture's position among the samples.
        facts: Further facts, a name and a value each.
    """
    picture = dataset.samples.iloc[i]
    left, right = st.columns([1, 1.4])
    with left:
        try:
            st.image(pictures.enlarge(to_gray(dataset.open(picture["path"])), 240), width=240)
        except ImageError as error:
            st.warning(str(error))
    known = {
        "File": picture["path"],
        "Emotion": picture["emotion"] or "not named",
        "Group": picture["label"].replace("_", "-"),
        "Part": picture["subset"] or "none",
    }
    if scan is not None and scan.is_readable[i]:
        known["Size"] = f"{scan.sizes[i, 0]} x {scan.sizes[i, 1]} pixels"
    known |= facts or {}
    with right:
        st.markdown("\n".join(f"- **{name}:** {str(value).replace('`', '')}" for name, value in known.items()))
    if scan is not None and scan.is_readable[i]:
        _show_neighbors(dataset, scan, i)


def _show_neighbors(dataset: Dataset, scan: Scan, i: int) -> None:
    st.markdown("**What looks most like it**")
    neighbors, correlations = find_nearest_neighbors(
        load_appearance(dataset, scan), i, NUM_NEIGHBORS, among=scan.is_readable
    )
    samples = dataset.samples.iloc[neighbors]
    facts = zip(pictures.describe_labels(samples), samples["subset"].astype(str), correlations, strict=True)
    captions = [f"{name}{', ' + subset if subset else ''} · {correlation:.2f}" for name, subset, correlation in facts]
    show_grid(dataset, neighbors.tolist(), key=f"neighbors_{i}", captions=captions)
    st.caption("The number is the correlation of the pixels: 1.00 is the same picture.")


def load_appearance(dataset: Dataset, scan: Scan) -> np.ndarray:
    """Returns each picture's appearance, as `neighbors.build_appearance` gives it, kept for the last data sets.

    Args:
        dataset: The data set.
        scan: Its scan.
    """
    return _load_appearance(str(find_cache_path(dataset)), scan)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load_appearance(cache_path: str, _scan: Scan) -> np.ndarray:
    return build_appearance(_scan.thumbnails)
