"""The errors a user can mend. Each message says what was expected, what was found and what to do.

Everything else that goes wrong is a programmer's mistake and surfaces as the ordinary Python exception.
"""


class FacedepError(Exception):
    """Base of every error whose message is meant for the user."""


class DataError(FacedepError):
    """A data source cannot be found, read or used as it is."""


class ImageError(FacedepError):
    """A picture cannot be read or is not fit for use."""


class ModelError(FacedepError):
    """A saved model is missing, damaged or not one of this project's."""


class RunError(FacedepError):
    """A training run cannot be started, changed or deleted as asked."""
