"""What a visitor chose as data: where the pictures lie, what unknown folders hold, which emotions count as *depressed*.

One value for pages, the command line, background processes, a run's settings and its card. `data.load_dataset` loads
it.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facedep import emotions
from facedep.errors import DataError
from facedep.networks.card_format import find_record_problem

SAMPLE = "sample"
KAGGLE = "kaggle"
_NAMES = ("folder_choices", "depressed_emotions")


@dataclass(frozen=True)
class DatasetSpec:
    """A choice of data. Equal choices are equal values, in whichever order they were made.

    Attributes:
        source: `sample`, `kaggle`, or the path of a folder or .zip file.
        folder_choices: What the user said about folders of unknown name: folder name to an emotion, `depressed`,
            `non_depressed`, or `data.LEAVE_OUT`. A mapping is kept as sorted pairs, so that the value can be hashed.
        depressed_emotions: The emotions that count as *depressed*, kept in the order of `emotions.EMOTIONS`.
    """

    source: str
    folder_choices: Mapping[str, str] | tuple[tuple[str, str], ...] = ()
    depressed_emotions: tuple[str, ...] = emotions.DEPRESSED_EMOTIONS

    def __post_init__(self) -> None:
        """Brings both choices into one order.

        Raises:
            ValueError: An emotion is unknown.
        """
        if unknown := set(self.depressed_emotions) - set(emotions.EMOTIONS):
            raise ValueError(f"unknown emotions {sorted(unknown)}")
        ordered = tuple(emotion for emotion in emotions.EMOTIONS if emotion in self.depressed_emotions)
        object.__setattr__(self, "folder_choices", tuple(sorted(dict(self.folder_choices).items())))
        object.__setattr__(self, "depressed_emotions", ordered)

    def to_argv(self) -> list[str]:
        """Returns the command-line arguments that `read_dataset_spec` reads back."""
        argv = ["--data", self.source]
        if self.depressed_emotions != emotions.DEPRESSED_EMOTIONS:
            argv += ["--depressed", ",".join(self.depressed_emotions)]
        if self.folder_choices:
            argv += ["--folder-choices", json.dumps(dict(self.folder_choices))]
        return argv

    def to_record(self) -> dict[str, Any]:
        """Returns what a run's settings and its card keep: everything but the source, which may be a path."""
        return {
            "folder_choices": dict(self.folder_choices),
            "depressed_emotions": list(self.depressed_emotions),
        }

    @classmethod
    def from_records(cls, source: str, *records: Mapping[str, Any]) -> "DatasetSpec":
        """Returns the choices of the first record that holds them, the default ones where none does.

        Args:
            source: Where the pictures lie now.
            records: As `to_record` gives them, with more beside or with names missing: a card's `data`, a run's
                settings.
        """
        chosen = {name: next((record[name] for record in records if name in record), None) for name in _NAMES}
        return cls(source, **{name: value for name, value in chosen.items() if value is not None})


def add_dataset_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name a data set, for `read_dataset_spec`."""
    parser.add_argument(
        "--data", default=SAMPLE, metavar="SRC", help="sample (default), kaggle, a folder or a .zip file"
    )
    parser.add_argument(
        "--depressed",
        type=lambda names: names.split(","),
        default=emotions.DEPRESSED_EMOTIONS,
        metavar="A,B",
        help=f"the emotions that count as depressed; default: {','.join(emotions.DEPRESSED_EMOTIONS)}",
    )
    parser.add_argument(
        "--folder-choices",
        type=_parse_folder_choices,
        default={},
        metavar="JSON",
        help='what folders of unknown name hold, like {"Foo": "sad"}; default: they are left out',
    )


def read_dataset_spec(options: argparse.Namespace) -> DatasetSpec:
    """Returns the data set that the options of `add_dataset_arguments` name.

    Raises:
        DataError: The grouping names unknown emotions, or none of the known ones, or all.
    """
    chosen = set(options.depressed)
    if chosen - set(emotions.EMOTIONS) or not 0 < len(chosen) < len(emotions.EMOTIONS):
        raise DataError(
            f"--depressed {','.join(options.depressed)}: give some of {', '.join(emotions.EMOTIONS)}, not all of them."
        )
    return DatasetSpec(options.data, options.folder_choices, tuple(options.depressed))


def _parse_folder_choices(text: str) -> dict[str, str]:
    choices = json.loads(text)  # argparse turns a ValueError into its own sentence
    if find_record_problem({"folder_choices": choices}):
        raise argparse.ArgumentTypeError('give one JSON object, like {"Foo": "sad"}')
    return choices
