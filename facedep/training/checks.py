"""What rules out a training before any picture is opened: settings, file names and other runs. No Keras here."""

from pathlib import Path

from facedep.data.sources import Dataset, check_trainable
from facedep.data.splits import check_protocol
from facedep.errors import RunError
from facedep.networks.card import Card, read_card
from facedep.networks.recipes import find_recipe
from facedep.runs import run_folder
from facedep.runs.run_config import RunConfig
from facedep.training.checkpoint import has_checkpoint, read_checkpoint


def check_run(config: RunConfig, dataset: Dataset, *, run_dir: Path | None = None) -> None:
    """Raises for the first thing that rules a training out, as far as that shows without opening a picture.

    A scan of 28,000 pictures takes 20 s; what can be known before it should not be said after it.

    Args:
        config: The settings, checked.
        dataset: What it would be trained on.
        run_dir: The run's folder, where it is made already: its checkpoint must fit.

    Raises:
        FacedepError: With what was expected, what was found, and what to do.
    """
    check_trainable(dataset)
    check_protocol(dataset.samples, config.protocol)
    _check_logit_adjustment(config, dataset)
    if config.refit_of:
        read_refit_card(config, dataset)
    if config.teacher:
        read_card(run_folder.find_run_dir(config.teacher))
    if find_recipe(config.recipe).pretrained:
        read_card(run_folder.locate_run(run_folder.SHIPPED_RUN))
    if run_dir and has_checkpoint(run_dir):
        read_checkpoint(run_dir, data_hash=dataset.content_hash)


def _check_logit_adjustment(config: RunConfig, dataset: Dataset) -> None:
    """Raises `RunError` for a network of one output, whose loss has no classes to make up for."""
    names_emotions = bool((dataset.samples["emotion"] != "").all())
    if config.logit_adjustment and not (find_recipe(config.recipe).learns == "emotions" and names_emotions):
        raise RunError(
            "A logit adjustment needs a network that learns emotions, from pictures that all name one. Leave it out, "
            "or choose another recipe or data set."
        )


def read_refit_card(config: RunConfig, dataset: Dataset) -> Card:
    """Returns the card of the run that is refitted.

    Args:
        config: The settings of the refit.
        dataset: What it is trained on.

    Raises:
        FacedepError: There is no such run, or it was trained on other pictures.
    """
    card = read_card(run_folder.find_run_dir(config.refit_of))
    if card.data.content_hash != dataset.content_hash:
        raise RunError(
            f"The run {config.refit_of!r} was trained on other pictures than these. Give the final fit the data "
            "that it was trained on."
        )
    if not (card.training and card.training.selected_epoch):
        raise RunError(f"The run {config.refit_of!r} kept no epoch. Choose a finished one.")
    return card
