"""RFC 6455, 5.1: a server must close the connection when a client's frame is not masked. aiohttp does not look."""

_MASKED = 0x80
_LENGTH = 0x7F
_EXTENDED = {126: 2, 127: 8}
_MASK_BYTES = 4


class MaskGuard:
    """Follows the frame headers of one connection, in whatever pieces they arrive."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._payload_left = 0

    def admit(self, data: bytes) -> bool:
        """Takes the next bytes from the client; False as soon as an unmasked frame begins in them."""
        at = 0
        while at < len(data):
            if self._payload_left:
                taken = min(self._payload_left, len(data) - at)
                self._payload_left -= taken
                at += taken
                continue
            self._header.append(data[at])
            at += 1
            if len(self._header) < 2:
                continue
            if not self._header[1] & _MASKED:
                return False
            short = self._header[1] & _LENGTH
            extended = _EXTENDED.get(short, 0)
            if len(self._header) == 2 + extended:
                length = int.from_bytes(self._header[2:], "big") if extended else short
                self._payload_left = _MASK_BYTES + length
                self._header.clear()
        return True
