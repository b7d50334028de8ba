"""The hash chain: whole when untouched, and the first bad row is named whatever was done to it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obc_tenant_config.audit_chain import AuditEntry, entry_hash, next_entry, verify_chain

CHAIN = "3f1c0de0-0000-4000-8000-000000000001"


def chain_of(length: int) -> list[AuditEntry]:
    head, entries = (0, b""), []
    for number in range(1, length + 1):
        details = {"number": number, "rate": 0.1, "names": ["é", "b"]}
        entry = next_entry(
            head,
            chain=CHAIN,
            at_ms=1_700_000_000_000 + number,
            actor="alice",
            action="config.update",
            target=f"version {number}",
            details=details,
            correlation_id=f"request-{number}",
        )
        entries.append(entry)
        head = (entry.seq, entry.hash)
    return entries


async def given_in_order(entries: list[AuditEntry]) -> AsyncIterator[AuditEntry]:
    for entry in entries:
        yield entry


async def test_an_untouched_chain_is_whole() -> None:
    entries = chain_of(10)
    verdict = await verify_chain(given_in_order(entries))
    assert (verdict.ok, verdict.entries, verdict.head_hash) == (True, 10, entries[-1].hash)


async def test_an_empty_chain_is_whole() -> None:
    verdict = await verify_chain(given_in_order([]))
    assert (verdict.ok, verdict.entries, verdict.head_hash) == (True, 0, b"")


@pytest.mark.parametrize(
    "change",
    [
        {"at_ms": 1},
        {"actor": "mallory"},
        {"action": "config.revert"},
        {"target": "version 9"},
        {"details": b"{}"},
        {"correlation_id": ""},
        {"chain": "00000000-0000-0000-0000-000000000000"},
        {"hash": b"\x00" * 32},
        {"prev_hash": b"\x00" * 32},
    ],
)
async def test_any_edited_field_is_a_hash_mismatch_there(change: dict[str, Any]) -> None:
    entries = chain_of(5)
    entries[2] = replace(entries[2], **change)
    verdict = await verify_chain(given_in_order(entries))
    assert (verdict.first_bad_seq, verdict.problem, verdict.entries) == (3, "hash_mismatch", 2)


async def test_a_row_that_was_edited_and_hashed_again_breaks_the_row_after_it() -> None:
    entries = chain_of(5)
    edited = replace(entries[2], actor="mallory")
    entries[2] = replace(edited, hash=entry_hash(edited))
    verdict = await verify_chain(given_in_order(entries))
    assert (verdict.first_bad_seq, verdict.problem) == (4, "prev_mismatch")


@pytest.mark.parametrize("gone", [1, 3, 4])
async def test_a_row_taken_out_is_missing(gone: int) -> None:
    entries = [entry for entry in chain_of(5) if entry.seq != gone]
    verdict = await verify_chain(given_in_order(entries))
    assert (verdict.first_bad_seq, verdict.problem) == (gone, "missing_row")


async def test_two_rows_swapped_are_noticed() -> None:
    entries = chain_of(5)
    entries[1], entries[2] = replace(entries[2], seq=2), replace(entries[1], seq=3)
    verdict = await verify_chain(given_in_order(entries))
    assert (verdict.first_bad_seq, verdict.problem) == (2, "hash_mismatch")


async def test_a_cut_tail_shows_in_the_number_of_entries_and_the_head() -> None:
    entries = chain_of(5)
    verdict = await verify_chain(given_in_order(entries[:-1]))
    assert verdict.ok
    assert (verdict.entries, verdict.head_hash) == (4, entries[3].hash)


JSON = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_the_hash_does_not_depend_on_how_the_details_are_written(details: dict[str, Any]) -> None:
    [entry] = chain_of(1)
    compact = replace(entry, details=orjson.dumps(details))
    reversed_keys = dict(reversed(details.items()))
    spaced = replace(entry, details=orjson.dumps(reversed_keys, option=orjson.OPT_INDENT_2))
    assert entry_hash(compact) == entry_hash(spaced)
