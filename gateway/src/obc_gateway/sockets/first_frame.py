"""The first frame of a socket that did not authenticate at its upgrade."""

import asyncio

from aiohttp import WSMsgType, web

from obc_common.errors import Unauthenticated
from obc_gateway.sockets.frames import Auth, parse_frame


async def first_auth_frame(socket: web.WebSocketResponse, seconds: float) -> Auth | None:
    """Waits for `{"type":"auth","token":...}`; None when the client went away first.

    Raises:
        Unauthenticated: AUTH_TIMEOUT, or AUTH_EXPECTED when the first frame is something else.
    """
    try:
        # Not receive(timeout=...): that one counts every frame anew, and pings are frames.
        async with asyncio.timeout(seconds):
            message = await socket.receive()
    except TimeoutError:
        raise Unauthenticated("AUTH_TIMEOUT", f"no auth frame came within {seconds:g} s") from None
    if message.type is WSMsgType.TEXT:
        frame = parse_frame(message.data)
        if isinstance(frame, Auth):
            return frame
    elif message.type is not WSMsgType.BINARY:
        return None
    raise Unauthenticated("AUTH_EXPECTED", "the first frame must be an auth frame")
