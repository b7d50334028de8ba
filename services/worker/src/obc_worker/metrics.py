"""Metrics of the worker. Labels are bounded: job names are the list in app.py, never text from data."""

from prometheus_client import Counter, Gauge, Histogram

JOB_LAG_SECONDS = Gauge(
    "obc_worker_job_lag_seconds", "Time since a job's slowest share last succeeded, whichever worker did it.", ["job"]
)
JOB_RUNS = Counter(
    "obc_worker_job_runs_total",
    "Runs of a share by this process and how they ended: done, failed, dead, fenced, stopped or busy.",
    ["job", "outcome"],
)
JOB_SECONDS = Histogram(
    "obc_worker_job_seconds",
    "Time of one run of a share.",
    ["job"],
    buckets=(0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60, 300, 1800),
)
DEAD_LETTERS = Gauge("obc_worker_dead_letters", "Dead letters that no later run has resolved.", ["job"])
REMOVED_ROWS = Counter("obc_worker_removed_rows_total", "Rows deleted, by what they were.", ["what"])
DROPPED_PARTITIONS = Counter(
    "obc_worker_dropped_partitions_total", "Partitions dropped: a whole month, or one tenant's own.", ["kind"]
)
PARTITIONS_MADE = Counter("obc_worker_partitions_made_total", "Month partitions made by this process.")
