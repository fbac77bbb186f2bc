"""What the report says above and below the scores: final words, ready to be laid out."""

import shlex
from dataclasses import dataclass, replace

from facedep.data.eval_subset import ALL
from facedep.data.sources import KAGGLE, SAMPLE
from facedep.data.splits import PROTOCOLS
from facedep.evaluation import game
from facedep.evaluation.evaluation import Evaluation
from facedep.notices import NOTICE
from facedep.reporting import sentences
from facedep.reporting.card_values import clean_text, get_number, get_table, get_text

_MAX_COMMAND = 2000  # letters


@dataclass(frozen=True)
class Head:
    """What stands above the sections; sentences are in Markdown, as `sentences` has them."""

    name: str
    facts: dict[str, str]
    sentence: str
    warning: str
    remarks: str
    notice: str
    labels: str


@dataclass(frozen=True)
class Training:
    """The section of the training."""

    facts: dict[str, str]
    commands: list[str]


@dataclass(frozen=True)
class Remake:
    """How to make the report again."""

    is_public_data: bool
    content_hash: str
    commands: list[str]


def gather_head(evaluation: Evaluation, *, today: str) -> Head:
    """Returns what stands above the sections.

    Args:
        evaluation: What the report is about.
        today: The date in words.
    """
    scores = evaluation.scores
    remarks = sentences.describe_coverage(scores)
    if evaluation.dataset.source != SAMPLE:  # drawn faces have the emotion that they were drawn with
        remarks = f"{remarks} {game.PEOPLE_SENTENCE}".strip()
    is_own_data = evaluation.card.data.content_hash == evaluation.dataset.content_hash
    return Head(
        name=evaluation.run.name,
        facts={
            "Pictures": f"{scores['num_images']:,} of {evaluation.dataset.name}",
            "Chosen": _describe_choice(evaluation),
            "Called “depressed”": f"from P(“depressed”) of {evaluation.threshold:.2f}",
            "Date": today,
        },
        sentence=sentences.describe_accuracy(scores),
        warning=sentences.describe_seen(scores, is_own_data=is_own_data),
        remarks=remarks,
        notice=NOTICE,
        labels=_describe_labels(evaluation),
    )


def _describe_choice(evaluation: Evaluation) -> str:
    subset = evaluation.subset
    words = ["all, each once" if subset.subset == ALL else f"{subset.subset} part. {PROTOCOLS[subset.protocol]}"]
    if subset.excludes_training_images:
        words.append(f"without the {evaluation.scores['num_skipped']:,} that it was trained on")
    if evaluation.scores["num_unreadable"]:
        words.append(f"{evaluation.scores['num_unreadable']:,} damaged files left out")
    return "; ".join(words)


def _describe_labels(evaluation: Evaluation) -> str:
    """Returns what *depressed* means here: for the data set, and for the model."""
    words = []
    if (evaluation.samples["emotion"] != "").any():
        renamed = " and ".join(evaluation.dataset.depressed_emotions)
        words.append(f"The group “depressed” of these pictures is a new name for {renamed} faces.")
    if evaluation.predictions.emotions is not None:
        renamed = " and ".join(evaluation.card.positive_classes)
        words.append(f"The model's answer “depressed” means: looks like the {renamed} faces that it learned from.")
    else:
        words.append("The model's answer “depressed” means: looks like the pictures of that group it learned from.")
    return " ".join(words)


def gather_training(evaluation: Evaluation) -> Training:
    """Returns the section of the training, as far as the card tells.

    Args:
        evaluation: What the report is about.
    """
    card = evaluation.card.to_json()
    data, training, versions = (get_table(card, name) for name in ("data", "training", "versions"))
    numbers = {part: get_number(get_table(data, "num_images"), part) for part in ("train", "val", "test")}
    num_epochs, seconds, seed = (
        get_number(training, "num_epochs"),
        get_number(training, "seconds"),
        get_number(data, "seed"),
    )
    split = get_text(data, "protocol")
    facts = {
        "Recipe": evaluation.card.recipe,
        "Learned from": get_text(data, "name"),
        "Pictures": ", ".join(f"{number:,.0f} {part}" for part, number in numbers.items() if number is not None),
        "Epochs": "" if num_epochs is None else f"{num_epochs:,.0f}",
        "Time": "" if seconds is None else f"{seconds:,.0f} s",
        "Teacher": get_text(training, "teacher"),
        "Final fit of": get_text(training, "refit_of"),
        "Seed": "" if seed is None else f"{seed:.0f}",
        "Split": PROTOCOLS.get(split, split),
        "Versions": ", ".join(f"{clean_text(name)} {get_text(versions, name)}" for name in versions),
    }
    commands = [*evaluation.card.earlier_commands, evaluation.card.command]
    commands = [clean_text(command, _MAX_COMMAND) for command in commands]
    return Training({title: words for title, words in facts.items() if words}, [text for text in commands if text])


def gather_remake(evaluation: Evaluation) -> Remake:
    """Returns how to make the report again.

    Args:
        evaluation: What the report is about.
    """
    commands = [build_command(evaluation, "robustness")] if evaluation.run.has_model else []
    commands.append(f"{build_command(evaluation, 'evaluate')} --report report.html")
    return Remake(evaluation.dataset.source in (SAMPLE, KAGGLE), evaluation.dataset.content_hash, commands)


def build_command(evaluation: Evaluation, command: str) -> str:
    """Returns a command line on the same run and pictures; a data set stands there by name, never by its path.

    Args:
        evaluation: What the report is about.
        command: Of the command line.
    """
    source = evaluation.dataset.source if evaluation.dataset.source in (SAMPLE, KAGGLE) else evaluation.dataset.name
    spec = replace(evaluation.dataset.spec, source=source)
    argv = ["python", "-m", "facedep", command, "--model", evaluation.run.name]
    return shlex.join([*argv, *spec.to_argv(), *evaluation.subset.to_argv()])
