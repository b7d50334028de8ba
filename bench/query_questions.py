"""The questions of a run, three ways: as the service is asked, as somebody would write them by hand for the same
ClickHouse tables, and as somebody would write them for PostgreSQL.

A hand-written statement knows what the service has to find out (nothing is sampled, few breakdown values) and answers
the same question with the same definitions. A list of statements is timed as a whole.
"""

from dataclasses import dataclass
from typing import Any

from bench.query_question import CALLER, DAY, TIMEOUT, Ask, Question
from bench.query_traffic import BIG_TENANT
from obc.query.v1 import dashboard_pb2, live_pb2, metrics_pb2, stored_event_pb2
from obc_common.clients import QueryClient


@dataclass(frozen=True, slots=True)
class Times:
    """When the questions are about: the week up to `end_ms`."""

    end_ms: int

    @property
    def start_ms(self) -> int:
        return self.end_ms - 7 * DAY


def questions(times: Times, deep_token: str) -> list[Question]:
    """Every question. `deep_token` opens the page that begins 20 days back."""
    return [*_lists(times, deep_token), *_metrics(times), _dashboard(times)]


def list_request(**arguments: Any) -> stored_event_pb2.ListEventsRequest:
    """A page of 100 events."""
    return stored_event_pb2.ListEventsRequest(page_size=100, **arguments)


def live() -> Question:
    """The first snapshot of a live stream."""

    async def ask(client: QueryClient) -> None:
        call = client.stream_live(live_pb2.StreamLiveRequest(snapshots_only=True), principal=CALLER)
        async for message in call:
            if message.HasField("snapshot"):
                break
        call.cancel()

    recent = f"{_ch('now64(3) - INTERVAL 5 MINUTE')} AND event_time < now64(3)"
    pg_recent = f"tenant_id = '{BIG_TENANT}' AND event_time >= now() - interval '5 minutes' AND event_time < now()"
    return Question(
        "live snapshot",
        ask,
        [
            f"SELECT uniqExact(person), countIf(event_time >= now64(3) - INTERVAL 1 MINUTE), "
            f"countIf(event_name = 'error' OR event_category = 'error'), count() FROM events WHERE {recent}",
            f"SELECT properties.metric_name.:String AS n, count(), quantileExactInclusive(0.75)({_NUMBER}) "
            f"FROM events WHERE {recent} AND event_name = 'performance_metric' GROUP BY n",
        ],
        [
            "SELECT count(DISTINCT coalesce(user_id, anonymous_id, session_id)), count(*) FILTER (WHERE event_time >= "
            "now() - interval '1 minute'), count(*) FILTER (WHERE event_name = 'error' OR event_category = 'error'), "
            f"count(*) FROM analytics_events WHERE {pg_recent}",
            "SELECT properties->>'metric_name' AS n, count(*), percentile_cont(0.75) WITHIN GROUP "
            f"(ORDER BY (properties->>'metric_value')::float8) FROM analytics_events WHERE {pg_recent} "
            "AND event_name = 'performance_metric' GROUP BY n",
        ],
        counts=False,
    )


def _ch(start: str, end: str | None = None) -> str:
    until = "" if end is None else f" AND event_time < {end}"
    return f"tenant_id = '{BIG_TENANT}' AND event_time >= {start}{until}"


def _week(times: Times, start_ms: int | None = None) -> tuple[str, str]:
    start = times.start_ms if start_ms is None else start_ms
    return (
        _ch(f"fromUnixTimestamp64Milli({start}, 'UTC')", f"fromUnixTimestamp64Milli({times.end_ms}, 'UTC')"),
        f"tenant_id = '{BIG_TENANT}' AND event_time >= to_timestamp({start / 1000}) "
        f"AND event_time < to_timestamp({times.end_ms / 1000})",
    )


_LISTED = (
    "event_time, event_id, event_name, event_category, user_id, anonymous_id, session_id, properties, received_at, "
    "page_url, referrer, device_type, browser, os, sample_rate"
)
_ORDER = "ORDER BY event_time DESC, event_id DESC LIMIT 101"


