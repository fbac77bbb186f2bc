"""The model card: what a model is for, what it learned from and how well it does, as Markdown that anyone can read.

Every number about the model comes from its `card.json`; what the card does not hold is left out. Cards come with models
from elsewhere, so their text is escaped and values of unexpected kinds count as missing.

Reference: Mitchell et al. 2019, arXiv 1810.03993 (the sections and their order).
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facedep import emotions, runs
from facedep.cards import CARD_FILE, MODEL_CARD_FILE, read_card
from facedep.quality import FAULT_NAMES
from facedep.recipes import RECIPES
from facedep.splits import SPLIT_KINDS

MISSING = "–"
SAMPLE_NAME = "sample faces (drawn)"  # as `data.load_dataset("sample")` names them
_MAX_NUMBER = 1e15  # a larger one is no count, score or time
_MAX_TEXT, _MAX_COMMAND, _MAX_EARLIER = 300, 2000, 10
_FEW_IMAGES = 50  # a share's interval holds a true 0.95 in 91 of 100 simulations with 50 pictures, in 77 with 30

_ARCHITECTURES = {
    "article": "three convolutions and two dense layers, as published",
    "compact": "residual blocks (He et al. 2015, arXiv 1512.03385) with squeeze-and-excitation (Hu et al. 2017, "
    "arXiv 1709.01507)",
    "quick": "the convolutions of the model that comes with the app, unchanged, and a layer of its own on top of them",
}


@dataclass(frozen=True)
class KnownData:
    """What this project has measured or read about a public data set, whatever a card says.

    Attributes:
        title: What it is, to go on after "is".
        faults: What to know before believing a score on it, a sentence each.
    """

    title: str
    faults: tuple[str, ...]


_SCRAPED = (
    "The pictures were collected by web search for words of emotion; they show real people, children among them, "
    "and nothing shows that anyone in them agreed. They are not handed on with the model."
)
_NOISY_LABELS = (
    "FER2013's labels are noisy: the votes of ten people agree with the label for 62 % of its pictures and with "
    "the two groups for 81 %; 53 % of its *sad* pictures are neutral to them (the votes: Barsoum et al. 2016, "
    "arXiv 1608.01041)."
)
KNOWN_DATA = {
    "4efde1ea496fd40c": KnownData(
        "FER2013 (Goodfellow et al. 2013, arXiv 1307.0414) without any picture of the Kaggle depression set",
        (
            _SCRAPED,
            _NOISY_LABELS,
            "FER2013 has about 1,450 groups of near-identical pictures, some of them across its own parts, and blank "
            "and placeholder pictures.",
            "Nobody in it is known to live with depression.",
        ),
    ),
    "bba6fbbc58352639": KnownData(
        "the Kaggle depression set: 4,492 files of 3,649 different pictures, 3,648 of them out of FER2013 "
        "(Goodfellow et al. 2013, arXiv 1307.0414)",
        (
            _SCRAPED,
            "Its val and test folders hold the same 388 pictures, and all 388 are also in its train folder: scores on "
            "the folders as supplied measure memory.",
            "61 % of its *neutral* and *sad* pictures, which the set is published to call *depressed*, are neutral "
            "faces; nobody pictured is known to live with depression.",
            "It holds watermarks, babies, cartoons, hands before faces and sunglasses.",
            _NOISY_LABELS,
        ),
    ),
}


@dataclass(frozen=True)
class _ScoredSet:
    """One set of pictures that the model was scored on; texts are escaped, None where the card does not say."""

    title: str
    split: str
    scores: dict[str, Any]
    num_identical: float | None
    num_similar: float | None


def record_evaluation(run_dir: Path, scores: dict[str, Any]) -> None:
    """Adds scores on a data set to a model's `card.json`, in place of older ones on the same pictures.

    Args:
        run_dir: The run's folder.
        scores: From `evaluation.evaluate_run`.

    Raises:
        ModelError: The folder holds no model.
        RunError: The run is part of the installed package.
    """
    runs.check_card_writable(run_dir)
    card = read_card(run_dir)
    what = ("content_hash", "split", "part")
    others = [old for old in card.get("evaluations", []) if any(old.get(key) != scores[key] for key in what)]
    card["evaluations"] = [*others, runs.replace_nan(scores)]
    runs.write_json(run_dir / CARD_FILE, card)
    (run_dir / MODEL_CARD_FILE).write_text(render_model_card(run_dir.name, card), "utf-8")


def render_model_card(name: str, card: dict[str, Any]) -> str:
    """Returns a model's card as Markdown, with tables of GitHub's kind.

    Args:
        name: The run's name.
        card: The content of its `card.json`, checked by `cards.read_card`; cards of older versions will do.
    """
    sets = _find_scored_sets(card)
    sections: dict[str, list[str]] = {
        "Model details": _describe_model(card),
        "Intended use": _describe_use(),
        "Out of scope and misuse": _describe_misuse(),
        "Factors": _describe_factors(card, sets),
        "Metrics": _describe_metrics(sets),
        "Training data and its known faults": _describe_training_data(card),
        "Evaluation data": _describe_evaluation_data(card, sets),
        "Quantitative analyses": _describe_scores(card, sets),
        "Calibration and the uncertain band": _describe_calibration(card, sets),
        "Ethical considerations": _describe_ethics(card),
        "Caveats and recommendations": _describe_caveats(card, sets),
        "How it was made": _describe_making(card),
    }
    head = [
        f"# Model card: {_escape(name)}",
        "",
        "> An expression is not a diagnosis. This model compares a face with pictures that were sorted into folders; "
        f"it cannot tell who lives with depression. Its answer “depressed” means: {_describe_positive(card)}.",
        "",
        "The sections follow Mitchell et al. 2019, “Model Cards for Model Reporting”, arXiv 1810.03993.",
    ]
    body = [line for title, lines in sections.items() if lines for line in ("", f"## {title}", "", *lines)]
    return "\n".join([*head, *body]) + "\n"


# The sections


def _describe_model(card: dict[str, Any]) -> list[str]:
    recipe = card.get("recipe")
    kind = "A convolutional network that looks at one face at a time"
    if isinstance(recipe, str) and recipe in RECIPES:
        kind += f": the recipe *{recipe}* (“{RECIPES[recipe].title}”)"
        kind += f", {_ARCHITECTURES[recipe]}" if recipe in _ARCHITECTURES else ""
    lines = [f"- {kind}."]
    if size := _get_number(card, "input_size_px"):
        lines.append(f"- Input: one face, gray, {_count(size)} × {_count(size)} pixels.")
    if _knows_emotions(card):
        lines.append(
            f"- Output: a probability for each of {_join(_get_names(card, 'class_names'))}. P(depressed) is the sum "
            f"over {_join(_get_names(card, 'positive_classes'))}."
        )
    else:
        lines.append("- Output: one probability, P(depressed). It knows no emotions.")
    threshold = _get_number(card, "threshold")
    if threshold is not None:
        lines.append(f"- Answer: “depressed” where P(depressed) is {threshold:g} or more, else “non-depressed”.")
    if card.get("averages_mirror") is True:
        lines.append("- Each probability is the mean over the face and its mirror image.")
    return lines


def _describe_use() -> list[str]:
    return [
        "- To show what a small network learns when folders of expressions are renamed “depressed” and "
        "“non-depressed”, and what its scores are worth.",
        "- To compare networks, ways to split the data, and training settings.",
        "- For students, teachers, developers and researchers, on their own computer, with drawn faces, their own "
        "face, or faces of people who agreed.",
    ]


def _describe_misuse() -> list[str]:
    return [
        "- **Not for diagnosis, screening or monitoring** of depression or any other condition, alone or as a hint.",
        "- **Not for judging anyone:** not employees, applicants, pupils, students, patients, customers or partners. "
        "In the European Union, inferring emotions at work and in education is prohibited except for medical or safety "
        "reasons (Regulation (EU) 2024/1689, Art. 5(1)(f)), and people exposed to emotion recognition must be told "
        "(Art. 50(3)). This is not legal advice.",
        "- Not for faces of people who did not agree, and not for watching people.",
        "- At work and in class, show it with drawn faces instead of the faces of those present.",
        "- It was made for single still pictures of one face; video, profiles and groups are another task.",
    ]


def _describe_factors(card: dict[str, Any], sets: list[_ScoredSet]) -> list[str]:
    lines = []
    if any(_get_table(scored.scores, "per_emotion") for scored in sets):
        lines.append("- **Expression:** the scores below are also given for each expression.")
    if _is_sample(_get_table(card, "data")):
        lines.append("- **People:** there are none in its training pictures; they are drawn.")
    lines += [
        "- **Groups of people:** not measured. This project reads no age, gender or skin tone from any data set, and "
        "does not guess them. Other systems were seen to differ between groups: between Black and white faces "
        "(Rhue 2018, doi 10.2139/ssrn.3281765), between Western and East Asian ones (Front. Psychol. 2023, "
        "doi 10.3389/fpsyg.2023.1201145).",
        "- **Pictures:** light, camera, head pose, glasses and hands before the face can change an answer; their "
        "influence was not measured.",
    ]
    return lines


def _describe_metrics(sets: list[_ScoredSet]) -> list[str]:
    definitions = {
        "accuracy": "- **Right:** share of pictures put into the right group; 100 % is best. **Always non-depressed** "
        "is what this one answer for every picture would get.",
        "balanced_accuracy": "- **Balanced:** mean of the two groups' own shares; 0.5 is guessing, 1 is best.",
        "roc_auc": "- **ROC AUC:** chance that of two pictures, one of each group, the “depressed” one gets the higher "
        "P(depressed); 0.5 is guessing, 1 is best (Hanley & McNeil 1982).",
        "ece": "- **ECE:** expected calibration error of P(depressed), the mean distance between what it says and how "
        "often it is so; 0 is best (Naeini et al. 2015).",
        "emotion_accuracy": "- **Right emotion:** share whose most probable emotion is the folder's, over the emotions "
        "that the model knows.",
    }
    lines = [
        definition
        for name, definition in definitions.items()
        if any(_get_number(scored.scores, name) is not None for scored in sets)
    ]
    if any(_has_intervals(scored.scores) for scored in sets):
        lines.append(
            "- **In brackets:** 95 % intervals, percentile bootstrap over the pictures (Efron & Tibshirani 1993): how "
            "far a score would move with other pictures of the same kind."
        )
    return lines


def _describe_training_data(card: dict[str, Any]) -> list[str]:
    data, training = _get_table(card, "data"), _get_table(card, "training")
    lines = []
    if name := _get_text(data, "name"):
        content = _get_text(data, "content_hash")
        lines.append(f"- Data set: {name}" + (f" (content {content})." if content else "."))
    if split := _describe_split(data):
        seed = _get_number(data, "seed")
        lines.append(f"- Split: {split}" + (f"; seed {seed:.0f}." if seed is not None else "."))
    counts = [
        f"{_count(number)} {part}"
        for part in ("train", "val", "test")
        if (number := _get_number(_get_table(data, "num_images"), part)) is not None
    ]
    if counts:
        lines.append(f"- Pictures: {', '.join(counts)}.")
    left_out = _get_table(data, "left_out")
    if num_left_out := _get_number(left_out, "all"):
        names = [name.replace("_", " ") for name in left_out if name in FAULT_NAMES]
        lines.append(f"- Left out before the split: {_count(num_left_out)} pictures ({_join(names)}).")
    if final_fit_of := _get_text(training, "final_fit_of"):
        lines.append(
            f"- This is a final fit: it learned from train and val together; settings, number of epochs, temperature "
            f"and uncertain band are those chosen in the run {final_fit_of}."
        )
    if teacher := _get_text(training, "teacher"):
        lines.append(
            f"- The answers of the model {teacher} were mixed into the labels (Hinton et al. 2015, arXiv 1503.02531)."
        )
    if _is_sample(data):
        lines.append(
            "- The faces are drawn by code. They show nobody, and what is learned from drawings says little about "
            "photographs."
        )
    else:
        renamed = _join(_get_names(card, "positive_classes"))
        lines.append(
            "- A label is the name of the folder that a picture lies in. It says how the picture was sorted, not how a "
            "person felt" + (f"; “depressed” is a new name for {renamed}." if _knows_emotions(card) else ".")
        )
    if known := _find_known(data):
        lines += ["", f"This is {known.title}. Known faults:", "", *(f"- {fault}" for fault in known.faults)]
    elif not _is_sample(data):
        lines.append("- The faults of this data set were not looked into. That does not mean that it has none.")
    return lines


def _describe_evaluation_data(card: dict[str, Any], sets: list[_ScoredSet]) -> list[str]:
    if not sets:
        return []
    rows = [
        [
            scored.title,
            scored.split or MISSING,
            _format(_count, _get_number(scored.scores, "num_images")),
            _format(_count, scored.num_identical),
            _format(_count, scored.num_similar),
        ]
        for scored in sets
    ]
    header = ["scored on", "split", "pictures", "identical to a training picture", "identical or similar to one"]
    lines = _build_table(header, rows)
    uses = []
    recipe, calibration = card.get("recipe"), _get_table(card, "calibration")
    if isinstance(recipe, str) and recipe in RECIPES and RECIPES[recipe].keeps == "best":
        uses.append("the epoch to keep")
    if calibration.get("chosen_on") == "val" and not calibration.get("run"):
        uses.append("the calibration")
    if uses and "val" in _get_table(card, "scores") and not _is_final_fit(card):
        lines += ["", f"The val part was used to choose {' and '.join(uses)}, so its scores flatter."]
    told = [_find_known(_get_table(card, "data"))]
    for evaluation in _get_evaluations(card):
        known = _find_known(evaluation)
        if known and known not in told:
            title = f"{_get_text(evaluation, 'data') or 'The other data set'} is {known.title}. Its own faults:"
            told_faults = [fault for data in told if data for fault in data.faults]
            lines += ["", title, "", *(f"- {fault}" for fault in known.faults if fault not in told_faults)]
            told.append(known)
        elif _is_sample(evaluation) and not _is_sample(_get_table(card, "data")):
            lines += ["", "The sample faces are drawn by code and show nobody."]
    return lines


def _describe_scores(card: dict[str, Any], sets: list[_ScoredSet]) -> list[str]:
    if not sets:
        return ["This card holds no scores."]
    lines = _build_table(
        ["scored on", "pictures", "right", "always non-depressed", "balanced", "ROC AUC", "ECE", "right emotion"],
        [_build_score_row(scored) for scored in sets],
    )
    for scored in sets:
        accuracy, baseline = (
            _get_number(scored.scores, name) for name in ("accuracy", "always_non_depressed_accuracy")
        )
        interval = _get_interval(_get_table(scored.scores, "intervals"), "accuracy")
        if accuracy is not None and baseline is not None and (interval[0] if interval else accuracy) <= baseline:
            lines += ["", f"On {scored.title}, it is not shown to do better than always answering “non-depressed”."]
    positive = _get_names(card, "positive_classes") if _knows_emotions(card) else []
    is_too_narrow = False
    for scored in sets:
        per_emotion = {
            _escape(emotion): row
            for emotion, row in _get_table(scored.scores, "per_emotion").items()
            if isinstance(row, dict) and row
        }
        if not per_emotion:
            continue
        rows = []
        for emotion, row in per_emotion.items():
            num_images = _get_number(row, "num_images")
            if interval := _get_interval(row, "group_accuracy_interval"):
                is_too_narrow |= (num_images or 0) < _FEW_IMAGES or interval[0] == interval[1]
            group = "depressed" if emotion in positive else "non-depressed"
            rows.append(
                [
                    emotion,
                    group if positive else MISSING,
                    _format(_count, num_images),
                    _format_share(row, "group_accuracy", interval),
                    _format_share(row, "emotion_accuracy", _get_interval(row, "emotion_accuracy_interval")),
                    _format(_decimal, _get_number(row, "mean_probability")),
                ]
            )
        header = ["emotion", "counts as", "pictures", "right group", "right emotion", "mean P(depressed)"]
        lines += ["", f"Each expression of {scored.title}:", "", *_build_table(header, rows)]
    if is_too_narrow:
        few = f"fewer than {_FEW_IMAGES} pictures"
        lines += ["", f"Intervals over {few}, or where all or none are right, are too narrow."]
    return lines


def _build_score_row(scored: _ScoredSet) -> list[str]:
    scores, intervals = scored.scores, _get_table(scored.scores, "intervals")
    return [
        scored.title,
        _format(_count, _get_number(scores, "num_images")),
        _format_share(scores, "accuracy", _get_interval(intervals, "accuracy")),
        _format(_percent, _get_number(scores, "always_non_depressed_accuracy")),
        _format_decimal(scores, "balanced_accuracy", _get_interval(intervals, "balanced_accuracy")),
        _format_decimal(scores, "roc_auc", _get_interval(intervals, "roc_auc")),
        _format(_decimal, _get_number(scores, "ece")),
        _format_share(scores, "emotion_accuracy", _get_interval(scores, "emotion_accuracy_interval")),
    ]


def _describe_calibration(card: dict[str, Any], sets: list[_ScoredSet]) -> list[str]:
    calibration = _get_table(card, "calibration")
    if not calibration:
        return ["The network's probabilities are used as they are: not calibrated, and with no uncertain band."]
    lines = []
    part, run = _get_text(calibration, "chosen_on"), _get_text(calibration, "run")
    num_images = _get_number(calibration, "num_images")
    where = f" on the {part} part" if part else ""
    where += f" of the run {run}" if run else ""
    where += f" ({_count(num_images)} pictures)" if num_images is not None else ""
    temperature = _get_number(calibration, "temperature")
    if temperature is not None:
        lines.append(
            f"- Temperature {temperature:.4g}, chosen{where}: it makes the probabilities less sure (above 1) or surer "
            "(below 1) and leaves the most probable class as it is (Guo et al. 2017, arXiv 1706.04599)."
        )
    uncertain = _get_table(calibration, "uncertain")
    low, high, target = (_get_number(uncertain, name) for name in ("low", "high", "target_error"))
    kept_to = f"on these pictures at most {100 * target:.4g} % of the answers" if target is not None else ""
    if low is None or high is None:
        lines.append("- There is no uncertain band: every face gets an answer.")
    elif low == high:
        lines.append("- The uncertain band is empty" + (f": {kept_to} were wrong without one." if kept_to else "."))
    else:
        lines.append(
            f"- A P(depressed) from {low:g} to below {high:g} counts as uncertain and gets no answer"
            + (f". This is the narrowest band around the threshold with which {kept_to} were wrong" if kept_to else "")
            + " (Geifman & El-Yaniv 2017, arXiv 1705.08500)."
        )
    rows = []
    for scored in sets:
        answered = _get_table(scored.scores, "answered")
        if answered:
            rows.append(
                [
                    scored.title,
                    _format(_percent, _get_number(answered, "share")),
                    _format(_count, _get_number(answered, "num_images")),
                    _format_share(answered, "accuracy", _get_interval(answered, "accuracy_interval")),
                    _format(_percent, _get_number(answered, "always_non_depressed_accuracy")),
                ]
            )
    if rows:
        header = ["scored on", "answered", "pictures answered", "right among them", "always non-depressed among them"]
        lines += ["", *_build_table(header, rows)]
    return lines


def _describe_ethics(card: dict[str, Any]) -> list[str]:
    lines = [
        "- **An expression is not an emotion.** People smile when happy and scowl when angry more often than chance, "
        "but how they do varies with culture, situation and person (Barrett et al. 2019, "
        "doi 10.1177/1529100619832930).",
        "- **An expression is not depression.** People treated for depression, filmed in interviews, smiled less and "
        "also pulled down the corners of the mouth less while symptoms were severe (Girard et al. 2014, "
        "doi 10.1016/j.imavis.2013.12.007). That is seen in video and over time, not in one still picture, and “sad "
        "or neutral face, so depressed” is not what was found.",
        "- **Words:** “depressed” is here the name of a group of pictures, never of a person.",
        "- **Privacy:** a picture of a face is personal data, and a guess about depression can count as data on health "
        "(Regulation (EU) 2016/679, Art. 4(15) and 9). Ask first, and keep nothing.",
        "- **Help:** whoever has symptoms of depression, or worries about someone, is helped by people: a doctor, "
        "someone they trust, a local helpline (in the United States call or text 988).",
    ]
    if _is_sample(_get_table(card, "data")):
        lines.append("- No picture of a person was needed to train it.")
    return lines


def _describe_caveats(card: dict[str, Any], sets: list[_ScoredSet]) -> list[str]:
    training = _get_table(card, "training")
    lines = [
        "- P(depressed) is the network's share for a group of pictures. It is neither the chance that a person lives "
        "with depression nor a measure of how severe it is.",
        "- Pictures from another camera, crop or place can score far lower than those above.",
    ]
    if any(_has_intervals(scored.scores) for scored in sets):
        lines.append(
            "- The intervals take the pictures for independent and the network as given: pictures of the same person, "
            "or another seed, would widen them."
        )
    for scored in sets:
        if scored.num_identical:
            lines.append(
                f"- Pictures of {scored.title} that are identical to a training picture: "
                f"{_count(scored.num_identical)}. On them, the score measures memory."
            )
    if training.get("was_stopped") is True:
        lines.append("- The training was stopped early.")
    if training.get("has_diverged") is True:
        lines.append("- The training broke off when its loss was no longer a number; an earlier state was kept.")
    return lines


def _describe_making(card: dict[str, Any]) -> list[str]:
    training, data = _get_table(card, "training"), _get_table(card, "data")
    lines = []
    if command := _clean(card.get("command"), _MAX_COMMAND):
        earlier = card.get("earlier_commands")
        earlier = [_clean(text, _MAX_COMMAND) for text in earlier[:_MAX_EARLIER]] if isinstance(earlier, list) else []
        commands = [f"    {text}" for text in [*earlier, command] if text]
        title = "The command:" if len(commands) == 1 else "The commands, in order; the last one made this model:"
        lines += [title, "", *commands, "", "What it did:", ""]
    num_epochs, kept = _get_number(training, "num_epochs"), _get_number(training, "kept_epoch")
    if num_epochs is not None:
        kept_text = f"; the weights after epoch {_count(kept)} were kept" if kept else ""
        lines.append(f"- Epochs: {_count(num_epochs)}{kept_text}.")
    for label, number in (
        ("Pictures seen, counted again in every epoch", _get_number(training, "num_images_seen")),
        ("Seconds", _get_number(training, "seconds")),
    ):
        if number is not None:
            lines.append(f"- {label}: {_count(number)}.")
    seed = _get_number(data, "seed")
    if seed is not None:
        lines.append(f"- Seed: {seed:.0f}.")
    versions = [
        f"{_escape(name)} {_get_text(_get_table(card, 'versions'), name)}"
        for name in _get_table(card, "versions")
        if _get_text(_get_table(card, "versions"), name)
    ]
    if versions:
        lines.append(f"- Versions: {', '.join(versions)}.")
    return lines


# What the card says


def _find_scored_sets(card: dict[str, Any]) -> list[_ScoredSet]:
    """Returns what the model was scored on: its own data's parts, test first, then other data."""
    data = _get_table(card, "data")
    name = _get_text(data, "name") or "its own data"
    sets = []
    for part in ("test", "val"):
        scores, leaks = _get_table(_get_table(card, "scores"), part), _get_table(_get_table(data, "leaks"), part)
        if not scores or (part == "val" and _is_final_fit(card)):  # a final fit has learned val
            continue
        sets.append(
            _ScoredSet(
                title=f"{name}, {part}",
                split=_get_text(data, "split"),
                scores=scores,
                num_identical=_get_number(leaks, "num_identical"),
                num_similar=_get_number(leaks, "num_similar"),
            )
        )
    for evaluation in _get_evaluations(card):
        part, split = _get_text(evaluation, "part"), _get_text(evaluation, "split")
        title = ", ".join(text for text in (_get_text(evaluation, "data") or "other data", part) if text)
        sets.append(
            _ScoredSet(
                title=title,
                split="" if part == "all" else split,
                scores=evaluation,
                num_identical=_get_number(evaluation, "num_seen_in_training"),
                num_similar=None,
            )
        )
    return sets


