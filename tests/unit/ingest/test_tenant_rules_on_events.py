from dataclasses import replace
from typing import Any

import pytest

from obc_common.directory import TenantRules
from obc_ingest.limits import Limits
from obc_ingest.model import Event
from obc_ingest.rules import RuleSet, page_path
from obc_ingest.sampling import sampling_position
from obc_ingest.validate import Reception, validate

TENANT = "0190a0a0-0000-7000-8000-000000000001"
NOW = 1_750_000_000_000
DEFAULTS = TenantRules(
    tenant_id=TENANT,
    version=1,
    enabled=True,
    tracking_level="standard",
    retention_days=365,
    data_export_enabled=True,
    real_time_enabled=True,
    custom_properties=("*",),
    excluded_events=(),
    sampling_rate=1.0,
    consent_policy="obey",
)


def rules(**changes: Any) -> RuleSet:
    return RuleSet.of(replace(DEFAULTS, **changes))


def event(**changes: Any) -> Event:
    raw = {
        "event_id": "0190f0f0-aaaa-7bbb-8ccc-0123456789ab",
        "event_name": "checkout_started",
        "timestamp": NOW,
        "user_id": "anna",
        "anonymous_id": "device-1",
        "session_id": "s-1",
        "properties": {"plan": "pro", "page_title": "Shop", "$lib": "web", "colour": "red"},
        "page_url": "https://shop.example/cart/2?coupon=X#pay",
        "referrer": "https://search.example/",
        "device_info": {"device_type": "mobile", "os": "iOS"},
        "correlation_id": "c-1",
        **changes,
    }
    return validate(raw, Reception(TENANT, NOW, 0, 0), Limits())


def test_a_disabled_tenant_drops_everything_unread() -> None:
    assert rules(enabled=False).drop_unread("not even an object", gpc=False) == "disabled"


def test_disabled_comes_before_consent() -> None:
    assert rules(enabled=False).drop_unread({"consent": False}, gpc=True) == "disabled"


@pytest.mark.parametrize(("raw", "gpc"), [({}, True), ({"consent": False}, False), ({"consent": True}, True)])
def test_a_refusal_is_obeyed_by_default(raw: dict[str, Any], gpc: bool) -> None:
    assert rules().drop_unread(raw, gpc=gpc) == "consent"


def test_consent_that_was_not_refused_drops_nothing() -> None:
    assert rules().drop_unread({"consent": True}, gpc=False) == ""
    assert rules().drop_unread({}, gpc=False) == ""


def test_a_tenant_may_ignore_the_signal() -> None:
    assert rules(consent_policy="ignore").drop_unread({"consent": False}, gpc=True) == ""


@pytest.mark.parametrize(
    ("excluded", "dropped"),
    [
        (("checkout_started",), True),
        (("checkout_*",), True),
        (("*",), True),
        (("checkout",), False),
        (("Checkout_started",), False),
        (("other", "x*"), False),
    ],
)
def test_events_are_excluded_by_name_or_prefix(excluded: tuple[str, ...], dropped: bool) -> None:
    assert rules(excluded_events=excluded).drop(event()) == ("excluded" if dropped else "")


def test_excluded_comes_before_sampled() -> None:
    assert rules(excluded_events=("*",), sampling_rate=0.0).drop(event()) == "excluded"


def test_sampling_keeps_or_drops_a_person_as_a_whole() -> None:
    half = rules(sampling_rate=0.5)

    for person in range(50):
        answers = {
            half.drop(event(user_id=f"user-{person}", session_id=f"s-{n}", event_name=f"e{n}")) for n in range(5)
        }
        assert len(answers) == 1


def test_sampling_keeps_about_its_share_and_raising_it_keeps_everybody_who_was_kept() -> None:
    people = [f"user-{n}" for n in range(4000)]
    kept = {
        rate: {who for who in people if rules(sampling_rate=rate).drop(event(user_id=who)) == ""} for rate in (0.1, 0.5)
    }

    assert len(kept[0.1]) == pytest.approx(400, rel=0.2)
    assert len(kept[0.5]) == pytest.approx(2000, rel=0.1)
    assert kept[0.1] < kept[0.5]


def test_sampling_falls_back_to_the_device_and_then_to_the_session() -> None:
    rate = sampling_position(TENANT, "device-1") + 1e-9
    assert rules(sampling_rate=rate).drop(event(user_id="")) == ""
    rate = sampling_position(TENANT, "s-1") - 1e-9
    assert rules(sampling_rate=rate).drop(event(user_id="", anonymous_id="")) == "sampled"


def test_a_sampling_position_never_changes() -> None:
    """A changed hash would re-draw every tenant's sample and make its history incomparable."""
    assert sampling_position(TENANT, "anna") == pytest.approx(0.49825906827657673, abs=1e-15)


def test_the_rate_is_noted_for_re_weighting() -> None:
    kept = event()
    rate = sampling_position(TENANT, "anna") + 0.01
    rules(sampling_rate=rate).drop(kept)

    assert kept.sample_rate == rate


def test_a_rate_of_zero_drops_everybody() -> None:
    assert rules(sampling_rate=0.0).drop(event()) == "sampled"


def test_minimal_keeps_what_the_contract_names_and_nothing_else() -> None:
    stripped = event()
    stripped.user_agent = stripped.ip_hash = "hash"

    rules(tracking_level="minimal").strip(stripped)

    assert (stripped.event_name, stripped.session_id) == ("checkout_started", "s-1")
    assert stripped.page_url == "/cart/2"
    assert stripped.device_info == {"device_type": "mobile"}
    assert stripped.properties == {}
    for name in ("user_id", "anonymous_id", "referrer", "correlation_id", "user_agent", "ip_hash"):
        assert getattr(stripped, name) == "", name


def test_standard_keeps_listed_properties_and_the_sdks_own() -> None:
    stripped = event()

    rules(custom_properties=("plan",)).strip(stripped)

    assert stripped.properties == {"plan": "pro", "page_title": "Shop", "$lib": "web"}
    assert (stripped.user_id, stripped.referrer) == ("anna", "https://search.example/")


def test_standard_keeps_a_modules_words_in_the_modules_events_only() -> None:
    engagement = event(event_name="engagement", properties={"engaged_ms": 900, "reason": "hidden"})
    refund = event(event_name="refund", properties={"reason": "it was too large for my mother Anna"})
    listed_none = rules(custom_properties=())
    assert listed_none.strip(engagement) == ()
    assert listed_none.strip(refund) == ["reason"]
    assert engagement.properties == {"engaged_ms": 900, "reason": "hidden"}
    assert refund.properties == {}


def test_standard_keeps_all_properties_by_default() -> None:
    stripped = event()

    rules().strip(stripped)

    assert len(stripped.properties) == 4


def test_detailed_keeps_all_properties_whatever_is_listed() -> None:
    stripped = event()

    rules(tracking_level="detailed", custom_properties=()).strip(stripped)

    assert len(stripped.properties) == 4


def test_the_live_feed_is_a_rule_too() -> None:
    shown, hidden = event(), event()
    rules().drop(shown)
    rules(real_time_enabled=False).drop(hidden)

    assert (shown.live, hidden.live) == (True, False)


@pytest.mark.parametrize(
    ("url", "path"),
    [("https://x/a/b?c#d", "/a/b"), ("/a?b", "/a"), ("", ""), ("https://x", ""), ("http://[bad/x", ""), ("::", "::")],
)
def test_a_page_path_has_no_query(url: str, path: str) -> None:
    assert page_path(url) == path
