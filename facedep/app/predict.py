"""The parts of the Predict page: an answer with its reasons, two models side by side, many pictures, this visit.

What imports TensorFlow is imported within functions: the page shows "the model is loading" first.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from facedep import emotions
from facedep.app import gallery, scanning, ui
from facedep.audit.neighbors import build_appearance, find_nearest_neighbors
from facedep.errors import FacedepError
from facedep.images.opening import prepare_image
from facedep.inference.prediction_cache import find_in_training_set
from facedep.reporting.plots import prediction
from facedep.runs import run_folder
from facedep.tables import encode_csv

MAX_KEPT_SNAPSHOTS = 120  # three minutes of the live camera
_NUM_SHOWN_SNAPSHOTS = 9  # one row at 1280 pixels
_NUM_LOOKALIKES = 8
_OCCLUSION, _ACTIVATION = "Cover each place", "Class activation map"


@dataclass(frozen=True)
class Snapshot:
    """What is kept of a face that the camera saw: nothing but this visit's memory holds it.

    Attributes:
        prepared: What the network saw: `uint8` array of shape `(size, size)`, 0-255.
        probability: P(depressed), 0..1.
        model: The model that answered.
    """

    prepared: np.ndarray
    probability: float
    model: str


def warn_of_untrained(classifier: Any) -> None:
    """Says so where a model is no better than a constant answer on the pictures that it was tested on."""
    scores = classifier.card.scores
    tested = scores.get("test") or scores.get("val")
    if tested and tested.accuracy <= tested.majority_baseline.share:
        baseline = tested.majority_baseline
        st.warning(
            f"**{classifier.name}** is no better than always answering *{baseline.label}*: "
            f"{tested.accuracy:.0%} against {baseline.share:.0%} right on its test pictures. "
            "Do not rely on its answers.",
            icon=":material/warning:",
        )


# One answer ----------------------------------------------------------------------------------------------------------


def show_prediction(classifier: Any, answer: Any, *, key: str, other: Any = None, other_prediction: Any = None) -> None:
    """Shows a picture's answer: the picture, what the model sees, the gauge, the words, the reasons.

    Args:
        classifier: The model.
        answer: Its `predict.PicturePrediction`.
        key: Tells the widgets of several answers on a page apart.
        other: A second model; None for one answer.
        other_prediction: The second model's answer to the same picture: the same faces in the same order.
    """
    from facedep.inference.pipeline import mark_faces

    if answer.error:
        st.error(answer.error, icon=":material/broken_image:")
        return
    if len(answer.faces) != 1:
        st.image(mark_faces(answer), width=480, caption=f"{len(answer.faces)} faces found" if answer.faces else None)
    for place, face in enumerate(answer.faces, start=1):
        if len(answer.faces) > 1:
            st.markdown(f"**Face {place}**")
        left, right = st.columns(2 if other is None else [1, 2], gap="medium")
        with left, st.container(horizontal=True):
            if len(answer.faces) == 1:
                st.image(mark_faces(answer), width=200, caption="The picture")
            side = len(face.prepared)
            caption = f"What the model sees: {side} x {side} gray pixels"
            st.image(ui.enlarge(face.prepared, 320), width=160, caption=caption)
        with right:
            if other is None:
                show_face(classifier, face, key=f"{key}_{place}")
            else:
                _show_both((classifier, other), (face, other_prediction.faces[place - 1]), key=f"{key}_{place}")
        for caution in face.cautions:
            st.warning(caution, icon=":material/visibility:")
        if face.is_seen:
            st.warning(
                "This model was trained on this very picture: the answer may be memory.", icon=":material/history:"
            )
        show_why(classifier, face.prepared, key=f"{key}_{place}")
    if answer.note:
        (st.info if answer.faces else st.warning)(answer.note, icon=":material/crop:")


def show_face(classifier: Any, face: Any, *, key: str) -> None:
    """Shows one face's answer in words, as a gauge, and the emotions behind it."""
    st.subheader("Uncertain: too close to call" if face.is_uncertain else describe_label(face.label, classifier))
    band = classifier.abstention_band
    figure = prediction.plot_probability(face.probability_depressed, classifier.threshold, band)
    ui.show_chart(figure, key=f"gauge_{key}")
    if face.is_uncertain:
        st.caption(
            f"Between {band[0]:.0%} and {band[1]:.0%} (the dark stretch) this model gives no answer: it would "
            "be wrong too often there."
        )
    if face.emotions:
        figure = prediction.plot_emotion_probabilities(face.emotions, classifier.card.positive_classes)
        ui.show_chart(figure, key=f"emotions_{key}")


