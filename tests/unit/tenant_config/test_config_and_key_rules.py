"""What a tenant's rules and keys may be."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obc_common.context import Principal
from obc_common.errors import DomainError, InvalidArgument
from obc_tenant_config.access import reach_named_tenant
from obc_tenant_config.analytics_config import AnalyticsConfig, ConfigPatch, apply_patch, check
from obc_tenant_config.key_rules import checked_expiry, checked_origins, checked_overlap, checked_scopes

CONFIGS = st.builds(
    AnalyticsConfig,
    tracking_level=st.sampled_from(["minimal", "standard", "detailed"]),
    retention_days=st.integers(1, 3650),
    custom_properties=st.lists(
        st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=128)
    ).map(tuple),
    excluded_events=st.lists(st.text("abc_", min_size=1, max_size=199).map(lambda name: name + "*")).map(tuple),
    sampling_rate=st.floats(0, 1),
    consent_policy=st.sampled_from(["obey", "ignore"]),
    event_quota_per_day=st.integers(0, 2**53),
)


class TestConfig:
    @given(CONFIGS)
    def test_what_is_stored_is_read_back(self, config: AnalyticsConfig) -> None:
        assert AnalyticsConfig.from_json(config.to_json()) == config

    def test_a_field_that_an_older_version_lacks_has_its_default(self) -> None:
        old = AnalyticsConfig.from_json(b'{"enabled": false, "sampling_rate": 1, "field_of_tomorrow": 3}')
        assert (old.enabled, old.sampling_rate, old.consent_policy) == (False, 1.0, "obey")

    @given(CONFIGS, CONFIGS)
    def test_a_patch_of_every_field_is_the_patch(self, before: AnalyticsConfig, after: AnalyticsConfig) -> None:
        patch = ConfigPatch(**{field.name: getattr(after, field.name) for field in fields(after)})
        assert apply_patch(before, patch) == after

    @pytest.mark.parametrize("rate", [-0.000001, 1.000001, float("nan"), float("inf"), float("-inf")])
    def test_a_rate_outside_of_zero_to_one_is_refused(self, rate: float) -> None:
        with pytest.raises(InvalidArgument) as refused:
            check(AnalyticsConfig(sampling_rate=rate))
        assert (refused.value.reason, refused.value.field) == ("BAD_CONFIG", "config.sampling_rate")

    @pytest.mark.parametrize("name", ["*", "debug_*", "page.view", "ä" * 200])
    def test_an_event_name_may_end_in_a_star(self, name: str) -> None:
        check(AnalyticsConfig(excluded_events=(name,)))

    @pytest.mark.parametrize("name", ["", "*a", "a*b*", "**", "a\x00", "x" * 201])
    def test_other_patterns_are_refused(self, name: str) -> None:
        with pytest.raises(InvalidArgument) as refused:
            check(AnalyticsConfig(excluded_events=("ok", name)))
        assert refused.value.field == "config.excluded_events[1]"


class TestOrigins:
    @pytest.mark.parametrize(
        ("given_", "kept"),
        [
            ("https://shop.example", "https://shop.example"),
            ("HTTPS://Shop.Example:443", "https://shop.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://shop.example:80", "http://shop.example"),
        ],
    )
    def test_an_origin_is_kept_as_a_browser_sends_it(self, given_: str, kept: str) -> None:
        assert checked_origins("write", (given_, given_)) == (kept,)

    @pytest.mark.parametrize(
        "origin",
        [
            "",
            "null",
            "*",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example?x",
            "https://shop.example#x",
            "https://user@shop.example",
            "https://shop .example",
            "https://shop.example\\evil",
            "ftp://shop.example",
            "https://shöp.example",
            "https://shop.example:port",
            "https://[::1",
            "https://" + "x" * 400,
        ],
    )
    def test_what_is_no_origin_is_refused(self, origin: str) -> None:
        with pytest.raises(InvalidArgument) as refused:
            checked_origins("write", ("https://ok.example", origin))
        assert refused.value.field == "allowed_origins[1]"


class TestRights:
    def test_scopes_are_sorted_and_each_is_there_once(self) -> None:
        assert checked_scopes("secret", ("query", "admin", "query")) == ("admin", "query")

    @pytest.mark.parametrize("scopes", [(), ("internal",), ("query", ""), ("ADMIN",)])
    def test_a_secret_key_needs_known_scopes(self, scopes: tuple[str, ...]) -> None:
        with pytest.raises(InvalidArgument):
            checked_scopes("secret", scopes)

    def test_an_expiry_is_in_the_future(self) -> None:
        assert checked_expiry(0, 1000) == 0
        assert checked_expiry(1001, 1000) == 1001
        for wrong in (1000, 1, -1, 2**62):
            with pytest.raises(InvalidArgument):
                checked_expiry(wrong, 1000)

    def test_an_overlap_is_a_day_unless_told_otherwise(self) -> None:
        assert (checked_overlap(0), checked_overlap(60)) == (86_400, 60)
        for wrong in (-1, 91 * 86_400):
            with pytest.raises(InvalidArgument):
                checked_overlap(wrong)

    @pytest.mark.parametrize("kind", ["write", "secret", "jwt", "service"])
    def test_without_its_scope_a_credential_reaches_nothing(self, kind: str) -> None:
        principal = Principal("3f1c0de0-0000-4000-8000-000000000001", "x", kind, frozenset({"ingest"}))  # type: ignore[arg-type]  # parametrized
        with pytest.raises(DomainError) as refused:
            reach_named_tenant(principal, "", "config", "")
        assert refused.value.reason == "SCOPE_MISSING"
