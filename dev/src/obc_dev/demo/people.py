"""Who uses the made-up product: devices, and people with a device, a language and a day they signed up."""

import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

_REGULARS = 260
_SIGN_UPS_ON_A_WEEKDAY = 7
_SIGN_UPS_ON_A_WEEKEND_DAY = 2
# A sign-up of yesterday is far likelier to come back today than one of three weeks ago.
_DAILY_CHANCE_OF_RETURN = (0.55, 0.42, 0.34, 0.29, 0.26, 0.24, 0.22)
_LATER_CHANCE_OF_RETURN = 0.16
_REGULAR_CHANCE_OF_RETURN = 0.22
_WEEKEND_FACTOR = 0.35


@dataclass(frozen=True, slots=True)
class Device:
    """What a browser says of itself. The server reads browser and system from the user agent."""

    user_agent: str
    device_type: str
    screen: tuple[int, int]


_CHROME = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 {}Safari/537.36{}"
_APPLE = "Mozilla/5.0 ({}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{} {}Safari/{}"
DEVICES: tuple[tuple[Device, int], ...] = (
    (Device(_CHROME.format("Windows NT 10.0; Win64; x64", 126, "", ""), "desktop", (1920, 1080)), 30),
    (Device(_CHROME.format("Macintosh; Intel Mac OS X 10_15_7", 127, "", ""), "desktop", (1728, 1117)), 18),
    (Device(_CHROME.format("Windows NT 10.0; Win64; x64", 126, "", " Edg/126.0.0.0"), "desktop", (1536, 864)), 11),
    (Device(_APPLE.format("Macintosh; Intel Mac OS X 10_15_7", "17.5", "", "605.1.15"), "desktop", (1512, 982)), 9),
    (Device("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "desktop", (2560, 1440)), 6),
    (Device(_APPLE.format("iPhone; CPU iPhone OS 17_5 like Mac OS X", "17.5", "Mobile/15E148 ", "604.1"), "mobile",
            (393, 852)), 14),
    (Device(_CHROME.format("Linux; Android 14; Pixel 8", 126, "Mobile ", ""), "mobile", (412, 915)), 9),
    (Device(_APPLE.format("iPad; CPU OS 17_5 like Mac OS X", "17.5", "Mobile/15E148 ", "604.1"), "tablet",
            (820, 1180)), 3),
)  # fmt: skip
_PLACES = (("en-US", "America/New_York", 34), ("en-GB", "Europe/London", 20), ("de-DE", "Europe/Berlin", 22),
           ("fr-FR", "Europe/Paris", 12), ("pt-BR", "America/Sao_Paulo", 7), ("ja-JP", "Asia/Tokyo", 5))  # fmt: skip
_REFERRERS = (("", 40), ("https://www.google.com/", 30), ("https://news.ycombinator.com/", 6),
              ("https://www.linkedin.com/", 10), ("https://github.com/", 9),
              ("https://duckduckgo.com/", 5))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who uses the product. `signed_up` is None for those who were there before the month."""

    user_id: str
    anonymous_id: str
    device: Device
    language: str
    timezone: str
    referrer: str
    plan: str
    signed_up: date | None

    def device_info(self) -> dict[str, Any]:
        """The `device_info` that this person's browser sends."""
        width, height = self.device.screen
        return {
            "screen_width": width,
            "screen_height": height,
            "viewport_width": width,
            "viewport_height": height - 120,
            "device_type": self.device.device_type,
            "language": self.language,
            "timezone": self.timezone,
        }


def people_of(seed: int, day: date) -> list[Person]:
    """Everybody who comes on `day`: regulars, those who signed up in the three weeks before, and today's sign-ups.

    A function of seed and day only, so that a day is the same whenever it is made.
    """
    random = Random(f"{seed}/visitors/{day}")  # noqa: S311  # made-up traffic, no secret
    factor = _WEEKEND_FACTOR if day.weekday() >= 5 else 1.0
    coming = [
        person
        for person in (_person(seed, f"regular/{number}", None) for number in range(_REGULARS))
        if random.random() < _REGULAR_CHANCE_OF_RETURN * factor
    ]
    for age in range(1, 22):
        chance = _DAILY_CHANCE_OF_RETURN[age - 1] if age <= len(_DAILY_CHANCE_OF_RETURN) else _LATER_CHANCE_OF_RETURN
        before = day - timedelta(days=age)
        coming.extend(person for person in sign_ups_of(seed, before) if random.random() < chance * factor)
    return coming + sign_ups_of(seed, day)


def sign_ups_of(seed: int, day: date) -> list[Person]:
    """Those who sign up on `day`."""
    random = Random(f"{seed}/sign-ups/{day}")  # noqa: S311  # made-up traffic, no secret
    usual = _SIGN_UPS_ON_A_WEEKEND_DAY if day.weekday() >= 5 else _SIGN_UPS_ON_A_WEEKDAY
    count = max(0, round(random.gauss(usual, usual / 4)))
    return [_person(seed, f"{day}/{number}", day) for number in range(count)]


def _person(seed: int, name: str, signed_up: date | None) -> Person:
    random = Random(f"{seed}/person/{name}")  # noqa: S311  # made-up traffic, no secret
    [device] = random.choices([one for one, _ in DEVICES], [weight for _, weight in DEVICES])
    [(language, timezone, _)] = random.choices(_PLACES, [weight for *_, weight in _PLACES])
    [(referrer, _)] = random.choices(_REFERRERS, [weight for _, weight in _REFERRERS])
    return Person(
        user_id=str(uuid.UUID(int=random.getrandbits(128), version=4)),
        anonymous_id=str(uuid.UUID(int=random.getrandbits(128), version=4)),
        device=device,
        language=language,
        timezone=timezone,
        referrer=referrer,
        plan=random.choices(("free", "team", "enterprise"), (70, 24, 6))[0] if signed_up is None else "free",
        signed_up=signed_up,
    )
