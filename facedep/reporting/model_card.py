"""The model card: what a model is for, what it learned from and how well it does, as Markdown that anyone can read.

Every number about the model comes from its `card.json`; what the card does not hold is not shown.

Reference: Mitchell et al. 2019, arXiv 1810.03993 (the sections and their order).
"""

from pathlib import Path
from typing import Any

from facedep.files import write_json, write_text
from facedep.networks.card import CARD_FILE, MODEL_CARD_FILE, read_card
from facedep.networks.card_scores import RecordedEvaluation
from facedep.reporting import sentences
from facedep.reporting.card_values import clean_text
from facedep.reporting.model_card_facts import gather_calibration, gather_data, gather_model, gather_training
from facedep.reporting.model_card_scores import gather_scores
from facedep.reporting.rendering import render_markdown
from facedep.runs import run_folder


def record_evaluation(run_dir: Path, scores: dict[str, Any]) -> None:
    """Adds scores on a data set to a model's `card.json`, in place of older ones on the same pictures.

    Args:
        run_dir: The run's folder.
        scores: From `evaluation.evaluate_run`.

    Raises:
        ModelError: The folder holds no model.
        RunError: The run is part of the installed package.
    """
    run_folder.check_card_writable(run_dir)
    card = read_card(run_dir).with_evaluation(RecordedEvaluation.from_json(scores)).to_json()
    write_json(run_dir / CARD_FILE, card)
    write_text(run_dir / MODEL_CARD_FILE, render_model_card(run_dir.name, card))


def render_model_card(name: str, card: dict[str, Any]) -> str:
    """Returns a model's card as Markdown, with tables of GitHub's kind.

    Args:
        name: The run's name.
        card: What `Card.to_json` gives.
    """
    data, training = gather_data(card), gather_training(card)
    numbers = (training.num_epochs, training.num_images_seen, training.seconds, data.seed)
    return render_markdown(
        "model_card.md.j2",
        name=clean_text(name),
        model=gather_model(card),
        data=data,
        training=training,
        calibration=gather_calibration(card),
        scores=gather_scores(card),
        intervals=sentences.INTERVAL_TEXT,
        has_making=bool(training.commands or training.versions or any(number is not None for number in numbers)),
    )
