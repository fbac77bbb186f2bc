"""What several tabs of Explore show of the pictures: their measures and issues, the details of one of them."""

import numpy as np
import pandas as pd
import streamlit as st

from facedep.app import background_jobs, picture_grid, visit
from facedep.app.explore import tabs
from facedep.audit.face_check import read_face_check
from facedep.audit.issues import Issue, find_issues
from facedep.audit.quality import measure_quality
from facedep.data.scan import Scan, find_cache_path
from facedep.data.sources import Dataset
from facedep.inference.embedding_map import read_map
from facedep.inference.prediction_cache import read_predictions
from facedep.runs import run_folder

PAGE_SIZE = 36  # pictures in a grid that shows many
MEASURES = ("brightness", "contrast", "sharpness", "entropy")


def follow_embedding(dataset: Dataset, scan: Scan, model: str) -> bool:
    """Returns whether a model's predictions and the map are there; else shows how far the work on them is.

    Args:
        dataset: The data set.
        scan: Its scan.
        model: The model's name.

    Raises:
        FacedepError: The model cannot be used, or the process cannot be started.
    """
    if not scan.is_readable.any():
        st.info(f"None of these files can be read. The tab “{tabs.ISSUES}” says what is wrong with each.")
        return False
    run_dir = run_folder.find_run_dir(model)
    predictions = read_predictions(run_dir, dataset)
    job = background_jobs.name_job("embed", dataset, model)
    if predictions is not None and predictions.is_complete and read_map(run_dir, dataset) is not None:
        background_jobs.forget_job(job)
        return True
    background_jobs.follow_job(job, ["embed", *dataset.spec.to_argv(), "--model", model])
    return False


def load_quality(dataset: Dataset, scan: Scan) -> pd.DataFrame:
    """Returns the table of `quality.measure_quality`, kept for the last data sets.

    Args:
        dataset: The data set.
        scan: Its scan.
    """
    return _load_quality(str(find_cache_path(dataset)), dataset.samples, scan)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load_quality(cache_path: str, _samples: pd.DataFrame, _scan: Scan) -> pd.DataFrame:
    return measure_quality(_samples, _scan)


def load_issues(dataset: Dataset, scan: Scan) -> list[Issue]:
    """Returns the issues by the limits that the visitor has set.

    Args:
        dataset: The data set.
        scan: Its scan.
    """
    quality, has_face = load_quality(dataset, scan), read_face_check(dataset)
    return find_issues(dataset.samples, scan, quality, visit.current_limits(), has_face=has_face)


def describe_issues(found: list[Issue]) -> dict[str, str]:
    """Returns the titles of the issues that there are, with the number of pictures, by the issues' names.

    Args:
        found: From `load_issues`.
    """
    return {issue.name: f"{issue.title} ({issue.num_images:,})" for issue in found if issue.num_images}


def shuffle_pictures(num_images: int) -> np.ndarray:
    """Returns the order in which pictures are shown: a cross-section of the folders, not the first one alone.

    Args:
        num_images: How many there are.

    Returns:
        `int` array of shape `(num_images,)`, the same each time.
    """
    return np.random.default_rng(0).permutation(num_images)


def show_picture(dataset: Dataset, scan: Scan | None, i: int) -> None:
    """Opens the details of one picture, with its measures and issues once the data set is scanned.

    Args:
        dataset: The data set.
        scan: Its scan, or None.
        i: The picture's position among the samples.
    """
    if scan is None:
        picture_grid.show_details(dataset, scan, i)
        return
    quality = load_quality(dataset, scan).iloc[i]
    titles = [issue.title.lower() for issue in load_issues(dataset, scan) if issue.mask[i]]
    facts = {name.capitalize(): f"{quality[name]:.2f}" for name in MEASURES}
    facts["Issues"] = ", ".join(titles) or "none found"
    picture_grid.show_details(dataset, scan, i, facts)
