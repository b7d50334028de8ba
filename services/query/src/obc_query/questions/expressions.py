"""Expressions the questions share: what the product's terms mean in the read model."""

from obc_query.fields import property_number, property_text

WEIGHT = "1 / sample_rate"
"""An event of a tenant that keeps 10 % of its users stands for ten."""


def weight(*, sampled: bool) -> str:
    """What an event counts; where nothing is sampled the engine only has to count."""
    return WEIGHT if sampled else "1"


def people(condition: str, *, sampled: bool, each: str = WEIGHT) -> str:
    """How many distinct people the events of a condition stand for; nobody where `person` is ''.

    A kept user stands for 1/rate users; where the rate changed, for as many as at the highest rate seen.
    """
    if sampled:
        return f"arraySum(minMapIf([person], [toFloat64({each})], {condition} AND person != '').2)"
    return f"uniqExactIf(person, {condition} AND person != '')"


EVENT_MS = "toUnixTimestamp64Milli(event_time)"
PLACE = f"bitShiftLeft(toUInt256({EVENT_MS}), 128) + toUInt128(event_id)"
"""An event's place in the order of a person as one number: its milliseconds, then its id (the engine's own order of
UUIDs begins with their second half)."""


def moment_of(place: str) -> str:
    """The milliseconds of a place."""
    return f"toInt64(bitShiftRight({place}, 128))"


IS_PAGE_VIEW = "event_name = 'page_view'"
IS_ERROR = "event_name = 'error' OR event_category = 'error'"
IS_MEASUREMENT = "event_name = 'performance_metric'"
IS_USER_ACTION = "event_name = 'user_action'"

MEASUREMENT_NAME = property_text("metric_name")
MEASUREMENT_VALUE = property_number("metric_value")
"""NULL where the value is no number; such measurements are skipped."""

_ACTION = f"lower(ifNull({property_text('action_name')}, ''))"
IS_INTERACTION = f"event_category = 'interaction' OR ({IS_USER_ACTION} AND {_ACTION} IN ('click', 'button_click'))"
_IS_FORM = "event_name IN ('form_submit', 'form_submitted', 'form_submission')"
MAY_BE_ACTION = f"{IS_USER_ACTION} OR event_category = 'interaction' OR {_IS_FORM}"
"""Told without properties: every user action, interaction and form submission is among these."""
IS_FORM_SUBMISSION = f"{_IS_FORM} OR ({IS_USER_ACTION} AND {_ACTION} IN ('submit', 'form_submit', 'form_submission'))"
ACTION_ELEMENT = (
    f"coalesce(nullIf({property_text('element_id')}, ''), nullIf({property_text('action_name')}, ''), event_name)"
)
ERROR_MESSAGE = (
    f"coalesce(nullIf({property_text('error_message')}, ''), nullIf({property_text('error_name')}, ''), event_name)"
)

OTHER = "$other"
"""Label of everything beyond the top values of a breakdown."""
NONE = "$none"
"""Label of events that lack the field of a breakdown."""
