"""The settings of a training: what may be chosen, how they are checked, kept, and written as a command."""

import dataclasses
import shlex
from dataclasses import dataclass, field
from typing import Any

from facedep import emotions
from facedep.audit.issues import ISSUE_NAMES, IssueLimits
from facedep.data.dataset_spec import DatasetSpec
from facedep.data.splits import PROTOCOLS
from facedep.errors import RunError
from facedep.networks.recipes import AUGMENTATION_NAMES, RECIPES

CONFIG_FILE = "config.json"
MAX_EPOCHS, MAX_BATCH_SIZE, MAX_DEVICES, MAX_DRAWN_FACES = 1000, 1024, 64, 20_000
_OLD_SETTINGS = {  # until version 0.1
    "split": "protocol",
    "final_fit_of": "refit_of",
    "num_early_epochs": "num_progressive_resizing_epochs",
    "left_out": "drop_issues",
    "thresholds": "issue_limits",
}


@dataclass(frozen=True)
class RunConfig:
    """The settings of one training.

    Attributes:
        recipe: Name of a recipe.
        data_name: What the data set is called; never a path. Where it lies is given to the process, not kept.
        num_epochs: Passes over the training pictures.
        batch_size: Pictures per step.
        learning_rate: The (highest) step size.
        protocol: How the pictures are cut, one of `splits.PROTOCOLS`.
        seed: Seed of the split, the first weights and the order of pictures.
        depressed_emotions: The emotions that count as *depressed*.
        folder_choices: What the user chose for folders of unknown name.
        teacher: Name of a run whose predictions for the training pictures are mixed into their labels; "" for none.
        refit_of: Name of a finished run of the same settings: this one trains on its train and val pictures
            together, for as many epochs as that one kept, and takes over its temperature and band; "" for none.
        num_devices: Devices that share each batch; see `training/devices.py`.
        num_progressive_resizing_epochs: Epochs at the start on smaller, plain pictures; see `Recipe`.
        ema_momentum: Of the running mean of the weights; see `Recipe`.
        drop_issues: Issues (`audit.issues.find_issues`) whose pictures are dropped before the split.
        issue_limits: Those of `IssueLimits` that are not the default ones.
        augmentation: How pictures are changed at random, one of `AUGMENTATION_NAMES`; "" for the recipe's way.
        logit_adjustment: How far the loss makes up for rare classes, 0 (not at all) to 1; see `training/losses.py`.
        repeat_threshold: Classes with a smaller share come more often; 0 for none; see `training/sampling.py`.
        num_drawn_faces: Drawn faces of each emotion to train on as well; see `training/drawn_faces.py`.
    """

    recipe: str
    data_name: str
    num_epochs: int
    batch_size: int
    learning_rate: float
    protocol: str = "leak-free"
    seed: int = 0
    depressed_emotions: tuple[str, ...] = emotions.DEPRESSED_EMOTIONS
    folder_choices: dict[str, str] = field(default_factory=dict)
    teacher: str = ""
    refit_of: str = ""
    num_devices: int = 1
    num_progressive_resizing_epochs: int = 0
    ema_momentum: float = 0.0
    drop_issues: tuple[str, ...] = ()
    issue_limits: dict[str, Any] = field(default_factory=dict)
    augmentation: str = ""
    logit_adjustment: float = 0.0
    repeat_threshold: float = 0.0
    num_drawn_faces: int = 0

    @classmethod
    def from_json(cls, values: Any) -> "RunConfig":
        """Returns the settings that the content of a `config.json` makes, under today's names or older ones.

        Raises:
            RunError: A setting is missing, unknown, of the wrong kind or makes no sense.
        """
        try:
            named = {_OLD_SETTINGS.get(name, name): value for name, value in values.items()}
            for name in {"depressed_emotions", "drop_issues"} & named.keys():
                named[name] = tuple(named[name])
            config = cls(**named)
            config.check()
        except (TypeError, AttributeError) as error:
            raise RunError(f"{CONFIG_FILE} is damaged: {error}. Start the training again.") from None
        if not isinstance(config.folder_choices, dict) or not isinstance(config.issue_limits, dict):
            raise RunError(
                f"{CONFIG_FILE} is damaged: a table was expected and something else found. Start the training again."
            )
        return config

    def build_dataset_spec(self, source: str) -> DatasetSpec:
        """Returns the data that it is trained on.

        Args:
            source: Where the pictures lie, which is not kept.
        """
        return DatasetSpec(source, self.folder_choices, self.depressed_emotions)

    def check(self) -> None:
        """Raises `RunError` for the first setting that makes no sense, with what is allowed."""
        self._check_names()
        self._check_counts()
        self._check_drawn_faces()
        self._check_rates()
        self._check_progressive_resizing()

    def _check_names(self) -> None:
        if self.recipe not in RECIPES:
            raise RunError(f"There is no recipe {self.recipe!r}. Choose one of: {', '.join(RECIPES)}.")
        if self.protocol not in PROTOCOLS:
            raise RunError(f"There is no split {self.protocol!r}. Choose one of: {', '.join(PROTOCOLS)}.")
        if unknown := set(self.depressed_emotions) - set(emotions.EMOTIONS):
            raise RunError(f"{', '.join(map(repr, sorted(unknown)))}: choose among {', '.join(emotions.EMOTIONS)}.")
        if unknown := set(self.drop_issues) - set(ISSUE_NAMES):
            raise RunError(f"{', '.join(map(repr, sorted(unknown)))}: choose among {', '.join(ISSUE_NAMES)}.")
        if unknown := set(self.issue_limits) - {field.name for field in dataclasses.fields(IssueLimits)}:
            raise RunError(f"There is no issue limit {', '.join(sorted(unknown))}.")
        if self.augmentation not in ("", *AUGMENTATION_NAMES):
            raise RunError(f"There is no augmentation {self.augmentation!r}. Choose {', '.join(AUGMENTATION_NAMES)}.")
        without_effect = {
            "an augmentation": bool(self.augmentation),
            "several devices": self.num_devices != 1,
            "a mean of weights": bool(self.ema_momentum),
            "progressive resizing": bool(self.num_progressive_resizing_epochs),
        }
        names = [name for name, is_given in without_effect.items() if is_given]
        if names and RECIPES[self.recipe].pretrained:
            raise RunError(
                f"The recipe {self.recipe!r} sees each picture once and trains a head in one process, so "
                f"{' and '.join(names)} would have no effect. Leave it out, or choose another recipe."
            )

    def _check_counts(self) -> None:
        counts = (self.num_epochs, self.batch_size, self.seed, self.num_devices, self.num_progressive_resizing_epochs)
        if not all(isinstance(number, int) for number in counts):
            raise RunError("Epochs, batch size, seed, devices and early epochs: give whole numbers.")
        if not 1 <= self.num_epochs <= MAX_EPOCHS:
            raise RunError(f"{self.num_epochs} epochs: choose between 1 and {MAX_EPOCHS}.")
        if not 1 <= self.batch_size <= MAX_BATCH_SIZE:
            raise RunError(f"A batch of {self.batch_size} pictures: choose between 1 and {MAX_BATCH_SIZE}.")
        if not 1 <= self.num_devices <= MAX_DEVICES:
            raise RunError(f"{self.num_devices} devices: choose between 1 and {MAX_DEVICES}.")
        if self.batch_size % self.num_devices:
            raise RunError(
                f"A batch of {self.batch_size} pictures cannot be shared equally by {self.num_devices} devices. "
                f"Choose a multiple of {self.num_devices}."
            )
        if not 0 <= self.seed < 2**32:
            raise RunError(f"The seed {self.seed}: choose a whole number from 0 to {2**32 - 1}.")

    def _check_drawn_faces(self) -> None:
        if not isinstance(self.num_drawn_faces, int) or not 0 <= self.num_drawn_faces <= MAX_DRAWN_FACES:
            raise RunError(f"{self.num_drawn_faces} drawn faces: choose a whole number from 0 to {MAX_DRAWN_FACES:,}.")

    def _check_rates(self) -> None:
        if not 0 <= self.logit_adjustment <= 1:
            raise RunError(f"A logit adjustment of {self.logit_adjustment}: choose one from 0 to 1.")
        if not 0 <= self.repeat_threshold <= 1:
            raise RunError(f"A repeat threshold of {self.repeat_threshold}: choose a share from 0 to 1.")
        if not 0 < self.learning_rate <= 1:
            raise RunError(f"A learning rate of {self.learning_rate}: choose one above 0 and up to 1, usually 0.001.")
        if not 0 <= self.ema_momentum < 1:
            raise RunError(f"An average of weights with {self.ema_momentum}: choose one from 0 up to, not with, 1.")

    def _check_progressive_resizing(self) -> None:
        num_early = self.num_progressive_resizing_epochs
        if not 0 <= num_early < self.num_epochs:
            raise RunError(f"{num_early} early epochs: choose between 0 and {self.num_epochs - 1}.")
        if num_early and not RECIPES[self.recipe].progressive_resizing_size_px:
            raise RunError(f"The recipe {self.recipe!r} has no early epochs. Choose 0, or another recipe.")


