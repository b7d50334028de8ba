"""What a run prints in the end: a table, and a line of JSON."""

from collections.abc import Sequence

import orjson

from bench.query_measure import Measured
from bench.query_question import UNLINKED
from bench.query_service import QueryProcess
from bench.query_store import DAYS, Store, cores
from bench.query_traffic import BIG_TENANT

# Files of the table's live parts, as they are: nothing is merged by hand.
_BYTES = (
    "SELECT sum(data_compressed_bytes) / sum(rows), sum(bytes_on_disk) / sum(rows) FROM system.parts "
    "WHERE active AND table = 'events' AND database = currentDatabase()"
)
_TRAFFIC = (
    f"SELECT uniq(tenant_id), uniqExact(tenant_id, {UNLINKED.ch}), countIf(tenant_id = '{BIG_TENANT}') / count() "
    "FROM events"
)


def report(store: Store, measured: Sequence[Measured], process: QueryProcess) -> None:
    """Prints."""
    [[[columns, disk]], [[tenants, people, share]]] = process.run(_BYTES, _TRAFFIC)["rows"]
    print(
        f"\n{store.events:,} events of {people:,} {'devices and users' if store.linked else 'people'} of {tenants} "
        f"tenants over {DAYS} days, {share:.0%} of them of the tenant that is asked about; {cores()} cores"
    )
    print(
        f"{'p50 in ms':<38}{'service':>10}{'by hand':>10}{'ratio':>8}{'':<6}{'PostgreSQL':>12}{'speedup':>9}{'MB':>8}"
    )
    for one in measured:
        print(one.line)
    most = max((one.peak_mb for one in measured), default=0.0)
    print(
        f"\nread model {disk:.1f} bytes per event on disk ({columns:.1f} in columns), PostgreSQL "
        f"{store.postgres_bytes:.0f}\nquery process {most:.0f} MB at most while the service answered "
        f"({store.load_rss_mb:.0f} MB while it copied everything)"
    )
    print(orjson.dumps(_summary(store, measured, disk, most)).decode())


def _summary(store: Store, measured: Sequence[Measured], disk: float, most: float) -> dict[str, object]:
    counting = [one for one in measured if one.question.counts]
    looking = [one for one in measured if not one.question.counts]
    return {
        "events": store.events,
        "linked": store.linked,
        # 5 ms are allowed for the way through gRPC, rules and protobuf; what is above them is compared.
        "worst_ratio_to_minimal": round(max(max(0.0, one.service - 5) / one.minimal for one in measured), 2),
        "over_1_3_minimal_plus_5ms": [one.question.name for one in measured if one.service > one.allowed],
        "different_answers": [one.question.name for one in measured if "differs" in one.verdict],
        "worst_speedup_vs_postgres": _worst(counting),
        "worst_lookup_speedup_vs_postgres": _worst(looking),
        "under_10_times_postgres": [
            one.question.name for one in counting if one.postgres and one.postgres < 10 * one.service
        ],
        "read_model_bytes_per_event": round(disk, 1),
        "postgres_bytes_per_event": round(store.postgres_bytes, 1),
        "query_rss_mb": round(most),
        "projector_rows_per_second": round(store.projected),
    }


def _worst(measured: Sequence[Measured]) -> float | None:
    return min((round(one.postgres / one.service, 2) for one in measured if one.postgres), default=None)
