"""What the measurements of a run say so far: how far it is, how fast, and whether it is learning."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facedep.files import read_json_lines
from facedep.networks.majority_baseline import MajorityBaseline, read_majority_baseline
from facedep.runs.run_folder import METRICS_FILE

LEARNING, MEMORISING, NOT_LEARNING, TOO_EARLY = "learning", "memorising", "not learning", "too early to say"
UNJUDGED = "not judged while it learns"  # a final fit: there is no validation part
_COLUMNS = {
    "start": ("num_epochs", "num_train", "num_steps"),
    "step": ("epoch", "step", "loss", "accuracy", "seconds"),
    "epoch": ("epoch", "loss", "accuracy", "seconds", "train_seconds"),
}
_VAL_COLUMNS = ("val_loss", "val_accuracy", "val_roc_auc")  # absent where there is no validation part
_LEAP = 3.0  # a validation loss this many times the first one is not memorizing: the steps are too large
_NOTICEABLE_CHANGE = 0.01  # share of a loss; below this two losses count as equal
_NOTICEABLE_GAIN = 0.02  # share of pictures; below this an accuracy counts as equal to the baseline's
_Z_95_ONE_SIDED = 1.6448536269514722  # the 95th percentile of the standard normal distribution


@dataclass(frozen=True)
class Progress:
    """The measurements of a run.

    Attributes:
        num_epochs: Epochs asked for; 0 before the first step.
        num_train: Training pictures.
        majority_baseline: What always answering the larger group gets on the validation pictures; unknown before the
            first step and where there are none.
        num_val: Validation pictures; 0 for a final fit, which learns from these too.
        num_val_in_train: Those of them that are, or look nearly the same as, training pictures.
        num_val_in_pretraining: Those of them that the model which the run starts from was trained on.
        checkpoint_policy: "best" or "last": which epoch's weights become the model.
        steps: Rows within epochs: `epoch`, `position` (epochs done, as a fraction), `loss`, `accuracy`, `seconds`.
        epochs: Rows at the end of epochs: `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`, `val_roc_auc`,
            `seconds`; the validation ones None where there is no validation part or they are not numbers.
    """

    num_epochs: int
    num_train: int
    majority_baseline: MajorityBaseline
    num_val: int
    num_val_in_train: int
    num_val_in_pretraining: int
    checkpoint_policy: str
    steps: list[dict[str, Any]]
    epochs: list[dict[str, Any]]

    @property
    def share_done(self) -> float:
        """0..1."""
        done = [row["position"] for row in self.steps[-1:]] + [row["epoch"] for row in self.epochs[-1:]]
        return min(1.0, max(done) / self.num_epochs) if done and self.num_epochs else 0.0

    @property
    def seconds_left(self) -> float | None:
        """From the speed so far; None before there is one."""
        seconds = max([row["seconds"] for row in self.steps[-1:] + self.epochs[-1:]], default=0.0)
        if self.share_done < 0.005 or seconds <= 0:
            return None
        return seconds * (1 - self.share_done) / self.share_done

    @property
    def images_per_second(self) -> float | None:
        """Training pictures a second, over the newest stretch of one epoch; None before there is one."""
        newest = [row for row in self.steps if row["epoch"] == self.steps[-1]["epoch"]]
        stretch = newest[-1]["seconds"] - newest[0]["seconds"] if newest else 0.0
        if stretch > 1:
            return (newest[-1]["position"] - newest[0]["position"]) * self.num_train / stretch
        epoch_seconds = self.epochs[-1]["train_seconds"] if self.epochs else 0.0
        return self.num_train / epoch_seconds if epoch_seconds else None

    @property
    def best_epoch(self) -> dict[str, Any] | None:
        """The epoch row with the lowest validation loss; None before the first epoch has ended."""
        measured = [row for row in self.epochs if row["val_loss"] is not None]
        return min(measured, key=lambda row: row["val_loss"], default=None)


def read_progress(run_dir: Path) -> Progress:
    """Returns the measurements of a run; a half-written last line and lines that make no sense are skipped."""
    start: dict[str, Any] = {}
    steps, epochs = [], []
    for row in read_json_lines(run_dir / METRICS_FILE):
        try:
            kind = row["kind"]
            if not all(_is_number(row[name]) for name in _COLUMNS[kind]):
                continue
            if kind == "start":
                start = row
            elif kind == "step":
                steps.append({**row, "position": row["epoch"] - 1 + row["step"] / start["num_steps"]})
            elif all(_is_number(row.get(name)) for name in _VAL_COLUMNS):
                epochs.append({**dict.fromkeys(_VAL_COLUMNS), **row})
        except (ValueError, KeyError, TypeError, ZeroDivisionError):
            continue
    return Progress(
        num_epochs=start.get("num_epochs", 0),
        num_train=start.get("num_train", 0),
        majority_baseline=read_majority_baseline(start),
        num_val=start.get("num_val", 0),
        num_val_in_train=start.get("num_val_in_train", 0),
        # Runs until version 0.1 have other names for the next two.
        num_val_in_pretraining=start.get("num_val_in_pretraining", start.get("num_val_seen_before", 0)),
        checkpoint_policy=start.get("checkpoint_policy", start.get("keeps", "last")),
        steps=steps,
        epochs=epochs,
    )


def _is_number(value: Any) -> bool:
    """Whether a value is a number, or the null that stands for one that is undefined."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def judge_learning(progress: Progress) -> tuple[str, str]:
    """Returns whether a run is learning, memorising or not learning, and a sentence that says why.

    A run without validation pictures is not judged. Nor is a falling loss alone called learning: it falls as well while
    a network only finds out how large the two groups are.

    Memorising: the training loss still falls while the validation loss has risen for at least two epochs.
    """
    epochs, best = progress.epochs, progress.best_epoch
    newest = epochs[-1] if epochs else {}
    has_val = progress.num_val > 0 or best is not None
    if any(newest.get(key, 0) is None for key in (("loss", "val_loss") if has_val else ("loss",))):
        return NOT_LEARNING, "The loss is no longer a number: the steps were too large. Start again with a lower rate."
    if len(epochs) < 2:
        return TOO_EARLY, "A verdict needs two whole epochs: one to start from, one to compare with."
    first = epochs[0]
    if best is None:
        return UNJUDGED, (
            f"The training loss went from {first['loss']:.2f} to {newest['loss']:.2f}. This final fit learns from the "
            "validation pictures too, so only its test score says whether it learned or memorised."
        )
    return _judge_validation(progress, first, newest, best)


