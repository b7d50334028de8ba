"""What can end an open connection from outside: its key is revoked, its credential expires, the process drains."""

import asyncio

from obc_common.clock import Clock
from obc_common.context import Principal
from obc_common.directory import TenantDirectory
from obc_gateway.sockets.close_codes import Close, Ending

# A wall clock may be set; looking at it again once a day is enough.
_LONGEST_WAIT = 86_400.0
# A key that was rotated ends later than the change that said so, and nothing is said at its end.
_LOOK_AGAIN_SECONDS = 5.0


class ConnectionWatch:
    """Watches one connection.

    Args:
        principal: who opened it.
        directory: knows which keys are live.
        clock: time.
        draining: set when the process is about to end.
    """

    def __init__(self, principal: Principal, directory: TenantDirectory, clock: Clock, draining: asyncio.Event) -> None:
        self._principal = principal
        self._directory = directory
        self._clock = clock
        self._draining = draining

    async def ending(self) -> Ending:
        """Waits until the connection has to end, and says how."""
        tasks = {
            asyncio.create_task(self._drained(), name="watch-drain"),
            asyncio.create_task(self._expired(), name="watch-expiry"),
            asyncio.create_task(self._revoked(), name="watch-revocation"),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _drained(self) -> Ending:
        await self._draining.wait()
        return Ending(Close.RESTART, "DRAINING")

    async def _expired(self) -> Ending:
        if self._principal.expires_at_ms == 0:
            await asyncio.Event().wait()  # for ever, that is until cancelled
        while (left := self._principal.expires_at_ms - self._clock.now_ms()) > 0:  # noqa: ASYNC110  # waits for a time
            await asyncio.sleep(min(left / 1000, _LONGEST_WAIT))
        return Ending(Close.UNAUTHENTICATED, "CREDENTIAL_EXPIRED", wait_for_acks=False)

    async def _revoked(self) -> Ending:
        key_id = self._principal.key_id
        with self._directory.subscribe(self._principal.tenant_id) as changes:
            while not key_id or self._directory.key_is_live(key_id):
                try:
                    async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                        await anext(changes)
                except TimeoutError:
                    continue
        return Ending(Close.REVOKED, "KEY_REVOKED", wait_for_acks=False)
