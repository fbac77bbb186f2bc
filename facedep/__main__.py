"""`python -m facedep`: the command line."""

import sys

from facedep.cli.main import main

if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a name this terminal cannot show is no reason to break off
    sys.exit(main())
