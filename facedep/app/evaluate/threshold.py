"""Threshold: what another decision threshold would cost; one that was chosen on val can be kept."""

import streamlit as st

from facedep.app import page
from facedep.data import splits
from facedep.evaluation.evaluation import Evaluation
from facedep.evaluation.score_cache import find_evaluation_key
from facedep.networks.decision_threshold import choose_threshold, forget_threshold, read_choice, write_threshold
from facedep.reporting import sentences
from facedep.reporting.plots import errors, scores


@st.fragment
def show_threshold(evaluation: Evaluation) -> None:
    """Lets the visitor move the threshold, see what it costs, and keep it if it was chosen on val.

    Args:
        evaluation: The run on its pictures.
    """
    st.write(
        "A network gives a number; somebody has to say from which number on it means *depressed*. Every choice has its "
        "price."
    )
    key = _name_threshold_key(evaluation)
    if key not in st.session_state:
        st.session_state[key] = _clamp(evaluation.threshold)
    threshold = st.slider(
        "Calls a face *depressed* from P(“depressed”) of", 0.01, 0.99, step=0.01, key=key, persist_state="session"
    )
    with page.show_errors():
        inputs = find_evaluation_key(
            evaluation.run.path, evaluation.dataset, evaluation.subset, threshold=evaluation.threshold
        )
    moved = _load_at_threshold(inputs, threshold, evaluation)
    st.markdown(f"#### {sentences.describe_confusion(moved.confusion)}")
    st.markdown(
        f"**{moved.scores['accuracy']:.1%}** in the right group, {moved.scores['balanced_accuracy']:.1%} as the mean "
        f"of both. {sentences.describe_coverage(moved.record.scores)}"
    )
    if evaluation.band and not moved.band:
        st.caption("So far from where its uncertain band was found, this model has none: it never abstains.")
    left, right = st.columns(2)
    with left:
        page.show_chart(errors.plot_confusion(moved.confusion), key="threshold_confusion")
    with right:
        figure = scores.plot_scores(
            evaluation.is_depressed, evaluation.predictions.probabilities, threshold, moved.band
        )
        page.show_chart(figure, key="threshold_scores")
    _show_keeping(evaluation, threshold)


@st.cache_resource(max_entries=16, show_spinner=False)
def _load_at_threshold(key: str, threshold: float, _evaluation: Evaluation) -> Evaluation:
    return _evaluation.at_threshold(threshold)


def _show_keeping(evaluation: Evaluation, threshold: float) -> None:
    """Offers to keep a threshold with the run, only if it is chosen on validation pictures."""
    run_dir = evaluation.run.path
    chosen_on = read_choice(run_dir)
    in_force = f"In force: {evaluation.threshold:.2f}{f', chosen on {chosen_on}' if chosen_on else ''}."
    problem = _find_threshold_problem(evaluation)
    with st.container(horizontal=True, vertical_alignment="center"):
        if not problem:
            best = choose_threshold(evaluation.is_depressed, evaluation.predictions.probabilities)
            st.button(
                f"Best on these: {best:.2f}", key="best_threshold", on_click=_set_threshold, args=(evaluation, best)
            )
        is_same = abs(threshold - evaluation.threshold) < 0.005
        if st.button(
            f"Use {threshold:.2f} from now on",
            key="keep_threshold",
            disabled=bool(problem) or is_same,
            icon=":material/save:",
        ):
            with page.show_errors(ends_page=False):
                write_threshold(run_dir, threshold, chosen_on=f"the validation part of {evaluation.dataset.name}")
                st.rerun()
        is_chosen = evaluation.threshold != evaluation.card.decision_threshold
        if is_chosen and st.button("Back to its own threshold", key="forget_threshold"):
            with page.show_errors(ends_page=False):
                forget_threshold(run_dir)
                del st.session_state[_name_threshold_key(evaluation)]
                st.rerun()
    st.caption(
        f"{in_force} {problem or 'A kept threshold is a file beside the model; Predict follows it.'} Within its "
        "uncertain band a model abstains anyway: moved inside, the threshold only changes to which side it leans there."
    )


def _find_threshold_problem(evaluation: Evaluation) -> str:
    """Returns why no threshold may be chosen on these pictures, or "" if one may."""
    if (evaluation.subset.protocol, evaluation.subset.subset) != (splits.LEAK_FREE, "val"):
        return (
            "To change it, choose **validation part, free of leaks** above: one chosen on test pictures would make "
            "their score too good."
        )
    if evaluation.scores["num_in_training_set"]:
        return "It learned from some of these pictures: skip them (above) to choose a threshold on the others."
    if evaluation.scores["grouping_mismatch"]:
        return "It was trained with another grouping of the emotions."
    if not evaluation.has_both_groups:
        return "All of these pictures have the same label."
    return ""


def _set_threshold(evaluation: Evaluation, threshold: float) -> None:
    st.session_state[_name_threshold_key(evaluation)] = _clamp(threshold)


def _name_threshold_key(evaluation: Evaluation) -> str:
    """Returns the slider's key; a run's name holds no colon, so it cannot make the key of another widget."""
    return f"threshold:{evaluation.run.name}"


def _clamp(threshold: float) -> float:
    """Returns a threshold as the slider can show it."""
    return min(0.99, max(0.01, round(threshold, 2)))
