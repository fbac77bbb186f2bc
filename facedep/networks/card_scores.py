"""The scores that a model's card holds: on its own data's subsets, and on other data sets as recorded evaluations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from facedep import emotions
from facedep.errors import ModelError
from facedep.networks.card_format import DamagedCardError, TableReader, upgrade_evaluation, upgrade_scores
from facedep.networks.majority_baseline import UNKNOWN, MajorityBaseline

_NAN = float("nan")
_NO_INTERVAL = (_NAN, _NAN)


@dataclass(frozen=True)
class EmotionScores:
    """Scores on the pictures of one true emotion; shares 0..1, high is good, NaN where undefined."""

    num_images: int
    group_accuracy: float = _NAN
    group_accuracy_interval: tuple[float, float] = _NO_INTERVAL
    emotion_accuracy: float = _NAN
    emotion_accuracy_interval: tuple[float, float] = _NO_INTERVAL
    mean_probability: float = _NAN
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """How a model did on some pictures. Shares and scores lie in 0..1, NaN where undefined; high is good but for `ece`.

    Attributes:
        num_images: Pictures.
        accuracy: Share put into the right group.
        majority_baseline: What always answering the larger group gets; `UNKNOWN` where undefined.
        balanced_accuracy: Mean of both groups' own shares.
        roc_auc: Area under the ROC curve.
        ece: Expected calibration error; low is good.
        intervals: Name of a score to its 95 % interval.
        emotion_accuracy: Share whose most probable emotion is the true one.
        emotion_accuracy_interval: Its 95 % interval.
        per_emotion: True emotion to its scores.
        coverage: Share outside the abstention band; None for a model without one, as for the next three.
        num_covered: Pictures outside it.
        selective_accuracy: Share of these put into the right group.
        selective_accuracy_interval: Its 95 % interval.
        selective_majority_baseline: What always answering the larger group gets among these.
    """

    num_images: int
    accuracy: float
    balanced_accuracy: float
    roc_auc: float
    majority_baseline: MajorityBaseline = UNKNOWN
    ece: float = _NAN
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    emotion_accuracy: float = _NAN
    emotion_accuracy_interval: tuple[float, float] = _NO_INTERVAL
    per_emotion: Mapping[str, EmotionScores] = field(default_factory=dict)
    coverage: float | None = None
    num_covered: int | None = None
    selective_accuracy: float | None = None
    selective_accuracy_interval: tuple[float, float] | None = None
    selective_majority_baseline: MajorityBaseline = UNKNOWN
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Scores":
        """Returns the scores that JSON (or the result of `evaluation.score_predictions`) holds.

        Raises:
            ModelError: A value is missing, of the wrong kind or out of range.
        """
        try:
            return read_scores_table(TableReader(upgrade_scores(values), "the scores"))
        except DamagedCardError as error:
            raise ModelError(f"These scores cannot be kept: {error}.") from None


@dataclass(frozen=True)
class RecordedEvaluation:
    """Scores on a data set that somebody had recorded in the card.

    Attributes:
        data: The data set's name.
        content_hash: Of its files.
        protocol: How it was cut.
        subset: "train", "val", "test" or "all".
        scores: The scores.
        decision_threshold: That they were measured with; None where the card does not say.
        num_in_training_set: Pictures that the model was trained on.
        num_skipped: Such pictures that were skipped; None where the card does not say, as for the next two.
        num_also_in_train: Pictures that are also in the cut's own train subset.
        num_unreadable: Files of the data set that cannot be read as pictures.
    """

    data: str
    content_hash: str
    protocol: str
    subset: str
    scores: Scores
    decision_threshold: float | None = None
    num_in_training_set: int = 0
    num_skipped: int | None = None
    num_also_in_train: int | None = None
    num_unreadable: int | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RecordedEvaluation":
        """Returns the evaluation that JSON (or the result of `evaluation.evaluate_run`) holds.

        Raises:
            ModelError: A value is missing, of the wrong kind or out of range.
        """
        try:
            return read_evaluation_table(TableReader(upgrade_evaluation(values), "an evaluation"))
        except DamagedCardError as error:
            raise ModelError(f"These scores cannot be recorded: {error}.") from None


def _read_baseline(baseline: TableReader) -> MajorityBaseline:
    if not baseline:
        return UNKNOWN
    name = baseline.read_text("name")
    if name not in emotions.GROUPS:
        raise DamagedCardError(f"its majority baseline {name!r} is no group")
    return MajorityBaseline(name, baseline.read_score("share", is_needed=True))


def read_scores_table(scores: TableReader) -> Scores:
    """Returns the scores in one table of a card; raises `DamagedCardError`."""
    return Scores(
        num_images=scores.read_count("num_images"),
        accuracy=scores.read_score("accuracy", is_needed=True),
        balanced_accuracy=scores.read_score("balanced_accuracy", is_needed=True),
        roc_auc=scores.read_score("roc_auc", is_needed=True),
        majority_baseline=_read_baseline(scores.read_table("majority_baseline")),
        ece=scores.read_score("ece"),
        intervals={name: scores.check_interval(value) for name, value in scores.read_dict("intervals").items()},
        emotion_accuracy=scores.read_score("emotion_accuracy"),
        emotion_accuracy_interval=scores.read_interval("emotion_accuracy_interval"),
        per_emotion={
            name: EmotionScores(
                num_images=emotion.read_count("num_images"),
                group_accuracy=emotion.read_score("group_accuracy"),
                group_accuracy_interval=emotion.read_interval("group_accuracy_interval"),
                emotion_accuracy=emotion.read_score("emotion_accuracy"),
                emotion_accuracy_interval=emotion.read_interval("emotion_accuracy_interval"),
                mean_probability=emotion.read_score("mean_probability"),
                extra=emotion.read_rest(),
            )
            for name, emotion in scores.read_tables("per_emotion").items()
        },
        coverage=scores.read_score("coverage", default=None),
        num_covered=scores.read_count("num_covered", default=None),
        selective_accuracy=scores.read_score("selective_accuracy", default=None),
        selective_accuracy_interval=scores.read_interval("selective_accuracy_interval", default=None),
        selective_majority_baseline=_read_baseline(scores.read_table("selective_majority_baseline")),
        extra=scores.read_rest(),
    )


def read_evaluation_table(values: TableReader) -> RecordedEvaluation:
    """Returns the evaluation in one table of a card; raises `DamagedCardError`."""
    return RecordedEvaluation(
        data=values.read_text("data"),
        content_hash=values.read_text("content_hash"),
        protocol=values.read_text("protocol"),
        subset=values.read_text("subset"),
        decision_threshold=values.read_number("decision_threshold", 0, 1, default=None),
        num_in_training_set=values.read_count("num_in_training_set", default=0),
        num_skipped=values.read_count("num_skipped", default=None),
        num_also_in_train=values.read_count("num_also_in_train", default=None),
        num_unreadable=values.read_count("num_unreadable", default=None),
        scores=read_scores_table(values),  # last: what is left is its `extra`
    )