def _show_both(models: tuple[Any, Any], faces: tuple[Any, Any], *, key: str) -> None:
    """Shows what two models say of the same face, and whether they agree."""
    said = ["uncertain" if face.is_uncertain else face.label for face in faces]
    if said[0] == said[1]:
        st.markdown("**They agree** on this face.")
    elif "uncertain" in said:
        st.markdown("**One is sure, the other is not.** One face, two trainings: neither is a finding about you.")
    else:
        st.markdown("**They disagree.** One face, two trainings, two answers: neither of them is a finding about you.")
    for column, model, face in zip(st.columns(2), models, faces, strict=True):
        with column:
            st.caption(ui.describe_run(model.name))
            show_face(model, face, key=f"{key}_{model.name}")
            if face.is_seen and model is models[1]:
                st.warning(f"{model.name} was trained on this very picture.", icon=":material/history:")


def describe_label(label: str, classifier: Any) -> str:
    """Returns the data set's class name, in quotes, with what it means."""
    positive = [name for name in classifier.card.positive_classes if name != emotions.DEPRESSED]
    meant = " and ".join(sorted(positive)) or "sad and neutral"
    if label == emotions.DEPRESSED:
        return f"“Depressed”: looks like the {meant} pictures it was trained on"
    return f"“Non-depressed”: looks unlike the {meant} pictures it was trained on"


# Why -----------------------------------------------------------------------------------------------------------------


@st.fragment
def show_why(classifier: Any, prepared: np.ndarray, *, key: str) -> None:
    """Shows, when asked, where the answer comes from, how steady it is, and which known faces look most like it."""
    with st.expander("Why, and how sure", icon=":material/search:", key=f"why_{key}", on_change="rerun") as box:
        if not box.open:
            return
        _show_map(classifier, prepared, key=key)
        _show_nearest_neighbors(classifier, prepared, key=key)


def _show_map(classifier: Any, prepared: np.ndarray, *, key: str) -> None:
    from facedep.inference.explain import (
        compute_class_activation_map,
        compute_occlusion_map,
        measure_stability,
        overlay_map,
    )

    left, right = st.columns([1, 2], gap="medium")
    activation = compute_class_activation_map(classifier, prepared)
    kind = _OCCLUSION
    if activation is not None:
        kind = right.segmented_control(
            "How to find out", [_OCCLUSION, _ACTIVATION], default=_OCCLUSION, key=f"map_{key}", required=True
        )
    strength = right.slider("Strength of the colours", 0.0, 1.0, 0.6, 0.05, key=f"strength_{key}")
    values = compute_occlusion_map(classifier, prepared) if kind == _OCCLUSION else activation
    left.image(overlay_map(prepared, values, size_px=288, strength=strength), width=288)
    how = (
        "Each place was covered once. **Blue**: covering it makes the answer less “depressed”. **Orange**: more."
        if kind == _OCCLUSION
        else "What the last layer adds up, place by place. **Blue** speaks for “depressed”, **orange** against."
    )
    right.markdown(f"{how} This shows where the model looked, not whether it was right to.")
    steady = measure_stability(classifier, prepared)
    words = f"Mirrored, shifted a little, lighter or darker it says {steady.lowest:.0%} to {steady.highest:.0%}"
    if steady.has_flipped:
        right.warning(f"{words}: **the answer flips**, so take none of them at its word.", icon=":material/sync:")
    elif steady.has_wavered:
        right.warning(f"{words}: **it is sure of some of them only.**", icon=":material/sync:")
    else:
        right.markdown(f"{words}: the answer stays the same.")


