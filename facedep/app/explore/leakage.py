"""Issues, the upper half: how much of the test part is also in train, and what remembering alone would score."""

import numpy as np
import streamlit as st

from facedep import emotions
from facedep.app import page, picture_grid
from facedep.audit.neighbors import LookupScore, score_lookup_table
from facedep.data import splits
from facedep.data.scan import Scan, find_cache_path
from facedep.data.sources import Dataset
from facedep.errors import DataError
from facedep.reporting.plots import data


def show_leakage(dataset: Dataset, scan: Scan) -> None:
    """Shows in one sentence, computed here and now, what the test part of a chosen protocol measures.

    Args:
        dataset: The data set.
        scan: Its scan.
    """
    samples = dataset.samples
    st.subheader("Is the test a test?")
    st.write(
        "A network is judged on pictures it has not learned from. If a test picture is also in train, it is like an "
        "exam with last year's answers: remembering is enough."
    )
    protocols = list(splits.PROTOCOLS)
    has_own_split = {"train", "test"} <= set(samples["subset"])
    first = protocols.index(splits.SUPPLIED if has_own_split else splits.LEAK_FREE)
    protocol = st.radio("Split", protocols, first, format_func=_describe_protocol, key="leak_protocol")
    try:
        subsets = splits.split_dataset(samples, scan, protocol)
        clean_subsets = splits.split_dataset(samples, scan, splits.LEAK_FREE)
    except DataError as error:
        st.info(str(error))
        return
    leaks = splits.count_leaks(subsets, scan)
    for name, leak in leaks.items():
        figure = data.plot_leak(leak.num_images, leak.num_identical, leak.num_similar, name)
        page.show_chart(figure, key=f"leak_{name}")
    subset = "test" if "test" in leaks else "val"
    path, labels = str(find_cache_path(dataset)), tuple(samples["label"] == emotions.DEPRESSED)
    here = _score_lookup(path, labels, tuple(subsets), subset, dataset, scan)
    elsewhere = _score_lookup(path, labels, tuple(clean_subsets), "test", dataset, scan)
    text = _describe_lookup(here, elsewhere)
    if protocol == splits.PUBLISHED:
        text += " The article reports “nearly 80%” on this split."
    _show_leak(leaks[subset], subset, text)


def _describe_protocol(protocol: str) -> str:
    return splits.PROTOCOLS[protocol]


def _describe_lookup(here: LookupScore | None, elsewhere: LookupScore | None) -> str:
    """Returns what a lookup table gets on this test part, and on new pictures."""
    if here is None:
        return ""
    text = (
        "A lookup table without any learning, which gives the group of the most similar picture in train, gets "
        f"{here.accuracy:.0%} right here"
    )
    if elsewhere is None:
        return f"{text}. For a score on new pictures there are too few: add some."
    baseline = elsewhere.majority_baseline
    return (
        f"{text}, and {elsewhere.accuracy:.0%} on new pictures; always saying *{baseline.label}* gets "
        f"{baseline.share:.0%} there."
    )


def _show_leak(leak: splits.Leak, subset: str, lookup: str) -> None:
    if leak.num_identical:
        st.warning(
            f"**{leak.num_identical:,} of the {leak.num_images:,} {subset} pictures are also in train.** {lookup} "
            "Scores on this split measure memory.",
            icon=":material/content_copy:",
        )
    elif leak.num_similar:
        st.info(
            f"No exact copies, but {leak.num_similar:,} of the {leak.num_images:,} {subset} pictures look nearly the "
            f"same as one in train. {lookup}",
            icon=":material/content_copy:",
        )
    else:
        st.success(
            f"Train and {subset} share no picture, not even a near-copy. {lookup}", icon=":material/check_circle:"
        )


@st.cache_data(max_entries=8, show_spinner="Looking the test pictures up …")
def _score_lookup(
    path: str, labels: tuple[bool, ...], subsets: tuple[str, ...], subset: str, _dataset: Dataset, _scan: Scan
) -> LookupScore | None:
    appearance = picture_grid.load_appearance(_dataset, _scan)
    return score_lookup_table(appearance, np.array(labels), np.array(subsets), subset)
