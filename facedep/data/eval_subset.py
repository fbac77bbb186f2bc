"""Which pictures of a data set a model is scored on, as one value for pages, files and the command line."""

import argparse
from dataclasses import dataclass

from facedep.data.splits import LEAK_FREE, PROTOCOLS, PUBLISHED, SUBSETS
from facedep.errors import DataError

ALL = "all"
EVAL_SUBSETS = (*SUBSETS, ALL)


@dataclass(frozen=True)
class EvalSubset:
    """A choice of the pictures that are scored.

    Attributes:
        protocol: One of `splits.PROTOCOLS`: how the pictures are split.
        subset: "train", "val", "test", or "all": every picture, pixel-identical ones once.
        excludes_training_images: Whether the pictures that the run was trained on are left out.
        seed: Of the split; None for the run's own.

    Raises:
        DataError: The protocol has no such subset.
        ValueError: The protocol or the subset is unknown.
    """

    protocol: str = LEAK_FREE
    subset: str = "test"
    excludes_training_images: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"unknown protocol {self.protocol!r}, expected one of {', '.join(PROTOCOLS)}")
        if self.subset not in EVAL_SUBSETS:
            raise ValueError(f"unknown subset {self.subset!r}, expected one of {', '.join(EVAL_SUBSETS)}")
        if (self.protocol, self.subset) == (PUBLISHED, "test"):
            raise DataError("The published split has no test part. Ask for its val part, or for another split.")

    def to_argv(self) -> list[str]:
        """Returns the command-line arguments that `read_eval_subset` reads back."""
        argv = ["--protocol", self.protocol, "--subset", self.subset]
        if self.excludes_training_images:
            argv.append("--exclude-training-images")
        if self.seed is not None:
            argv += ["--seed", str(self.seed)]
        return argv


def add_eval_subset_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which pictures are scored, for `read_eval_subset`."""
    parser.add_argument("--protocol", default=LEAK_FREE, choices=PROTOCOLS, help=f"default: {LEAK_FREE}")
    parser.add_argument("--subset", default="test", choices=EVAL_SUBSETS)
    parser.add_argument(
        "--exclude-training-images", action="store_true", help="only pictures that the model was not trained on"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the split; default: that of the model's own")


def read_eval_subset(options: argparse.Namespace) -> EvalSubset:
    """Returns the choice that the options of `add_eval_subset_arguments` make.

    Raises:
        DataError: The split has no such part.
    """
    return EvalSubset(options.protocol, options.subset, options.exclude_training_images, options.seed)
