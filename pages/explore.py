"""Explore: the visitor chooses a data set, sees its pictures and counts, and finds out whether its test is a test."""

from pathlib import Path

import pandas as pd
import streamlit as st

from facedep import emotions, plots, splits, ui
from facedep.data import Dataset
from facedep.errors import DataError, ImageError
from facedep.export import export_dataset
from facedep.scan import Scan

PAGE_SIZE = 36
ANY = "all"


def show_numbers(dataset: Dataset) -> None:
    """Shows the counts and their balance."""
    index = dataset.index
    is_depressed = index["label"] == emotions.DEPRESSED
    with st.container(horizontal=True):
        st.metric("Pictures", f"{len(index):,}", border=True, width=160)
        st.metric("Called depressed", f"{is_depressed.mean():.0%}", border=True, width=190)
        st.metric("“Always non-depressed” is right", f"{1 - is_depressed.mean():.0%}", border=True, width=250)
        st.metric("Emotions", index.loc[index["emotion"] != "", "emotion"].nunique(), border=True, width=140)
    left, right = st.columns(2)
    with left:
        ui.show_chart(plots.plot_emotions(index), key="emotions")
    with right:
        ui.show_chart(plots.plot_balance(index), key="balance")
    neutral = (is_depressed & (index["emotion"] == "neutral")).sum() / max(1, is_depressed.sum())
    if neutral:
        st.markdown(
            f"As in the article, **{' and '.join(sorted(dataset.depressed_emotions))}** faces are called *depressed*, "
            f"all others *non-depressed*. {neutral:.0%} of the “depressed” pictures here are neutral faces. "
            "Nobody in them is known to live with depression: the label is a renamed folder."
        )


@st.fragment
def show_gallery(dataset: Dataset) -> None:
    """Shows one page of pictures, filtered."""
    index = dataset.index
    columns = st.columns(4, vertical_alignment="bottom")
    shown = index
    for column, (name, title) in zip(
        columns, (("split", "Split"), ("emotion", "Emotion"), ("label", "Group")), strict=False
    ):
        options = [ANY, *sorted(value for value in index[name].unique() if value)]
        chosen = column.selectbox(title, options, key=f"filter_{name}", format_func=lambda v: v.replace("_", "-"))
        if chosen != ANY:
            shown = shown[shown[name] == chosen]
    num_pages = max(1, -(-len(shown) // PAGE_SIZE))
    if st.session_state.get("gallery_page", 1) > num_pages:
        st.session_state.gallery_page = 1
    number = columns[3].number_input(f"Page (of {num_pages:,})", 1, num_pages, key="gallery_page")
    if shown.empty:
        st.info("No picture passes these filters. Set one of them to “all”.")
        return
    # Every page shows a cross-section of the folders, not the first folder alone.
    shown = shown.sample(frac=1, random_state=0).iloc[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    with st.container(horizontal=True, gap="small", key="gallery"):
        for row in shown.itertuples():
            try:
                st.image(dataset.open(row.path), width=72, caption=row.emotion or row.label.replace("_", "-"))
            except ImageError:
                st.caption(":material/broken_image: cannot be read", width=72)


def show_leak(dataset: Dataset, scan: Scan) -> None:
    """Shows, for each way to split, how many of the judged pictures were also learned from."""
    st.subheader("Is the test a test?")
    st.write(
        "A network is judged on pictures it has not learned from. If a test picture is also in train, it is like an "
        "exam with last year's answers: remembering is enough."
    )
    kinds = list(splits.SPLIT_KINDS)
    has_own_split = {"train", "test"} <= set(dataset.index["split"])
    first = splits.SUPPLIED if has_own_split else splits.LEAK_FREE
    kind = st.radio("Split", kinds, kinds.index(first), format_func=splits.SPLIT_KINDS.get, key="leak_split")
    try:
        parts = splits.split_dataset(dataset.index, scan, kind)
    except DataError as error:
        st.info(str(error))
        return
    leaks = splits.count_leaks(parts, scan)
    for part, leak in leaks.items():
        ui.show_chart(plots.plot_leak(leak.num_images, leak.num_identical, leak.num_similar, part), key=f"leak_{part}")
    # The worst part; of equals the last, which is test.
    worst_part, worst = max(reversed(leaks.items()), key=lambda item: item[1].num_similar / item[1].num_images)
    if worst.num_identical:
        st.warning(
            f"**{worst.num_identical:,} of the {worst.num_images:,} {worst_part} pictures are also in train.** A table "
            "that only looks up what it has seen gets every one of them right. Scores on this split measure memory.",
            icon=":material/content_copy:",
        )
    elif worst.num_similar:
        st.info(
            f"No exact copies, but {worst.num_similar:,} of the {worst.num_images:,} {worst_part} pictures look nearly "
            "the same as one in train.",
            icon=":material/content_copy:",
        )
    else:
        st.success("No picture, and no near-copy, stands on two sides.", icon=":material/check_circle:")


def show_readability(scan: Scan) -> None:
    """Names damaged files, and says how many pictures there really are."""
    num_unique = len(set(scan.fingerprints[scan.is_readable].tolist()))
    st.caption(f"{num_unique:,} different pictures among {len(scan.fingerprints):,} files.")
    errors = scan.errors[~scan.is_readable]
    if len(errors):
        with st.expander(f"{len(errors):,} files cannot be read and are left out", icon=":material/broken_image:"):
            st.dataframe(pd.DataFrame({"what is wrong": errors}), hide_index=True)


def show_export(dataset: Dataset) -> None:
    """Writes the regrouped folders as the article makes them."""
    with st.expander("Take the regrouped data set away", icon=":material/folder_open:", key="export_box"):
        st.write(
            "Two folders, *depressed* and *non_depressed*, with files named `split_emotion_name`, as in the article."
        )
        with st.form("export", border=False):
            typed = st.text_input("Full path of a new folder", placeholder="/home/me/regrouped", key="export_dir")
            if st.form_submit_button("Write the folders") and typed.strip():
                folder = Path(typed.strip()).expanduser()
                if not folder.is_absolute():
                    st.error(f"“{typed}” is no full path. Give one from the top, like /home/me/regrouped.")
                    return
                with ui.show_errors(ends_page=False), st.spinner("Writing …"):
                    counts = export_dataset(dataset, folder)
                    st.success(
                        f"Written to {folder}: {counts['depressed']:,} depressed, "
                        f"{counts['non_depressed']:,} non-depressed."
                    )


ui.start_page("Explore the faces")
ui.show_source_chooser()
dataset = ui.load_current_dataset()
ui.show_unknown_folders(dataset)
if dataset.index.empty:
    st.info("Nothing to show yet: no folder here has a name that says what its pictures show.")
    st.stop()
show_numbers(dataset)
st.subheader("Look")
show_gallery(dataset)
scan = ui.load_scan(dataset)
show_readability(scan)
show_export(dataset)
show_leak(dataset, scan)
