"""What they do: sessions of page views, actions, measurements, errors and sign-ups, in a week's rhythm."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from obc_dev.demo.people import Person, people_of, sign_ups_of

SITE = "https://notebook.example"
_HOURS = (2, 1, 1, 1, 1, 2, 5, 12, 22, 30, 32, 28, 22, 27, 31, 30, 26, 20, 14, 11, 9, 7, 5, 3)  # UTC
# Where a person goes next, and how often.
_NEXT = {
    "/": (("/pricing", 3), ("/docs", 3), ("/app/dashboard", 5), (None, 4)),
    "/pricing": (("/", 2), ("/docs", 2), ("/app/dashboard", 2), (None, 4)),
    "/docs": (("/docs/getting-started", 4), ("/pricing", 2), (None, 4)),
    "/docs/getting-started": (("/docs", 2), ("/app/dashboard", 3), (None, 3)),
    "/app/dashboard": (("/app/projects", 7), ("/app/reports", 3), ("/app/settings", 1), (None, 2)),
    "/app/projects": (("/app/projects/detail", 7), ("/app/dashboard", 2), (None, 2)),
    "/app/projects/detail": (("/app/projects", 3), ("/app/reports", 3), ("/app/dashboard", 1), (None, 3)),
    "/app/reports": (("/app/dashboard", 3), ("/app/projects", 2), (None, 3)),
    "/app/settings": (("/app/dashboard", 4), (None, 2)),
}
# What a person does on a page: chance, action, element type, element.
_ACTIONS = {
    "/pricing": ((0.25, "click", "button", "choose-plan"),),
    "/app/dashboard": ((0.30, "click", "link", "recent-project"), (0.10, "click", "button", "create-project-btn")),
    "/app/projects": ((0.25, "click", "button", "filter-projects"), (0.12, "submit", "form", "search-projects")),
    "/app/projects/detail": ((0.45, "click", "button", "add-entry"), (0.20, "submit", "form", "entry-form")),
    "/app/reports": ((0.35, "click", "button", "export-report"),),
    "/app/settings": ((0.40, "submit", "form", "profile-form"),),
}
_ERRORS = (("TypeError", "Cannot read properties of undefined (reading 'entries')", 5),
           ("NetworkError", "Failed to fetch", 4), ("RangeError", "Invalid time value", 1))  # fmt: skip
_MEDIAN_LOAD_MS = {"desktop": 900.0, "tablet": 1300.0, "mobile": 1700.0}
_MOST_PAGES = 14

Event = dict[str, Any]


def events_of(seed: int, day: date) -> list[Event]:
    """All events of one day (UTC), oldest first: a function of seed and day only, ids included."""
    random = Random(f"{seed}/events/{day}")  # noqa: S311  # made-up traffic, no secret
    new = {person.user_id for person in sign_ups_of(seed, day)}
    events: list[Event] = []
    for person in people_of(seed, day):
        for _ in range(1 + (random.random() < 0.18)):
            start = _start(random, day)
            events.extend(_session(random, person, start, signs_up=person.user_id in new))
            new.discard(person.user_id)
    return sorted(events, key=lambda event: (event["timestamp"], event["event_id"]))


def _start(random: Random, day: date) -> datetime:
    [hour] = random.choices(range(24), _HOURS)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight + timedelta(hours=hour, seconds=random.uniform(0, 3000))


def _session(random: Random, person: Person, start: datetime, *, signs_up: bool) -> Iterator[Event]:
    clock = start
    session_id = _uuid(random)
    previous = person.referrer
    page: str | None = "/" if signs_up or random.random() < 0.4 else "/app/dashboard"
    known = not signs_up

    def event(name: str, category: str, path: str, properties: dict[str, Any]) -> Event:
        made: Event = {
            "event_id": _uuid(random),
            "event_name": name,
            "event_category": category,
            "anonymous_id": person.anonymous_id,
            "session_id": session_id,
            "properties": properties,
            "timestamp": int(clock.timestamp() * 1000),
            "page_url": SITE + path,
            "referrer": previous,
            "user_agent": person.device.user_agent,
            "device_info": person.device_info(),
        }
        if known:
            made["user_id"] = person.user_id
        return made

    for step in range(_MOST_PAGES):
        if page is None:
            break
        yield event("page_view", "navigation", page, {"page_name": page, "plan": person.plan})
        if random.random() < 0.55:
            load = random.lognormvariate(0, 0.45) * _MEDIAN_LOAD_MS[person.device.device_type]
            clock += timedelta(milliseconds=load)
            yield event("performance_metric", "performance", page,
                        {"metric_name": "page_load", "metric_value": round(load, 1), "unit": "ms"})  # fmt: skip
        if page.startswith("/app") and random.random() < 0.25:
            call = random.lognormvariate(4.4, 0.6)
            yield event("performance_metric", "performance", page,
                        {"metric_name": "api_response", "metric_value": round(call, 1), "unit": "ms"})  # fmt: skip
        for chance, action, element_type, element_id in _ACTIONS.get(page, ()):
            if random.random() < chance:
                clock += timedelta(seconds=random.uniform(2, 25))
                properties = {"action_name": action, "element_type": element_type, "element_id": element_id}
                yield event("user_action", "interaction", page, properties)
                yield from _consequence(random, person, element_id, page, event)
        if random.random() < 0.015:
            [(name, message, _)] = random.choices(_ERRORS, [weight for *_, weight in _ERRORS])
            yield event("error", "error", page, {"error_name": name, "error_message": message})
        if not known and step >= 1:
            clock += timedelta(seconds=random.uniform(20, 90))
            known = True
            yield event("sign_up", "account", "/signup", {"method": random.choice(("email", "google", "sso"))})
        previous = SITE + page
        clock += timedelta(seconds=random.lognormvariate(3.3, 0.9))
        [page] = random.choices([to for to, _ in _NEXT[page]], [weight for _, weight in _NEXT[page]])
        if not known and step == 0:
            page = "/pricing"


def _consequence(random: Random, person: Person, element_id: str, page: str, event: Any) -> Iterator[Event]:
    if element_id == "create-project-btn" and random.random() < 0.8:
        kind = random.choice(("assay", "trial", "review"))
        yield event("project_created", "project_management", page, {"project_type": kind, "plan": person.plan})
    elif element_id == "export-report":
        yield event("report_exported", "reports", page, {"format": random.choice(("csv", "pdf")), "plan": person.plan})
    elif element_id == "choose-plan" and random.random() < 0.15:
        yield event("subscription_started", "billing", page, {"plan": "team", "price": 49})


def _uuid(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))
