import pytest

from facedep.emotions import (
    DEPRESSED,
    DEPRESSED_EMOTIONS,
    EMOTIONS,
    NON_DEPRESSED,
    find_emotion,
    find_group,
    find_subset,
    group_of,
)

SPELLINGS = {
    "angry": "angry anger",
    "disgust": "disgust disgusted",
    "fear": "fear fearful",
    "happy": "happy happiness",
    "neutral": "neutral",
    "sad": "sad sadness",
    "surprise": "surprise surprised suprise surprize",
    "contempt": "contempt",
}


WRITINGS = ["lower", "upper", "title", "numbered", "spaced"]


@pytest.mark.parametrize(("emotion", "spelling"), [(e, s) for e, text in SPELLINGS.items() for s in text.split()])
@pytest.mark.parametrize("write", [str.lower, str.upper, str.title, "0_{}".format, " {} ".format], ids=WRITINGS)
def test_usual_spellings_are_known_in_any_case(emotion, spelling, write):
    assert find_emotion(write(spelling)) == emotion


@pytest.mark.parametrize("name", ["", "Foo", "0", "happyish", "not happy", "depressed", "train", "data", "images"])
def test_other_names_spell_no_emotion(name):
    assert find_emotion(name) is None


def test_only_sad_and_neutral_are_depressed():
    assert DEPRESSED_EMOTIONS == ("neutral", "sad")
    assert {emotion for emotion in EMOTIONS if group_of(emotion) == DEPRESSED} == {"sad", "neutral"}
    assert group_of("contempt") == NON_DEPRESSED


def test_another_grouping_can_be_asked_for():
    assert [group_of(emotion, ("sad",)) for emotion in ("sad", "neutral")] == [DEPRESSED, NON_DEPRESSED]


def test_an_unknown_emotion_has_no_group():
    with pytest.raises(ValueError, match="Sad"):
        group_of("Sad")


@pytest.mark.parametrize("name", ["depressed", "Depressed", "DEPRESSION", "1_depressed"])
def test_depressed_folders_are_known(name):
    assert find_group(name) == DEPRESSED


@pytest.mark.parametrize("name", ["non_depressed", "Non-Depressed", "nondepressed", "NOT DEPRESSED", "no_depression"])
def test_non_depressed_folders_are_known(name):
    assert find_group(name) == NON_DEPRESSED


@pytest.mark.parametrize("name", ["Depression Data", "data", "sad", "healthy", ""])
def test_other_names_are_no_group(name):
    assert find_group(name) is None


@pytest.mark.parametrize(
    ("name", "subset"),
    [
        *[(name, "train") for name in ("train", "Train", "TRAINING")],
        *[(name, "val") for name in ("val", "Valid", "VALIDATION")],
        *[(name, "test") for name in ("test", "Testing")],
        *[(name, None) for name in ("", "data", "happy", "trained", "latest")],
    ],
)
def test_subsets_are_known_in_any_case(name, subset):
    assert find_subset(name) == subset