def _judge_validation(
    progress: Progress, first: dict[str, Any], newest: dict[str, Any], best: dict[str, Any]
) -> tuple[str, str]:
    """Returns the verdict and its sentence from three epochs: the first, the newest, and that of the lowest loss."""
    if newest["val_loss"] > _LEAP * first["val_loss"]:
        return NOT_LEARNING, (
            f"The validation loss leapt from {first['val_loss']:.3g} to {newest['val_loss']:.3g}: the steps are too "
            "large. Start again with a lower learning rate."
        )
    is_past_best = newest["epoch"] - best["epoch"] >= 2
    is_worse = newest["val_loss"] > best["val_loss"] * (1 + _NOTICEABLE_CHANGE)
    if is_past_best and is_worse and newest["loss"] < best["loss"] * (1 - _NOTICEABLE_CHANGE):
        return MEMORISING, (
            f"Since epoch {best['epoch']} the training loss went on falling, from {best['loss']:.2f} to "
            f"{newest['loss']:.2f}, but on validation pictures it went from {best['val_loss']:.2f} to "
            f"{newest['val_loss']:.2f}: the network memorizes these pictures."
        )
    if best["val_loss"] < first["val_loss"] * (1 - _NOTICEABLE_CHANGE):
        return NOT_LEARNING if _is_at_chance(progress, best) else LEARNING, (
            f"The validation loss fell from {first['val_loss']:.2f} to {best['val_loss']:.2f}"
            f"{_describe_validation(progress)} {_compare_with_majority(progress, best)}"
        )
    if newest["loss"] < first["loss"] * (1 - _NOTICEABLE_CHANGE):
        return NOT_LEARNING, (
            f"The training loss falls, from {first['loss']:.2f} to {newest['loss']:.2f}, but on validation pictures it "
            "has not yet: nothing so far that holds for new faces."
        )
    return NOT_LEARNING, (
        f"Neither loss has moved since epoch 1 (validation {newest['val_loss']:.2f}). "
        "More epochs, another learning rate or more pictures may help."
    )


def _describe_validation(progress: Progress) -> str:
    if progress.num_val_in_train:
        return (
            f", but {progress.num_val_in_train:,} of the {progress.num_val:,} validation pictures are also in train "
            "(or nearly): part of this is memory."
        )
    if progress.num_val_in_pretraining:
        return (
            f", but the model it started from was trained on {progress.num_val_in_pretraining:,} of the "
            f"{progress.num_val:,} validation pictures: part of this is memory."
        )
    return ", on pictures it does not train on."


def _is_at_chance(progress: Progress, row: dict[str, Any]) -> bool:
    """Returns whether an epoch is no better than the majority baseline and ranks no better than guessing.

    Reference: Mann & Whitney 1947, Annals of Mathematical Statistics 18(1), for the variance of the ROC AUC of guesses:
    (n + 1) / (12 n1 n2) with n1 and n2 pictures of the two groups, n in all. A one-sided test at 5 %.
    """
    baseline, num_val = progress.majority_baseline, progress.num_val
    if not baseline.is_known or row["val_accuracy"] >= baseline.share + _NOTICEABLE_GAIN:
        return False
    if row["val_roc_auc"] is None or not num_val or baseline.share == 1:
        return True
    variance = (num_val + 1) / (12 * num_val**2 * baseline.share * (1 - baseline.share))
    return row["val_roc_auc"] <= 0.5 + _Z_95_ONE_SIDED * math.sqrt(variance)


def _compare_with_majority(progress: Progress, row: dict[str, Any]) -> str:
    baseline = progress.majority_baseline
    if not baseline.is_known:
        return ""
    right, constant = f"{row['val_accuracy']:.0%}", f"always answering {baseline.label} would get {baseline.share:.0%}"
    if _is_at_chance(progress, row):
        return f"But it does not yet distinguish the two groups: {right} right, while {constant}."
    if row["val_accuracy"] < baseline.share + _NOTICEABLE_GAIN:
        return (
            f"It ranks the two groups better than chance (ROC AUC {row['val_roc_auc']:.2f}), but puts only {right} of "
            f"the pictures into the right group; {constant}."
        )
    return f"It puts {right} of them into the right group; {constant}."
