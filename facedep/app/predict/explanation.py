"""Why, and how sure: where a model looked, how stable its prediction is, which known faces look most like this one."""

import numpy as np
import streamlit as st

from facedep.app import picture_grid, pictures, scanning, visit
from facedep.app.explore import tabs
from facedep.audit.neighbors import build_appearance, find_nearest_neighbors
from facedep.data.scan import Scan
from facedep.data.sources import Dataset
from facedep.errors import FacedepError
from facedep.images.opening import prepare_image
from facedep.inference.explain import (
    compute_class_activation_map,
    compute_occlusion_map,
    measure_stability,
    overlay_map,
)
from facedep.inference.prediction_cache import find_in_training_set
from facedep.networks.classifier import Classifier
from facedep.runs import run_folder

_NUM_NEIGHBORS = 8
_OCCLUSION, _ACTIVATION = "Cover each place", "Class activation map"
_MAP_TEXTS = {
    _OCCLUSION: "Each place was covered once. **Blue**: covering it makes P(“depressed”) smaller. **Orange**: larger.",
    _ACTIVATION: "What the last layer adds up, place by place. **Blue** speaks for “depressed”, **orange** against.",
}


@st.fragment
def show_explanation(classifier: Classifier, prepared: np.ndarray, *, key: str) -> None:
    """Shows, once opened, what a prediction is based on, how stable it is, and the face's nearest neighbors.

    Args:
        classifier: The model.
        prepared: What it sees: `uint8` array of shape `(size, size)`, 0-255.
        key: Distinguishes the widgets of several faces on a page.
    """
    with st.expander("Why, and how sure", icon=":material/search:", key=f"why_{key}", on_change="rerun") as box:
        if not box.open:
            return
        _show_map(classifier, prepared, key=key)
        st.markdown("**Faces that look most like it**")
        try:
            dataset = visit.load_dataset(visit.current_spec())
        except FacedepError as error:
            st.caption(f"The chosen data set cannot be read: {error}")
            return
        scan = scanning.find_scan(dataset)
        if scan is None:
            name = visit.describe_source()
            st.caption(
                f"{name[0].upper()}{name[1:]} have not been scanned yet. Open the tab “{tabs.ISSUES}” of Explore once; "
                "then they can be compared."
            )
        elif not scan.is_readable.any():
            st.caption(f"None of the pictures of {visit.describe_source()} can be read. Choose others on Explore.")
        else:
            _show_nearest_neighbors(classifier, prepared, dataset, scan, key=key)


def _show_map(classifier: Classifier, prepared: np.ndarray, *, key: str) -> None:
    left, right = st.columns([1, 2], gap="medium")
    activation, method = compute_class_activation_map(classifier, prepared), _OCCLUSION
    if activation is not None:
        method = right.segmented_control(
            "How to find out", [_OCCLUSION, _ACTIVATION], default=_OCCLUSION, key=f"map_{key}", required=True
        )
    strength = right.slider("Strength of the colours", 0.0, 1.0, 0.6, 0.05, key=f"strength_{key}")
    values = activation
    if values is None or method == _OCCLUSION:
        values = compute_occlusion_map(classifier, prepared)
    left.image(overlay_map(prepared, values, size_px=288, strength=strength), width=288)
    with right:
        st.markdown(f"{_MAP_TEXTS[method]} This shows where the model looked, not whether it was right to.")
        _show_stability(classifier, prepared)


def _show_stability(classifier: Classifier, prepared: np.ndarray) -> None:
    stability = measure_stability(classifier, prepared)
    text = f"Mirrored, shifted a little, lighter or darker it says {stability.lowest:.0%} to {stability.highest:.0%}"
    if stability.has_flipped:
        st.warning(f"{text}: **the answer flips**, so rely on none of them.", icon=":material/sync:")
    elif stability.has_wavered:
        st.warning(f"{text}: **it is sure of some of them only.**", icon=":material/sync:")
    else:
        st.markdown(f"{text}: the answer stays the same.")


def _show_nearest_neighbors(
    classifier: Classifier, prepared: np.ndarray, dataset: Dataset, scan: Scan, *, key: str
) -> None:
    """Shows the pictures of the chosen data set that look most like the face; if any were learned from, of those."""
    in_training_set = find_in_training_set(run_folder.locate_run(classifier.name), scan.fingerprints)
    in_training_set &= scan.is_readable
    among = in_training_set if in_training_set.any() else scan.is_readable
    appearance = picture_grid.load_appearance(dataset, scan)
    own = build_appearance(prepare_image(prepared, scan.thumbnails.shape[1])[np.newaxis, :, :, 0])
    neighbors, correlations = find_nearest_neighbors(
        np.concatenate([appearance, own]), len(appearance), _NUM_NEIGHBORS, among=np.append(among, False)
    )
    names = pictures.describe_labels(dataset.samples.iloc[neighbors])
    captions = [f"{name} · {correlation:.2f}" for name, correlation in zip(names, correlations, strict=True)]
    picture_grid.show_grid(dataset, neighbors.tolist(), key=f"similar_{key}", captions=captions)
    compared = (
        f"{in_training_set.sum():,} pictures of {visit.describe_source()} that {classifier.name} has learned from"
    )
    if not in_training_set.any():
        compared = f"{visit.describe_source()}, of which {classifier.name} has learned from none"
    st.caption(f"Among {compared}. The number is the correlation of the pixels: 1.00 is the same picture.")
