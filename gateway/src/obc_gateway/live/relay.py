"""Moves a live feed to a client until either side, or the watch, ends it."""

import asyncio
from collections.abc import Awaitable, Callable

from obc_common.errors import DomainError
from obc_common.logs import get_logger
from obc_gateway.live.feed import LiveFeed, Update
from obc_gateway.sockets.close_codes import CLIENT_GONE, Close, Ending, ending_for
from obc_gateway.sockets.peer import PeerGoneError
from obc_gateway.sockets.watch import ConnectionWatch

_log = get_logger(__name__)


async def relay(
    feed: LiveFeed,
    first: Update | None,
    send: Callable[[Update], Awaitable[None]],
    watch: ConnectionWatch,
    others: Callable[[], Awaitable[Ending]],
) -> Ending:
    """Sends updates until the end, and says which end it was.

    Args:
        feed: opened.
        first: its first update, when that was taken out already.
        send: one update to the client; waits while the client does not read, raises PeerGoneError.
        watch: reasons to end from outside.
        others: whatever else runs beside it (heartbeats, reading a socket); returns or raises at the end.
    """

    async def forward() -> Ending:
        update = first or await feed.next()
        while update is not None:
            await send(update)
            update = await feed.next()
        return Ending(Close.RESTART, "FEED_ENDED")

    tasks = [asyncio.ensure_future(body) for body in (forward(), watch.ending(), others())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    except PeerGoneError:
        return CLIENT_GONE
    except DomainError as error:
        _log.info("live_feed_broke", reason=error.reason)
        return ending_for(error)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
