"""Personal data out of events before they are stored: by property key, by pattern in text, in addresses' parameters.

User ids, device ids and session ids are left alone: they are what the tenant chose to know a person by.
"""

import re
from functools import lru_cache
from itertools import pairwise
from typing import Any

from obc_ingest.model import Event

REDACTED = "[redacted]"

# Bounded repetitions: linear on any input.
_EMAIL = re.compile(r"[\w.%+-]{1,64}(?:@|%40)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_CARD = re.compile(r"(?<![\w.-])[2-6](?:[ -]?[0-9]){12,18}(?![\w-])")
_SEPARATOR = re.compile(r"[ -]")
_PARAMETER = re.compile(r"([?&#;])([^=&#;?\s]{1,200})=([^&#;\s]*)")
_USERINFO = re.compile(r"(?<=://)[^/?#\s@]{1,200}@")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_LONGEST_REMEMBERED = 256
_MOST_REMEMBERED = 16_384  # some 6 MB
_clean_addresses: set[str] = set()

_SHORTEST_CARD = 13
_SMALLEST_CARD = 2 * 10**12

_SECRET_WORDS = frozenset(
    {
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "passcode",
        "secret",
        "token",
        "jwt",
        "authorization",
        "apikey",
        "credential",
        "credentials",
        "email",
        "ssn",
        "iban",
        "cvv",
        "cvc",
        "creditcard",
        "cardnumber",
    }
)
# Only as the whole key: `card_view` and `map_pan` are harmless.
_SECRET_KEYS = frozenset({"auth", "cookie", "mail", "card", "pan"})
_SECRET_PAIRS = frozenset(
    {
        ("api", "key"),
        ("private", "key"),
        ("access", "key"),
        ("social", "security"),
        ("card", "number"),
        ("card", "no"),
        ("card", "num"),
        ("card", "holder"),
        ("credit", "card"),
        ("debit", "card"),
        ("phone", "number"),
        ("e", "mail"),
        ("pass", "word"),
    }
)
# A key that ends so speaks about a secret without holding one: token_count, email_verified, card_type.
_HARMLESS_ENDINGS = frozenset(
    {"count", "length", "type", "kind", "verified", "valid", "present", "enabled", "strength", "domain", "status"}
)


@lru_cache(maxsize=16_384)
def is_sensitive_key(key: str) -> bool:
    """True for a key whose value is personal or secret: `userEmail`, `card_number`, `X-Api-Key`."""
    words = [word.lower() for word in _WORDS.findall(key)]
    if not words or words[-1] in _HARMLESS_ENDINGS:
        return False
    if len(words) == 1 and words[0] in _SECRET_KEYS:
        return True
    return not _SECRET_WORDS.isdisjoint(words) or any(pair in _SECRET_PAIRS for pair in pairwise(words))


def scrub_text(text: str) -> str:
    """E-mail addresses, card numbers, and secrets in addresses' parameters out of one text."""
    # Nearly every text is clean, so each pattern is asked for by what it cannot do without.
    if "=" in text and ("?" in text or "#" in text):
        text = _PARAMETER.sub(_scrub_parameter, text)
    if "@" in text or "%40" in text:
        if "://" in text:
            text = _USERINFO.sub("", text)
        text = _EMAIL.sub(REDACTED, text)
    if len(text) >= _SHORTEST_CARD and _CARD.search(text):
        text = _CARD.sub(_scrub_card, text)
    return text


def scrub_object(value: dict[str, Any]) -> dict[str, Any]:
    """The same object when there is nothing to redact, else a copy."""
    changed: dict[str, Any] | None = None
    for key, item in value.items():
        if is_sensitive_key(key):
            # What is only yes, no or nothing gives nobody away.
            clean = item if item is None or type(item) is bool else REDACTED
        else:
            clean = scrub_value(item)
        if clean is not item:
            if changed is None:
                changed = dict(value)
            changed[key] = clean
    return value if changed is None else changed


def scrub_list(value: list[Any]) -> list[Any]:
    """The same list when there is nothing to redact, else a copy."""
    changed: list[Any] | None = None
    for index, item in enumerate(value):
        clean = scrub_value(item)
        if clean is not item:
            if changed is None:
                changed = list(value)
            changed[index] = clean
    return value if changed is None else changed


def scrub_value(value: Any) -> Any:
    """The same value when there is nothing to redact, else a copy."""
    kind = type(value)
    if kind is str:
        clean = scrub_text(value)
        return value if clean == value else clean
    if kind is dict:
        return scrub_object(value)
    if kind is list:
        return scrub_list(value)
    if kind is int:
        return scrub_number(value)
    return value


def scrub_number(value: int) -> int | str:
    """A card number that was sent as a number is one all the same."""
    return REDACTED if value >= _SMALLEST_CARD and _is_card(str(value)) else value


def scrub_event(event: Event) -> bool:
    """Scrubs a valid event in place; True when anything was redacted."""
    properties = scrub_object(event.properties)
    device_info = scrub_object(event.device_info)
    page_url = _scrub_address(event.page_url)
    referrer = _scrub_address(event.referrer)
    changed = (
        properties is not event.properties
        or device_info is not event.device_info
        or page_url != event.page_url
        or referrer != event.referrer
    )
    event.properties, event.device_info, event.page_url, event.referrer = properties, device_info, page_url, referrer
    return changed


def _scrub_address(url: str) -> str:
    """People go to the same pages again and again: addresses that were found clean are remembered, no others."""
    if url in _clean_addresses:
        return url
    clean = scrub_text(url)
    if clean == url and len(url) <= _LONGEST_REMEMBERED and url.isascii():
        if len(_clean_addresses) >= _MOST_REMEMBERED:
            _clean_addresses.clear()
        _clean_addresses.add(url)
    return clean


def _scrub_parameter(match: re.Match[str]) -> str:
    mark, key, value = match.groups()
    return f"{mark}{key}={REDACTED}" if value and is_sensitive_key(key) else match.group()


def _scrub_card(match: re.Match[str]) -> str:
    # What follows a card number ("... 12/29") may look like more of it: the longest run of groups that is one counts.
    text = match.group()
    for end in (len(text), *(found.start() for found in reversed(list(_SEPARATOR.finditer(text))))):
        if _is_card(text[:end].replace(" ", "").replace("-", "")):
            return REDACTED + text[end:]
    return text


def _is_card(digits: str) -> bool:
    """A card's length, first digits and check digit. Times in milliseconds begin with 1 and are none."""
    length, first = len(digits), digits[0]
    if not 13 <= length <= 19 or first not in "23456":
        return False
    if first == "4" and length not in (13, 16, 19):
        return False
    if first in "25" and length != 16:
        return False
    if first == "3" and length not in (14, 15, 16):
        return False
    if first == "6" and length < 16:
        return False
    total = 0
    for position, digit in enumerate(reversed(digits)):
        number = int(digit)
        if position % 2:
            number = number * 2 - 9 if number > 4 else number * 2
        total += number
    return total % 10 == 0
