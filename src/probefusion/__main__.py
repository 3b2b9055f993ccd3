# PYTHON_ARGCOMPLETE_OK
"""`python -m probefusion`: the same as the command `probefusion`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from probefusion.cli import main
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(main())
