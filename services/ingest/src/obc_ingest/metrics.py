"""Metrics of the ingest service. received = accepted + duplicate + dropped + rejected, for every evaluated event.

Labels are bounded: codes are the fixed lists of docs/events.md, never text from a client.
"""

from prometheus_client import Counter, Gauge, Histogram

RECEIVED = Counter("obc_ingest_events_received_total", "Events of batches that were evaluated.", ["transport"])
RESULTS = Counter(
    "obc_ingest_events_total",
    "Events by what became of them; `code` is the reason of `dropped` and `rejected`.",
    ["outcome", "code"],
)
BATCHES_FAILED = Counter(
    "obc_ingest_batches_failed_total", "Batches that were answered with an error: nothing was promised.", ["reason"]
)
UNKNOWN_FIELDS = Counter("obc_ingest_unknown_fields_total", "Top-level event fields that were ignored.")
SANITIZED = Counter("obc_ingest_sanitized_events_total", "Events in whose text NUL characters were replaced.")
STRIPPED_PROPERTIES = Counter(
    "obc_ingest_stripped_properties_total", "Properties left out by the tenant's tracking level.", ["level"]
)
SCRUBBED = Counter("obc_ingest_scrubbed_events_total", "Events in which personal data was redacted.")
FINGERPRINT_MISMATCHES = Counter(
    "obc_ingest_dedup_payload_mismatches_total", "Duplicates whose payload differs from the stored event's."
)

FLUSH_SECONDS = Histogram(
    "obc_ingest_flush_seconds",
    "Time of one flush, retries and bisection included.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
FLUSH_EVENTS = Histogram(
    "obc_ingest_flush_events", "Events of one flush.", buckets=(1, 5, 10, 50, 100, 250, 500, 1000, 2000, 5000)
)
FLUSHES_FAILED = Counter("obc_ingest_flushes_failed_total", "Flushes given up: their senders were told to retry.")
FLUSH_RETRIES = Counter("obc_ingest_flush_retries_total", "Transactions repeated after a deadlock or a conflict.")
POISON_ROWS = Counter("obc_ingest_poison_rows_total", "Rows that passed validation and that PostgreSQL refused.")
QUEUE_EVENTS = Gauge("obc_ingest_queue_events", "Events waiting or being written.")
QUEUE_BYTES = Gauge("obc_ingest_queue_bytes", "Bytes waiting or being written.")
BYTES_IN_FLIGHT = Gauge("obc_ingest_bytes_in_flight", "Bytes of batches that have no answer yet.")
PARTITIONS_MADE = Counter("obc_ingest_partitions_made_total", "Month partitions made by this process.")

LIVE_PUBLISHED = Counter("obc_ingest_live_messages_total", "Live messages handed to Redis.")
LIVE_DROPPED = Counter("obc_ingest_live_dropped_events_total", "Events left out of the live feed.")

STREAMS = Gauge("obc_ingest_streams", "Streams open.")
