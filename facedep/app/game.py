"""The game on the Evaluate page: the visitor guesses ten faces that the model never saw, then sees both scores."""

import hashlib
from typing import Any

import numpy as np
import streamlit as st

from facedep import emotions
from facedep.app import evaluate, gallery, ui
from facedep.evaluation import game
from facedep.evaluation.evaluation import Evaluation
from facedep.inference.prediction_cache import find_in_training_set
from facedep.reporting.plots import comparison


@st.fragment
def show_game(view: Evaluation) -> None:
    """Lets the visitor guess ten faces that the model never saw, then shows both scores. Nothing of it is kept."""
    state_of_view = (view.run.name, view.mask.tobytes(), view.is_depressed.tobytes())
    key = hashlib.sha256(repr(state_of_view).encode()).hexdigest()  # other faces or labels make another round
    state = st.session_state.get("game")
    if not state or state["key"] != key:
        state = _start_round(view, key, 0, {})
    places, guesses = state["places"], state["guesses"]
    if not len(places):
        st.info("There is no picture here that the model has not seen. Choose others above.")
        return
    if len(guesses) < len(places):
        _ask(view, state)
        return
    at = np.searchsorted(view.indices, places)
    truths = view.is_depressed[at]
    answered = view.predictions.probabilities[at] >= view.threshold
    guessed = np.array(guesses)
    result = game.score_game(guessed, truths, answered)
    state["rounds"][state["number"]] = (result.num_right_visitor, result.num_right_model, result.num_faces)
    st.markdown(f"### {result.sentence}")
    if evaluate.has_published_labels(view.dataset):
        st.markdown(game.PEOPLE_SENTENCE)
    captions = [
        f"{view.dataset.samples['emotion'].iat[place] or view.dataset.samples['label'].iat[place]} · "
        f"{view.predictions.probabilities[number]:.0%}"
        for place, number in zip(places, at, strict=True)
    ]
    gallery.show_grid(view.dataset, places.tolist(), key="game_pictures", captions=captions)
    st.caption(
        "Beneath each face: its label, and the model's P(“depressed”). Where it is uncertain, the side that it leans "
        "to counts."
    )
    ui.show_chart(comparison.plot_game(truths, guessed, answered), key="game_chart")
    if len(state["rounds"]) > 1:
        you, model, faces = np.sum(list(state["rounds"].values()), axis=0)
        st.markdown(f"All rounds of this visit: you {you} of {faces}, the model {model} of {faces}.")
    st.button(
        "Play again",
        key="play_again",
        type="primary",
        icon=":material/replay:",
        on_click=_start_round,
        args=(view, key, state["number"] + 1, state["rounds"]),
    )


def _start_round(view: Evaluation, key: str, number: int, rounds: dict[int, tuple[int, int, int]]) -> dict[str, Any]:
    is_seen = find_in_training_set(view.run.path, view.scan.fingerprints)
    is_depressed = (view.dataset.samples["label"] == emotions.DEPRESSED).to_numpy()
    places = game.pick_faces(is_depressed, view.mask & ~is_seen, seed=number)
    state = {"key": key, "number": number, "places": places, "guesses": [], "rounds": rounds}
    st.session_state.game = state
    return state


def _guess(state: dict[str, Any], number: int, guess: bool) -> None:
    if len(state["guesses"]) == number:  # the second click of a double click is none on the next face
        state["guesses"].append(guess)


def _ask(view: Evaluation, state: dict[str, Any]) -> None:
    """Shows the next face with the two answers to choose from."""
    number = len(state["guesses"])
    place = int(state["places"][number])
    st.progress(number / len(state["places"]), f"Face {number + 1} of {len(state['places'])}")
    left, right = st.columns([1, 1.6], gap="medium", vertical_alignment="center")
    source = gallery.encode_thumbnail(view.dataset, view.dataset.samples["path"].iat[place])
    left.image(source, width=240)
    with right:
        words = " or ".join(sorted(view.dataset.depressed_emotions))
        st.markdown(
            f"**Which group is this picture in?** The data set calls {words} faces *depressed*, all others "
            "*non-depressed*. The model has never seen it either."
        )
        with st.container(horizontal=True):
            for label, guess in (("Depressed", True), ("Non-depressed", False)):
                st.button(f"“{label}”", key=f"guess_{label}", width=180, on_click=_guess, args=(state, number, guess))
