"""What scores mean, in sentences for people: the page and the report say the same."""

import math
from typing import Any

from facedep.metrics import Confusion, PairedComparison
from facedep.slices import MIN_IMAGES

LOOKUP_TEXT = (
    "The same network, scored in different ways. A lookup table only remembers the train pictures and has learned "
    "nothing: where it does well, the pictures are no test."
)
UNKNOWN_PEOPLE_TEXT = (
    "Nobody's age, origin or sex stands in these data sets, so this app cannot measure whom the model treats worse. "
    "Others have found such gaps: see Rhue 2018, doi.org/10.2139/ssrn.3281765."
)
INVERSION_TEXT = (
    "The article's code reads its network's answers the wrong way; so would the answers of this model come out if that "
    "code printed them."
)


def describe_accuracy(scores: dict[str, Any]) -> str:
    """Returns the one sentence that matters, in Markdown: of 100 faces, how many are right, and what that is worth.

    Args:
        scores: From `evaluation.evaluate_run`.
    """
    if math.isnan(scores["accuracy"]):
        return "There is no score here: a picture has no answer."
    low, high = scores["intervals"]["accuracy"]
    if scores["num_seen_in_training"] == scores["num_images"]:
        faces = "faces that it has all learned from"
    elif scores["num_seen_in_training"]:
        faces = "faces, of which it has learned from some,"
    else:
        faces = "faces it has never seen,"
    between = f" (between {100 * low:.0f} and {100 * high:.0f})" if not math.isnan(low) else ""
    always = scores["always_non_depressed_accuracy"]
    constant, share = ("non-depressed", always) if always >= 0.5 else ("depressed", 1 - always)
    return (
        f"Of 100 {faces} it puts **{100 * scores['accuracy']:.0f}**{between} into the group of their label; "
        f"always answering *{constant}* would get **{100 * share:.0f}**."
    )


def describe_seen(scores: dict[str, Any], *, is_own_data: bool = False) -> str:
    """Returns what makes the score doubtful, in Markdown: few pictures, some seen before; "" where nothing does.

    Args:
        scores: From `evaluation.evaluate_run`.
        is_own_data: Whether the run was trained on this very data set.
    """
    words = []
    if scores["num_images"] < MIN_IMAGES:
        words.append(f"These are **{scores['num_images']} pictures only**, too few to say anything.")
    if scores["part"] == "val" and is_own_data:
        words.append("Validation pictures choose the best epoch of a run that trains on this split: they flatter it.")
    if scores["num_seen_in_training"]:
        words.append(
            f"It was trained on **{scores['num_seen_in_training']:,} of these {scores['num_images']:,} pictures**: the "
            "score is partly memory."
        )
    if scores["num_also_in_train"]:
        words.append(
            f"{scores['num_also_in_train']:,} of these pictures are also in this split's own train part: whoever "
            "trains on that part has seen them."
        )
    return " ".join(words)


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
    words = []
    others = confusion.num_false_alarms + confusion.num_true_non_depressed
    if others:
        share = confusion.num_false_alarms / others
        words.append(f"Of 100 people whose picture is labelled *non-depressed* it would worry **{100 * share:.0f}**.")
    depressed = confusion.num_true_depressed + confusion.num_missed
    if depressed:
        share = confusion.num_missed / depressed
        words.append(f"Of 100 whose picture is labelled *depressed* it would miss **{100 * share:.0f}**.")
    return " ".join(words)


def describe_answered(scores: dict[str, Any]) -> str:
    """Returns how much is left unanswered and how right the rest is, in Markdown; "" for a model that always answers.

    Args:
        scores: From `scores.score_answers`.
    """
    answered = scores.get("answered")
    if not answered or math.isnan(answered["share"]):
        return ""
    unanswered = f"It calls itself uncertain for **{100 * (1 - answered['share']):.0f}** of 100 pictures"
    if not answered["num_images"]:
        return f"{unanswered}: for all of these."
    return f"{unanswered}, and is right for **{answered['accuracy']:.0%}** of the others."


def describe_comparison(comparison: PairedComparison, first: str, second: str) -> str:
    """Returns whether one run is better than another on the same faces, in Markdown.

    Args:
        comparison: From `metrics.compare_answers`.
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
