"""Average faces: the mean face of each group and emotion, and what the groups' means differ in."""

import numpy as np
import streamlit as st

from facedep import emotions
from facedep.app import page, pictures
from facedep.audit.average_faces import AverageFace, compute_average_faces, compute_difference, describe_difference
from facedep.data.scan import Scan, find_cache_path
from facedep.data.sources import Dataset
from facedep.reporting.plots import data


def show_average_faces(dataset: Dataset, scan: Scan) -> None:
    """Shows the mean face of each group and emotion, and what the two groups' means differ in.

    Args:
        dataset: The data set.
        scan: Its scan.
    """
    samples, path = dataset.samples, str(find_cache_path(dataset))
    by_group = _compute_averages(path, tuple(samples["label"]), scan)
    depressed, non_depressed = by_group.get(emotions.DEPRESSED), by_group.get(emotions.NON_DEPRESSED)
    if not depressed or not non_depressed:
        st.info("One of the two groups has no readable picture, so there is nothing to compare. Add pictures to it.")
        return
    columns = st.columns(3)
    for column, (group, face) in zip(columns, by_group.items(), strict=False):
        name = group.replace("_", "-")
        column.image(pictures.enlarge(face.mean_picture, 288), caption=f"mean of {face.num_images:,} {name} faces")
    with columns[2]:
        difference = compute_difference(depressed, non_depressed, is_brightness_removed=True)
        page.show_chart(data.plot_difference(difference), key="difference")
    st.markdown(describe_difference(depressed, non_depressed))
    by_emotion = _compute_averages(path, tuple(samples["emotion"]), scan)
    if by_emotion:
        st.markdown("**Each emotion: the mean above, the variation beneath** (bright where the pictures differ)")
        with st.container(horizontal=True, gap="small"):
            for emotion, face in by_emotion.items():
                both = np.concatenate([face.mean_picture, face.variation_picture])
                st.image(pictures.enlarge_times(both, 2), width=96, caption=f"{emotion}, {face.num_images:,}")


@st.cache_data(max_entries=6, show_spinner=False)
def _compute_averages(cache_path: str, keys: tuple[str, ...], _scan: Scan) -> dict[str, AverageFace]:
    return compute_average_faces(_scan.thumbnails, np.array(keys), is_readable=_scan.is_readable)
