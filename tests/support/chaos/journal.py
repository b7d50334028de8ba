"""What a client knows of every id it ever sent, and what must therefore be true of the stores afterwards."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Key = tuple[str, str]
"""(tenant_id, event_id): the same id of two tenants is two events."""


@dataclass(slots=True)
class Entry:
    """One id's history.

    Attributes:
        expected: what a valid answer is besides `duplicate`: accepted, dropped or rejected.
        sent: how often it was put on the wire.
        answers: every result that came back.
    """

    expected: str
    sent: int = 0
    answers: list[str] = field(default_factory=list)

    @property
    def is_stored(self) -> bool:
        """True when an answer promised that it is in PostgreSQL."""
        return "accepted" in self.answers or "duplicate" in self.answers


class Journal:
    """Every id of every sender."""

    def __init__(self) -> None:
        self.entries: dict[Key, Entry] = {}
        self.acked_batches: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self._false_duplicates: list[str] = []

    def plan(self, key: Key, expected: str) -> None:
        """An id that will be sent."""
        self.entries.setdefault(key, Entry(expected))

    def sending(self, tenant_id: str, events: Iterable[Mapping[str, Any]]) -> None:
        """A batch goes out; from here on anything may have happened to it."""
        for event in events:
            self.entries[tenant_id, event["event_id"]].sent += 1

    def answered(self, way: str, tenant_id: str, results: Iterable[Mapping[str, Any]]) -> None:
        """A batch came back, event by event."""
        self.acked_batches[way] += 1
        for result in results:
            entry = self.entries[tenant_id, result["event_id"]]
            entry.answers.append(result["result"])
            # Over REST that is possible: the gateway repeats a call to ingest whose answer it lost.
            if way != "rest" and entry.sent == 1 and result["result"] == "duplicate":
                self._false_duplicates.append(
                    f"{tenant_id} {result['event_id']} was a duplicate when it was new ({way})"
                )

    def failed(self, way: str, reason: str) -> None:
        """A batch did not come back, or came back with the word to try again."""
        self.failures[f"{way} {reason}"] += 1

    def states(self) -> dict[str, int]:
        """How many ids ended how."""
        return dict(Counter(entry.answers[0] if entry.answers else "unanswered" for entry in self.entries.values()))

    def contradictions(self) -> list[str]:
        """Answers that cannot all be true."""
        found = list(self._false_duplicates)
        for key, entry in self.entries.items():
            accepted = entry.answers.count("accepted")
            if accepted > 1:
                found.append(f"{key} was accepted {accepted} times")
            wrong = set(entry.answers) - {entry.expected} - ({"duplicate"} if entry.expected == "accepted" else set())
            if wrong:
                found.append(f"{key} should be {entry.expected} but was {sorted(wrong)}")
        return found

    def broken_promises(self, store: str, stored: Mapping[Key, int]) -> list[str]:
        """What a store holds against what was promised: acknowledged once, unanswered at most once, else never."""
        found = []
        for key, entry in self.entries.items():
            rows = stored.get(key, 0)
            if entry.expected != "accepted":
                allowed: tuple[int, ...] = (0,)
            elif entry.is_stored:
                allowed = (1,)
            else:
                allowed = (0, 1) if entry.sent else (0,)
            if rows not in allowed:
                found.append(f"{store}: {key} ({entry.answers or 'unanswered'}) is there {rows} times")
        found += [f"{store}: {key} was never sent" for key in stored.keys() - self.entries.keys()]
        return found
