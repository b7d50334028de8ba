"""schemathesis against the running product: no answer is a 500, and none is unlike the document."""

import asyncio
import time
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.product import Product, Tenant

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# Streams and sockets have no single answer; what is left is every unary operation.
_STREAMS = ("/ws/", "/v1/stream", "/v1/live", "/v1/import")
_EXAMPLES = 8

Operation = schemathesis.APIOperation[Any, Any, Any, Any]


@pytest.fixture
def operations(product: Product) -> list[Operation]:
    """Every operation of the document the gateway serves."""
    schema = schemathesis.openapi.from_url(f"{product.url}/openapi.json")
    found = []
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        found.append(result.ok())
    return [operation for operation in found if not operation.path.startswith(_STREAMS)]


# A tenant's own key, the operator's, and a key that is none: rights change what is answered, never its form.
@pytest.mark.parametrize("who", ["tenant", "nobody"])
@pytest.mark.timeout(240)
async def test_every_operation_answers_as_its_document_says(
    product: Product, tenant: Tenant, operations: list[Operation], who: str
) -> None:
    headers = {"Authorization": f"Bearer {tenant.secret_key}"} if who == "tenant" else {}
    assert len(operations) > 20
    await asyncio.to_thread(_try_all, operations, headers, _EXAMPLES if who == "tenant" else 2)


def _try_all(operations: list[Operation], headers: dict[str, str], examples: int) -> None:
    started = time.monotonic()
    with requests.Session() as session:
        for operation in operations:

            @seed(20_261)
            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def conforms(case: schemathesis.Case[Any]) -> None:
                response = case.call(session=session, headers=headers, timeout=30)
                case.validate_response(response, checks=_CHECKS)

            given(case=operation.as_strategy())(conforms)()
    assert time.monotonic() - started < 200