def _show_nearest_neighbors(classifier: Any, prepared: np.ndarray, *, key: str) -> None:
    """Shows the pictures of the chosen data set that look most like the face; if any were learned from, of those."""
    st.markdown("**Faces that look most like it**")
    try:
        dataset = ui.load_dataset(ui.current_spec())
    except FacedepError as error:
        st.caption(f"The chosen data set cannot be read: {error}")
        return
    scan = scanning.find_scan(dataset)
    if scan is None:
        st.caption(
            f"{ui.describe_source()[0].upper()}{ui.describe_source()[1:]} have not been looked at yet. Open the "
            "faults on Explore once; then they can be compared."
        )
        return
    if not scan.is_readable.any():
        st.caption(f"None of the pictures of {ui.describe_source()} can be read. Choose others on Explore.")
        return
    is_learned = find_in_training_set(run_folder.locate_run(classifier.name), scan.fingerprints) & scan.is_readable
    among = is_learned if is_learned.any() else scan.is_readable
    appearance = gallery.load_appearance(dataset, scan)
    own = build_appearance(prepare_image(prepared, scan.thumbnails.shape[1])[np.newaxis, :, :, 0])
    rows, correlations = find_nearest_neighbors(
        np.concatenate([appearance, own]), len(appearance), _NUM_LOOKALIKES, among=np.append(among, False)
    )
    names = dataset.samples["emotion"].where(dataset.samples["emotion"] != "", dataset.samples["label"])
    captions = [
        f"{names.iat[row].replace('_', '-')} · {correlation:.2f}"
        for row, correlation in zip(rows, correlations, strict=True)
    ]
    gallery.show_grid(dataset, rows.tolist(), key=f"similar_{key}", captions=captions)
    where = f"{is_learned.sum():,} pictures of {ui.describe_source()} that {classifier.name} has learned from"
    if not is_learned.any():
        where = f"{ui.describe_source()}, of which {classifier.name} has learned from none"
    st.caption(f"Among {where}. The number is the correlation of the pixels: 1.00 is the same picture.")


# Many pictures -------------------------------------------------------------------------------------------------------


def predict_many(classifier: Any, pictures: Sequence[Any], *, state: str) -> list[list[Any]]:
    """Returns the rows of each picture, with a progress bar; what was answered before is not asked again.

    Args:
        classifier: The model.
        pictures: From `predict_many.list_pictures`.
        state: What the files are: rows of another state are forgotten.
    """
    from facedep.inference.batch import predict_pictures

    state = (state, classifier.name, id(classifier), classifier.threshold)  # another object once the model was changed
    kept = st.session_state.get("many", {})
    if kept.get("state") != state:
        kept = st.session_state.many = {"state": state, "pictures": []}
    done = kept["pictures"]  # a touch of another widget breaks off a run: the next one goes on behind what is kept
    if len(done) < len(pictures):
        bar = st.progress(0.0)
        for rows in predict_pictures(classifier, pictures[len(done) :]):
            done.append(rows)
            bar.progress(len(done) / len(pictures), f"{len(done):,} of {len(pictures):,} pictures")
        bar.empty()
    return done


