"""Questions about paths: of pages in sessions, and of events behind a person's first signup."""

from collections.abc import Sequence
from typing import Any

from bench.query_question import DAY, Days, Figures, People, Question, Rows, Span, call
from bench.query_traffic import EVENT_NAMES, PATHS
from obc.query.v1 import paths_pb2

_STEPS = 5
_GAP_MS = 1_800_000
_EDGE, _DROP, _UNTOLD = 0, 1, 2


def paths(days: Days, people: People) -> list[Question]:
    """Ways through pages, and ways on from a signup."""
    week = days.span(7)
    return [
        Question(
            "paths: pages of sessions",
            _ask(week, {"steps": {"names": ["page_view"]}, "step_field": "page_path"}),
            [_of_sessions(week)], [_pg_of_sessions(week)], said=_answered, told=_moved,
        ),
        Question(
            "paths: events of users from a signup",
            _ask(week, {"counting": "user", "start": {"names": ["signup"]}}),
            [_of_users(week, people)], [_pg_of_users(week, people)], said=_answered, told=_moved,
        ),
    ]  # fmt: skip


def _ask(week: Span, request: dict[str, Any]) -> Any:
    return call("QueryPaths", paths_pb2.QueryPathsRequest(), {**week.request, **request})


def _wide(week: Span) -> Span:
    """A session may have begun before the range, and may go on behind it."""
    return Span(week.start_ms - _GAP_MS, week.end_ms + DAY)


def _numbered(column: str, names: Sequence[str]) -> str:
    """An event as one number: its milliseconds, and which of the known names it has; 0 = none."""
    number = f"transform({column}, {sorted(names)}, range(1, {len(names) + 1}), 0)"
    return f"toUnixTimestamp64Milli(event_time) * 1024 + {number}"


def _of_sessions(week: Span) -> str:
    wide = _wide(week)
    code = f"if(event_name = 'page_view', {_numbered('page_path', PATHS)}, toUnixTimestamp64Milli(event_time) * 1024)"
    sessions = f"""
      SELECT arrayJoin(if(intDiv(l[-1], 1024) - intDiv(l[1], 1024) < {_GAP_MS}, [l],
        arraySplit((e, g) -> g >= {_GAP_MS}, l, arrayDifference(arrayMap(e -> intDiv(e, 1024), l))))) AS own
      FROM (SELECT arraySort(groupArray({code})) AS l FROM events WHERE {wide.ch} AND session_id != ''
        GROUP BY session_id)"""
    steps = f"""
      SELECT arrayFilter(e -> bitAnd(e, 1023) != 0, own) AS steps FROM ({sessions})
      WHERE own[1] >= {week.start_ms * 1024} AND own[1] < {week.end_ms * 1024}"""
    return _moves(steps)


def _of_users(week: Span, people: People) -> str:
    signup = sorted(EVENT_NAMES).index("signup") + 1
    events = f"""
      SELECT arraySort(groupArray({_numbered("event_name", EVENT_NAMES)})) AS l
      FROM {people.ch_events} WHERE {week.ch} GROUP BY {people.ch}"""
    found = f"SELECT l, arrayFirstIndex(e -> bitAnd(e, 1023) = {signup}, l) AS at FROM ({events}) WHERE at > 0"
    return _moves(f"SELECT arraySlice(l, at, {_STEPS + 1}) AS steps FROM ({found})")


def _moves(steps: str) -> str:
    """Rows: step, kind, source, target, paths, median time; the most frequent 20 of each step, the others as one."""
    return f"""
    SELECT step, kind, if(place <= 20, source, 0) AS s, if(place <= 20, target, 0) AS t, sum(n), any(middle) FROM (
      SELECT step, kind, source, target, n, middle, row_number() OVER (PARTITION BY step, kind ORDER BY n DESC) AS place
      FROM (
        SELECT move.1 AS step, move.2 AS kind, move.3 AS source, move.4 AS target, count() AS n,
          quantileExactInclusive(0.5)(move.5) AS middle
        FROM (SELECT arrayJoin(arrayMap((a, b, i) -> (toUInt8(i - 1),
            multiIf(b = 0, {_DROP}, i < {_STEPS}, {_EDGE}, {_UNTOLD}), bitAnd(a, 1023),
            if(i < {_STEPS}, bitAnd(b, 1023), 0), if(b > 0 AND i < {_STEPS}, intDiv(b, 1024) - intDiv(a, 1024), 0)),
            arraySlice(steps, 1, {_STEPS}), arrayResize(arraySlice(steps, 2, {_STEPS}), least({_STEPS}, length(steps))),
            arrayEnumerate(arraySlice(steps, 1, {_STEPS})))) AS move
          FROM ({steps}) WHERE notEmpty(steps))
        GROUP BY step, kind, source, target))
    GROUP BY step, kind, s, t"""


