"""The log of the program's own work: warnings, and more with `FACEDEP_LOG`.

Modules log to `logging.getLogger(__name__)`. A record never holds the name or the path of a picture or of a data set:
they may be a visitor's. So errors are logged through `describe_error`, since the text of an `OSError` holds the path.
"""

import logging
import os
import sys
from typing import TextIO

LEVELS = ("debug", "info", "warning", "error")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _StandardErrorHandler(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at that moment: Streamlit and tests replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter(_FORMAT))

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def configure_logging() -> None:
    """Sends this package's log to standard error, from the level on that `FACEDEP_LOG` names; by default warnings.

    For entry points alone: the command line and the app. Another call changes only the level. Processes
    started from here log the same into their own log files.
    """
    wanted = os.environ.get("FACEDEP_LOG", "").lower()
    logger = logging.getLogger("facedep")
    if not any(isinstance(handler, _StandardErrorHandler) for handler in logger.handlers):
        logger.addHandler(_StandardErrorHandler())
    logger.setLevel(wanted.upper() if wanted in LEVELS else logging.WARNING)
    if wanted and wanted not in LEVELS:
        logger.warning("FACEDEP_LOG=%s is not a level. Choose one of: %s.", wanted, ", ".join(LEVELS))


def describe_error(error: BaseException) -> str:
    """Returns what kind of error it is, without the file that it names."""
    reason = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__} ({reason})" if reason else type(error).__name__
