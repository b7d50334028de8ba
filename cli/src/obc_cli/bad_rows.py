"""`obc bad-rows`, `obc replay` and `obc data-quality`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import aiohttp
import orjson

from obc_cli.client import Target, call

_PAGE = 200
_IDS_AT_ONCE = 1000
_COUNTED = ("accepted", "duplicate", "dropped", "rejected", "skipped")


async def list_rows(target: Target, filters: Mapping[str, str], limit: int, out: TextIO) -> int:
    """Writes bad rows, newest first, one JSON object per line. Raises ApiFailure."""
    token = ""
    async with aiohttp.ClientSession(headers=target.headers) as session:
        while limit > 0:
            parameters = {**filters, "page_size": str(min(limit, _PAGE)), "page_token": token}
            page = await call(session, "GET", f"{target.url}/v1/bad-rows", parameters=parameters)
            for row in page["bad_rows"]:
                out.write(orjson.dumps(row).decode() + "\n")
            limit -= len(page["bad_rows"])
            token = page["next_page_token"]
            if not token:
                break
    return 0


async def replay_rows(target: Target, ids: Sequence[int], filters: Mapping[str, str], out: TextIO, log: TextIO) -> int:
    """Replays rows, all that match in pages; writes a result per line. 1 when some are still bad. Raises ApiFailure."""
    counts: Counter[str] = Counter()
    bodies: list[dict[str, Any]] = [
        {**filters, "ids": list(ids[start : start + _IDS_AT_ONCE])} for start in range(0, len(ids), _IDS_AT_ONCE)
    ] or [dict(filters)]
    async with aiohttp.ClientSession(headers=target.headers) as session:
        while bodies:
            body = bodies.pop(0)
            answer = await call(session, "POST", f"{target.url}/v1/bad-rows:replay", body=body)
            for result in answer["results"]:
                out.write(orjson.dumps(result).decode() + "\n")
            counts.update({name: answer[name] for name in _COUNTED})
            if answer["next_page_token"]:
                bodies.append({**body, "page_token": answer["next_page_token"]})
    log.write(", ".join(f"{counts[name]} {name}" for name in _COUNTED) + "\n")
    return 1 if counts["rejected"] else 0


async def show_quality(target: Target, filters: Mapping[str, str], out: TextIO) -> int:
    """Writes the data-quality view as JSON. Raises ApiFailure."""
    async with aiohttp.ClientSession(headers=target.headers) as session:
        view = await call(session, "GET", f"{target.url}/v1/data-quality", parameters=filters)
    out.write(orjson.dumps(view, option=orjson.OPT_INDENT_2).decode() + "\n")
    return 0
