"""`make test-fuzz`: runs every target for a while; a crash leaves its input in .cache/fuzz and a status that is not 0.

Each target runs in a process of its own: libFuzzer ends the process at the first failure. The corpora begin with real
events (tests/fuzz/seeds.py) and grow from run to run in .cache/fuzz, which is not committed.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.seeds import write_seeds

_TARGETS = ("validator", "frame_decoder", "import_lines", "inflaters")
_ROOT = Path(__file__).resolve().parents[2]
# An input that takes longer, or grows memory beyond this, is a finding too.
_LIMITS = ("-timeout=5", "-rss_limit_mb=1024", "-max_len=70000")


def main() -> int:
    """0 when no target found anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="time of each target")
    parser.add_argument("targets", nargs="*", default=_TARGETS)
    options = parser.parse_args()
    failed = []
    for target in options.targets:
        folder = _ROOT / ".cache" / "fuzz" / target
        corpus, found = folder / "corpus", folder / "found"
        corpus.mkdir(parents=True, exist_ok=True)
        found.mkdir(exist_ok=True)
        write_seeds(target, corpus)
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.target",
            target,
            str(corpus),
            f"-max_total_time={options.seconds}",
            f"-artifact_prefix={found}/",
            "-seed=20261",
            "-print_final_stats=1",
            *_LIMITS,
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, timeout=options.seconds + 120)
        runs = [line for line in done.stderr.splitlines() if line.startswith("stat::number_of_executed_units")]
        sys.stdout.write(f"{target}: {runs[-1].split(':')[-1].strip() if runs else '?'} inputs, ")
        sys.stdout.write("nothing found\n" if done.returncode == 0 else f"FAILED, see {found}\n")
        if done.returncode:
            failed.append(target)
            sys.stdout.write((done.stdout + done.stderr)[-6000:])
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
