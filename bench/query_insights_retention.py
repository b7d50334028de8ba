"""Questions about who comes back: cohorts of a week, followed for ten days."""

from collections import defaultdict
from typing import Any

from bench.query_question import DAY, Days, Figures, People, Question, Rows, Span, call, moment
from obc.query.v1 import retention_pb2

_PERIODS = 10
_MEMBERS = -1
_VIEW, _SIGNUP = "event_name = 'page_view'", "event_name = 'signup'"
_MS = "toUnixTimestamp64Milli(event_time)"


def retention(days: Days, people: People) -> list[Question]:
    """By the first signup, by every day's, by views alone, and by hours from the first signup."""
    cohorts = days.span(17, 10)
    signup, view = {"start_event": {"names": ["signup"]}}, {"start_event": {"names": ["page_view"]}}
    returning = {"return_event": {"names": ["page_view"]}}
    return [
        _question("first time", cohorts, {**signup, **returning}, _first(cohorts, people), _pg(cohorts, people)),
        _question(
            "recurring", cohorts, {**signup, **returning, "mode": "recurring"},
            _recurring(cohorts, people), _pg(cohorts, people, recurring=True),
        ),
        _question(
            "recurring, one event for both", cohorts, {**view, "mode": "recurring"},
            _again(cohorts, people), _pg(cohorts, people, start=_VIEW, recurring=True),
        ),
        _question(
            "rolling, on or after", cohorts, {**signup, **returning, "preset": "mixpanel"},
            _rolling(cohorts, people), _pg_rolling(cohorts, people), or_after=True,
        ),
    ]  # fmt: skip


def _question(
    name: str, cohorts: Span, request: dict[str, Any], minimal: str, postgres: str, *, or_after: bool = False
) -> Question:
    ask = call("QueryRetention", retention_pb2.QueryRetentionRequest(), {**cohorts.request, **request})
    return Question(
        f"retention: {name}", ask, [minimal], [postgres], said=_answered,
        told=lambda rows_of: _cells(rows_of[0], or_after=or_after),
    )  # fmt: skip


def _until(cohorts: Span) -> str:
    """All events before the last period ends, of whoever: a first time may be long ago."""
    horizon = Span(cohorts.start_ms, cohorts.end_ms + _PERIODS * DAY)
    return horizon.ch.replace(f"event_time >= {moment(cohorts.start_ms)} AND ", "")


def _first(cohorts: Span, people: People) -> str:
    """A person's first signup; the days of the views behind it."""
    return f"""
    SELECT c, p, count() FROM (
      SELECT toInt32(toDate(fromUnixTimestamp64Milli(s, 'UTC'))) AS c,
        arrayJoin(arrayConcat([{_MEMBERS}], arrayDistinct(arrayFilter(x -> x >= 0 AND x <= {_PERIODS},
          arrayMap(m -> if(m > s, toInt32(intDiv(m, {DAY})) - c, -1), views))))) AS p
      FROM (SELECT minIf({_MS}, {_SIGNUP}) AS s,
          groupArrayIf({_MS}, {_VIEW} AND event_time >= {moment(cohorts.start_ms)}) AS views
        FROM {people.ch_events} WHERE {_until(cohorts)} AND (({_SIGNUP} AND event_time < {moment(cohorts.end_ms)})
          OR ({_VIEW} AND event_time >= {moment(cohorts.start_ms)}))
        GROUP BY {people.ch} HAVING s >= {cohorts.start_ms}))
    GROUP BY c, p"""


def _recurring(cohorts: Span, people: People) -> str:
    """A person's first signup and last view of each day: only on the day itself the order decides."""
    horizon = Span(cohorts.start_ms, cohorts.end_ms + _PERIODS * DAY)
    return f"""
    SELECT c, p, count() FROM (
      SELECT start.1 AS c, arrayJoin(arrayConcat([{_MEMBERS}], arrayFilter(x -> x >= 0 AND x <= {_PERIODS},
        arrayMap(d -> if(d.2 > start.2, d.1 - c, -1), returns)))) AS p
      FROM (SELECT arrayJoin(starts) AS start, returns FROM (
        SELECT groupArrayIf((d, first), first > 0 AND first < {cohorts.end_ms}) AS starts,
          groupArrayIf((d, last), last > 0) AS returns
        FROM (SELECT {people.ch} AS who, toInt32(toDate(event_time)) AS d, minIf({_MS}, {_SIGNUP}) AS first,
            maxIf({_MS}, {_VIEW}) AS last
          FROM {people.ch_events} WHERE {horizon.ch} AND (({_SIGNUP} AND event_time < {moment(cohorts.end_ms)})
            OR {_VIEW}) GROUP BY who, d)
        GROUP BY who)))
    GROUP BY c, p"""


