"""The process that trains one run: progress in the terminal, Ctrl-C, and what each way to end leaves behind."""

import contextlib
import functools
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from tqdm import tqdm

from facedep.cli.options import describe_scores, format_number
from facedep.errors import FacedepError, RunError
from facedep.runs import run_config, run_folder
from facedep.runs.writer import RunWriter
from facedep.training.checkpoint import count_kept_epochs

_NEEDS_TENSORFLOW = (
    "A whole network is trained with TensorFlow, which is not installed. Install it (pip install tensorflow), or "
    "choose the recipe quick."
)


def train_in_terminal(run_dir: Path, source: str) -> int:
    """Trains a run; the first Ctrl-C asks it to end, as the app's button does, and the second one ends it at once.

    Args:
        run_dir: The run's folder, with its settings.
        source: The data source, as `load_dataset` takes it.

    Returns:
        The exit status.
    """

    def stop(*_: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with contextlib.suppress(OSError):
            # Not `print`: the signal may have come in the middle of one, which cannot be entered twice.
            os.write(2, b"\nStopping after this step; what was learned is kept. Press Ctrl-C again to end at once.\n")
        (run_dir / run_folder.STOP_FILE).touch()

    before = signal.signal(signal.SIGINT, stop)
    try:
        return train_run_folder(run_dir, source, shows_progress=True)
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)


def train_run_folder(run_dir: Path, source: str, *, shows_progress: bool) -> int:
    """Trains a run whose folder is made.

    Args:
        run_dir: The run's folder, with its settings.
        source: The data source, as `load_dataset` takes it.
        shows_progress: Whether the terminal shows a bar and, at the end, the scores.

    Returns:
        The exit status.

    Raises:
        RunError: The folder holds no settings.
    """
    run = run_folder.read_run(run_dir)
    if run.config is None:
        raise RunError(f"{run_dir} holds no settings of a run. Start the training again.")
    bar = tqdm(desc=run.name, unit="step", disable=not shows_progress)
    with (
        RunWriter(run_dir, on_metrics=functools.partial(_show_metrics, bar), on_message=bar.set_postfix_str) as writer,
        bar,
    ):
        status = _train_to_an_end(run.config, source, writer)
    run = run_folder.read_run(run_dir)
    if shows_progress and run.card and run.has_model and not run.message:  # a message says why nothing new is shown
        for subset, scores in run.card.scores.items():
            print(f"{subset}: {describe_scores(scores)}")
        print(run_dir)
    return status


def _train_to_an_end(config: run_config.RunConfig, source: str, writer: RunWriter) -> int:
    """Trains, and returns the exit status. The outermost place: whatever goes wrong becomes the run's one sentence."""
    try:
        from facedep.training.prepare import StopRequestedError
        from facedep.training.train import train_run

        try:
            writer.write_status(train_run(config, source, writer))
            return 0
        except StopRequestedError:
            num_epochs = count_kept_epochs(writer.run_dir)
            how = f"before it went on. {_describe_kept(num_epochs)}" if num_epochs else "before anything was learned."
            _end(writer, run_folder.STOPPED, f"Stopped {how}")
            return 0
    except FacedepError as error:
        _end(writer, run_folder.FAILED, str(error))
    except MemoryError:
        traceback.print_exc()
        _end(writer, run_folder.FAILED, "The memory ran out. Close other programs or use fewer pictures.")
    except KeyboardInterrupt:
        _end(writer, run_folder.STOPPED, f"Ended at once. {_describe_kept(count_kept_epochs(writer.run_dir))}")
        raise
    except Exception as error:
        traceback.print_exc()
        message = f"The training broke off: {type(error).__name__}: {str(error)[:300]}. The log says more."
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in ("tensorflow", "keras"):
            message = _NEEDS_TENSORFLOW
        _end(writer, run_folder.FAILED, message)
    return 1


def _end(writer: RunWriter, state: str, message: str) -> None:
    writer.write_status(state, message=message)
    print(f"facedep: {message}", file=sys.stderr)


def _describe_kept(num_epochs: int) -> str:
    if num_epochs == 1:
        return "Its first epoch is kept."
    return f"Its first {num_epochs} epochs are kept." if num_epochs else "Nothing was kept."


def _show_metrics(bar: tqdm, row: dict[str, Any]) -> None:
    if row["kind"] == "start":
        bar.reset(total=row["num_steps"] * row["num_epochs"])
        bar.num_steps = row["num_steps"]
    elif row["kind"] == "step":
        bar.update((row["epoch"] - 1) * bar.num_steps + row["step"] - bar.n)
    else:
        bar.update(row["epoch"] * bar.num_steps - bar.n)
        text = f"epoch {row['epoch']}: loss {format_number(row['loss'])}, accuracy {format_number(row['accuracy'])}"
        if "val_loss" in row:
            text += f", validation {format_number(row['val_loss'])}, {format_number(row['val_accuracy'])}"
        bar.set_postfix_str(text)
