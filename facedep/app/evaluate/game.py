"""Game: the visitor guesses ten faces that the model never saw, then sees both scores."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from facedep.app import page, picture_grid, pictures
from facedep.app.evaluate.choice import has_published_labels
from facedep.evaluation import game
from facedep.evaluation.evaluation import Evaluation
from facedep.evaluation.scores import find_depressed
from facedep.inference.prediction_cache import find_in_training_set
from facedep.reporting.plots import comparison


@dataclass
class Round:
    """One round of the game; it lives in the visit's memory only.

    Attributes:
        key: What it is played with: other faces or labels make another round.
        number: From 0.
        indices: `int` array of shape `(n,)`: the faces, as positions among the data set's samples.
        results: Of all rounds with this key, by number: right guesses of the visitor, of the model, number of faces.
        guesses: The visitor's so far: whether a face is *depressed*.
    """

    key: str
    number: int
    indices: np.ndarray
    results: dict[int, tuple[int, int, int]]
    guesses: list[bool] = field(default_factory=list)

    def guess(self, number: int, is_depressed: bool) -> None:
        """Takes the guess for a face; the second click of a double click is none on the next face.

        Args:
            number: Which of the faces, from 0.
            is_depressed: The guess.
        """
        if len(self.guesses) == number:
            self.guesses.append(is_depressed)


@st.fragment
def show_game(evaluation: Evaluation) -> None:
    """Lets the visitor guess ten faces that the model never saw, then shows both scores. Nothing of it is kept.

    Args:
        evaluation: The run on its pictures.
    """
    inputs = (evaluation.run.name, evaluation.mask.tobytes(), evaluation.is_depressed.tobytes())
    key = hashlib.sha256(repr(inputs).encode()).hexdigest()
    current: Round | None = st.session_state.get("game")
    if current is None or current.key != key:
        _start_round(evaluation, key, 0, {})
        current = st.session_state.game
    if not len(current.indices):
        st.info("The model was trained on every picture here. Choose others above.")
    elif len(current.guesses) < len(current.indices):
        _show_next_face(evaluation, current)
    else:
        _show_result(evaluation, current)


def _start_round(evaluation: Evaluation, key: str, number: int, results: dict[int, tuple[int, int, int]]) -> None:
    in_training_set = find_in_training_set(evaluation.run.path, evaluation.scan.fingerprints)
    is_depressed = find_depressed(evaluation.dataset.samples)
    indices = game.pick_faces(is_depressed, evaluation.mask & ~in_training_set, seed=number)
    st.session_state.game = Round(key, number, indices, results)


def _show_next_face(evaluation: Evaluation, current: Round) -> None:
    """Shows the next face with the two groups to choose from."""
    number, num_faces = len(current.guesses), len(current.indices)
    st.progress(number / num_faces, f"Face {number + 1} of {num_faces}")
    left, right = st.columns([1, 1.6], gap="medium", vertical_alignment="center")
    left.image(picture_grid.encode_thumbnail(evaluation.dataset, int(current.indices[number])), width=240)
    with right:
        names = " or ".join(sorted(evaluation.dataset.depressed_emotions))
        st.markdown(
            f"**Which group is this picture in?** The data set calls {names} faces *depressed*, all others "
            "*non-depressed*. The model has never seen it either."
        )
        with st.container(horizontal=True):
            for label, guess in (("Depressed", True), ("Non-depressed", False)):
                st.button(f"“{label}”", key=f"guess_{label}", width=180, on_click=current.guess, args=(number, guess))


def _show_result(evaluation: Evaluation, current: Round) -> None:
    """Shows both scores, the faces with their labels, and the sum of all rounds."""
    dataset, positions = evaluation.dataset, np.searchsorted(evaluation.indices, current.indices)
    truths, probabilities = evaluation.is_depressed[positions], evaluation.predictions.probabilities[positions]
    guesses, model_labels = np.array(current.guesses), probabilities >= evaluation.threshold
    result = game.score_game(guesses, truths, model_labels)
    current.results[current.number] = (result.num_right_visitor, result.num_right_model, result.num_faces)
    st.markdown(f"### {result.sentence}")
    if has_published_labels(dataset):
        st.markdown(game.PEOPLE_SENTENCE)
    names = pictures.describe_labels(dataset.samples.iloc[current.indices])
    captions = [f"{name} · {probability:.0%}" for name, probability in zip(names, probabilities, strict=True)]
    picture_grid.show_grid(dataset, current.indices.tolist(), key="game_pictures", captions=captions)
    st.caption(
        "Beneath each face: its label, and the model's P(“depressed”). If the model is uncertain, the side to which it "
        "leans counts."
    )
    page.show_chart(comparison.plot_game(truths, guesses, model_labels), key="game_chart")
    if len(current.results) > 1:
        num_visitor, num_model, num_faces = np.sum(list(current.results.values()), axis=0)
        st.markdown(
            f"All rounds of this visit: you {num_visitor} of {num_faces}, the model {num_model} of {num_faces}."
        )
    st.button(
        "Play again",
        key="play_again",
        type="primary",
        icon=":material/replay:",
        on_click=_start_round,
        args=(evaluation, current.key, current.number + 1, current.results),
    )
