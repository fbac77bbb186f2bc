"""You against the model: which faces to guess, and who came nearer to the labels."""

from dataclasses import dataclass

import numpy as np

# Ten people voted on each FER2013 picture: how often their most frequent vote agrees with the picture's own label. The
# votes are FER+'s, Barsoum et al. 2016, arXiv 1608.01041; compared here with the labels of Goodfellow et al. 2013,
# arXiv 1307.0414. In the two groups sad and neutral count as depressed.
PEOPLE_AGREE_ON_GROUP = 0.81
PEOPLE_AGREE_ON_EMOTION = 0.62


@dataclass(frozen=True)
class GameScore:
    """How a round ended.

    Attributes:
        num_faces: Faces in the round.
        num_right_visitor: Faces to which the visitor gave the label's group, 0..num_faces, high is good.
        num_right_model: The same for the model.
        num_agreed: Faces to which both gave the same answer, right or wrong.
    """

    num_faces: int
    num_right_visitor: int
    num_right_model: int
    num_agreed: int

    @property
    def sentence(self) -> str:
        """The result in words. It says who came nearer to the labels, not who is right about a person."""
        if not self.num_faces:
            return "No faces were guessed."
        faces = "1 face" if self.num_faces == 1 else f"{self.num_faces} faces"
        agreed = "all" if self.num_agreed == self.num_faces else str(self.num_agreed) if self.num_agreed else "none"
        return (
            f"Of {faces} you gave the label's answer for {self.num_right_visitor}, the model for "
            f"{self.num_right_model}; on {agreed} of them you both said the same."
        )


PEOPLE_SENTENCE = (
    f"On FER2013's faces the vote of ten people agrees with the label for {PEOPLE_AGREE_ON_GROUP:.0%} in these two "
    f"groups, and for {PEOPLE_AGREE_ON_EMOTION:.0%} where the emotion has to be named: labels are opinions, not facts."
)


def pick_faces(is_depressed: np.ndarray, is_usable: np.ndarray, *, num: int = 10, seed: int) -> np.ndarray:
    """Returns which faces a round shows: half of each group, so that always giving one answer gets half right.

    Where a group has too few, the other fills up; where both have, the round is shorter. The order is shuffled. The
    same faces and seed give the same round.

    Args:
        is_depressed: `bool` array of shape `(n,)`, the data set's label.
        is_usable: `bool` array of shape `(n,)`: which may be shown, like readable ones that are new to the model.
        num: Faces in a round; of an odd number the larger half is non-depressed.
        seed: Of the choice and the order.

    Returns:
        `int` array of shape `(num,)` or shorter: positions in `is_depressed`, none twice.
    """
    rng = np.random.default_rng(seed)
    depressed, others = (rng.permutation(np.nonzero(is_usable & group)[0]) for group in (is_depressed, ~is_depressed))
    num_depressed = min(len(depressed), max(num // 2, num - len(others)))
    return rng.permutation(np.concatenate([depressed[:num_depressed], others[: num - num_depressed]]))


def score_game(guesses: np.ndarray, truths: np.ndarray, model_labels: np.ndarray) -> GameScore:
    """Returns how a round ended.

    Args:
        guesses: `bool` array of shape `(n,)`: where the visitor said *depressed*.
        truths: `bool` array of shape `(n,)`: where the label says so.
        model_labels: `bool` array of shape `(n,)`: where the model says so.

    Raises:
        ValueError: The three differ in length.
    """
    if not len(guesses) == len(truths) == len(model_labels):
        raise ValueError(f"{len(guesses)} guesses, {len(truths)} labels, {len(model_labels)} answers of the model")
    guesses, truths, model_labels = (np.asarray(labels, dtype=bool) for labels in (guesses, truths, model_labels))
    return GameScore(
        num_faces=len(truths),
        num_right_visitor=int((guesses == truths).sum()),
        num_right_model=int((model_labels == truths).sum()),
        num_agreed=int((guesses == model_labels).sum()),
    )
