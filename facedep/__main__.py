"""`python -m facedep`: the command line."""

import io
import sys

from facedep.cli.main import main

if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that this terminal cannot show must not end it
    sys.exit(main())
