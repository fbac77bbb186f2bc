"""What scores mean, in sentences for people: what page, report and model card share."""

import math
from collections.abc import Sequence

from facedep.evaluation.metrics import Confusion
from facedep.evaluation.paired_comparison import PairedComparison
from facedep.evaluation.slices import MIN_IMAGES, Slice
from facedep.networks.card_scores import RecordedEvaluation, Scores

LOOKUP_TEXT = (
    "The same network, scored in different ways. A lookup table only remembers its training pictures and has learned "
    "nothing: if it does well, these pictures are not a test."
)
INTERVAL_TEXT = (
    "If the test were repeated with other pictures of the same kind, about 95 of 100 such intervals would contain the "
    "score on all such pictures. They do not cover another training or other kinds of pictures."
)
UNKNOWN_PEOPLE_TEXT = (
    "These data sets do not record anyone's age, origin or sex, so this app cannot measure for whom the model works "
    "worse. Others have found such gaps: see Rhue 2018, doi.org/10.2139/ssrn.3281765."
)
INVERSION_TEXT = (
    "**The published predictions are inverted as well.** The article's code reads the output of its network the wrong "
    "way round. This is what it would print for the predictions of this model."
)


def describe_accuracy(evaluated: RecordedEvaluation) -> str:
    """Returns the one sentence that matters, in Markdown: of 100 faces, how many are right, and what that is worth.

    Args:
        evaluated: The scores and what was scored.
    """
    scores = evaluated.scores
    if math.isnan(scores.accuracy):
        return "There is no score: the model gives no prediction for some of these pictures."
    low, high = scores.intervals["accuracy"]
    if evaluated.num_in_training_set == scores.num_images:
        faces = "faces, all of which it was trained on,"
    elif evaluated.num_in_training_set:
        faces = "faces, some of which it was trained on,"
    else:
        faces = "faces it has never seen,"
    between = f" (between {100 * low:.0f} and {100 * high:.0f})" if not math.isnan(low) else ""
    baseline = scores.majority_baseline
    return (
        f"Of 100 {faces} it puts **{100 * scores.accuracy:.0f}**{between} into the group of their label; "
        f"always answering *{baseline.label}* would get **{100 * baseline.share:.0f}**."
    )


def describe_seen(evaluated: RecordedEvaluation, *, is_own_data: bool = False) -> str:
    """Returns what makes the score doubtful, in Markdown: few pictures, some of the training set; "" if nothing does.

    Args:
        evaluated: The scores and what was scored.
        is_own_data: Whether the run was trained on this very data set.
    """
    num_images, texts = evaluated.scores.num_images, []
    if num_images < MIN_IMAGES:
        texts.append(f"There are **only {num_images} pictures**: too few to say anything.")
    if evaluated.subset == "val" and is_own_data:
        texts.append(
            "Validation pictures select the best epoch of a run that trains on this split, so its score on them is too "
            "good."
        )
    if evaluated.num_in_training_set:
        texts.append(
            f"It was trained on **{evaluated.num_in_training_set:,} of these {num_images:,} pictures**: the score is "
            "partly memory."
        )
    if evaluated.num_also_in_train:
        texts.append(
            f"{evaluated.num_also_in_train:,} of these pictures are also in this split's own train part: a "
            "model trained on that part has seen them."
        )
    return " ".join(texts)


def describe_grouping_mismatch(mismatch: dict[str, list[str]] | None, name: str) -> str:
    """Returns that a run learned another grouping of the emotions than the labels have, in Markdown; "" where not.

    Args:
        mismatch: From `training_spec.find_grouping_mismatch`.
        name: The run's name.
    """
    if not mismatch:
        return ""
    return (
        f"**{name}** learned to call {' and '.join(mismatch['learned'])} faces *depressed*; these labels mean "
        f"{' and '.join(mismatch['labels'])}. It is scored on a question that it was not trained on."
    )


def describe_confusion(confusion: Confusion) -> str:
    """Returns false alarms and misses in words, in Markdown.

    Args:
        confusion: The counts at a threshold.
    """
    texts = []
    others = confusion.num_false_alarms + confusion.num_true_non_depressed
    if others:
        share = confusion.num_false_alarms / others
        texts.append(f"Of 100 people whose picture is labelled *non-depressed* it would worry **{100 * share:.0f}**.")
    depressed = confusion.num_true_depressed + confusion.num_missed
    if depressed:
        share = confusion.num_missed / depressed
        texts.append(f"Of 100 whose picture is labelled *depressed* it would miss **{100 * share:.0f}**.")
    return " ".join(texts)


def describe_slices(slices: Sequence[Slice]) -> str:
    """Returns what makes a slice count as worse, and what its line means, in Markdown.

    Args:
        slices: From `slices.find_slices`.
    """
    num_tested = sum(not item.is_small for item in slices)
    return (
        f"“Surely worse” is corrected for having {num_tested} kinds of pictures to choose from (Fisher's exact test, "
        "Holm's correction): if the model were equally good on all of them, the chance of even one such mark would be "
        "at most 5 %. The lines are each kind's own 95 % interval, without that correction."
    )


def describe_coverage(scores: Scores) -> str:
    """Returns how much is left unanswered and how right the rest is, in Markdown; "" without an abstention band.

    Args:
        scores: The scores.
    """
    coverage = scores.coverage
    if coverage is None or math.isnan(coverage):
        return ""
    unanswered = f"It is uncertain about **{100 * (1 - coverage):.0f}** of 100 pictures"
    if not scores.num_covered:
        return f"{unanswered}: about all of these."
    return f"{unanswered}, and right about **{scores.selective_accuracy:.0%}** of the others."


def describe_comparison(comparison: PairedComparison, first: str, second: str) -> str:
    """Returns whether one run is better than another on the same faces, in Markdown.

    Args:
        comparison: From `paired_comparison.compare_predictions`.
        first: The first run's name.
        second: The second run's name.
    """
    num_first, num_second = comparison.num_only_first_right, comparison.num_only_second_right
    low, high = comparison.interval
    counts = (
        f"On the same {comparison.num_images:,} faces **{first}** alone is right for {num_first:,}, **{second}** alone "
        f"for {num_second:,}: a difference of {100 * comparison.difference:+.1f} of 100 faces (between "
        f"{100 * low:+.1f} and {100 * high:+.1f})."
    )
    if comparison.is_beyond_chance:
        better = first if comparison.difference > 0 else second
        return (
            f"{counts} That is **more than chance** (McNemar's test, p = {comparison.p_value:.2g}): {better} is better."
        )
    return f"{counts} That **may well be chance** (McNemar's test, p = {comparison.p_value:.2g})."
