# PYTHON_ARGCOMPLETE_OK
"""`python -m probefusion`: the same as the command `probefusion`."""

from __future__ import annotations

import sys

from probefusion.cli import main

if __name__ == "__main__":
    sys.exit(main())
