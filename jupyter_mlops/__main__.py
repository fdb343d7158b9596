"""`mlops`, `jupyter mlops` and `python -m jupyter_mlops`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and end the process with its exit status."""
    if sys.platform == "win32":
        from .errors import NotOnWindows

        sys.stderr.write(f"mlops: {NotOnWindows()}\n")
        sys.exit(NotOnWindows.exit_status)
    from .surfaces.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