def _lists(times: Times, deep_token: str) -> list[Question]:
    def page(**arguments: Any) -> Ask:
        return lambda client: client.list_events(list_request(**arguments), principal=CALLER, timeout=TIMEOUT)

    # By hand somebody knows that the newest day holds a page.
    day = _ch(f"fromUnixTimestamp64Milli({times.end_ms - DAY}, 'UTC')")
    deep_end = times.end_ms - 20 * DAY
    deep = _ch(f"fromUnixTimestamp64Milli({deep_end - DAY}, 'UTC')", f"fromUnixTimestamp64Milli({deep_end}, 'UTC')")
    pg = f"SELECT * FROM analytics_events WHERE tenant_id = '{BIG_TENANT}'"
    rows = f"SELECT {_LISTED} FROM events WHERE"
    return [
        Question("events: first page", page(), [f"{rows} {day} {_ORDER}"], [f"{pg} {_ORDER}"], counts=False),
        Question(
            "events: filtered by property",
            page(event_name="user_action", filter=["properties.plan:eq:enterprise"]),
            [f"{rows} {day} AND event_name = 'user_action' AND properties.plan.:String = 'enterprise' {_ORDER}"],
            [f"{pg} AND event_name = 'user_action' AND properties->>'plan' = 'enterprise' {_ORDER}"],
            counts=False,
        ),
        Question(
            "events: deep page",
            page(page_token=deep_token),
            [f"{rows} {deep} {_ORDER}"],
            [f"{pg} AND event_time < to_timestamp({deep_end / 1000}) {_ORDER}"],
            counts=False,
        ),
    ]


_CH_DAY = "toStartOfDay(event_time) AS d"
_PG_DAY = "date_trunc('day', event_time) AS d"
_PG_PERSON = "coalesce(user_id, anonymous_id, session_id)"
_NUMBER = "properties.metric_value.:Float64"
_CH_SESSIONS = """
SELECT toStartOfDay(fromUnixTimestamp64Milli(start, 'UTC')) AS d, count(), avg(duration), avg(bounced), avg(views)
FROM (
  SELECT intDiv(s[1], 4) AS start, intDiv(s[-1], 4) - start AS duration, arrayCount(e -> bitAnd(e, 1) != 0, s) AS views,
    views <= 1 AND duration < 10000 AND NOT arrayExists(e -> bitAnd(e, 2) != 0, s) AS bounced
  FROM (SELECT arrayJoin(if(intDiv(events[-1], 4) - intDiv(events[1], 4) < 1800000, [events],
      arraySplit((e, g) -> g >= 1800000, events, arrayDifference(arrayMap(e -> intDiv(e, 4), events))))) AS s
    FROM (SELECT arraySort(groupArray(toUnixTimestamp64Milli(event_time) * 4 + (event_name = 'page_view')
        + 2 * (event_category = 'interaction'))) AS events
      FROM events WHERE {wide} AND session_id != '' GROUP BY session_id)))
WHERE start >= {start} AND start < {end} GROUP BY d WITH ROLLUP
"""
_PG_SESSIONS = """
WITH marked AS (
  SELECT session_id, event_time, event_name, event_category, CASE WHEN event_time - lag(event_time) OVER w
    < interval '30 minutes' THEN 0 ELSE 1 END AS first
  FROM analytics_events WHERE {wide} AND session_id IS NOT NULL
  WINDOW w AS (PARTITION BY session_id ORDER BY event_time)
), numbered AS (
  SELECT *, sum(first) OVER (PARTITION BY session_id ORDER BY event_time) AS number FROM marked
), sessions AS (
  SELECT min(event_time) AS start, max(event_time) - min(event_time) AS duration,
    count(*) FILTER (WHERE event_name = 'page_view') AS views, bool_or(event_category = 'interaction') AS acted
  FROM numbered GROUP BY session_id, number
)
SELECT date_trunc('day', start) AS d, count(*), avg(duration), avg(views),
  avg(CASE WHEN views <= 1 AND NOT acted AND duration < interval '10 seconds' THEN 1 ELSE 0 END)
FROM sessions WHERE start >= to_timestamp({start} / 1000.0) AND start < to_timestamp({end} / 1000.0) GROUP BY ROLLUP (1)
"""


