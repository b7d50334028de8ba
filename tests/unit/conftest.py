"""A unit test needs no store: asking for one here is a mistake, and says so."""

import pytest


@pytest.fixture(scope="session")
def server_folder() -> None:
    """Stands in the way of every fixture that would start a server."""
    pytest.fail("a unit test must not use a store; put this test under tests/component")
