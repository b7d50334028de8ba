"""What the edge tells the services about a request."""

from aiohttp import web

from obc_common.context import RequestInfo, Transport
from obc_gateway.edge.client_address import ProxyTrust

_MAX_USER_AGENT = 1024
_MAX_SDK = 64


class RequestReader:
    """Reads address, user agent, SDK and privacy signal from a request."""

    def __init__(self, trust: ProxyTrust) -> None:
        self._trust = trust

    def client_ip(self, request: web.BaseRequest) -> str:
        """The client's address; see ProxyTrust."""
        return self._trust.client_ip(request.remote, request.headers.getall("X-Forwarded-For", ()))

    def info(self, request: web.BaseRequest, transport: Transport) -> RequestInfo:
        """Everything at once."""
        headers = request.headers
        return RequestInfo(
            client_ip=self.client_ip(request),
            user_agent=headers.get("User-Agent", "")[:_MAX_USER_AGENT],
            sdk=headers.get("X-OBC-SDK", "")[:_MAX_SDK],
            transport=transport,
            gpc=headers.get("Sec-GPC", "").strip() == "1",
        )
