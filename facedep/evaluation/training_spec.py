"""What a run was trained with, against the choices that a data set is shown with: folders and grouping."""

from pathlib import Path

from facedep import emotions
from facedep.data.dataset_spec import DatasetSpec
from facedep.data.sources import Dataset, relabel_dataset
from facedep.networks.card import CardData, read_card
from facedep.runs import run_folder


def find_training_spec(run_dir: Path, source: str) -> DatasetSpec:
    """Returns the folder choices and the grouping that a run was trained with: its card's, else its settings'.

    Args:
        run_dir: The run folder.
        source: Where the pictures lie now.

    Raises:
        ModelError: The folder holds no card.
    """
    config = run_folder.read_run(run_dir).config
    return DatasetSpec.from_records(source, read_card(run_dir).data.to_choices(), vars(config) if config else {})


def find_training_dataset(run_dir: Path, dataset: Dataset) -> Dataset:
    """Returns a data set as a run was trained on it; itself where it was not, or with the same choices.

    Its scan may have to be made before the run's own split can be.

    Args:
        run_dir: The run folder.
        dataset: The data set, with the choices that it is shown with.

    Raises:
        ModelError: The folder holds no card.
    """
    trained_on = read_card(run_dir).data
    if not is_trained_on(trained_on, dataset, trained_on.protocol):
        return dataset
    return relabel_dataset(dataset, find_training_spec(run_dir, dataset.source))


def find_learned_emotions(run_dir: Path) -> list[str]:
    """Returns the emotions that a run counts as *depressed*; the article's where nothing says.

    Raises:
        ModelError: The folder holds no card.
    """
    positive = [name for name in read_card(run_dir).positive_classes if name != emotions.DEPRESSED]
    return sorted(positive or find_training_spec(run_dir, "").depressed_emotions)


def find_grouping_mismatch(run_dir: Path, dataset: Dataset) -> dict[str, list[str]] | None:
    """Returns both groupings of the emotions where a run learned another one than a data set's labels have, else None.

    Args:
        run_dir: The run folder.
        dataset: The data set.

    Returns:
        `learned` and `labels`, the emotions that count as *depressed*, sorted.

    Raises:
        ModelError: The folder holds no card.
    """
    known = [name for name in read_card(run_dir).class_names if name in emotions.EMOTIONS] or emotions.EMOTIONS
    learned = find_learned_emotions(run_dir)
    if set(learned) == set(dataset.depressed_emotions) & set(known):
        return None
    return {"learned": learned, "labels": sorted(dataset.depressed_emotions)}


def is_trained_on(trained_on: CardData, dataset: Dataset, protocol: object) -> bool:
    """Returns whether a run was trained on a data set's files with this protocol.

    Args:
        trained_on: What its card says of its data.
        dataset: The data set.
        protocol: One of `splits.PROTOCOLS`.
    """
    return trained_on.protocol == protocol and trained_on.content_hash == dataset.content_hash
