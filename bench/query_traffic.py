"""Seeded, believable traffic as lines of COPY: people with devices who come back, sessions of pages, clicks, timings
and errors.

Ids are UUIDv7 as the SDKs make them. What differs between events differs here too (timings, order totals, search words,
delays on the way), because a generator that repeats itself makes every store look small.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import accumulate

import orjson

COLUMNS = (
    "tenant_id", "event_id", "user_id", "anonymous_id", "session_id", "event_name", "event_category", "properties",
    "timestamp", "sent_at", "received_at", "skew_ms", "event_time", "page_url", "referrer", "user_agent", "ip_hash",
    "device_info", "correlation_id", "sample_rate",
)  # fmt: skip

_SHARES = (60, 16, 12, 8, 4)
TENANTS = tuple(f"0190a0a0-0000-7000-8000-00000000000{number}" for number in range(1, len(_SHARES) + 1))
BIG_TENANT = TENANTS[0]
BIG_TENANT_SHARE = _SHARES[0] / sum(_SHARES)
# A person's events over the month. Who comes seldom may not come at all: of 10 million events there are about 200,000
# people.
_EVENTS_PER_PERSON = 46
_NOBODY = "\\N"
_SIGNED_UP, _SIGN_IN_LATER = 0.65, 0.5

_DEVICES = (
    ("desktop", "Chrome", "126.0", "Windows", "10", 1920, 1080),
    ("desktop", "Chrome", "127.0", "macOS", "14.5", 1728, 1117),
    ("desktop", "Edge", "126.0", "Windows", "11", 1536, 864), ("desktop", "Safari", "17.5", "macOS", "14.5", 1512, 982),
    ("desktop", "Firefox", "128.0", "Linux", "", 2560, 1440), ("mobile", "Safari", "17.5", "iOS", "17.5", 393, 852),
    ("mobile", "Chrome", "126.0", "Android", "14", 412, 915), ("tablet", "Safari", "17.4", "iOS", "17.4", 820, 1180),
)  # fmt: skip
_DEVICE_WEIGHTS = (30, 18, 11, 9, 6, 14, 9, 3)
_PLACES = (("en-US", "America/New_York"), ("en-GB", "Europe/London"), ("de-DE", "Europe/Berlin"),
           ("fr-FR", "Europe/Paris"), ("ja-JP", "Asia/Tokyo"))  # fmt: skip
_REFERRERS = ("", "", "", "https://www.google.com/", "https://www.google.com/", "https://news.ycombinator.com/",
              "https://github.com/", "https://www.linkedin.com/feed/")  # fmt: skip
_SECTIONS = ("/", "/home", "/pricing", "/docs", "/search", "/settings", "/settings/team", "/projects", "/billing")
PATHS = _SECTIONS + tuple(f"/projects/{n}" for n in range(300)) + tuple(f"/docs/chapter-{n}" for n in range(80))
_PATH_WEIGHTS = [30, 60, 12, 20, 25, 8, 5, 40, 6] + [max(1, 60 // (n + 1)) for n in range(300)] + [2] * 80
_PATH_SUMS = tuple(accumulate(_PATH_WEIGHTS))
_SHARE_SUMS = tuple(accumulate(_SHARES))
_ELEMENTS = tuple(f"{kind}-{n}" for kind in ("button", "tab", "menu", "link") for n in range(12))
_ACTIONS = ("click", "click", "click", "click", "submit", "toggle", "drag")
_PLANS = ("free", "free", "free", "pro", "pro", "enterprise")
_ERRORS = (("TypeError", "Cannot read properties of undefined"), ("NetworkError", "Failed to fetch"),
           ("ChunkLoadError", "Loading chunk 17 failed"), ("RangeError", "Invalid time value"))  # fmt: skip
_FEATURES = ("signup", "report_exported", "project_created", "invite_sent", "purchase", "search_performed")
EVENT_NAMES = ("page_view", "performance_metric", "user_action", "error", *_FEATURES)


@dataclass(frozen=True, slots=True)
class _Person:
    user: str
    anonymous: str
    device: str
    plan: str
    host: str
    hash: str
    known_from_ms: int


class Traffic:
    """One run's world. The same seed, size and times give the same lines.

    A person has a user id in all events or in none. With `linked` half of those who have one sign in for the first time
    somewhere between the times, and what their device did before is anonymous.
    """

    def __init__(self, events: int, seed: int, start_ms: int, end_ms: int, *, linked: bool) -> None:
        self._rng = random.Random(seed)  # made-up data, not a secret
        self._sign_ins = random.Random(seed + 1) if linked else None
        self._times = start_ms, end_ms
        self._people = [self._population(events * share // 100, number) for number, share in enumerate(_SHARES)]

    def lines(self, count: int, start_ms: int, end_ms: int) -> Iterator[list[bytes]]:
        """Exactly `count` events spread over [start, end), in chunks of about an hour, each in order of time."""
        spans = max(1, round((end_ms - start_ms) / 3_600_000))
        width = (end_ms - start_ms) // spans
        made = 0
        for index in range(spans):
            target = count * (index + 1) // spans
            chunk: list[tuple[int, bytes]] = []
            first = start_ms + index * width
            while made + len(chunk) < target:
                self._session(chunk, first + self._rng.randrange(width), end_ms)
            del chunk[target - made :]
            chunk.sort()
            made += len(chunk)
            yield [line for _, line in chunk]

    def _population(self, events: int, number: int) -> list[_Person]:
        rng = self._rng
        return [self._person(rng, number) for _ in range(max(20, events // _EVENTS_PER_PERSON))]

    def _person(self, rng: random.Random, number: int) -> _Person:
        kind, browser, version, system, system_version, width, height = rng.choices(_DEVICES, _DEVICE_WEIGHTS)[0]
        language, zone = rng.choice(_PLACES)
        device = {
            "device_type": kind, "browser": browser, "browser_version": version, "os": system,
            "os_version": system_version, "language": language, "timezone": zone, "screen_width": width,
            "screen_height": height, "viewport_width": width - rng.randrange(60),
            "viewport_height": height - rng.randrange(80, 200),
        }  # fmt: skip
        user = _uuid4(rng) if rng.random() < _SIGNED_UP else _NOBODY
        known_from = 0
        if self._sign_ins is not None and self._sign_ins.random() < _SIGN_IN_LATER:
            known_from = self._sign_ins.randrange(*self._times)
        return _Person(
            user, _uuid4(rng), orjson.dumps(device).decode(), rng.choice(_PLANS), f"app{number}.example.com",
            f"{rng.getrandbits(128):032x}", known_from,
        )  # fmt: skip

    def _session(self, out: list[tuple[int, bytes]], at: int, end_ms: int) -> None:
        rng = self._rng
        number = rng.choices(range(len(TENANTS)), cum_weights=_SHARE_SUMS)[0]
        people = self._people[number]
        # Some people come far more often than others.
        person = people[int(len(people) * rng.random() ** 2)]
        session = _uuid7(rng, at)
        head = f"{TENANTS[number]}\t"
        device = f"{person.anonymous}\t{session}\t"
        referrer = rng.choice(_REFERRERS)
        source = referrer or "\\N"
        for page in range(1 if rng.random() < 0.3 else 1 + int(rng.expovariate(0.25))):
            [path] = rng.choices(PATHS, cum_weights=_PATH_SUMS)
            url = f"https://{person.host}{path}"
            if path == "/search":
                url += f"?q=word{rng.randrange(5000)}"
            elif page == 0 and referrer:
                url += "?utm_source=mail&utm_campaign=c" + str(rng.randrange(12))
            for name, category, properties in self._page(path, person.plan):
                if at < end_ms:
                    event_id = _uuid7(rng, at)
                    who = f"\t{person.user if at >= person.known_from_ms else _NOBODY}\t{device}"
                    moment, received = _text(at), _text(at + int(rng.expovariate(1 / 1500)) + 20)
                    line = (
                        f"{head}{event_id}{who}{name}\t{category}\t{properties}\t{moment}\t\\N\t{received}\t0\t{moment}\t"
                        f"{url}\t{source}\t{person.hash}\t{person.hash}\t{person.device}\t\\N\t1\n"
                    )
                    out.append((at, line.encode()))
                at += 1 + int(rng.expovariate(1 / 6000))
            # Now and then somebody leaves the tab open: the same session id, another session.
            at += 2_400_000 if rng.random() < 0.01 else int(rng.expovariate(1 / 15_000))

    def _page(self, path: str, plan: str) -> Iterator[tuple[str, str, str]]:
        rng = self._rng
        view = f'"page_name": "{path}", "release": "2.{rng.randrange(4)}"'
        yield "page_view", "navigation", f'{{"plan": "{plan}", {view}}}'
        load = rng.lognormvariate(6.8, 0.6)
        yield _timing("page_load", load)
        if rng.random() < 0.4:
            yield _timing("api_latency", load / 7)
        for _ in range(int(rng.expovariate(0.5))):
            action = f'"action_name": "{rng.choice(_ACTIONS)}", "element_id": "{rng.choice(_ELEMENTS)}"'
            yield "user_action", "interaction", f'{{"plan": "{plan}", {action}}}'
        chance = rng.random()
        if chance < 0.12:
            order = f'"amount": {rng.randrange(500, 50_000) / 100}, "items": {rng.randrange(1, 9)}'
            yield rng.choice(_FEATURES), "feature", f'{{"plan": "{plan}", {order}}}'
        elif chance < 0.15:
            kind, message = rng.choice(_ERRORS)
            where = f'"error_message": "{message}", "line": {rng.randrange(9000)}'
            yield "error", "error", f'{{"error_name": "{kind}", {where}}}'


def _timing(name: str, milliseconds: float) -> tuple[str, str, str]:
    properties = f'{{"metric_name": "{name}", "metric_value": {milliseconds:.1f}, "metric_unit": "ms"}}'
    return "performance_metric", "performance", properties


def _uuid7(rng: random.Random, at: int) -> str:
    low = rng.getrandbits(74)
    text = f"{at:012x}7{low >> 62:03x}{(low & (1 << 62) - 1) | 1 << 63:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _uuid4(rng: random.Random) -> str:
    text = f"{(rng.getrandbits(128) & ~(0xF000 << 64) & ~(0xC000 << 48)) | 0x4000 << 64 | 0x8000 << 48:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _text(unix_ms: int) -> str:
    seconds, milliseconds = divmod(unix_ms, 1000)
    day, second = divmod(seconds, 86_400)
    return f"{_date(day)} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{milliseconds:03}+00"


@cache
def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