def describe_command(config: RunConfig, name: str) -> str:
    """Returns the command line that makes such a run, the data given by its name."""
    argv = ["python", "-m", "facedep", "train"]
    if config.refit_of:
        argv += ["--data", config.data_name, "--refit", config.refit_of]
    else:
        argv += config.build_dataset_spec(config.data_name).to_argv()
        argv += ["--recipe", config.recipe, "--protocol", config.protocol, "--epochs", str(config.num_epochs)]
        argv += _list_changed_settings(config)
    return shlex.join([*argv, "--name", name])


def _list_changed_settings(config: RunConfig) -> list[str]:
    """Returns the options for all settings that are not the recipe's own, and the seed."""
    recipe = RECIPES[config.recipe]
    default_small_epochs = recipe.count_progressive_resizing_epochs(config.num_epochs)
    limits = config.issue_limits if config.drop_issues else {}
    changeable = [
        ("--batch-size", config.batch_size, recipe.batch_size),
        ("--learning-rate", config.learning_rate, recipe.learning_rate),
        ("--progressive-resizing-epochs", config.num_progressive_resizing_epochs, default_small_epochs),
        ("--ema-momentum", config.ema_momentum, recipe.ema_momentum),
        ("--drop-issues", ",".join(config.drop_issues), ""),
        *(("--issue-limit", f"{name}={limit:g}", "") for name, limit in limits.items()),
        ("--augmentation", config.augmentation, ""),
        ("--logit-adjustment", config.logit_adjustment, 0),
        ("--repeat-threshold", config.repeat_threshold, 0),
        ("--drawn-faces", config.num_drawn_faces, 0),
        ("--seed", config.seed, None),
        ("--teacher", config.teacher, ""),
        ("--devices", config.num_devices, 1),
    ]
    return [
        text
        for option, value, default in changeable
        if value != default
        for text in (option, f"{value:g}" if isinstance(value, float) else str(value))
    ]
