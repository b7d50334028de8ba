"""Questions about users' lifecycle, stickiness and sessions in a week."""

from collections.abc import Sequence

from bench.query_question import DAY, Days, Figures, People, Question, Rows, Span, call, moment
from obc.query.v1 import activity_pb2

_STATES = ("new", "returning", "resurrecting", "dormant")
_VIEW = {"event": {"names": ["page_view"]}}
_SESSION_GAP_MS = 1_800_000


def activity(days: Days, people: People) -> list[Question]:
    """Lifecycle, stickiness, sessions."""
    week = days.span(7)
    # A session may have begun before the range, and may go on behind it.
    wide = Span(week.start_ms - _SESSION_GAP_MS, week.end_ms + DAY)
    return [
        Question(
            "lifecycle",
            call("QueryLifecycle", activity_pb2.QueryLifecycleRequest(), {**week.request, **_VIEW}),
            [_lifecycle(week, people)], [_pg_lifecycle(week, people)], said=_points, told=_states,
        ),
        Question(
            "stickiness",
            call("QueryStickiness", activity_pb2.QueryStickinessRequest(), {**week.request, **_VIEW}),
            [
                "SELECT n, count() FROM (SELECT bitCount(groupBitOr(bitShiftLeft(toUInt32(1), toUInt8("
                f"toDate(event_time) - toDate({moment(week.start_ms)}))))) AS n FROM {people.ch_events} "
                f"WHERE {week.ch} AND event_name = 'page_view' GROUP BY {people.ch}) GROUP BY n"
            ],
            [
                f"SELECT n, count(*) FROM (SELECT count(DISTINCT date_trunc('day', event_time)) AS n FROM "
                f"{people.pg_events} WHERE {week.pg} AND event_name = 'page_view' GROUP BY {people.pg}) AS x GROUP BY n"
            ],
            said=lambda answer: [bar.users for bar in answer.bars],
            told=lambda rows_of: [float(users) for _, users in sorted((row[0], row[1]) for row in rows_of[0])],
        ),
        Question(
            "sessions",
            call("QuerySessions", activity_pb2.QuerySessionsRequest(), week.request),
            [text.format(wide=wide.ch, start=week.start_ms, end=week.end_ms) for text in (_SESSIONS, _PAGES)],
            [text.format(wide=wide.pg, start=week.start_ms, end=week.end_ms) for text in (_PG_SESSIONS, _PG_PAGES)],
            said=_session_numbers, told=_session_rows,
        ),
    ]  # fmt: skip


def _lifecycle(week: Span, people: People) -> str:
    """The days of a week and of the one day before it as bits; who is new has no earlier ones."""
    first = f"toDate({moment(week.start_ms - DAY)})"
    ever = week.ch.split(" AND event_time")[0]
    return f"""
    SELECT d, s, count() FROM (
      SELECT arrayJoin(range(1, 8)) AS d, bitTest(m, d) AS here, bitTest(m, d - 1) AS before,
        multiIf(here AND before, 1, here AND NOT old AND bitAnd(m, bitShiftLeft(1, d) - 1) = 0, 0, here, 2,
          before, 3, 4) AS s
      FROM (SELECT groupBitOrIf(bitShiftLeft(toUInt16(1), toUInt8(toDate(event_time) - {first})),
            event_time >= {moment(week.start_ms - DAY)}) AS m, min(event_time) < {moment(week.start_ms - DAY)} AS old
        FROM {people.ch_events} WHERE {ever} AND event_time < {moment(week.end_ms)} AND event_name = 'page_view'
        GROUP BY {people.ch} HAVING m > 0))
    WHERE s < 4 GROUP BY d, s"""


def _pg_lifecycle(week: Span, people: People) -> str:
    ever = week.pg.split(" AND event_time")[0]
    day = f"(extract(epoch FROM event_time)::bigint / 86400 - {week.start_ms // DAY - 1})::int"
    return f"""
    WITH active AS (SELECT DISTINCT {people.pg} AS person, {day} AS d FROM {people.pg_events}
      WHERE {ever} AND event_time < to_timestamp({week.end_ms / 1000}) AND event_name = 'page_view'),
    seen AS (SELECT d, lag(d) OVER w AS before, lead(d) OVER w AS later FROM active
      WINDOW w AS (PARTITION BY person ORDER BY d))
    SELECT d, CASE WHEN before IS NULL THEN 0 WHEN before = d - 1 THEN 1 ELSE 2 END AS s, count(*) FROM seen
      WHERE d BETWEEN 1 AND 7 GROUP BY 1, 2
    UNION ALL SELECT d + 1, 3, count(*) FROM seen WHERE d BETWEEN 0 AND 6 AND coalesce(later, 99) > d + 1 GROUP BY 1"""


def _points(answer: activity_pb2.QueryLifecycleResponse) -> Figures:
    return [getattr(point, state) for point in answer.points for state in _STATES]


def _states(rows_of: Sequence[Rows]) -> Figures:
    found = {(int(day), int(state)): float(people) for day, state, people in rows_of[0]}
    return [found.get((day, state), 0.0) for day in range(1, 8) for state in range(len(_STATES))]