def _get_evaluations(card: dict[str, Any]) -> list[dict[str, Any]]:
    evaluations = card.get("evaluations")
    return [e for e in evaluations if isinstance(e, dict) and e] if isinstance(evaluations, list) else []


def _describe_positive(card: dict[str, Any]) -> str:
    pictures = "drawn faces" if _is_sample(_get_table(card, "data")) else "pictures"
    if _knows_emotions(card):
        renamed = _join(_get_names(card, "positive_classes"))
        return f"looks like the {renamed} {pictures} of the data set that it learned from"
    return f"looks like the {pictures} that were put into the group of that name in the data set that it learned from"


def _describe_split(data: dict[str, Any]) -> str:
    kind = data.get("split")
    if isinstance(kind, str) and kind in SPLIT_KINDS:
        return f"*{kind}* ({SPLIT_KINDS[kind]})"
    return _get_text(data, "split")


def _knows_emotions(card: dict[str, Any]) -> bool:
    names = _get_names(card, "class_names")
    return bool(names) and set(names) <= set(emotions.EMOTIONS)


def _find_known(data: dict[str, Any]) -> KnownData | None:
    """Returns what is known of the data of a card, or of an evaluation."""
    return KNOWN_DATA.get(str(data.get("content_hash")))


def _is_sample(data: dict[str, Any]) -> bool:
    """Whether the data are the drawn faces: the data of a card, or an evaluation."""
    return SAMPLE_NAME in (data.get("name"), data.get("data"))


