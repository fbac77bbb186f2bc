"""What the report says above and below the scores: final words, ready to be laid out."""

import shlex
from dataclasses import dataclass, replace

from facedep.data.eval_subset import ALL
from facedep.data.sources import KAGGLE, SAMPLE
from facedep.data.splits import PROTOCOLS
from facedep.evaluation import game
from facedep.evaluation.evaluation import Evaluation
from facedep.notices import NOTICE
from facedep.reporting import model_card_facts, sentences
from facedep.reporting.card_values import clean_text

_MAX_COMMAND = 2000  # letters


@dataclass(frozen=True)
class Head:
    """What is above the sections; sentences are in Markdown, as `sentences` has them."""

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
    """Returns what is above the sections.

    Args:
        evaluation: What the report is about.
        today: The date in words.
    """
    evaluated = evaluation.record
    remarks = sentences.describe_coverage(evaluated.scores)
    if evaluation.dataset.source != SAMPLE:  # drawn faces have the emotion that they were drawn with
        remarks = f"{remarks} {game.PEOPLE_SENTENCE}".strip()
    is_own_data = evaluation.card.data.content_hash == evaluation.dataset.content_hash
    return Head(
        name=evaluation.run.name,
        facts={
            "Pictures": f"{evaluated.scores.num_images:,} of {evaluation.dataset.name}",
            "Chosen": _describe_choice(evaluation),
            "Called “depressed”": f"from P(“depressed”) of {evaluation.threshold:.2f}",
            "Date": today,
        },
        sentence=sentences.describe_accuracy(evaluated),
        warning=sentences.describe_seen(evaluated, is_own_data=is_own_data),
        remarks=remarks,
        notice=NOTICE,
        labels=_describe_labels(evaluation),
    )


def _describe_choice(evaluation: Evaluation) -> str:
    subset = evaluation.subset
    phrases = ["all, each once" if subset.subset == ALL else f"{subset.subset} part. {PROTOCOLS[subset.protocol]}"]
    if subset.excludes_training_images:
        phrases.append(f"without the {evaluation.scores['num_skipped']:,} that it was trained on")
    if evaluation.scores["num_unreadable"]:
        phrases.append(f"{evaluation.scores['num_unreadable']:,} damaged files skipped")
    return "; ".join(phrases)


def _describe_labels(evaluation: Evaluation) -> str:
    """Returns what *depressed* means here: for the data set, and for the model."""
    texts = []
    if (evaluation.samples["emotion"] != "").any():
        renamed = " and ".join(evaluation.dataset.depressed_emotions)
        texts.append(f"The group “depressed” of these pictures is a new name for {renamed} faces.")
    if evaluation.predictions.emotions is not None:
        renamed = " and ".join(evaluation.card.positive_classes)
        texts.append(f"The model's answer “depressed” means: looks like the {renamed} faces that it learned from.")
    else:
        texts.append("The model's answer “depressed” means: looks like the pictures of that group it learned from.")
    return " ".join(texts)


def gather_training(evaluation: Evaluation) -> Training:
    """Returns the section of the training, as far as the card has it.

    Args:
        evaluation: What the report is about.
    """
    card = evaluation.card.to_json()
    data, training = model_card_facts.gather_data(card), model_card_facts.gather_training(card)
    facts = {
        "Recipe": evaluation.card.recipe,
        "Learned from": data.name,
        "Pictures": ", ".join(f"{number:,.0f} {subset}" for subset, number in data.num_images.items()),
        "Epochs": "" if training.num_epochs is None else f"{training.num_epochs:,.0f}",
        "Time": "" if training.seconds is None else f"{training.seconds:,.0f} s",
        "Teacher": training.teacher,
        "Refit of": training.refit_of,
        "Seed": "" if data.seed is None else f"{data.seed:.0f}",
        "Split": data.protocol_text or data.protocol,
        "Versions": ", ".join(f"{name} {version}" for name, version in training.versions.items()),
    }
    commands = [*evaluation.card.earlier_commands, evaluation.card.command]
    commands = [clean_text(command, _MAX_COMMAND) for command in commands]
    return Training({title: text for title, text in facts.items() if text}, [text for text in commands if text])


def gather_remake(evaluation: Evaluation) -> Remake:
    """Returns how to make the report again.

    Args:
        evaluation: What the report is about.
    """
    commands = [build_command(evaluation, "robustness")] if evaluation.run.has_model else []
    commands.append(f"{build_command(evaluation, 'evaluate')} --report report.html")
    return Remake(evaluation.dataset.source in (SAMPLE, KAGGLE), evaluation.dataset.content_hash, commands)


def build_command(evaluation: Evaluation, command: str) -> str:
    """Returns a command line on the same run and pictures; the data set is named, never its path.

    Args:
        evaluation: What the report is about.
        command: Of the command line.
    """
    source = evaluation.dataset.source if evaluation.dataset.source in (SAMPLE, KAGGLE) else evaluation.dataset.name
    spec = replace(evaluation.dataset.spec, source=source)
    argv = ["python", "-m", "facedep", command, "--model", evaluation.run.name]
    return shlex.join([*argv, *spec.to_argv(), *evaluation.subset.to_argv()])
