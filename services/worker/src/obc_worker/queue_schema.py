"""Where the job library keeps its tables, and the SQL that makes them: `python -m obc_worker.queue_schema` prints it.

The tables are made by a numbered migration, never by the library at run time; a test compares the two.
"""

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.domain.settings import DBSettings, Durability

# Every name is given: the library would otherwise take them from variables as common as CHANNEL.
QUEUE_SETTINGS = DBSettings(
    prefix="",
    db_schema="obc_jobs",
    channel="obc_jobs",
    function="fn_pgqueuer_changed",
    statistics_table="pgqueuer_statistics",
    queue_status_type="pgqueuer_status",
    queue_table="pgqueuer",
    queue_table_log="pgqueuer_log",
    trigger="tg_pgqueuer_changed",
    schedules_table="pgqueuer_schedules",
    durability=Durability.durable,
    widen_id=True,
)


def install_sql() -> str:
    """The library's own statements for a new database."""
    return QueryBuilderEnvironment(QUEUE_SETTINGS).build_install_query().strip() + "\n"


if __name__ == "__main__":
    print(install_sql(), end="")
