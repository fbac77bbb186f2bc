"""Map: all pictures laid out by how alike they are to a model."""

import numpy as np
import streamlit as st

from facedep.app import picture_grid
from facedep.app.explore import findings
from facedep.data.scan import Scan
from facedep.data.sources import Dataset
from facedep.inference.embedding_map import read_map
from facedep.reporting.plots import data
from facedep.runs import run_folder


@st.fragment  # of its own: a selection redraws nothing else
def show_map(dataset: Dataset, scan: Scan, model: str) -> None:
    """Shows all pictures laid out by how alike they are to a model; points can be selected, and show their pictures.

    Args:
        dataset: The data set.
        scan: Its scan.
        model: The model's name; the map is there, see `findings.follow_embedding`.
    """
    points = read_map(run_folder.find_run_dir(model), dataset)
    if points is None:
        return
    names = np.where(dataset.samples["emotion"] != "", dataset.samples["emotion"], dataset.samples["label"])
    mask = scan.is_readable & np.isfinite(points).all(axis=1)
    st.caption(
        f"Each point is a picture; near ones look alike to {model}. Draw a box or a lasso around some to see them."
    )
    event = st.plotly_chart(
        data.plot_map(points[mask], names[mask], np.nonzero(mask)[0]),
        key="map",
        on_select="rerun",
        selection_mode=("box", "lasso", "points"),
        config={"scrollZoom": True, "displaylogo": False},
    )
    selected = [int(point["customdata"]) for point in event["selection"]["points"]]
    if not selected:
        return
    st.markdown(f"**{len(selected):,} selected**")
    picked = picture_grid.show_grid(dataset, selected[: findings.PAGE_SIZE], key="map_pictures")
    if picked is not None:
        findings.show_picture(dataset, scan, picked)
