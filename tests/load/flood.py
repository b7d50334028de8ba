"""What one tenant's flood does to another: its acknowledgement times while all is calm, and during the flood.

    make test-flood

The calm tenant sends batches at a steady rate (open loop: a batch that has to wait is charged its wait). The flood is
another tenant's: as many connections as `--flood` says, each sending as fast as it is answered, refusals included.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from tests.support.product import Product, Tenant
from tests.support.stack_process import StackProcess

_CALM_RATE = 500
_CALM_SIZE = 10
_KNOWN_EVERYWHERE_SECONDS = 3.0


async def load(product: Product, tenant: Tenant, lanes: int, size: int, seconds: float, rate: float) -> dict[str, Any]:
    """Runs one load generator over REST; its report."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.ingest_load", "rest", product.url, tenant.write_key,
        f"--lanes={lanes}", f"--size={size}", f"--seconds={seconds}", f"--rate={rate}",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    report: dict[str, Any] = json.loads(output.splitlines()[-1])
    return report


async def measure(product: Product, seconds: float, flood_lanes: int) -> None:
    """Prints both, and their ratio."""
    calm_tenant, flood_tenant = await product.new_tenant("calm"), await product.new_tenant("flood")
    await asyncio.sleep(_KNOWN_EVERYWHERE_SECONDS)

    async def calm(seconds: float) -> dict[str, Any]:
        return await load(product, calm_tenant, 8, _CALM_SIZE, seconds, _CALM_RATE)

    await calm(2)
    before = await calm(seconds)
    flood = asyncio.create_task(load(product, flood_tenant, flood_lanes, 50, seconds + 2, 0))
    await asyncio.sleep(1)
    during = await calm(seconds)
    flooded = await flood
    print(f"flood: {flooded['events'] / flooded['seconds']:,.0f} events/s taken, {flooded['refused']} batches refused")
    print(f"calm tenant, ack p50/p99 ms: {before['p50_ms']}/{before['p99_ms']} without the flood, "
          f"{during['p50_ms']}/{during['p99_ms']} with it; refused {during['refused']}")  # fmt: skip
    ratio = round(during["p99_ms"] / before["p99_ms"], 2)
    print(json.dumps({"calm_p99_ms": before["p99_ms"], "flooded_p99_ms": during["p99_ms"], "p99_ratio": ratio}))


async def main() -> None:
    """Starts the product with its default limits and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--flood", type=int, default=128, help="connections of the flooding tenant")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="obc-flood-") as folder:
        stack = StackProcess(Path(folder) / "state", {"ANALYTICS_LOG_FORMAT": "json"})
        try:
            stack.start()
            demo = stack.state.read_demo_env()
            product = Product(demo["OBC_URL"], demo["OBC_GRPC_INGEST"], demo["OBC_OPERATOR_KEY"], "")
            await measure(product, arguments.seconds, arguments.flood)
        finally:
            stack.stop()


if __name__ == "__main__":
    uvloop.run(main())
