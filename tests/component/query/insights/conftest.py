"""A desk that answers insights."""

from collections.abc import Iterator

import pytest

from tests.support.insights import InsightDesk, open_desk
from tests.support.read_model import ReadModel


@pytest.fixture
def desk(read_model: ReadModel) -> Iterator[InsightDesk]:
    """Stores events and asks about them."""
    desk = open_desk(read_model)
    yield desk
    desk.handle.close()
