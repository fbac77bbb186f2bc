"""The prediction for one picture: the faces, the words, the gauge, the emotions; one model or two side by side."""

from pathlib import Path

import streamlit as st

from facedep import emotions
from facedep.app import models, page, pictures
from facedep.app.predict.explanation import show_explanation
from facedep.inference.pipeline import FacePrediction, PicturePrediction, mark_faces, predict_picture
from facedep.networks.classifier import Classifier
from facedep.reporting.plots import prediction as plots


def warn_of_untrained(classifier: Classifier) -> None:
    """Says so if a model is no better than a constant prediction on the pictures that it was tested on.

    Args:
        classifier: The model.
    """
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


def show_picture(
    classifier: Classifier, content: bytes | Path, title: str, *, key: str, other: Classifier | None = None
) -> PicturePrediction:
    """Predicts one picture and shows it all; returns the prediction.

    Args:
        classifier: The model.
        content: The picture file's content, or its path.
        title: What the picture is called.
        key: Distinguishes the widgets of several pictures on a page.
        other: A second model to compare with.
    """
    is_whole = st.session_state.get(f"whole_{key}", False)
    prediction = predict_picture(classifier, content, title, is_whole_picture=is_whole)
    other_prediction = predict_picture(other, content, title, is_whole_picture=is_whole) if other else None
    show_prediction(classifier, prediction, key=key, other=other, other_prediction=other_prediction)
    if prediction.picture and (is_whole or not prediction.faces or prediction.faces[0].box):
        st.toggle("Take the whole picture as one face, without a search for faces", key=f"whole_{key}")
    return prediction


def show_prediction(
    classifier: Classifier,
    prediction: PicturePrediction,
    *,
    key: str,
    other: Classifier | None = None,
    other_prediction: "PicturePrediction | None" = None,
) -> None:
    """Shows the prediction for a picture: the picture, what the model sees, the gauge, the words, the reasons.

    Args:
        classifier: The model.
        prediction: Its prediction.
        key: Distinguishes the widgets of several predictions on a page.
        other: A second model; None for one prediction.
        other_prediction: The second model's prediction for the same picture: the same faces in the same order.
    """
    if prediction.error:
        st.error(prediction.error, icon=":material/broken_image:")
        return
    is_single = len(prediction.faces) == 1
    if not is_single:
        caption = f"{len(prediction.faces)} faces found" if prediction.faces else None
        st.image(mark_faces(prediction), width=480, caption=caption)
    for i, face in enumerate(prediction.faces):
        if not is_single:
            st.markdown(f"**Face {i + 1}**")
        left, right = st.columns(2 if other is None else [1, 2], gap="medium")
        with left, st.container(horizontal=True):
            if is_single:
                st.image(mark_faces(prediction), width=200, caption="The picture")
            side = len(face.prepared)
            caption = f"What the model sees: {side} x {side} gray pixels"
            st.image(pictures.enlarge(face.prepared, 320), width=160, caption=caption)
        with right:
            if other is None or other_prediction is None:
                show_face(classifier, face, key=f"{key}_{i + 1}")
            else:
                _show_both((classifier, other), (face, other_prediction.faces[i]), key=f"{key}_{i + 1}")
        _show_cautions(face)
        show_explanation(classifier, face.prepared, key=f"{key}_{i + 1}")
    if prediction.note:
        (st.info if prediction.faces else st.warning)(prediction.note, icon=":material/crop:")


def show_face(classifier: Classifier, face: FacePrediction, *, key: str) -> None:
    """Shows the prediction for one face in words, as a gauge, and the emotions behind it.

    Args:
        classifier: The model.
        face: Its prediction.
        key: Distinguishes the charts of several faces on a page.
    """
    st.subheader("Uncertain: too close to call" if face.is_uncertain else describe_label(face.label, classifier))
    band = classifier.abstention_band
    figure = plots.plot_probability(face.probability_depressed, classifier.threshold, band)
    page.show_chart(figure, key=f"gauge_{key}")
    if face.is_uncertain and band:
        st.caption(
            f"Between {band[0]:.0%} and {band[1]:.0%} (the dark stretch) this model abstains: it would be wrong too "
            "often there."
        )
    if face.emotions:
        figure = plots.plot_emotion_probabilities(face.emotions, list(classifier.card.positive_classes))
        page.show_chart(figure, key=f"emotions_{key}")


def describe_label(label: str, classifier: Classifier) -> str:
    """Returns the data set's class name, in quotes, with what it means.

    Args:
        label: `depressed` or `non_depressed`.
        classifier: The model that predicted it.
    """
    positive = [name for name in classifier.card.positive_classes if name != emotions.DEPRESSED]
    meant = " and ".join(sorted(positive)) or "sad and neutral"
    if label == emotions.DEPRESSED:
        return f"“Depressed”: looks like the {meant} pictures it was trained on"
    return f"“Non-depressed”: looks unlike the {meant} pictures it was trained on"


def _show_cautions(face: FacePrediction) -> None:
    for caution in face.cautions:
        st.warning(caution, icon=":material/visibility:")
    if face.is_seen:
        st.warning("This model was trained on this very picture: the answer may be memory.", icon=":material/history:")


def _show_both(
    classifiers: tuple[Classifier, Classifier], faces: tuple[FacePrediction, FacePrediction], *, key: str
) -> None:
    """Shows what two models predict for the same face, and whether they agree."""
    labels = ["uncertain" if face.is_uncertain else face.label for face in faces]
    if labels[0] == labels[1]:
        st.markdown("**They agree** on this face.")
    elif "uncertain" in labels:
        st.markdown("**One is sure, the other is not.** One face, two trainings: neither is a finding about you.")
    else:
        st.markdown("**They disagree.** One face, two trainings, two answers: neither of them is a finding about you.")
    for column, classifier, face in zip(st.columns(2), classifiers, faces, strict=True):
        with column:
            st.caption(models.describe_run(classifier.name))
            show_face(classifier, face, key=f"{key}_{classifier.name}")
            if face.is_seen and classifier is classifiers[1]:
                st.warning(f"{classifier.name} was trained on this very picture.", icon=":material/history:")
