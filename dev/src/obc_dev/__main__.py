"""`python -m obc_dev <command>`: what the Makefile calls."""

import argparse
import asyncio
import sys

from pydantic import ValidationError

from obc_dev import background, foreground
from obc_dev.demo.command import demo
from obc_dev.settings import DevSettings


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m obc_dev", description="The whole product on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run everything in this terminal")
    run.add_argument("--quiet", action="store_true", help="write the log to its file only")
    commands.add_parser("up", help="run everything in the background")
    commands.add_parser("down", help="end what runs")
    commands.add_parser("status", help="what runs")
    logs = commands.add_parser("logs", help="follow the log")
    logs.add_argument("--only", metavar="PROCESS", help="lines of one process")
    commands.add_parser("reset", help="end what runs and remove all its data")
    demo_parser = commands.add_parser("demo", help="send a month of made-up traffic and print the dashboard")
    demo_parser.add_argument("--seed", type=int, default=1, help="another seed makes another month")
    demo_parser.add_argument("--days", type=int, default=30, choices=range(1, 31), metavar="1..30")
    options = parser.parse_args()
    try:
        settings = DevSettings()
    except ValidationError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        match options.command:
            case "run":
                return asyncio.run(foreground.run(settings, show_log=not options.quiet))
            case "up":
                return background.up(settings)
            case "down":
                return background.down(settings)
            case "status":
                return background.status(settings)
            case "logs":
                return background.logs(settings, options.only)
            case "reset":
                return background.reset(settings)
            case _:
                return asyncio.run(demo(settings, seed=options.seed, days=options.days))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
