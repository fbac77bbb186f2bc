"""The training process's side of a run folder: status, heartbeat, measurements, and whether it is asked to stop."""

import contextlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from facedep import runs
from facedep.logs import describe_error

_logger = logging.getLogger(__name__)


class RunWriter:
    """Writes a run's files while its training goes on. A context manager: the heartbeat ends with it.

    Args:
        run_dir: The run's folder, made by `runs.create_run`.
        on_metrics: Called with each measurement too, for a progress bar.
    """

    def __init__(self, run_dir: Path, *, on_metrics: Callable[[dict[str, Any]], None] | None = None):
        self.run_dir = run_dir
        self._on_metrics = on_metrics
        self._created = time.time()
        self._ended = threading.Event()
        self._metrics = (run_dir / runs.METRICS_FILE).open("a", encoding="utf-8")
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "RunWriter":
        self.write_status(runs.RUNNING, stage="loading")
        self._heart.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._heart.join()
        self._metrics.close()

    def _beat(self) -> None:
        while True:
            try:
                (self.run_dir / runs.HEARTBEAT_FILE).touch()
            except OSError as error:  # a full disk for a moment must not end the heartbeat for good
                _logger.warning("The heartbeat could not be written: %s", describe_error(error))
            if self._ended.wait(runs.HEARTBEAT_SECONDS):
                return

    def write_status(self, state: str, *, stage: str = "", message: str = "") -> None:
        """Says where the run is: a state of `runs`, and while it runs "loading", "training" or "scoring"."""
        status = {"state": state, "stage": stage, "message": message, "created": self._created, "updated": time.time()}
        runs.write_json(self.run_dir / runs.STATUS_FILE, status)

    def write_metrics(self, **values: Any) -> None:
        """Appends one measurement; values that are no numbers become null."""
        clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
        self._metrics.write(json.dumps(clean) + "\n")
        self._metrics.flush()
        if self._on_metrics:
            self._on_metrics(clean)

    def forget_metrics_after(self, epoch: int) -> None:
        """Drops the measurements after a whole epoch, all of them for epoch 0: the run goes on from there."""
        path = self.run_dir / runs.METRICS_FILE
        self._metrics.close()
        kept = []
        for line in path.read_text("utf-8", "replace").splitlines():
            with contextlib.suppress(ValueError, TypeError, AttributeError):  # a line torn by the process's death
                row = json.loads(line)
                if epoch and row.get("epoch", 0) <= epoch:
                    kept.append(row)
        partial = path.with_suffix(".part")
        partial.write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")
        os.replace(partial, path)
        self._metrics = path.open("a", encoding="utf-8")
        if self._on_metrics:
            for row in kept:
                self._on_metrics(row)

    @property
    def is_stop_requested(self) -> bool:
        """Whether somebody asked this run to end."""
        return (self.run_dir / runs.STOP_FILE).exists()
