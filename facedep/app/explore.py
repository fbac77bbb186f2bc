"""The parts of the Explore page: numbers, pictures, average faces, faults, doubtful labels, a map, what to take away.

Counts and pictures are there at once. What needs every picture to be looked at follows from a background process.
"""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from facedep import emotions
from facedep.app import background_jobs, gallery, scanning, ui
from facedep.audit import cleaning, issues, quality
from facedep.audit.average_faces import compute_average_faces, compute_difference, describe_difference
from facedep.audit.face_check import estimate_seconds, read_face_check
from facedep.audit.issues import Issue, IssueLimits
from facedep.audit.neighbors import LookupScore, score_lookup_table
from facedep.data import splits
from facedep.data.export import export_dataset
from facedep.data.scan import Scan, find_cache_path
from facedep.data.sources import Dataset
from facedep.errors import DataError
from facedep.evaluation.label_issues import find_label_issues
from facedep.inference.embedding_map import read_map
from facedep.inference.prediction_cache import find_in_training_set, read_predictions
from facedep.networks.majority_baseline import find_majority_baseline
from facedep.reporting.plots import data, theme
from facedep.runs import run_folder
from facedep.tables import encode_csv
from facedep.training.estimate import describe_seconds

ANY = "all"
PAGE_SIZE = 36
NUM_EXAMPLES = 18
NUM_FIRST = 9
_NUM_HINTS = 27
_MANY_DOUBTS_SHARE = 0.4
_FILTERS = {"subset": "Split", "emotion": "Emotion", "label": "Group"}
_SLIDERS = {
    "min_entropy": ("Blank below, bits of entropy", 0.0, 8.0, 0.1),
    "min_highlights": ("Too dark: brightest parts below", 0.0, 1.0, 0.01),
    "max_shadows": ("Too bright: darkest parts above", 0.0, 1.0, 0.01),
    "min_contrast": ("Low contrast below", 0.0, 1.0, 0.01),
    "min_sharpness": ("Blurred: sharpness below", 0.0, 1.0, 0.01),
}
_MEASURES = ("brightness", "contrast", "sharpness", "entropy")
_DEFAULT_CLEANING = ("blank", "exact_duplicate", "two_groups")


# What has been looked at ---------------------------------------------------------------------------------------------


def follow_embedding(dataset: Dataset, scan: Scan, model: str) -> bool:
    """Returns whether a model's answers and the map are there; else shows how far the work on them is."""
    if not scan.is_readable.any():
        st.info(f"None of these files can be read. The tab “{FAULTS}” says what is wrong with each.")
        return False
    run_dir = run_folder.find_run_dir(model)
    answers = read_predictions(run_dir, dataset)
    key = hashlib.sha256(f"{find_cache_path(dataset).stem} {model}".encode()).hexdigest()[:16]
    if answers is not None and answers.is_complete and read_map(run_dir, dataset) is not None:
        background_jobs.forget_job(f"embed-{key}")
        return True
    background_jobs.follow_job(f"embed-{key}", ["embed", *dataset.spec.to_argv(), "--model", model])
    return False


def _offer_face_check(dataset: Dataset, scan: Scan) -> None:
    """Offers to look for pictures without a face where that has not been done, and shows how far it is."""
    if read_face_check(dataset) is None:
        duration = describe_seconds(estimate_seconds(len(np.unique(scan.fingerprints))))
        with st.container(border=True), ui.show_errors(ends_page=False):
            st.markdown(f"**Pictures without a face** take a second look at each, {duration} here.")
            scanning.follow_face_check(dataset, offer="Look for pictures without a face")


@st.cache_resource(max_entries=2, show_spinner=False)
def _load_quality(cache_path: str, _index: pd.DataFrame, _scan: Scan) -> pd.DataFrame:
    return quality.measure_quality(_index, _scan)


def load_quality(dataset: Dataset, scan: Scan) -> pd.DataFrame:
    """Returns the table of measures, kept for the last data sets."""
    return _load_quality(str(find_cache_path(dataset)), dataset.samples, scan)


