"""Report: everything that Evaluate shows as one file, and the model card."""

from functools import partial

import streamlit as st

from facedep.evaluation.evaluation import Evaluation
from facedep.reporting.model_card import render_model_card
from facedep.reporting.report import build_report


def show_report(evaluation: Evaluation) -> None:
    """Offers what is shown here as one file to hand out, and the model card.

    Args:
        evaluation: The run on its pictures.
    """
    st.write(
        "Everything that is shown here about this model and these pictures in **one file** that opens without network "
        "in any browser, and the model card as text. They contain no picture of a face."
    )
    name = evaluation.run.name
    card = render_model_card(name, evaluation.card.to_json())
    with st.container(horizontal=True):
        st.download_button(
            "Report (HTML)",
            partial(build_report, evaluation),
            f"{name} on {evaluation.dataset.name}.html",
            "text/html",
            key="report",
            icon=":material/download:",
            type="primary",
        )
        st.download_button(
            "Model card (Markdown)",
            card,
            f"{name}.md",
            "text/markdown",
            key="evaluate_card",
            icon=":material/download:",
        )
    with st.expander("The model card"):
        st.markdown(card)