def _again(cohorts: Span, people: People) -> str:
    """A person's days, and on which of them there is more than one view."""
    horizon = Span(cohorts.start_ms, cohorts.end_ms + _PERIODS * DAY)
    end = cohorts.end_ms // DAY
    return f"""
    SELECT c, p, count() FROM (
      SELECT arrayJoin(arrayFilter(d -> d < {end}, ds)) AS c, arrayJoin(arrayConcat([{_MEMBERS}],
        arrayFilter(x -> x > 0 AND x <= {_PERIODS} OR x = 0 AND has(twice, c), arrayMap(d -> d - c, ds)))) AS p
      FROM (SELECT groupArray(d) AS ds, groupArrayIf(d, n > 1) AS twice
        FROM (SELECT {people.ch} AS who, toInt32(toDate(event_time)) AS d, count() AS n
          FROM {people.ch_events} WHERE {horizon.ch} AND {_VIEW} GROUP BY who, d)
        GROUP BY who))
    GROUP BY c, p"""


def _rolling(cohorts: Span, people: People) -> str:
    """A person's first signup and last view ever are all that decides."""
    return f"""
    SELECT toInt32(intDiv(s, {DAY})) AS c,
      arrayJoin([toInt64({_MEMBERS}), if(l > s, least({_PERIODS}, intDiv(l - s, {DAY})), -2)]) AS p, count()
    FROM (SELECT minIf({_MS}, {_SIGNUP} AND event_time < {moment(cohorts.end_ms)}) AS s, maxIf({_MS}, {_VIEW}) AS l
      FROM {people.ch_events} WHERE {_ever(cohorts)} AND ({_SIGNUP} AND event_time < {moment(cohorts.end_ms)}
        OR {_VIEW} AND event_time >= {moment(cohorts.start_ms)})
      GROUP BY {people.ch} HAVING s >= {cohorts.start_ms})
    GROUP BY c, p"""


def _ever(cohorts: Span) -> str:
    return cohorts.ch.split(" AND event_time")[0]


def _pg(cohorts: Span, people: People, *, start: str = _SIGNUP, recurring: bool = False) -> str:
    """Starts by person and day, or by person; joined with the days of what is later than the start."""
    end, horizon = (f"to_timestamp({ms / 1000})" for ms in (cohorts.end_ms, cohorts.end_ms + _PERIODS * DAY))
    begin = f"to_timestamp({cohorts.start_ms / 1000})"
    ever, day = cohorts.pg.split(" AND event_time")[0], "floor(extract(epoch FROM {}) / 86400)::int"
    since = f" AND event_time >= {begin}" if recurring else ""
    by_day = f", {day.format('event_time')}" if recurring else ""
    return f"""
    WITH starts AS (SELECT {people.pg} AS person, min(event_time) AS t FROM {people.pg_events}
        WHERE {ever} AND {start} AND event_time < {end}{since} GROUP BY {people.pg}{by_day}
        HAVING min(event_time) >= {begin}),
    returns AS (SELECT {people.pg} AS person, {day.format("event_time")} AS d, max(event_time) AS last
        FROM {people.pg_events} WHERE {ever} AND {_VIEW} AND event_time >= {begin} AND event_time < {horizon}
        GROUP BY 1, 2)
    SELECT {day.format("t")}, {_MEMBERS}, count(*) FROM starts GROUP BY 1
    UNION ALL SELECT {day.format("t")} AS c, d - {day.format("t")} AS p, count(*) FROM starts
      JOIN returns ON starts.person = returns.person AND last > t
      AND d - {day.format("t")} BETWEEN 0 AND {_PERIODS} GROUP BY 1, 2"""


def _pg_rolling(cohorts: Span, people: People) -> str:
    begin, end = (f"to_timestamp({ms / 1000})" for ms in (cohorts.start_ms, cohorts.end_ms))
    ever, day = cohorts.pg.split(" AND event_time")[0], "floor(extract(epoch FROM s) / 86400)::int"
    return f"""
    WITH both_ends AS (SELECT {people.pg}, min(event_time) FILTER (WHERE {_SIGNUP} AND event_time < {end}) AS s,
        max(event_time) FILTER (WHERE {_VIEW}) AS l
      FROM {people.pg_events} WHERE {ever} AND event_name IN ('signup', 'page_view') GROUP BY 1
      HAVING min(event_time) FILTER (WHERE {_SIGNUP} AND event_time < {end}) >= {begin})
    SELECT {day}, {_MEMBERS}, count(*) FROM both_ends GROUP BY 1
    UNION ALL SELECT {day}, least({_PERIODS}, floor(extract(epoch FROM l - s) / 86400)::int), count(*)
      FROM both_ends WHERE l > s GROUP BY 1, 2"""


def _answered(answer: retention_pb2.QueryRetentionResponse) -> Figures:
    """Sizes of the cohorts, then all cells."""
    [group] = answer.groups
    return [
        *(cohort.size for cohort in group.cohorts),
        *(cell.count for cohort in group.cohorts for cell in cohort.cells),
    ]


def _cells(rows: Rows, *, or_after: bool) -> Figures:
    """Rows: day of the cohort, period or MEMBERS, people; with `or_after` only in the last period they count in."""
    found: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for cohort, period, people in rows:
        for reached in range(int(period) + 1) if or_after and period >= 0 else (int(period),):
            found[int(cohort)][reached] += float(people)
    cohorts = [found[number] for number in sorted(found)]
    return [
        *(cohort[_MEMBERS] for cohort in cohorts),
        *(cohort[period] for cohort in cohorts for period in range(_PERIODS + 1)),
    ]