def load_issues(dataset: Dataset, scan: Scan) -> list[Issue]:
    """Returns the faults by the thresholds that the visitor has set."""
    measured, has_face = load_quality(dataset, scan), read_face_check(dataset)
    return issues.find_issues(dataset.samples, scan, measured, current_limits(), has_face=has_face)


def current_limits() -> IssueLimits:
    """Returns the thresholds as the sliders were last left."""
    return IssueLimits(**st.session_state.get("thresholds", {}))


# At a glance ---------------------------------------------------------------------------------------------------------


def show_glance(dataset: Dataset) -> None:
    """Shows counts, balance and how emotions flow into the two groups; the grouping can be changed."""
    samples = dataset.samples
    is_depressed = samples["label"] == emotions.DEPRESSED
    with st.container(horizontal=True):
        st.metric("Pictures", f"{len(samples):,}", border=True, width=160)
        st.metric("Called depressed", f"{is_depressed.mean():.0%}", border=True, width=190)
        baseline = find_majority_baseline(is_depressed.to_numpy())
        st.metric(f"“Always {baseline.label}” is right", f"{baseline.share:.0%}", border=True, width=250)
        st.metric("Emotions", samples.loc[samples["emotion"] != "", "emotion"].nunique(), border=True, width=140)
    rows = _shuffle(len(samples))[:NUM_FIRST]
    picked = gallery.show_grid(dataset, rows.tolist(), key="first_pictures")
    if picked is not None:
        show_picture(dataset, scanning.find_scan(dataset), picked)
    _show_grouping(dataset)
    left, right = st.columns(2)
    with left:
        _show_clickable(data.plot_emotions(samples), "emotion", samples, key="emotions")
    with right:
        _show_clickable(data.plot_balance(samples), "subset", samples, key="balance")
    if (samples["emotion"] != "").any():
        ui.show_chart(data.plot_flow(samples), key="flow")
    neutral = (is_depressed & (samples["emotion"] == "neutral")).sum() / max(1, is_depressed.sum())
    words = " and ".join(sorted(dataset.depressed_emotions))
    note = f" {neutral:.0%} of the “depressed” pictures here are neutral faces." if neutral else ""
    st.markdown(
        f"**{words.capitalize()}** faces are called *depressed*, all others *non-depressed*.{note} "
        "Nobody in them is known to live with depression: the label is a renamed folder."
    )


def _show_grouping(dataset: Dataset) -> None:
    """Lets the visitor say which emotions count as *depressed*; the whole app follows."""
    present = [emotion for emotion in emotions.EMOTIONS if (dataset.samples["emotion"] == emotion).any()]
    if len(present) < 2:
        return
    with st.expander("Change what is called *depressed*", icon=":material/tune:"):
        chosen = st.pills(
            "Emotions that count as depressed",
            present,
            default=[emotion for emotion in present if emotion in dataset.depressed_emotions],
            selection_mode="multi",
            key="grouping",
        )
        st.caption("The article takes sad and neutral. Another choice changes every number here and what is trained.")
        if not 0 < len(chosen) < len(present):
            st.warning("Choose at least one emotion, and leave at least one: else there is nothing to tell apart.")
        elif set(chosen) != set(dataset.depressed_emotions) & set(present):
            ui.choose_depressed_emotions(tuple(chosen))
            st.rerun()


def _show_clickable(figure: theme.Figure, column: str, samples: pd.DataFrame, *, key: str) -> None:
    """Shows bars; a click on one opens its pictures."""

    def choose() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points:
            place = points[0]["y"] if column == "emotion" else points[0]["x"]
            names = {shown: name for name, shown in data.SUBSET_NAMES.items()} if column == "subset" else {}
            name = names.get(place, place)
            for other in _FILTERS:
                st.session_state[f"filter_{other}"] = ANY
            if name in set(samples[column]):
                st.session_state[f"filter_{column}"] = name
            st.session_state.explore_view = LOOK

    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, on_select=choose, selection_mode="points")


# Look ----------------------------------------------------------------------------------------------------------------

