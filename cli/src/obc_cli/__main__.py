"""`obc`: import a file, list bad rows, replay them.

The key comes from the environment (`OBC_KEY`), so that it is in no process list and no shell history.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from obc_cli.bad_rows import list_rows, replay_rows, show_quality
from obc_cli.client import ApiFailure, Target
from obc_cli.importing import ImportJob, run_import

_FILTERS = ("code", "field", "sdk", "from", "to")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit status: 0 = done, 1 = some events were rejected, 2 = it failed."""
    options = _parser().parse_args(arguments)
    if not options.key:
        sys.stderr.write("obc: set OBC_KEY to a secret key\n")
        return 2
    target = Target(options.url.rstrip("/"), options.key)
    filters = {name: value for name in _FILTERS if (value := getattr(options, name, None))}
    try:
        match options.command:
            case "import":
                checkpoint = Path(f"{options.file}.obc-import") if options.checkpoint is None else options.checkpoint
                return asyncio.run(run_import(target, ImportJob(options.file, checkpoint), sys.stdout, sys.stderr))
            case "bad-rows":
                return asyncio.run(list_rows(target, filters, options.limit, sys.stdout))
            case "replay":
                return asyncio.run(replay_rows(target, options.ids, filters, sys.stdout, sys.stderr))
            case _:
                return asyncio.run(show_quality(target, filters, sys.stdout))
    except (ApiFailure, OSError) as error:
        sys.stderr.write(f"obc: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("obc: interrupted; the same command goes on from here\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="obc", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", default=os.environ.get("OBC_URL", "http://127.0.0.1:8000"), help="the gateway")
    parser.set_defaults(key=os.environ.get("OBC_KEY", ""))
    commands = parser.add_subparsers(dest="command", required=True)
    importing = commands.add_parser("import", help="import a file of events, one JSON object per line (.gz, .zst too)")
    importing.add_argument("file", type=Path)
    importing.add_argument("--checkpoint", type=Path, help="where to remember how far it came (FILE.obc-import)")
    listing = commands.add_parser("bad-rows", help="list bad rows, newest first, one JSON object per line")
    listing.add_argument("--limit", type=int, default=100, help="most rows")
    replaying = commands.add_parser("replay", help="judge bad rows again, after a fix")
    replaying.add_argument("ids", type=int, nargs="*", help="these rows; none = all that match")
    quality = commands.add_parser("data-quality", help="count bad rows and what was left out of events")
    for command, filters in ((listing, _FILTERS), (replaying, _FILTERS), (quality, _FILTERS[-2:])):
        for name in filters:
            command.add_argument(f"--{name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
