"""What every statement must show: its tenant, wherever it reads."""

import re
import uuid
from dataclasses import replace

from hypothesis import strategies as st

from obc_query.identity.links import linked_people
from obc_query.ranges import TimeRange
from obc_query.statement import Statement

TENANT = str(uuid.uuid4())
SPAN = TimeRange(1_700_000_000_000, 1_700_500_000_000)
hostile = st.text(min_size=1, max_size=40).filter(lambda text: "\x00" not in text)


def tables_and_tenants(sql: str) -> tuple[int, int]:
    """How often the events table is read, and how often with the tenant's predicate right behind it."""
    bare = re.sub(r"`(?:[^`\\]|\\.)*`", "``", sql)  # a property's name may say anything
    return (
        len(re.findall(r"\bFROM\s+(?!\()", bare)),
        len(re.findall(r"\bFROM events WHERE tenant_id = \{tenant:UUID\}(?: AND \(?|\s|\)|$)", bare)),
    )


def assert_tenant(statement: Statement) -> None:
    tables, tenants = tables_and_tenants(statement.sql)
    assert tables == tenants >= 1
    # Where people are linked there is a join before the predicate, and it reads the same tenant.
    for unlinked in ((), ("device' OR 1=1 --",)):
        people = linked_people(unlinked)
        linked = replace(statement, linked=people)
        assert tables_and_tenants(people.join) == (1, 1)
        assert tables_and_tenants(linked.sql.replace(f" {people.join}", "")) == (tables, tenants)
        assert statement.about_people == (people.join in linked.sql)
        assert "\0" not in statement.sql + linked.sql
        assert not any(device in linked.sql for device in unlinked)
        assert linked.parameters == {**statement.parameters, **people.values}
    assert statement.parameters["tenant"] == TENANT
    # No placeholder is left without a value, and no value is written into the text.
    assert set(re.findall(r"\{((?:p|c\d+_)\d+):", statement.sql)) >= set(statement.parameters) - {"tenant"}