GLANCE, LOOK, AVERAGE, FAULTS, LABELS, MAP, TAKE = (
    "At a glance", "Look", "Average faces", "Faults", "Doubtful labels", "Map", "Take it away",
)  # fmt: skip


def list_filter_options(samples: pd.DataFrame) -> dict[str, list[str]]:
    """Returns the values that each filter offers."""
    return {name: [ANY, *sorted(value for value in samples[name].unique() if value)] for name in _FILTERS}


@st.fragment
def show_pictures(dataset: Dataset) -> None:
    """Shows one page of pictures, filtered by what they are called and, once measured, by every measure and fault."""
    samples = dataset.samples
    options = list_filter_options(samples)
    for name, values in options.items():
        if st.session_state.get(f"filter_{name}", ANY) not in values:
            st.session_state[f"filter_{name}"] = ANY
    columns = st.columns(4, vertical_alignment="bottom")
    keep = np.ones(len(samples), bool)
    for column, (name, title) in zip(columns, _FILTERS.items(), strict=False):
        chosen = column.selectbox(
            title, options[name], key=f"filter_{name}", format_func=lambda v: v.replace("_", "-"),
            persist_state="session",
        )  # fmt: skip
        if chosen != ANY:
            keep &= (samples[name] == chosen).to_numpy()
    scan = scanning.find_scan(dataset)
    if scan is not None:
        keep &= _filter_by_measure(dataset, scan)
    rows = _shuffle(len(samples))
    rows = rows[keep[rows]]
    num_pages = max(1, -(-len(rows) // PAGE_SIZE))
    if st.session_state.get("gallery_page", 1) > num_pages:
        st.session_state.gallery_page = 1
    number = columns[3].number_input(f"Page (of {num_pages:,})", 1, num_pages, key="gallery_page")
    if not len(rows):
        st.info("No picture passes these filters. Set one of them to “all”.")
        return
    st.caption(f"{len(rows):,} pictures. Click one for its details.")
    picked = gallery.show_grid(dataset, rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE].tolist(), key="gallery")
    if picked is not None:
        show_picture(dataset, scan, picked)


def _shuffle(num_images: int) -> np.ndarray:
    """Returns the order in which pictures are shown: a cross-section of the folders, not the first one alone."""
    return np.random.default_rng(0).permutation(num_images)


def _filter_by_measure(dataset: Dataset, scan: Scan) -> np.ndarray:
    """Returns which pictures pass the filters by fault and by one measure: `bool`, shape `(n,)`."""
    table, found = load_quality(dataset, scan), load_issues(dataset, scan)
    titles = {fault.name: f"{fault.title} ({fault.num_images:,})" for fault in found if fault.num_images}
    left, middle, right = st.columns([1.2, 1, 1.8], vertical_alignment="bottom")
    name = left.selectbox("Issue", [ANY, *titles], key="filter_fault", format_func=lambda n: titles.get(n, n))
    keep = np.ones(len(table), bool)
    if name != ANY:
        keep &= next(fault.mask for fault in found if fault.name == name)
    measure = middle.selectbox("Measure", [ANY, *_MEASURES], key="filter_measure")
    values = table[measure].to_numpy() if measure != ANY else np.array([])
    if np.isfinite(values).any():
        low, high = float(np.floor(np.nanmin(values) * 100) / 100), float(np.ceil(np.nanmax(values) * 100) / 100)
        if low < high:
            chosen = right.slider(measure.capitalize(), low, high, (low, high), 0.01, key=f"range_{measure}")
            keep &= (values >= chosen[0]) & (values <= chosen[1])
    return keep


def show_picture(dataset: Dataset, scan: Scan | None, row: int) -> None:
    """Opens the details of one picture, with its measures and faults where it has been looked at."""
    facts = None
    if scan is not None:
        measured = load_quality(dataset, scan).iloc[row]
        names = [fault.title.lower() for fault in load_issues(dataset, scan) if fault.mask[row]]
        facts = pd.Series({name.capitalize(): f"{measured[name]:.2f}" for name in _MEASURES})
        facts["Faults"] = ", ".join(names) or "none found"
    gallery.show_details(dataset, scan, row, facts)


# Average faces -------------------------------------------------------------------------------------------------------


def show_average_faces(dataset: Dataset, scan: Scan) -> None:
    """Shows the mean face of each group and emotion, and what the two groups' means differ in."""
    samples = dataset.samples
    by_group = _compute_averages(str(find_cache_path(dataset)), tuple(samples["label"]), scan)
    first, second = by_group.get(emotions.DEPRESSED), by_group.get(emotions.NON_DEPRESSED)
    if not first or not second:
        st.info("One of the two groups has no readable picture, so there is nothing to compare. Add pictures to it.")
        return
    columns = st.columns(3)
    for column, (group, face) in zip(columns, by_group.items(), strict=False):
        name = group.replace("_", "-")
        column.image(ui.enlarge(face.mean_picture, 288), caption=f"mean of {face.num_images:,} {name} faces")
    with columns[2]:
        ui.show_chart(
            data.plot_difference(compute_difference(first, second, is_brightness_removed=True)), key="difference"
        )
    st.markdown(describe_difference(first, second))
    by_emotion = _compute_averages(str(find_cache_path(dataset)), tuple(samples["emotion"]), scan)
    if by_emotion:
        st.markdown("**Each emotion: the mean above, the variation beneath** (bright where the pictures differ)")
        with st.container(horizontal=True, gap="small"):
            for emotion, face in by_emotion.items():
                both = np.concatenate([face.mean_picture, face.variation_picture])
                image = ui.enlarge_times(both, 2)
                st.image(image, width=96, caption=f"{emotion}, {face.num_images:,}")


@st.cache_data(max_entries=6, show_spinner=False)
def _compute_averages(cache_path: str, keys: tuple[str, ...], _scan: Scan) -> dict:
    return compute_average_faces(_scan.thumbnails, np.array(keys), is_readable=_scan.is_readable)


# Faults --------------------------------------------------------------------------------------------------------------


def show_leak(dataset: Dataset, scan: Scan) -> None:
    """Shows in one sentence, computed here and now, what the supplied test measures."""
    samples = dataset.samples
    st.subheader("Is the test a test?")
    st.write(
        "A network is judged on pictures it has not learned from. If a test picture is also in train, it is like an "
        "exam with last year's answers: remembering is enough."
    )
    kinds = list(splits.PROTOCOLS)
    has_own_split = {"train", "test"} <= set(samples["subset"])
    first = splits.SUPPLIED if has_own_split else splits.LEAK_FREE
    kind = st.radio("Split", kinds, kinds.index(first), format_func=splits.PROTOCOLS.get, key="leak_split")
    try:
        parts = splits.split_dataset(samples, scan, kind)
        clean = splits.split_dataset(samples, scan, splits.LEAK_FREE)
    except DataError as error:
        st.info(str(error))
        return
    leaks = splits.count_leaks(parts, scan)
    for part, leak in leaks.items():
        ui.show_chart(data.plot_leak(leak.num_images, leak.num_identical, leak.num_similar, part), key=f"leak_{part}")
    part = "test" if "test" in leaks else "val"
    leak, path = leaks[part], str(find_cache_path(dataset))
    labels = tuple(samples["label"] == emotions.DEPRESSED)
    here = _score_lookup(path, labels, tuple(parts), part, dataset, scan)
    new = _score_lookup(path, labels, tuple(clean), "test", dataset, scan)
    lookup = (
        f"A lookup table without any learning, which answers with the group of the most similar picture in train, "
        f"gets {here.accuracy:.0%} right here"
    )
    lookup += (
        f", and {new.accuracy:.0%} on new pictures; always saying *{new.majority_baseline.label}* gets "
        f"{new.majority_baseline.share:.0%} there."
        if new
        else ". What it gets on new pictures cannot be said: there are too few for a test part free of leaks. Add some."
    )
    lookup += " The article reports “nearly 80 %” on this split." if kind == splits.PUBLISHED else ""
    if leak.num_identical:
        st.warning(
            f"**{leak.num_identical:,} of the {leak.num_images:,} {part} pictures are also in train.** {lookup} "
            "Scores on this split measure memory.",
            icon=":material/content_copy:",
        )
    elif leak.num_similar:
        st.info(
            f"No exact copies, but {leak.num_similar:,} of the {leak.num_images:,} {part} pictures look nearly the "
            f"same as one in train. {lookup}",
            icon=":material/content_copy:",
        )
    else:
        st.success(f"No picture, and no near-copy, stands on two sides. {lookup}", icon=":material/check_circle:")


@st.cache_data(max_entries=8, show_spinner="Looking the test pictures up …")
def _score_lookup(
    path: str, labels: tuple, parts: tuple, part: str, _dataset: Dataset, _scan: Scan
) -> LookupScore | None:
    appearance = gallery.load_appearance(_dataset, _scan)
    return score_lookup_table(appearance, np.array(labels), np.array(parts), part)


@st.fragment
def show_issues(dataset: Dataset, scan: Scan) -> None:
    """Shows every kind of fault with its count, examples and advice; sliders judge again without reading a file."""
    with st.expander("Where a measure becomes a fault", icon=":material/tune:"):
        defaults = dataclasses.asdict(IssueLimits())
        chosen = {
            name: st.slider(title, low, high, float(defaults[name]), step, key=f"threshold_{name}",
                            persist_state="session")
            for name, (title, low, high, step) in _SLIDERS.items()
        }  # fmt: skip
        st.session_state.thresholds = chosen
    found = load_issues(dataset, scan)
    st.subheader("Faults found")
    num_unique = len(set(scan.fingerprints[scan.is_readable].tolist()))
    st.markdown(f"**{num_unique:,} different pictures among {len(scan.fingerprints):,} files.**")
    _offer_face_check(dataset, scan)
    table = pd.DataFrame(
        {
            "fault": [fault.title for fault in found],
            "pictures": [fault.num_images for fault in found],
            "sets": [f"{fault.num_sets:,}" if fault.num_sets else "" for fault in found],
            "go when cleaned": [fault.num_removed for fault in found],
        }
    )
    event = st.dataframe(
        table, hide_index=True, key="faults", on_select="rerun", selection_mode="single-row",
        height="content",
        column_config={"sets": st.column_config.TextColumn(help="Groups of pictures that belong together")},
    )  # fmt: skip
    chosen_rows = event["selection"]["rows"]
    first = next((number for number, fault in enumerate(found) if fault.num_images), 0)
    fault = found[chosen_rows[0] if chosen_rows else first]
    st.markdown(f"**{fault.title}: {fault.num_images:,}.** {fault.advice}")
    if not fault.num_images:
        st.caption("None found. Select another line above.")
        return
    rows = np.nonzero(fault.mask)[0]
    if fault.sets is not None:
        rows = rows[np.argsort(fault.sets[rows], kind="stable")]
    if fault.name == "damaged":
        paths = dataset.samples["path"].to_numpy()[rows]
        st.dataframe(pd.DataFrame({"file": paths, "what is wrong": scan.errors[rows]}), hide_index=True)
        return
    picked = gallery.show_grid(dataset, rows[:NUM_EXAMPLES].tolist(), key="fault_examples")
    if len(rows) > NUM_EXAMPLES:
        st.caption(f"{NUM_EXAMPLES} of {len(rows):,}. The tab “{LOOK}” shows all of them with the filter “Issue”.")
    if picked is not None:
        show_picture(dataset, scan, picked)


# Doubtful labels and the map -----------------------------------------------------------------------------------------


def show_label_issues(dataset: Dataset, scan: Scan, model: str) -> None:
    """Shows the pictures whose label a trained model finds least likely, beside what it thinks they show."""
    answers = read_predictions(run_folder.find_run_dir(model), dataset)
    in_training_set = find_in_training_set(run_folder.find_run_dir(model), scan.fingerprints)
    hints = find_label_issues(answers, dataset.samples, in_training_set=in_training_set)
    rows = hints.ranking
    st.markdown(
        f"**{len(rows):,} labels look doubtful to {model}.** The least likely ones come first. This is a hint, not a "
        "verdict: the model is often wrong itself, and people agree with such labels about two times in three."
    )
    if len(rows) > _MANY_DOUBTS_SHARE * len(dataset.samples):
        st.info("So many doubts say more about the model than about the labels: it knows other faces than these.")
    if in_training_set.any():
        st.caption(f"It was trained on {in_training_set.sum():,} of these pictures, and is too sure of those.")
    captions = [
        f"{hints.class_names[hints.given[row]]} → {hints.class_names[hints.suggested[row]]}, "
        f"{hints.self_confidence[row]:.0%}".replace("_", "-")
        for row in rows[:_NUM_HINTS]
    ]
    picked = gallery.show_grid(dataset, rows[:_NUM_HINTS].tolist(), key="hints", captions=captions)
    st.caption("Label → what the model thinks, and how likely it finds the label.")
    if picked is not None:
        show_picture(dataset, scan, picked)


# The map is a fragment of its own: a selection redraws nothing else.
@st.fragment
def show_map(dataset: Dataset, scan: Scan, model: str) -> None:
    """Shows all pictures laid out by their look; points can be selected, and their pictures are shown."""
    places = read_map(run_folder.find_run_dir(model), dataset)
    names = np.where(dataset.samples["emotion"] != "", dataset.samples["emotion"], dataset.samples["label"])
    is_shown = scan.is_readable & np.isfinite(places).all(axis=1)
    st.caption(
        f"Each point is a picture; near ones look alike to {model}. Draw a box or a lasso around some to see them."
    )
    event = st.plotly_chart(
        data.plot_map(places[is_shown], names[is_shown], np.nonzero(is_shown)[0]),
        key="map",
        on_select="rerun",
        selection_mode=("box", "lasso", "points"),
        config={"scrollZoom": True, "displaylogo": False},
    )
    rows = [int(point["customdata"]) for point in event["selection"]["points"]]
    if not rows:
        return
    st.markdown(f"**{len(rows):,} selected**")
    picked = gallery.show_grid(dataset, rows[:PAGE_SIZE], key="map_pictures")
    if picked is not None:
        show_picture(dataset, scan, picked)


# Take it away --------------------------------------------------------------------------------------------------------


def show_take_away(dataset: Dataset, scan: Scan) -> None:
    """Offers the cleaned index, the flags and the regrouped folders, and hands the cleaned data to the Train page."""
    found = load_issues(dataset, scan)
    titles = {fault.name: f"{fault.title} ({fault.num_images:,})" for fault in found if fault.num_images}
    names = st.pills(
        "Clean away",
        list(titles),
        default=[name for name in _DEFAULT_CLEANING if name in titles],
        format_func=titles.get,
        selection_mode="multi",
        key="cleaning_choice",
    )
    stays = cleaning.choose_clean(dataset.samples, found, names)
    st.markdown(f"**{stays.sum():,} of {len(stays):,} pictures stay.** No file is touched.")
    is_anything_left = bool((stays & scan.is_readable).any())
    if not is_anything_left:
        st.info("Nothing is left to train on. Clean less away, or choose other pictures above.")
    table = issues.build_flags_table(dataset.samples, load_quality(dataset, scan), found)
    with st.container(horizontal=True):
        st.download_button(
            "Cleaned index (CSV)", lambda: encode_csv(dataset.samples[stays]), "cleaned.csv", "text/csv",
            icon=":material/download:", key="download_clean", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "All measures and flags (CSV)", lambda: encode_csv(table), "flags.csv", "text/csv",
            icon=":material/download:", key="download_flags", on_click="ignore",
        )  # fmt: skip
        is_off = not names or not is_anything_left
        if st.button("Train on the cleaned data", type="primary", icon=":material/arrow_forward:", disabled=is_off):
            st.session_state.cleaning = tuple(names)
            st.switch_page("pages/train.py")
    _show_export(dataset)


def _show_export(dataset: Dataset) -> None:
    """Writes the regrouped folders as the article makes them."""
    with st.expander("Write the regrouped folders", icon=":material/folder_open:", key="export_box"):
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