def _is_final_fit(card: dict[str, Any]) -> bool:
    return bool(_get_text(_get_table(card, "training"), "final_fit_of"))


def _has_intervals(scores: dict[str, Any]) -> bool:
    return any(_get_interval(_get_table(scores, "intervals"), name) for name in _get_table(scores, "intervals"))


def _get_table(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _get_names(parent: dict[str, Any], name: str) -> list[str]:
    value = parent.get(name)
    return [_escape(item) for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _get_text(parent: dict[str, Any], name: str) -> str:
    return _escape(parent.get(name))


def _get_number(parent: dict[str, Any], name: str) -> float | None:
    value = parent.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MAX_NUMBER:
        return None
    return float(value)


def _get_interval(parent: dict[str, Any], name: str) -> tuple[float, float] | None:
    value = parent.get(name)
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = (_get_number({"end": end}, "end") for end in value)
    return None if low is None or high is None else (low, high)


# Markdown


def _clean(value: Any, max_length: int = _MAX_TEXT) -> str:
    """Returns a text as one line without control characters, cut where it is implausibly long; "" for no text."""
    if not isinstance(value, str):
        return ""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
    return line if len(line) <= max_length else line[: max_length - 1] + "…"


def _escape(value: Any) -> str:
    """Returns a text that shows as itself: no markup, table cell, link, formula or Streamlit directive comes of it."""
    escaped = html.escape(re.sub(r"([\\`*_\[\]|~$:@^])", r"\\\1", _clean(value)), quote=False)
    return re.sub(r"(?i)\b(www)\.", r"\1\\.", escaped)


def _join(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _decimal(score: float) -> str:
    return f"{score:.3f}"


def _format(formatter: Callable[[float], str], number: float | None) -> str:
    return MISSING if number is None else formatter(number)


def _format_share(scores: dict[str, Any], name: str, interval: tuple[float, float] | None) -> str:
    text = _format(_percent, _get_number(scores, name))
    return text if interval is None or text == MISSING else f"{text} ({100 * interval[0]:.1f}–{100 * interval[1]:.1f})"


def _format_decimal(scores: dict[str, Any], name: str, interval: tuple[float, float] | None) -> str:
    text = _format(_decimal, _get_number(scores, name))
    return text if interval is None or text == MISSING else f"{text} ({interval[0]:.3f}–{interval[1]:.3f})"


def _build_table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Returns a table's lines, without the columns that have no value in any row."""
    kept = [n for n in range(len(header)) if n == 0 or any(row[n] != MISSING for row in rows)]
    lines = [[header[n] for n in kept], ["---"] * len(kept), *([row[n] for n in kept] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]
