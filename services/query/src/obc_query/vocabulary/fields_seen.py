"""Statements about the fields of the events of a sample: what types and values they have had, how often and when."""

from collections.abc import Sequence

from obc_query.fields import MAX_PROPERTY_CHARS, PROPERTY_PREFIX, Field
from obc_query.questions.expressions import EVENT_MS
from obc_query.statement import Binder, Select, Statement
from obc_query.vocabulary.sample import Sample
from obc_query.vocabulary.search import Search

MAX_VALUES = 10
MAX_VALUE_CHARS = 200
MAX_MEMBERS = 2_000_000
"""Values of properties that are looked at, so that events with hundreds of properties each cost no more."""
TYPES = ("string", "number", "boolean", "array")

# A path has %2E for a dot in a key. A filter finds what is one key whatever it holds, or keys without dots that are not
# empty, one in another (`resolve_field`); no filter finds the others. Both forms have one name, as filters see it.
_IS_NAMEABLE = (
    "(position(member.1, '.') = 0 OR (position(member.1, '%2E') = 0 AND NOT startsWith(member.1, '.')"
    " AND NOT endsWith(member.1, '.') AND position(member.1, '..') = 0))"
    f" AND lengthUTF8(replaceAll(member.1, '%2E', '.')) <= {MAX_PROPERTY_CHARS}"
)
_TYPE = (
    "multiIf(member.2 = 'String', 'string', member.2 = 'Bool', 'boolean', startsWith(member.2, 'Array('), 'array',"
    " 'number')"
)


def properties(tenant_id: str, sample: Sample, search: Search, *, sampled: bool) -> Statement:
    """Rows: whole, key, type, members, weight, first, last, values.

    The first row is the whole: its `members` are all that were looked at. The others are the keys looked for, those of
    most events first; there may be one more than asked for. Values are pairs of minus their number and their text.
    """
    binder = Binder()
    # The three functions list the members of an object in the same order.
    members = Select(
        columns=[
            f"{EVENT_MS} AS ms",
            f"{sample.weight(binder, sampled=sampled)} AS weight",
            "arrayJoin(arrayZip(mapKeys(JSONAllPathsWithTypes(properties) AS typed), mapValues(typed),"
            " JSONAllValues(properties))) AS member",
        ],
        source=sample.events(binder),
        limit=MAX_MEMBERS,
    )
    values = Select(
        columns=[
            # An event that has `a.b` and `b` in `a` has two members of one name, and counts twice.
            f"if({_IS_NAMEABLE}, replaceAll(member.1, '%2E', '.'), '') AS key",
            f"{_TYPE} AS type",
            f"if(type = 'array' OR lengthUTF8(member.3) > {MAX_VALUE_CHARS}, NULL, member.3) AS value",
            "count() AS times",
            "sum(weight) AS weight_of_value",
            "min(ms) AS first_ms",
            "max(ms) AS last_ms",
        ],
        source=members,
        group_by=["key", "type", "value"],
    )
    keys = Select(
        columns=[
            "toUInt8(grouping(key)) AS whole",
            "toUInt8(grouping(type)) AS of_key",
            "key",
            "type",
            "sum(times) AS members",
            "toFloat64(sum(weight_of_value)) AS weight",
            "min(first_ms) AS first",
            "max(last_ms) AS last",
            f"groupArraySortedIf({MAX_VALUES})((-toInt64(times), ifNull(value, '')), isNotNull(value)) AS values",
        ],
        source=values,
        group_by=["key", "type"],
        rollup=True,
    )
    looked_for = search.matches(f"concat('{PROPERTY_PREFIX}', key)", binder)
    select = Select(
        columns=["whole", "key", "type", "members", "weight", "first", "last", "values"],
        source=keys,
        where=[f"whole OR (NOT of_key AND key != '' AND {looked_for})"],
        order_by=[
            "whole DESC",
            *search.first("key", binder),
            "sum(weight) OVER (PARTITION BY whole, key) DESC",
            "key",
            "weight DESC",
            "type",
        ],
        limit=1 + len(TYPES) * (search.limit + 1),
    )
    return Statement(tenant_id, "property_names", select, binder)


def built_in(tenant_id: str, sample: Sample, fields: Sequence[Field], *, sampled: bool) -> Statement:
    """One row: events, their weight, and for each field weight, first, last and values (texts, most frequent first)."""
    binder = Binder()
    weight = sample.weight(binder, sampled=sampled)
    columns = ["count()", f"toFloat64(sum({weight}))"]
    for field in fields:
        exists = f"({field.exists})"
        columns += [
            f"toFloat64(sumIf({weight}, {exists}))",
            f"minIf({EVENT_MS}, {exists})",
            f"maxIf({EVENT_MS}, {exists})",
            # Fields that are ids have as many values as events, so this one is a sketch, exact up to 256 values.
            f"arrayMap(x -> tupleElement(x, 1), approx_top_kIf({MAX_VALUES}, 256)(ifNull({field.label}, ''),"
            f" {exists} AND lengthUTF8(ifNull({field.label}, '')) <= {MAX_VALUE_CHARS}))",
        ]
    return Statement(tenant_id, "built_in_fields", Select(columns, sample.events(binder)), binder)