_SPLIT = """
  SELECT arrayJoin(if(intDiv(events[-1], 4) - intDiv(events[1], 4) < 1800000, [events],
      arraySplit((e, g) -> g >= 1800000, events, arrayDifference(arrayMap(e -> intDiv(e, 4), events))))) AS s{further}
    FROM (SELECT arraySort(groupArray(toUnixTimestamp64Milli(event_time) * 4 + (event_name = 'page_view')
        + 2 * (event_category = 'interaction'))) AS events{gathered}
      FROM events WHERE {{wide}} AND session_id != '' GROUP BY session_id)"""
_BOUNCED = "views <= 1 AND duration < 10000 AND NOT arrayExists(e -> bitAnd(e, 2) != 0, s) AS bounced"
_SESSIONS = f"""
SELECT intDiv(start, 86400000) AS d, count(), avg(duration), quantilesExactInclusive(0.5, 0.9)(duration), avg(bounced),
  avg(views), avg(events)
FROM (
  SELECT intDiv(s[1], 4) AS start, intDiv(s[-1], 4) - start AS duration, arrayCount(e -> bitAnd(e, 1) != 0, s) AS views,
    length(s) AS events, {_BOUNCED}
  FROM ({_SPLIT.format(further="", gathered="")}))
WHERE start >= {{start}} AND start < {{end}} GROUP BY d WITH ROLLUP
"""
_WITH_PAGES = _SPLIT.format(
    further=", pages",
    gathered=", arraySort(groupArrayIf((toUnixTimestamp64Milli(event_time), page_path), page_path != '')) AS pages",
)
_PAGES = f"""
SELECT page.1 AS kind, page.2 AS path, count() AS n, avg(bounced) FROM (
  SELECT arrayJoin([('entry', own[1].2), ('exit', own[-1].2)]) AS page, bounced FROM (
    SELECT intDiv(s[1], 4) AS start, intDiv(s[-1], 4) AS last, last - start AS duration,
      arrayCount(e -> bitAnd(e, 1) != 0, s) AS views, {_BOUNCED},
      arrayFilter(p -> p.1 >= start AND p.1 <= last, pages) AS own
    FROM ({_WITH_PAGES}))
  WHERE start >= {{start}} AND start < {{end}} AND notEmpty(own))
GROUP BY kind, path ORDER BY kind, n DESC, path LIMIT 20 BY kind
"""
_PG_NUMBERED = """
WITH marked AS (
  SELECT session_id, event_time, event_name, event_category, page_url, CASE WHEN event_time - lag(event_time) OVER w
    < interval '30 minutes' THEN 0 ELSE 1 END AS first
  FROM analytics_events WHERE {wide} AND session_id IS NOT NULL
  WINDOW w AS (PARTITION BY session_id ORDER BY event_time)
), numbered AS (
  SELECT *, sum(first) OVER (PARTITION BY session_id ORDER BY event_time) AS number FROM marked
), sessions AS (
  SELECT session_id, number, min(event_time) AS start, 1000 * extract(epoch FROM max(event_time) - min(event_time)) AS
      duration, count(*) FILTER (WHERE event_name = 'page_view') AS views, count(*) AS events,
    bool_or(event_category = 'interaction') AS acted, (array_agg(page_url ORDER BY event_time))[1] AS entry,
    (array_agg(page_url ORDER BY event_time DESC))[1] AS exit
  FROM numbered GROUP BY session_id, number
), own AS (
  SELECT *, CASE WHEN views <= 1 AND NOT acted AND duration < 10000 THEN 1 ELSE 0 END AS bounced FROM sessions
  WHERE start >= to_timestamp({start} / 1000.0) AND start < to_timestamp({end} / 1000.0)
)"""
_PG_SESSIONS = f"""{_PG_NUMBERED}
SELECT date_trunc('day', start) AS d, count(*), avg(duration),
  percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY duration), avg(bounced), avg(views), avg(events)
FROM own GROUP BY ROLLUP (1)
"""
_PG_PATH = "split_part(regexp_replace({}, '^https?://[^/]+', ''), '?', 1)"
_PG_PAGES = f"""{_PG_NUMBERED}, pages AS (
  SELECT 'entry' AS kind, {_PG_PATH.format("entry")} AS path, bounced FROM own
  UNION ALL SELECT 'exit', {_PG_PATH.format("exit")}, bounced FROM own
), counted AS (
  SELECT kind, path, count(*) AS n, avg(bounced) AS bounces, row_number() OVER (PARTITION BY kind
    ORDER BY count(*) DESC, path) AS place FROM pages GROUP BY 1, 2
)
SELECT kind, path, n, bounces FROM counted WHERE place <= 20 ORDER BY kind, n DESC, path
"""


def _session_numbers(answer: activity_pb2.QuerySessionsResponse) -> Figures:
    """Numbers of the whole and of the days by size, then how many sessions have the most frequent pages."""
    [group] = answer.groups
    numbers = [
        (one.sessions, one.average_duration_ms, one.median_duration_ms, one.p90_duration_ms, one.bounce_rate,
         one.pages_per_session, one.events_per_session)
        for one in (group.total, *(point.numbers for point in group.points))
    ]  # fmt: skip
    pages = [page.sessions for page in (*answer.entry_pages, *answer.exit_pages)]
    return [figure for row in sorted(numbers) for figure in row] + pages


def _session_rows(rows_of: Sequence[Rows]) -> Figures:
    numbers, pages = rows_of
    rows = [(float(n), float(mean), *map(float, levels), *map(float, rest)) for _, n, mean, levels, *rest in numbers]
    return [figure for row in sorted(rows) for figure in row] + [float(row[2]) for row in pages]
