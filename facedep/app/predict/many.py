"""Many pictures at once: a table with one line for each face, downloads, and the chosen picture in full."""

import base64
import io
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from facedep.app import page, streamlit_internals
from facedep.app.predict.result import show_picture
from facedep.app.predict.snapshots import show_forgetting
from facedep.inference.batch import PictureRow, PictureSource, build_json, build_table, list_pictures, predict_pictures
from facedep.networks.classifier import Classifier
from facedep.reporting.tables import encode_csv


def show_many(classifier: Classifier, files: list[tuple[str, io.BytesIO]], *, other: Classifier | None) -> None:
    """Predicts all pictures, shows them as a table, and the chosen one in full.

    Args:
        classifier: The model.
        files: Uploaded files with their names.
        other: A second model to compare with for the chosen picture.
    """
    sources = list_pictures(files)
    state = " ".join(streamlit_internals.identify_upload(file) for _, file in files)
    predictions = predict_many(classifier, sources, state=state)
    i = show_table(predictions, num_skipped=sum(source.num_skipped for source in sources))
    source = sources[i]
    st.subheader(source.path)
    if source.error:
        st.error(source.error, icon=":material/broken_image:")
    else:
        with page.show_errors():
            show_picture(classifier, source.read(), source.path, key=f"chosen_{i}", other=other)
    show_forgetting()


def predict_many(classifier: Classifier, sources: Sequence[PictureSource], *, state: str) -> list[list[PictureRow]]:
    """Returns the predictions for each picture, with a progress bar; what is there already is not computed again.

    Args:
        classifier: The model.
        sources: From `batch.list_pictures`.
        state: What the files are: predictions of another state are forgotten.
    """
    inputs = (state, classifier.name, id(classifier), classifier.threshold)  # another object once the model was changed
    kept = st.session_state.get("many", {})
    if kept.get("state") != inputs:
        kept = st.session_state.many = {"state": inputs, "pictures": []}
    done: list[list[PictureRow]] = kept["pictures"]
    if len(done) < len(sources):  # a touch of another widget breaks off a run: the next one goes on behind what is kept
        bar = st.progress(0.0)
        for rows in predict_pictures(classifier, sources[len(done) :]):
            done.append(rows)
            bar.progress(len(done) / len(sources), f"{len(done):,} of {len(sources):,} pictures")
        bar.empty()
    return done


def forget_files() -> None:
    """Forgets the faces of many files, once the files have been removed."""
    st.session_state.pop("many", None)


def show_table(predictions: "Sequence[Sequence[PictureRow]]", *, num_skipped: int = 0) -> int:
    """Shows one line for each face, sortable, with downloads; returns the number of the chosen picture.

    Args:
        predictions: For each picture, from `predict_many`.
        num_skipped: Files in archives and folders that are not pictures.
    """
    rows = [row for some in predictions for row in some]
    numbers = [number for number, some in enumerate(predictions) for _ in some]
    counts = _count_results(rows, num_pictures=len(predictions), num_skipped=num_skipped)
    st.markdown(f"**{counts}.** Click a column's name to sort, a line to see all of it.")
    shown = _build_shown_table(rows)
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
            "P(“depressed”)": st.column_config.ProgressColumn(min_value=0, max_value=100, format="%.0f%%", width=140),
            "Answer": st.column_config.TextColumn(width=130),
            "Picture": st.column_config.TextColumn(width=240),
        },
    )
    _show_downloads(rows)
    selected = chosen["selection"]["rows"]
    first = next((i for i, row in enumerate(rows) if not row.error), 0)
    return numbers[selected[0] if selected and selected[0] < len(rows) else first]


def _count_results(rows: Sequence[PictureRow], *, num_pictures: int, num_skipped: int) -> str:
    num_failed = sum(row.error is not None for row in rows)
    num_faces = sum(not np.isnan(row.probability_depressed) for row in rows)
    counts = [_count(num_pictures, "picture"), f"{_count(num_faces, 'face')} answered"]
    counts += [f"{num_failed:,} could not be read"] if num_failed else []
    counts += [f"{_count(num_skipped, 'other file')} skipped"] if num_skipped else []
    return " · ".join(counts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _build_shown_table(rows: Sequence[PictureRow]) -> pd.DataFrame:
    remarks = [(row.error, *row.cautions, row.note if row.face == 0 else None) for row in rows]
    return pd.DataFrame(
        {
            "Face": [_encode(row.thumbnail) for row in rows],
            "P(“depressed”)": [100 * row.probability_depressed for row in rows],
            "Answer": [_describe_row(row) for row in rows],
            "Picture": [
                f"{row.path} ({row.face} of {row.num_faces})" if row.num_faces > 1 else row.path for row in rows
            ],
            "Remarks": [" ".join(filter(None, some)) for some in remarks],
        }
    )


def _encode(thumbnail: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(thumbnail).decode() if thumbnail else ""


def _describe_row(row: PictureRow) -> str:
    if row.error:
        return "cannot be read"
    if np.isnan(row.probability_depressed):
        return "no face found"
    return "uncertain" if row.is_uncertain else f"“{row.label.replace('_', '-')}”"


def _show_downloads(rows: Sequence[PictureRow]) -> None:
    with st.container(horizontal=True):
        table = encode_csv(build_table(rows))
        st.download_button(
            "Table (CSV)", table, "predictions.csv", "text/csv", key="many_csv", icon=":material/download:"
        )
        st.download_button(
            "All details (JSON)",
            json.dumps(build_json(rows), indent=1),
            "predictions.json",
            "application/json",
            key="many_json",
            icon=":material/download:",
        )
