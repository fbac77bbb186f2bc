"""The command line: download, audit, embed, export, prepare, train, evaluate, robustness, predict.

With `--json` nothing but the JSON goes to standard output. What went wrong goes to standard error as one sentence.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from facedep.cli import audit, download, embed, evaluate, export, predict, prepare, robustness, train
from facedep.errors import FacedepError
from facedep.logs import configure_logging

_COMMANDS = (download, audit, embed, export, prepare, train, evaluate, robustness, predict)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0, or 1 where something could not be done.

    Args:
        arguments: The words after the program's name; by default those it was started with.
    """
    options = _build_parser().parse_args(arguments)
    configure_logging()
    try:
        status = options.command(options)
        sys.stdout.flush()
    except FacedepError as error:
        print(f"facedep: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has gone, as in `... | head -1`; Python would complain again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m facedep", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
