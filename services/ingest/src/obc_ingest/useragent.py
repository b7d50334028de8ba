"""What a user agent says about the device. ua-parser knows the agents; here its names become the product's."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ua_parser import parse

_CACHED_AGENTS = 8192

_BROWSERS = {
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "Safari",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Opera Mobile": "Opera",
    "Opera Mini": "Opera",
    "Opera Touch": "Opera",
}
_SYSTEMS = {"Mac OS X": "macOS", "Mac OS": "macOS", "Chrome OS": "ChromeOS"}
_DESKTOP_SYSTEMS = frozenset({"Windows", "macOS", "Linux", "Ubuntu", "Fedora", "Debian", "ChromeOS", "FreeBSD"})
# What browsers have frozen in their strings, whatever they run on: only the client can know more, from Client Hints.
# https://www.chromium.org/updates/ua-reduction/
_FROZEN_VERSIONS = {"Windows": "10", "macOS": "10.15", "Android": "10"}
_TABLET_FAMILIES = ("iPad", "Kindle")


@dataclass(frozen=True, slots=True)
class Device:
    """What is known; empty = not."""

    browser: str = ""
    browser_version: str = ""
    os: str = ""
    os_version: str = ""
    device_type: str = ""


@lru_cache(maxsize=_CACHED_AGENTS)
def parse_user_agent(user_agent: str) -> Device:
    """The device behind a user agent. Edge is not Chrome, iOS is not macOS, Android is not Linux."""
    result = parse(user_agent)
    browser, system, device = result.user_agent, result.os, result.device
    os_family = "" if system is None else _SYSTEMS.get(system.family, system.family)
    return Device(
        browser="" if browser is None else _BROWSERS.get(browser.family, browser.family),
        browser_version="" if browser is None else _version(browser.major, browser.minor),
        os=os_family,
        os_version="" if system is None else _version(system.major, system.minor),
        device_type=_device_type(user_agent, os_family, "" if device is None else device.family, _brand(device)),
    )


def correct_device_info(device_info: dict[str, Any], user_agent: str) -> None:
    """Lets the server's parse win over what the client says, where the parse knows anything."""
    device = parse_user_agent(user_agent)
    if device.os == "macOS" and device_info.get("os") in ("iOS", "iPadOS"):
        # An iPad asks for desktop pages with a Mac's user agent; only the client can tell.
        device = Device(browser=device.browser, browser_version=device.browser_version)
    if device.browser:
        device_info["browser"] = device.browser
        _set_or_drop(device_info, "browser_version", device.browser_version)
    if device.os:
        frozen = device.os_version == _FROZEN_VERSIONS.get(device.os)
        if not (frozen and device_info.get("os") == device.os and device_info.get("os_version")):
            _set_or_drop(device_info, "os_version", device.os_version)
        device_info["os"] = device.os
    if device.device_type:
        device_info["device_type"] = device.device_type


def _set_or_drop(device_info: dict[str, Any], name: str, value: str) -> None:
    """A version belongs to its family: the client's version of another browser would be wrong."""
    if value:
        device_info[name] = value
    else:
        device_info.pop(name, None)


def _version(major: str | None, minor: str | None) -> str:
    return ".".join(part for part in (major, minor) if part)


def _brand(device: Any) -> str:
    return "" if device is None else device.brand or ""


def _device_type(user_agent: str, os_family: str, family: str, brand: str) -> str:
    if family == "Spider":
        return "bot"
    if family.startswith(_TABLET_FAMILIES) or brand == "Generic_Android_Tablet" or "Tablet" in user_agent:
        return "tablet"
    if os_family == "Android":
        # Android's own convention: phones say Mobile, tablets do not.
        return "mobile" if "Mobile" in user_agent else "tablet"
    if os_family == "iOS" or "Mobi" in user_agent:
        return "mobile"
    return "desktop" if os_family in _DESKTOP_SYSTEMS else ""
