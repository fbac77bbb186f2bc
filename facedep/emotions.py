"""Emotion names, the ways data sets spell them, and the grouping into *depressed* and *non-depressed*.

The grouping is the published article's: sad and neutral faces are called *depressed*, all others *non-depressed*.
It is a renaming of folders. Nobody in such a data set is known to live with depression.
"""

DEPRESSED = "depressed"
NON_DEPRESSED = "non_depressed"
GROUPS = (NON_DEPRESSED, DEPRESSED)

# The seven classes of FER2013 in its order (Goodfellow et al. 2013, arXiv 1307.0414), then contempt (FER+, AffectNet).
EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise", "contempt")
DEPRESSED_EMOTIONS = ("neutral", "sad")

_SPELLINGS = {
    "angry": ("angry", "anger", "mad"),
    "disgust": ("disgust", "disgusted", "disgusting"),
    "fear": ("fear", "fearful", "afraid", "scared"),
    "happy": ("happy", "happiness", "joy", "smile", "smiling"),
    "neutral": ("neutral", "neutrality", "calm"),
    "sad": ("sad", "sadness", "unhappy"),
    "surprise": ("surprise", "surprised", "suprise", "suprised", "surprize", "surprized", "suprize"),
    "contempt": ("contempt", "contemptuous", "contemptous"),
}
_EMOTION_BY_SPELLING = {spelling: emotion for emotion, spellings in _SPELLINGS.items() for spelling in spellings}
_GROUP_BY_SPELLING = {
    "depressed": DEPRESSED,
    "depression": DEPRESSED,
    "depressive": DEPRESSED,
    "nondepressed": NON_DEPRESSED,
    "notdepressed": NON_DEPRESSED,
    "nondepression": NON_DEPRESSED,
    "notdepression": NON_DEPRESSED,
    "nodepression": NON_DEPRESSED,
}
_SUBSET_BY_SPELLING = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def _normalize(name: str) -> str:
    """Returns the letters of `name` in lower case: "3_Non-Depressed" -> "nondepressed"."""
    return "".join(c for c in name.casefold() if c.isalpha())


def find_emotion(folder_name: str) -> str | None:
    """Returns the emotion that a folder name spells ("Surprize" -> "surprise"), or None where it spells none."""
    return _EMOTION_BY_SPELLING.get(_normalize(folder_name))


def find_group(folder_name: str) -> str | None:
    """Returns `DEPRESSED` or `NON_DEPRESSED` where a folder name says so itself ("Non-Depressed"), else None."""
    return _GROUP_BY_SPELLING.get(_normalize(folder_name))


def find_subset(folder_name: str) -> str | None:
    """Returns "train", "val" or "test" where a folder name spells one of them ("Validation" -> "val"), else None."""
    return _SUBSET_BY_SPELLING.get(_normalize(folder_name))


def group_of(emotion: str, depressed_emotions: tuple[str, ...] = DEPRESSED_EMOTIONS) -> str:
    """Returns the group an emotion belongs to under a grouping.

    Args:
        emotion: One of `EMOTIONS`.
        depressed_emotions: The emotions that count as *depressed*; the article's are sad and neutral.
    """
    if emotion not in EMOTIONS:
        raise ValueError(f"unknown emotion {emotion!r}")
    return DEPRESSED if emotion in depressed_emotions else NON_DEPRESSED