def show_table(answered: Sequence[Sequence[Any]], *, num_skipped: int = 0) -> int:
    """Shows one line for each face, sortable, with downloads; returns the number of the chosen picture.

    Args:
        answered: The rows of each picture, from `predict_many`.
        num_skipped: Files in archives and folders that are no pictures.
    """
    from facedep.inference.batch import build_json, build_table

    rows = [row for some in answered for row in some]
    numbers = [number for number, some in enumerate(answered) for _ in some]
    num_failed = sum(row.error is not None for row in rows)
    num_faces = sum(not np.isnan(row.probability_depressed) for row in rows)
    words = [_count(len(answered), "picture"), f"{_count(num_faces, 'face')} answered"]
    words += [f"{num_failed:,} could not be read"] if num_failed else []
    words += [f"{_count(num_skipped, 'other file')} left out"] if num_skipped else []
    st.markdown(f"**{' · '.join(words)}.** Click a column's name to sort, a line to see its whole answer.")
    shown = pd.DataFrame(
        {
            "Face": [_encode(row.thumbnail) for row in rows],
            "P(“depressed”)": [100 * row.probability_depressed for row in rows],
            "Answer": [_describe_row(row) for row in rows],
            "Picture": [
                f"{row.path} ({row.face} of {row.num_faces})" if row.num_faces > 1 else row.path for row in rows
            ],
            "Remarks": [" ".join(filter(None, (row.error, *row.cautions, row.face == 0 and row.note))) for row in rows],
        }
    )
    chosen = st.dataframe(
        shown,
        key="many_table",
        hide_index=True,
        height=min(460, 40 + 47 * len(shown)),
        row_height=46,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Face": st.column_config.ImageColumn(width=60),
            "P(“depressed”)": st.column_config.ProgressColumn(min_value=0, max_value=100, format="%.0f %%", width=140),
            "Answer": st.column_config.TextColumn(width=130),
            "Picture": st.column_config.TextColumn(width=240),
        },
    )
    with st.container(horizontal=True):
        table = encode_csv(build_table(rows))
        st.download_button("Table (CSV)", table, "answers.csv", "text/csv", key="many_csv", icon=":material/download:")
        st.download_button(
            "All details (JSON)",
            json.dumps(build_json(rows), indent=1),
            "answers.json",
            "application/json",
            key="many_json",
            icon=":material/download:",
        )
    places = chosen.selection.rows
    first_answered = next((place for place, row in enumerate(rows) if not row.error), 0)
    return numbers[places[0] if places and places[0] < len(rows) else first_answered]


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _encode(thumbnail: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(thumbnail).decode() if thumbnail else ""


def _describe_row(row: Any) -> str:
    if row.error:
        return "cannot be read"
    if np.isnan(row.probability_depressed):
        return "no face found"
    return "uncertain" if row.is_uncertain else f"“{row.label.replace('_', '-')}”"


# This visit ----------------------------------------------------------------------------------------------------------


def keep_snapshot(classifier: Any, answer: Any, *, number: Any) -> None:
    """Keeps the first face of a camera picture for the strip, once for each picture, in this visit's memory only.

    Args:
        classifier: The model that answered.
        answer: Its `predict.PicturePrediction`.
        number: Tells one picture from the next.
    """
    if st.session_state.get("last_snapshot") == (number, classifier.name) or not answer.faces:
        return
    st.session_state.last_snapshot = (number, classifier.name)
    face = answer.faces[0]
    visit = st.session_state.setdefault("visit", [])
    visit.append(Snapshot(face.prepared, face.probability_depressed, classifier.name))
    del visit[:-MAX_KEPT_SNAPSHOTS]


def show_movement(classifier: Any) -> None:
    """Shows how P(depressed) moved from snapshot to snapshot of this visit."""
    if visit := _find_visit(classifier):
        probabilities = [snapshot.probability for snapshot in visit]
        figure = prediction.plot_visit(probabilities, classifier.threshold, classifier.abstention_band)
        ui.show_chart(figure, key="visit_chart")


def show_strip(classifier: Any) -> None:
    """Shows the last snapshots of this visit, and a button that forgets them all."""
    visit = _find_visit(classifier)
    if not visit:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        for snapshot in visit[-_NUM_SHOWN_SNAPSHOTS:]:
            st.image(ui.enlarge(snapshot.prepared, 144), width=72, caption=f"{snapshot.probability:.0%}")


def show_forgetting() -> None:
    """Offers to forget, wherever the visitor is on this page, what is kept of pictures."""
    if st.session_state.get("visit") or _list_camera_keys():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                "Kept for this visit only, in the memory of the computer that runs this app: gone with the tab.",
                width="stretch",
            )
            st.button("Forget all", key="forget", on_click=forget_visit, icon=":material/delete:")


def _list_camera_keys() -> list[str]:
    names = [name for name in st.session_state if isinstance(name, str)]
    return [name for name in names if name.startswith(("live_", "snapshot_")) and st.session_state[name]]


def _find_visit(classifier: Any) -> list[Snapshot]:
    return [snapshot for snapshot in st.session_state.get("visit", []) if snapshot.model == classifier.name]


def forget_files() -> None:
    """Forgets the faces of many files, once the files have been taken away."""
    st.session_state.pop("many", None)


def forget_visit() -> None:
    """Forgets every snapshot of this visit, those in the cameras' widgets among them, and switches the camera off."""
    st.session_state.camera_on = False
    for name in ("visit", "last_snapshot"):
        st.session_state.pop(name, None)
    st.session_state.visit_number = st.session_state.get("visit_number", 0) + 1
    for name in _list_camera_keys():
        del st.session_state[name]
