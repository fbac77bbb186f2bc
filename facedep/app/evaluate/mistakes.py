"""Mistakes: the most confident ones, where the model looked in them, and the kinds of pictures with the most."""

import numpy as np
import streamlit as st

from facedep.app import models, page
from facedep.app.evaluate.scored_pictures import NUM_PICTURES, show_pictures, show_selectable
from facedep.data.scan import load_images
from facedep.evaluation.evaluation import Evaluation
from facedep.evaluation.slices import find_confident_mistakes, find_worst
from facedep.inference.explain import compute_occlusion_map, overlay_map
from facedep.reporting import sentences
from facedep.reporting.plots import errors

_NUM_MAPS = 8


def show_mistakes(evaluation: Evaluation) -> None:
    """Shows the most confident mistakes and the kinds of pictures on which the run is worst.

    Args:
        evaluation: The run on its pictures.
    """
    probabilities = evaluation.predictions.probabilities
    wrong = find_confident_mistakes(evaluation.is_depressed, probabilities, evaluation.threshold, NUM_PICTURES)
    if not len(wrong):
        st.success("Not one mistake on these pictures.", icon=":material/check:")
        return
    show_pictures(evaluation, wrong, "its most confident mistakes", key="mistakes")
    _show_maps(evaluation, wrong[:_NUM_MAPS])
    slices = find_worst(evaluation.slices)
    clicked = show_selectable(errors.plot_slices(slices, accuracy=evaluation.scores["accuracy"]), key="slices")
    is_any_small = any(some.is_small for some in slices)
    small = " Hollow ones have fewer than 30 pictures: too few to say anything." if is_any_small else ""
    st.caption(f"Click a line to see its mistakes. {sentences.describe_slices(slices)}{small}")
    if clicked is not None:
        chosen = slices[int(clicked)]
        indices = chosen.indices[~evaluation.is_right[chosen.indices]]
        show_pictures(evaluation, indices, f"mistakes among “{chosen.name}”", key="slice_pictures")
    st.caption(sentences.UNKNOWN_PEOPLE_TEXT)


@st.fragment
def _show_maps(evaluation: Evaluation, wrong: np.ndarray) -> None:
    """Shows, once opened, where the model looked in its most confident mistakes."""
    if not evaluation.run.has_model:
        return
    with st.expander("Where it looked", icon=":material/search:", key="overlays", on_change="rerun") as box:
        if not box.open:
            return
        with page.show_errors():
            classifier = models.load_classifier(evaluation.run.name)
        indices = evaluation.indices[wrong]
        mask = np.zeros(len(evaluation.mask), bool)
        mask[indices] = True
        images = load_images(evaluation.dataset, evaluation.scan, mask, classifier.input_size_px)
        order = np.argsort(np.argsort(indices))  # the pictures come in the order of the data set
        with st.container(horizontal=True, gap="small"):
            for i, number in zip(wrong, order, strict=True):
                prepared = images[number][:, :, 0]
                values = compute_occlusion_map(classifier, prepared)
                is_called_depressed = evaluation.predictions.probabilities[i] >= evaluation.threshold
                caption = f"called {'depressed' if is_called_depressed else 'non-depressed'}"
                st.image(overlay_map(prepared, values, size_px=144, strength=0.6), width=144, caption=caption)
        st.caption(
            f"The first {len(wrong)}. Blue: covering this spot makes P(“depressed”) smaller. Orange: larger. It says "
            "where the model looked, not why."
        )
