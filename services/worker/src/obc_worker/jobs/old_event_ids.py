"""Forgets event ids that are older than the dedup window.

The ledger has no index on the day, which would cost every insert: once a day each of its parts is read from end to end,
a stretch of blocks a transaction, from where the last worker stopped.
"""

from datetime import date, timedelta

from obc_common.clock import Clock
from obc_worker.jobs.moment import moment
from obc_worker.metrics import REMOVED_ROWS
from obc_worker.model import Work

_PARTS = 8
_SHARES = 4
_DONE = "done"


class OldEventIds:
    """The job.

    Args:
        clock: decides the day.
        window_days: days that ids are remembered.
        blocks: length of a stretch.
    """

    name = "old_event_ids"
    shards = tuple(str(share) for share in range(_SHARES))

    def __init__(self, clock: Clock, window_days: int, blocks: int) -> None:
        self._clock = clock
        self._window = timedelta(days=window_days)
        self._blocks = blocks

    async def run(self, work: Work) -> None:
        """Goes on with today's sweep; does nothing when it is over."""
        today = moment(self._clock.now_ms()).date()
        place = _place(work.progress, today, int(work.shard))
        while place is not None:
            part, block = place
            async with work.transaction() as connection:
                row = await connection.fetchrow(
                    "SELECT removed, next_block FROM obc_purge_event_ids($1, $2, $3, $4)",
                    part,
                    block,
                    self._blocks,
                    today - self._window,
                )
                assert row is not None
                place = _next(part, row["next_block"])
                await work.save_progress(connection, _text(today, place))
            REMOVED_ROWS.labels("event_id").inc(row["removed"])


def _place(progress: str, today: date, share: int) -> tuple[int, int] | None:
    """Part and block to go on at; None = today's sweep is over."""
    day, _, rest = progress.partition(" ")
    if day != today.isoformat():
        return share, 0
    if rest == _DONE:
        return None
    part, _, block = rest.partition(" ")
    return int(part), int(block)


def _next(part: int, next_block: int | None) -> tuple[int, int] | None:
    if next_block is not None:
        return part, next_block
    return (part + _SHARES, 0) if part + _SHARES < _PARTS else None


def _text(today: date, place: tuple[int, int] | None) -> str:
    return f"{today.isoformat()} {_DONE if place is None else f'{place[0]} {place[1]}'}"