def _metrics(times: Times) -> list[Question]:
    week, pg_week = _week(times)
    # A session may have begun before the range, and may go on behind it.
    ch_wide, pg_wide = _week(Times(times.end_ms + DAY), times.start_ms - 1_800_000)
    ch_sessions = _CH_SESSIONS.format(wide=ch_wide, start=times.start_ms, end=times.end_ms)
    pg_sessions = _PG_SESSIONS.format(wide=pg_wide, start=times.start_ms, end=times.end_ms)

    def ask(*metrics: str, **arguments: Any) -> Ask:
        request = metrics_pb2.GetMetricsRequest(
            metrics=list(metrics), from_time=str(times.start_ms), to_time=str(times.end_ms), **arguments
        )
        return lambda client: client.get_metrics(request, principal=CALLER, timeout=TIMEOUT)

    def counted(number: str) -> str:
        return f"SELECT {_CH_DAY}, {number} FROM events WHERE {week} GROUP BY d WITH ROLLUP"

    def pg_counted(number: str, extra: str = "") -> str:
        return f"SELECT {_PG_DAY}, {number} FROM analytics_events WHERE {pg_week}{extra} GROUP BY ROLLUP (1)"

    error = "event_name = 'error' OR event_category = 'error'"
    view = "event_name = 'page_view'"
    p95 = (
        f"SELECT {_CH_DAY}, quantileExactInclusive(0.95)({_NUMBER}) FROM events WHERE {week} AND event_name = "
        "'performance_metric' AND properties.metric_name.:String = 'page_load' GROUP BY d WITH ROLLUP"
    )
    pg_p95 = pg_counted(
        "percentile_cont(0.95) WITHIN GROUP (ORDER BY (properties->>'metric_value')::float8)",
        " AND event_name = 'performance_metric' AND properties->>'metric_name' = 'page_load'",
    )
    together = f"count(), uniqExact(person), countIf({view}), countIf({error})"
    pg_together = (
        f"count(*), count(DISTINCT {_PG_PERSON}), count(*) FILTER (WHERE {view}), count(*) FILTER (WHERE {error})"
    )
    by_plan = "properties.plan.:String AS v"
    return [
        Question("metric: events", ask("events"), [counted("count()")], [pg_counted("count(*)")]),
        Question(
            "metric: users", ask("users"), [counted("uniqExact(person)")], [pg_counted(f"count(DISTINCT {_PG_PERSON})")]
        ),
        Question(
            "metric: page views", ask("page_views"), [counted(f"countIf({view})")],
            [pg_counted(f"count(*) FILTER (WHERE {view})")],
        ),
        Question(
            "metric: error rate", ask("error_rate"), [counted(f"countIf({error}) / count()")],
            [pg_counted(f"count(*) FILTER (WHERE {error})::float8 / count(*)")],
        ),
        Question("metric: sessions, bounce rate", ask("sessions", "bounce_rate"), [ch_sessions], [pg_sessions]),
        Question("metric: p95 of page_load", ask("p95:page_load"), [p95], [pg_p95]),
        Question(
            "metrics: eight together",
            ask("events", "users", "sessions", "page_views", "avg_session_duration", "bounce_rate", "error_rate",
                "p95:page_load"),
            [counted(together), ch_sessions, p95],
            [pg_counted(pg_together), pg_sessions, pg_p95],
        ),
        Question(
            "metric: events by property",
            ask("events", breakdown="properties.plan"),
            [f"SELECT {by_plan}, {_CH_DAY}, count() FROM events WHERE {week} GROUP BY v, d WITH ROLLUP"],
            [
                f"SELECT properties->>'plan' AS v, {_PG_DAY}, count(*) FROM analytics_events WHERE {pg_week} "
                "GROUP BY ROLLUP (1, 2)"
            ],
        ),
    ]  # fmt: skip


def _dashboard(times: Times) -> Question:
    request = dashboard_pb2.GetDashboardRequest(from_time=str(times.start_ms), to_time=str(times.end_ms))
    return Question(
        "dashboard",
        lambda client: client.get_dashboard(request, principal=CALLER, timeout=TIMEOUT),
        _dashboard_minimal(times),
        _dashboard_postgres(times),
    )


_ERROR = "event_name = 'error' OR event_category = 'error'"
_LISTS = {
    "event_category": "true", "device_type": "device_type != ''", "browser": "browser != ''", "os": "os != ''",
    "event_name": "event_name != 'page_view'", "page_path": "event_name = 'page_view'",
}  # fmt: skip


