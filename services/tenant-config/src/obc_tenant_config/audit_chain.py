"""The hash chain of an audit log: each row's hash covers its content and the hash of the row before.

An edited row no longer has its hash, and a row taken out leaves a gap. What a chain alone cannot show is a cut tail or
a chain that was rebuilt from some row on: for that, keep the number of entries and the head's hash elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

Problem = Literal["", "hash_mismatch", "missing_row", "prev_mismatch"]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row.

    Attributes:
        chain: the tenant, or the nil UUID for the operators.
        seq: number in the chain, from 1.
        at_ms: when, unix milliseconds.
        actor: who.
        action: what, e.g. `config.update`.
        target: on what, e.g. a key id.
        details: one JSON object.
        correlation_id: of the request.
        prev_hash: hash of the row before; empty for the first.
        hash: SHA-256 over `prev_hash` and the canonical JSON of the rest.
    """

    chain: str
    seq: int
    at_ms: int
    actor: str
    action: str
    target: str
    details: bytes
    correlation_id: str
    prev_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """What verifying found.

    Attributes:
        entries: rows that were checked and found whole.
        first_bad_seq: the first row that is missing or wrong; 0 = none.
        problem: what is wrong there.
        head_hash: hash of the last whole row.
    """

    entries: int
    first_bad_seq: int
    problem: Problem
    head_hash: bytes

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return self.first_bad_seq == 0


def next_entry(
    head: tuple[int, bytes],
    *,
    chain: str,
    at_ms: int,
    actor: str,
    action: str,
    target: str,
    details: Mapping[str, Any],
    correlation_id: str,
) -> AuditEntry:
    """The row after a head (its number and hash; (0, empty) begins a chain)."""
    seq, prev_hash = head[0] + 1, head[1]
    entry = AuditEntry(
        chain, seq, at_ms, actor, action, target, orjson.dumps(details), correlation_id, prev_hash, hash=b""
    )
    return AuditEntry(
        chain, seq, at_ms, actor, action, target, entry.details, correlation_id, prev_hash, entry_hash(entry)
    )


def entry_hash(entry: AuditEntry) -> bytes:
    """The hash that a row must have."""
    canonical = orjson.dumps(
        {
            "action": entry.action,
            "actor": entry.actor,
            "at_ms": entry.at_ms,
            "chain": entry.chain,
            "correlation_id": entry.correlation_id,
            # Parsed, because jsonb gives the same object back in other words (spaces, order of keys).
            "details": orjson.loads(entry.details),
            "seq": entry.seq,
            "target": entry.target,
        },
        option=orjson.OPT_SORT_KEYS,
    )
    return hashlib.sha256(entry.prev_hash + canonical).digest()


async def verify_chain(entries: AsyncIterable[AuditEntry]) -> ChainVerdict:
    """Recomputes a chain, given in order, and names the first bad row."""
    checked, head = 0, b""
    async for entry in entries:
        problem = _problem(entry, checked + 1, head)
        if problem:
            return ChainVerdict(checked, checked + 1, problem, head)
        checked, head = checked + 1, entry.hash
    return ChainVerdict(checked, 0, "", head)


def _problem(entry: AuditEntry, expected_seq: int, prev_hash: bytes) -> Problem:
    if entry.seq != expected_seq:
        return "missing_row"
    if entry_hash(entry) != entry.hash:
        return "hash_mismatch"
    if entry.prev_hash != prev_hash:
        return "prev_mismatch"
    return ""
