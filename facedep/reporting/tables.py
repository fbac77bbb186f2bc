"""Tables as CSV files: the one way out, whether to a download or to a file."""

import shutil
import unicodedata
from pathlib import Path

import pandas as pd

from facedep.errors import DataError
from facedep.files import check_writable, write_atomically

# A spreadsheet takes a cell that starts with one of these for a formula and runs it. Reference: OWASP, CSV Injection.
_FORMULA_STARTS = ("=", "+", "-", "@")


def encode_csv(table: pd.DataFrame) -> bytes:
    """Returns a table as the content of a CSV file in UTF-8.

    Names of files and folders may be anybody's. So text that a spreadsheet would run as a formula gets an apostrophe in
    front, and control characters, line ends and what UTF-8 cannot write become escapes, also in the headings.

    Args:
        table: Its index is left out.
    """
    columns = {_make_harmless(str(name)): _make_column_harmless(table[name]) for name in table.columns}
    return pd.DataFrame(columns, index=table.index).to_csv(index=False, lineterminator="\n").encode()


def check_csv_path(path: Path) -> None:
    """Checks that a table can be written to a path before the work that fills it; an existing file stays as it is.

    Raises:
        DataError: The file cannot be written.
    """
    try:
        check_writable(path)
    except OSError as error:
        raise _explain_disk_error(path, error) from None


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Writes a table as `encode_csv` gives it; an existing file is replaced once the new one is whole.

    Args:
        path: Where to.
        table: Its index is left out.

    Raises:
        DataError: The file cannot be written; an existing one is as it was.
    """
    content = encode_csv(table)
    try:
        with write_atomically(path) as partial:
            partial.write_bytes(content)
            if path.is_file():
                shutil.copymode(path, partial)
    except OSError as error:
        raise _explain_disk_error(path, error) from None


def _make_column_harmless(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):  # also bool
        return column
    cells = [_make_harmless(cell) if isinstance(cell, str) else cell for cell in column]
    return pd.Series(cells, index=column.index, dtype=object)


def _make_harmless(text: str) -> str:
    """Returns text of one line that UTF-8 can write and no spreadsheet runs."""
    text = "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in ("Cc", "Cs") else letter
        for letter in text
    )
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _explain_disk_error(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path} could not be written ({error.strerror or error}). Choose a folder that exists and that you may "
        "write to, with free space."
    )
