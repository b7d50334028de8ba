"""Judges the events of one batch: consent, validity, exclusion, sampling, anonymity, tracking level, personal data."""

from dataclasses import replace
from typing import Any

from obc_common.context import RequestInfo
from obc_common.logs import get_logger
from obc_ingest.bad_rows import bad_row
from obc_ingest.flush import Verdict
from obc_ingest.left_out import STRIPPED_PROPERTY, UNKNOWN_FIELD, LeftOutCounts
from obc_ingest.limits import Limits
from obc_ingest.metrics import SCRUBBED
from obc_ingest.model import BadRow, Event, EventResult, Outcome, Rejected
from obc_ingest.rules import RuleSet
from obc_ingest.salts import Hasher
from obc_ingest.scrub import scrub_event
from obc_ingest.useragent import correct_device_info
from obc_ingest.validate import Reception, event_label, validate

_log = get_logger(__name__)


class Evaluation:
    """Judges the events of one batch and keeps each one's place.

    Args:
        reception: what is the same for all of them.
        rules: the tenant's.
        info: what the edge saw of the request; empty when it tells nothing about the events (an import, a replay).
        hasher: of addresses and user agents.
        limits: what events are judged by.
        left_out: told what is left out of events.
        live: False keeps the events out of the live feed.

    Attributes:
        events: to be stored, in input order.
        bad_rows: to be kept, in input order.
    """

    def __init__(
        self,
        *,
        reception: Reception,
        rules: RuleSet,
        info: RequestInfo,
        hasher: Hasher,
        limits: Limits,
        left_out: LeftOutCounts,
        live: bool = True,
    ) -> None:
        self._reception = reception
        self._rules = rules
        self._info = info
        self._hasher = hasher
        self._limits = limits
        self._left_out = left_out
        self._live = live
        self._replay_of = 0
        self._ip_hash = hasher.address(info.client_ip)
        self._answers: list[EventResult | Event] = []
        self.events: list[Event] = []
        self.bad_rows: list[BadRow] = []

    def turn_to(self, received_at_ms: int, sdk: str, replay_of: int) -> None:
        """Goes on with an event that came at another time from something else: the replay of a bad row."""
        self._reception = replace(self._reception, received_at_ms=received_at_ms)
        self._info = replace(self._info, sdk=sdk)
        self._replay_of = replay_of

    @property
    def tenant_id(self) -> str:
        """Whose events these are."""
        return self._reception.tenant_id

    @property
    def quota(self) -> int:
        """The tenant's events per day; 0 = no limit."""
        return self._rules.event_quota_per_day

    def keep_first(self, count: int) -> None:
        """Drops the events to be stored after the first `count`: the tenant's quota is reached."""
        if count == len(self.events):
            return
        beyond = {id(event) for event in self.events[count:]}
        self.events = self.events[:count]
        self._answers = [
            EventResult(answer.event_id, Outcome.DROPPED, "quota")
            if isinstance(answer, Event) and id(answer) in beyond
            else answer
            for answer in self._answers
        ]

    def take(self, raw: Any) -> None:
        """Judges the next event. Never raises: a defect of ours costs that event only, and it is kept."""
        try:
            self._answers.append(self._judge(raw))
        except Rejected as rejected:
            self.reject(raw, rejected)
        except Exception as error:
            _log.exception("event_evaluation_failed", tenant_id=self._reception.tenant_id)
            self.reject(raw, Rejected("internal", "", f"the event could not be evaluated: {type(error).__name__}"))

    def reject(self, raw: Any, rejected: Rejected) -> None:
        """Refuses the next event, whose fault was found elsewhere, and keeps it as a bad row. Never raises.

        What consent forbids, or a tenant that is switched off, leaves no bad row either.
        """
        reason = self._rules.drop_unread(raw, gpc=self._info.gpc)
        if reason:
            self._answers.append(EventResult(event_label(raw), Outcome.DROPPED, reason))
            return
        reception = self._reception
        try:
            row = bad_row(
                raw,
                rejected,
                reception.tenant_id,
                reception.received_at_ms,
                self._info.sdk,
                minimal=self._rules.tracking_level == "minimal",
            )
        except Exception:
            _log.exception("bad_row_lost", tenant_id=reception.tenant_id, code=rejected.code)
        else:
            self.bad_rows.append(replace(row, replay_of=self._replay_of) if self._replay_of else row)
        self._answers.append(
            EventResult(event_label(raw), Outcome.REJECTED, rejected.code, rejected.field, rejected.message)
        )

    def results(self, verdicts: list[Verdict]) -> list[EventResult]:
        """One result per event, in input order; `verdicts` are those of `events`."""
        stored = iter(verdicts)
        return [
            _stored_result(answer, next(stored)) if isinstance(answer, Event) else answer for answer in self._answers
        ]

    def _judge(self, raw: Any) -> EventResult | Event:
        reason = self._rules.drop_unread(raw, gpc=self._info.gpc)
        if reason:
            return EventResult(event_label(raw), Outcome.DROPPED, reason)
        event = validate(raw, self._reception, self._limits)
        reason = self._rules.drop(event)
        if reason:
            return EventResult(event.event_id, Outcome.DROPPED, reason)
        self._anonymise(event)
        stripped = self._rules.strip(event)
        if stripped:
            self._left_out.note(event.tenant_id, STRIPPED_PROPERTY, stripped, self._info.sdk)
        if event.unknown_fields:
            self._left_out.note(event.tenant_id, UNKNOWN_FIELD, event.unknown_fields, self._info.sdk)
        if not self._live:
            event.live = False
        if scrub_event(event):
            SCRUBBED.inc()
        self.events.append(event)
        return event

    def _anonymise(self, event: Event) -> None:
        """Reads the user agent, then forgets it. A library's own (`python-requests`) says nothing about a device."""
        user_agent = event.user_agent
        if not user_agent and self._info.user_agent.startswith("Mozilla/"):
            user_agent = self._info.user_agent
        if user_agent:
            correct_device_info(event.device_info, user_agent)
        event.user_agent = self._hasher.user_agent(user_agent)
        event.ip_hash = self._ip_hash


def _stored_result(event: Event, verdict: Verdict) -> EventResult:
    if isinstance(verdict, Rejected):
        return EventResult(event.event_id, Outcome.REJECTED, verdict.code, verdict.field, verdict.message)
    return EventResult(event.event_id, verdict, message=event.note if verdict is Outcome.ACCEPTED else "")
