"""The comments of the protos, which generated code does not carry (protos/generate.py writes them beside it)."""

from collections.abc import Mapping
from importlib import resources

import orjson


def load_comments() -> Mapping[str, str]:
    """Comment by full name, e.g. `obc.query.v1.ListEventsRequest.filter`."""
    comments: dict[str, str] = orjson.loads((resources.files("obc") / "comments.json").read_bytes())
    return comments