def _pg_of_sessions(week: Span) -> str:
    wide = _wide(week)
    return f"""
    WITH marked AS (
      SELECT session_id AS who, event_time AS t, event_id, event_name, page_url, CASE WHEN event_time - lag(event_time)
        OVER (PARTITION BY session_id ORDER BY event_time) < interval '30 minutes' THEN 0 ELSE 1 END AS first
      FROM analytics_events WHERE {wide.pg} AND session_id IS NOT NULL
    ), numbered AS (
      SELECT *, sum(first) OVER (PARTITION BY who ORDER BY t) AS number FROM marked
    ), begun AS (
      SELECT *, min(t) OVER (PARTITION BY who, number) AS start FROM numbered
    ), ev AS (
      SELECT who || ':' || number AS who, t, event_id,
        split_part(regexp_replace(page_url, '^https?://[^/]+', ''), '?', 1) AS name
      FROM begun WHERE event_name = 'page_view' AND start >= to_timestamp({week.start_ms / 1000})
        AND start < to_timestamp({week.end_ms / 1000})
    ){_PG_MOVES}"""


def _pg_of_users(week: Span, people: People) -> str:
    return f"""
    WITH everything AS (
      SELECT {people.pg} AS who, event_time AS t, event_id, event_name AS name
      FROM {people.pg_events} WHERE {week.pg}
    ), ev AS (
      SELECT * FROM (SELECT *, min(t) FILTER (WHERE name = 'signup') OVER (PARTITION BY who) AS first FROM everything)
      AS x WHERE t >= first
    ){_PG_MOVES}"""


_PG_MOVES = f""", steps AS (
  SELECT name, lead(name) OVER w AS next, lead(t) OVER w - t AS since, row_number() OVER w AS i FROM ev
  WINDOW w AS (PARTITION BY who ORDER BY t, event_id)
), counted AS (
  SELECT i - 1 AS step, CASE WHEN next IS NULL THEN {_DROP} WHEN i < {_STEPS} THEN {_EDGE} ELSE {_UNTOLD} END AS kind,
    name, CASE WHEN i < {_STEPS} THEN next END AS target, count(*) AS n,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY since) AS middle
  FROM steps WHERE i <= {_STEPS} GROUP BY 1, 2, 3, 4
), placed AS (
  SELECT *, row_number() OVER (PARTITION BY step, kind ORDER BY n DESC) AS place FROM counted
)
SELECT step, kind, CASE WHEN place <= 20 THEN name END, CASE WHEN place <= 20 THEN target END, sum(n), min(middle)
FROM placed GROUP BY 1, 2, 3, 4"""


def _answered(answer: paths_pb2.QueryPathsResponse) -> Figures:
    """Paths; then those that go on from each step, and that drop off there."""
    going = [sum(edge.count for edge in answer.edges if edge.step == step) for step in range(_STEPS - 1)]
    dropping = [sum(node.drop_offs for node in answer.nodes if node.step == step) for step in range(_STEPS)]
    return [answer.paths, *going, *dropping]


def _moved(rows_of: Sequence[Rows]) -> Figures:
    rows = rows_of[0]

    def count(step: int, *kinds: int) -> float:
        return float(sum(row[4] for row in rows if row[0] == step and row[1] in kinds))

    going = [count(step, _EDGE) for step in range(_STEPS - 1)]
    dropping = [count(step, _DROP) for step in range(_STEPS)]
    return [count(0, _EDGE, _DROP, _UNTOLD), *going, *dropping]
