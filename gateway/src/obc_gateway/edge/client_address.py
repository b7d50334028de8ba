"""Whose request this is: X-Forwarded-For is believed only as far as it was written by proxies that are trusted."""

import ipaddress
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ProxyTrust:
    """Knows the trusted proxies.

    Args:
        networks: their CIDRs; none = X-Forwarded-For is never believed.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)

    def client_ip(self, peer: str | None, forwarded_for: Sequence[str]) -> str:
        """The right-most hop that is not a trusted proxy.

        Args:
            peer: address of the connection.
            forwarded_for: the X-Forwarded-For headers, in order.

        Returns:
            An address in canonical form, or "" when the connection has none.
        """
        current = _parse(peer or "")
        if current is None:
            return ""
        hops = [hop for line in forwarded_for for hop in line.split(",")]
        while hops and self._is_trusted(current):
            claimed = _parse(hops.pop().strip())
            if claimed is None:
                break  # what a trusted proxy did not write properly says nothing about the hops before it
            current = claimed
        return str(current)

    def _is_trusted(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._networks)


def limiter_network(client_ip: str) -> str:
    """What one client may be assumed to own: an IPv4 address, or the /64 of an IPv6 address."""
    address = _parse(client_ip)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or "")


def _parse(text: str) -> Address | None:
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
