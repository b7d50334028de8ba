"""How long a stream may live at each of its ends: whoever asks the client to reconnect must be the first to act."""

from obc_common.server import CONNECTION_GRACE_SECONDS
from obc_gateway.settings import Settings as GatewaySettings
from obc_ingest.settings import Settings as IngestSettings

_JITTER = 1.2  # of an ingest stream's age, at most


def test_a_connection_that_is_old_does_not_cut_the_streams_that_are_not() -> None:
    # given the ages at which streams end by themselves, after their last acknowledgement
    gateway, ingest = GatewaySettings.model_fields, IngestSettings.model_fields
    socket = sum(
        float(gateway[name].default)
        for name in (
            "socket_max_age_seconds",
            "socket_age_jitter_seconds",
            "socket_reconnect_seconds",
            "socket_ack_seconds",
        )
    )
    stream = float(ingest["stream_max_age_seconds"].default) * _JITTER
    # then one that was opened just before its connection grew old still comes to its own end
    assert max(socket, stream) < CONNECTION_GRACE_SECONDS