def _dashboard_minimal(times: Times) -> list[str]:
    both, _ = _week(times, times.start_ms - 7 * DAY)
    now = f"event_time >= fromUnixTimestamp64Milli({times.start_ms}, 'UTC')"
    compared = f"countIf({now}) AS n, countIf(NOT {now}), uniqExactIf(person, {now})"
    last = "GROUP BY v ORDER BY n DESC LIMIT 10"
    lists = [
        f"SELECT {name} AS v, {compared} FROM events WHERE {both} AND {condition} {last}"
        for name, condition in _LISTS.items()
    ]
    element = "coalesce(properties.element_id.:String, properties.action_name.:String, event_name)"
    sessions, _ = _week(Times(times.end_ms + DAY), times.start_ms - 7 * DAY - 1_800_000)
    return [
        f"SELECT {now} AS p, toStartOfDay(event_time) AS d, count(), countIf(event_name = 'page_view'), "
        f"countIf({_ERROR}), uniqExact(event_name), uniqExact(person) FROM events WHERE {both} "
        "GROUP BY p, d WITH ROLLUP",
        *lists,
        f"SELECT {element} AS v, {compared}, countIf({now} AND properties.action_name.:String = 'click') FROM events "
        f"WHERE {both} AND event_name = 'user_action' {last}",
        f"SELECT properties.error_message.:String AS v, {compared} FROM events WHERE {both} AND ({_ERROR}) {last}",
        f"SELECT properties.metric_name.:String AS v, {compared}, quantilesExactInclusiveIf(0.5, 0.75, 0.95, 0.99)("
        f"assumeNotNull({_NUMBER}), {now}), quantilesExactInclusiveIf(0.5, 0.75, 0.95, 0.99)(assumeNotNull({_NUMBER}), "
        f"NOT {now}) FROM events WHERE {both} AND event_name = 'performance_metric' {last}",
        _CH_SESSIONS.format(wide=sessions, start=times.start_ms - 7 * DAY, end=times.end_ms),
        _CH_JOURNEY.format(wide=sessions, start=times.start_ms, before=times.start_ms - 7 * DAY, end=times.end_ms),
    ]


_CH_JOURNEY = """
SELECT item, countIf(start >= {start}) AS n, countIf(start < {start}), uniqExactIf(person, start >= {start}) FROM (
  SELECT start, person, arrayJoin(arrayConcat(if(empty(pages), [], [('entry', pages[1], ''), ('exit', pages[-1], '')]),
    [('referrer', host, '')], arrayMap((a, b) -> ('step', a, b), arrayPopBack(pages), arrayPopFront(pages)))) AS item
  FROM (SELECT session_id, toUnixTimestamp64Milli(min(event_time)) AS start, argMin(person, event_time) AS person,
      argMin(toString(referrer_host), event_time) AS host, arrayMap(x -> x.2, arraySort(x -> x.1, groupArrayIf(
        (event_time, page_path), event_name = 'page_view'))) AS pages
    FROM events WHERE {wide} AND session_id != '' GROUP BY session_id)
  WHERE start >= {before} AND start < {end})
GROUP BY item ORDER BY item.1, n DESC LIMIT 10 BY item.1
"""


def _dashboard_postgres(times: Times) -> list[str]:
    _, both = _week(times, times.start_ms - 7 * DAY)
    now = f"event_time >= to_timestamp({times.start_ms / 1000})"
    compared = f"count(*) FILTER (WHERE {now}) AS n, count(*) FILTER (WHERE NOT {now}), count(DISTINCT {_PG_PERSON})"
    source = f"FROM analytics_events WHERE {both}"
    last = "GROUP BY 1 ORDER BY n DESC LIMIT 10"
    names = {
        "event_category": "true", "device_info->>'device_type'": "true", "device_info->>'browser'": "true",
        "device_info->>'os'": "true", "event_name": "event_name != 'page_view'",
        "split_part(page_url, '?', 1)": "event_name = 'page_view'",
        "coalesce(properties->>'element_id', properties->>'action_name')": "event_name = 'user_action'",
        "properties->>'error_message'": f"({_ERROR})",
    }  # fmt: skip
    _, wide = _week(Times(times.end_ms + DAY), times.start_ms - 7 * DAY - 1_800_000)
    levels = (
        "percentile_cont(ARRAY[0.5, 0.75, 0.95, 0.99]) WITHIN GROUP (ORDER BY (properties->>'metric_value')::float8)"
    )
    return [
        f"SELECT {now}, {_PG_DAY}, count(*), count(DISTINCT {_PG_PERSON}), count(DISTINCT event_name) {source} "
        "GROUP BY ROLLUP (1, 2)",
        *(f"SELECT {name}, {compared} {source} AND {condition} {last}" for name, condition in names.items()),
        f"SELECT properties->>'metric_name', {now}, count(*), {levels} {source} AND event_name = 'performance_metric' "
        "GROUP BY 1, 2",
        # Its journeys (entries, exits, steps) are left out here: in PostgreSQL's favour.
        _PG_SESSIONS.format(wide=wide, start=times.start_ms - 7 * DAY, end=times.end_ms),
    ]
