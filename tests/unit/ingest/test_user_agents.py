from typing import Any

import pytest

from obc_ingest.useragent import correct_device_info, parse_user_agent

EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
PIXEL = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)
GALAXY_TAB = (
    "Mozilla/5.0 (Linux; Android 13; SM-T870) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
IPAD = IPHONE.replace("iPhone; CPU iPhone OS", "iPad; CPU OS")
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Safari/605.1.15"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.mark.parametrize(
    ("user_agent", "browser", "os", "device_type"),
    [
        (EDGE, "Edge", "Windows", "desktop"),
        (EDGE.replace("Edg/126.0.0.0", ""), "Chrome", "Windows", "desktop"),
        (IPHONE, "Safari", "iOS", "mobile"),
        (IPAD, "Safari", "iOS", "tablet"),
        (PIXEL, "Chrome", "Android", "mobile"),
        (GALAXY_TAB, "Chrome", "Android", "tablet"),
        (MAC, "Safari", "macOS", "desktop"),
        (FIREFOX, "Firefox", "Linux", "desktop"),
        (GOOGLEBOT, "Googlebot", "", "bot"),
        ("nonsense", "", "", ""),
    ],
)
def test_devices_are_told_apart(user_agent: str, browser: str, os: str, device_type: str) -> None:
    device = parse_user_agent(user_agent)

    assert (device.browser, device.os, device.device_type) == (browser, os, device_type)


def test_the_servers_parse_corrects_the_client() -> None:
    """The seed's client takes Edge for Chrome."""
    said: dict[str, Any] = {"browser": "Chrome", "browser_version": "99", "os": "Linux", "device_type": "tablet"}

    correct_device_info(said, EDGE)

    assert said == {
        "browser": "Edge",
        "browser_version": "126.0",
        "os": "Windows",
        "os_version": "10",
        "device_type": "desktop",
    }


def test_what_the_parse_does_not_know_is_left_to_the_client() -> None:
    said = {"browser": "MyKiosk", "os": "MyOS", "screen_width": 800}

    correct_device_info(said, "nonsense")

    assert said == {"browser": "MyKiosk", "os": "MyOS", "screen_width": 800}


def test_an_ipad_that_asks_for_desktop_pages_stays_an_ipad() -> None:
    said = {"os": "iPadOS", "os_version": "17.5", "device_type": "tablet"}

    correct_device_info(said, MAC)

    assert (said["os"], said["os_version"], said["device_type"]) == ("iPadOS", "17.5", "tablet")


@pytest.mark.parametrize(
    ("user_agent", "said", "kept"),
    [
        pytest.param(EDGE, {"os": "Windows", "os_version": "11"}, "11", id="frozen"),
        pytest.param(MAC, {"os": "macOS", "os_version": "14.5"}, "14.5", id="frozen on a Mac"),
        pytest.param(
            PIXEL.replace("14; Pixel 8", "10; K"), {"os": "Android", "os_version": "16"}, "16", id="and Android"
        ),
        pytest.param(EDGE, {"os": "Linux", "os_version": "6"}, "10", id="of another system"),
        pytest.param(EDGE, {"os": "Windows"}, "10", id="nothing better is known"),
        pytest.param(PIXEL, {"os": "Android", "os_version": "16"}, "14", id="not frozen: the string"),
    ],
)
def test_a_version_that_browsers_have_frozen_is_the_clients(user_agent: str, said: dict[str, Any], kept: str) -> None:
    correct_device_info(said, user_agent)
    assert said["os_version"] == kept
