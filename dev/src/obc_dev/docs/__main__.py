"""`python -m obc_dev.docs [--check]`: writes the generated documentation, or says which of it is stale."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from obc_dev.docs import api, settings

PAGES: Mapping[Path, Callable[[], str]] = {settings.PATH: settings.render, api.PATH: api.render}


def main() -> int:
    """Returns the exit status: 1 when a page is stale."""
    parser = argparse.ArgumentParser(prog="python -m obc_dev.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    options = parser.parse_args()
    stale = [path for path, render in PAGES.items() if not path.exists() or path.read_text() != render()]
    for path in stale:
        if options.check:
            print(f"{path} is stale: run make docs", file=sys.stderr)
        else:
            path.write_text(PAGES[path]())
            print(f"{path} written")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
