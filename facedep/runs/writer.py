"""The training process's side of a run folder: status, heartbeat, measurements, and whether it is asked to stop."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from facedep.files import nan_to_null, read_json_lines, write_json, write_text
from facedep.processes import Heartbeat
from facedep.runs import run_folder


class RunWriter:
    """Writes a run's files while its training goes on. A context manager: the heartbeat ends with it.

    Args:
        run_dir: The run's folder, made by `lifecycle.create_run`.
        on_metrics: Called with each measurement too, for a progress bar.
        on_message: Called with each sentence that says how far the preparation is.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        on_metrics: Callable[[dict[str, Any]], None] | None = None,
        on_message: Callable[[str], None] | None = None,
    ):
        self.run_dir = run_dir
        self._on_metrics, self._on_message = on_metrics, on_message
        self._created = time.time()
        self._metrics = (run_dir / run_folder.METRICS_FILE).open("a", encoding="utf-8")
        self._heartbeat = Heartbeat(run_dir / run_folder.HEARTBEAT_FILE)

    def __enter__(self) -> "RunWriter":
        self.write_status(run_folder.RUNNING, stage="loading")
        self._heartbeat.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._heartbeat.stop()
        self._metrics.close()

    def write_status(self, state: str, *, stage: str = "", message: str = "") -> None:
        """Says where the run is: a state of `runs`, and while it runs "loading", "training" or "scoring"."""
        status = {"state": state, "stage": stage, "message": message, "created": self._created, "updated": time.time()}
        write_json(self.run_dir / run_folder.STATUS_FILE, status)
        if self._on_message and stage == "loading":
            self._on_message(message)

    def write_metrics(self, **values: Any) -> None:
        """Appends one measurement; values that are not numbers become null."""
        clean = nan_to_null(values)
        self._metrics.write(json.dumps(clean) + "\n")
        self._metrics.flush()
        if self._on_metrics:
            self._on_metrics(clean)

    def forget_metrics_after(self, epoch: int) -> None:
        """Drops the measurements after a whole epoch, all of them for epoch 0: the run goes on from there."""
        path = self.run_dir / run_folder.METRICS_FILE
        self._metrics.close()
        measurements = [row for row in read_json_lines(path) if epoch and _is_until(row, epoch)]
        write_text(path, "".join(json.dumps(row) + "\n" for row in measurements))
        self._metrics = path.open("a", encoding="utf-8")
        if self._on_metrics:
            for row in measurements:
                self._on_metrics(row)

    @property
    def is_stop_requested(self) -> bool:
        """Whether the run was asked to end."""
        return (self.run_dir / run_folder.STOP_FILE).exists()


def _is_until(row: dict[str, Any], epoch: int) -> bool:
    number = row.get("epoch", 0)
    return isinstance(number, int | float) and number <= epoch
