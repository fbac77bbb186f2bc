"""Rounds are fair and repeatable, and scores are exact."""

import numpy as np
import pytest

from facedep.evaluation import game


def test_a_round_holds_half_of_each_group_shuffled_and_only_usable_faces():
    is_depressed = np.arange(100) < 30
    is_usable = np.arange(100) % 2 == 0
    faces = game.pick_faces(is_depressed, is_usable, num=10, seed=3)
    assert len(set(faces.tolist())) == 10
    assert is_depressed[faces].sum() == 5
    assert is_usable[faces].all()
    orders = {tuple(is_depressed[game.pick_faces(is_depressed, is_usable, seed=seed)]) for seed in range(5)}
    assert len(orders) == 5


def test_the_same_seed_gives_the_same_round_and_another_seed_another():
    labels, usable = np.arange(60) % 3 == 0, np.ones(60, bool)
    first, again, other = (game.pick_faces(labels, usable, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("num_depressed", "num_others", "num", "expected"),
    [(3, 20, 10, (3, 7)), (20, 2, 10, (8, 2)), (2, 3, 10, (2, 3)), (20, 20, 7, (3, 4)), (0, 4, 10, (0, 4)),
     (0, 0, 10, (0, 0)), (5, 5, 0, (0, 0))],
)  # fmt: skip
def test_a_group_that_has_too_few_is_filled_up_by_the_other(num_depressed, num_others, num, expected):
    is_depressed = np.arange(num_depressed + num_others) < num_depressed
    faces = game.pick_faces(is_depressed, np.ones(len(is_depressed), bool), num=num, seed=0)
    assert (int(is_depressed[faces].sum()), int((~is_depressed[faces]).sum())) == expected


def test_a_round_is_scored_against_the_labels():
    truths = np.array([True, True, False, False])
    guesses = np.array([True, False, False, True])
    answers = np.array([True, False, True, False])
    score = game.score_game(guesses, truths, answers)
    assert score == game.GameScore(num_faces=4, num_right_visitor=2, num_right_model=2, num_agreed=2)
    assert score.sentence == (
        "Of 4 faces you gave the label's answer for 2, the model for 2; on 2 of them you both said the same."
    )


@pytest.mark.parametrize(
    ("score", "sentence"),
    [
        (game.GameScore(0, 0, 0, 0), "No faces were guessed."),
        (game.GameScore(10, 7, 8, 10), "Of 10 faces you gave the label's answer for 7, the model for 8; on all of them "
         "you both said the same."),
        (game.GameScore(1, 0, 1, 0), "Of 1 face you gave the label's answer for 0, the model for 1; on none of them "
         "you both said the same."),
    ],
)  # fmt: skip
def test_the_sentence_fits_the_numbers(score, sentence):
    assert score.sentence == sentence


def test_the_sentence_about_people_gives_both_shares():
    assert "81%" in game.PEOPLE_SENTENCE
    assert "62%" in game.PEOPLE_SENTENCE


def test_a_round_of_different_lengths_is_a_mistake():
    with pytest.raises(ValueError, match="1 guesses, 2 labels"):
        game.score_game(np.array([True]), np.array([True, False]), np.array([True, False]))
