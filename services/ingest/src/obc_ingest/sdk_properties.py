"""The browser SDK's own property names (docs/sdk-browser.md, "Events"): `standard` keeps them, listed or not."""

from collections.abc import Mapping

OF_ANY_EVENT = frozenset(
    {
        "page_name",
        "page_title",
        "page_url",
        "referrer",
        "action_name",
        "element_type",
        "element_id",
        "metric_name",
        "metric_value",
        "error_message",
        "error_stack",
        "error_name",
    }
)

_ELEMENT = frozenset({"element_name", "element_role", "element_text", "element_href", "element_path"})

# Words as plain as `source` or `reason` are the SDK's own only in its own events; elsewhere they are the site's.
OF_EVENT: Mapping[str, frozenset[str]] = {
    "page_view": frozenset({"route_change"}),
    "user_action": _ELEMENT,
    "performance_metric": frozenset({"unit", "rating", "metric_id", "navigation_type"}),
    "error": frozenset(
        {
            "component_stack",
            "handled",
            "group",
            "occurrences",
            "source",
            "line",
            "column",
            "unhandled_rejection",
            "foreign",
        }
    ),
    "rage_click": _ELEMENT | {"clicks"},
    "dead_click": _ELEMENT,
    "scroll_depth": frozenset({"depth"}),
    "errors_suppressed": frozenset({"suppressed", "groups"}),
    "engagement": frozenset({"engaged_ms", "visible_ms", "scroll_depth", "part", "reason"}),
}
_NONE: frozenset[str] = frozenset()


def is_sdks_own(event_name: str, name: str) -> bool:
    """Whether the SDK itself adds a property of this name to events of that name. Names that begin with `$` are."""
    return name in OF_ANY_EVENT or name.startswith("$") or name in OF_EVENT.get(event_name, _NONE)
