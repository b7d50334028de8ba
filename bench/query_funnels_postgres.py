"""The same funnels for PostgreSQL: windows that go back in time tell of each event the next one of a step."""

from bench.query_funnels_by_hand import WINDOW_MS, Funnel

_LATER = "(PARTITION BY person ORDER BY t DESC, s DESC)"


def pg_ordered(funnel: Funnel, *, by_browser: bool = False) -> str:
    """Others may come between."""
    value = "device_info->>'browser'" if by_browser else "''"
    return f"""
    WITH ev AS ({_events(funnel, value)}),
    w AS (SELECT *, min(t) FILTER (WHERE s = 2) OVER {_LATER} AS c0 FROM ev),
    x AS (SELECT person, value, s, t, min(t) FILTER (WHERE s = 1) OVER {_LATER} AS b,
            min(c0) FILTER (WHERE s = 1) OVER {_LATER} AS c FROM w),
    {_best(funnel, "s = 0")}"""


def pg_exclusion(funnel: Funnel) -> str:
    """The same, and no error between two steps."""
    return f"""
    WITH ev AS ({_events(funnel, "''", "error")}),
    w AS (SELECT *, min(t) FILTER (WHERE s = 2) OVER {_LATER} AS c0, min(t) FILTER (WHERE s = 3) OVER {_LATER} AS bad
          FROM ev),
    v AS (SELECT *, row_number() OVER {_LATER} AS back, CASE WHEN c0 <= coalesce(bad, 'infinity') THEN c0 END AS c1
          FROM w),
    y AS (SELECT *, max(back) FILTER (WHERE s = 1) OVER {_LATER} AS b_at FROM v),
    x AS (SELECT y.person, y.value, y.s, y.t, n.t AS b, n.c1 AS c FROM y LEFT JOIN y AS n
            ON n.person = y.person AND n.back = y.b_at AND n.t <= coalesce(y.bad, 'infinity') WHERE y.s = 0),
    {_best(funnel, "s = 0")}"""


def pg_strict(funnel: Funnel) -> str:
    """Nothing between."""
    return f"""
    WITH ev AS ({_events(funnel, "''", everything=True)}),
    w AS (SELECT *, lead(s) OVER later AS s1, lead(t) OVER later AS t1, lead(s, 2) OVER later AS s2,
            lead(t, 2) OVER later AS t2 FROM ev WINDOW later AS (PARTITION BY person ORDER BY t, s, event_id)),
    x AS (SELECT person, value, s, t, CASE WHEN s1 = 1 THEN t1 END AS b,
            CASE WHEN s1 = 1 AND s2 = 2 THEN t2 END AS c FROM w),
    {_best(funnel, "s = 0")}"""


def pg_any_order(funnel: Funnel) -> str:
    """The steps in any order."""
    n = [f"coalesce(min(t) FILTER (WHERE s = {step}) OVER {_LATER}, 'infinity') AS n{step}" for step in range(3)]
    return f"""
    WITH ev AS ({_events(funnel, "''")}),
    w AS (SELECT *, {", ".join(n)} FROM ev),
    x AS (SELECT person, value, s, t, greatest(least(n0, n1), least(greatest(n0, n1), n2)) AS b,
            greatest(n0, n1, n2) AS c FROM w),
    {_best(funnel, "true")}"""


def pg_first_entry(funnel: Funnel) -> str:
    """Of the first entry of each."""
    return f"""
    WITH ev AS ({_events(funnel, "''")}),
    a AS (SELECT person, '' AS value, 0 AS s, min(t) AS t FROM ev WHERE s = 0 AND {_entering(funnel)} GROUP BY person),
    b AS (SELECT a.*, min(ev.t) AS b FROM a
          LEFT JOIN ev ON ev.person = a.person AND ev.s = 1 AND ev.t >= a.t GROUP BY 1, 2, 3, 4),
    x AS (SELECT b.person, b.value, b.s, b.t, b.b, min(ev.t) AS c FROM b
          LEFT JOIN ev ON ev.person = b.person AND ev.s = 2 AND ev.t >= b.b GROUP BY 1, 2, 3, 4, 5),
    {_best(funnel, "s = 0")}"""


def _events(funnel: Funnel, value: str, *further: str, everything: bool = False) -> str:
    cases = " ".join(f"WHEN '{name}' THEN {place}" for place, name in enumerate(funnel.steps))
    names = "" if everything else f" AND event_name IN {(*funnel.steps, *further)}"
    return (
        f"SELECT {funnel.people.pg} AS person, {value} AS value, event_time AS t, event_id, "
        f"CASE event_name {cases} ELSE 3 END AS s FROM {funnel.people.pg_events} WHERE {funnel.events.pg}{names}"
    )


def _entering(funnel: Funnel) -> str:
    return f"t < to_timestamp({funnel.entries.end_ms / 1000})"


def _best(funnel: Funnel, enters: str) -> str:
    """Of all entries of somebody the one that comes farthest, of these the first."""
    within = f"<= t + interval '{WINDOW_MS} milliseconds'"

    def time(later: str, earlier: str) -> str:
        return f"1000 * extract(epoch FROM {later} - {earlier})::float8"

    return f"""
    tried AS (SELECT person, value, t, b, c,
                1 + coalesce(b {within}, false)::int + coalesce(c {within}, false)::int AS d
              FROM x WHERE {enters} AND {_entering(funnel)}),
    best AS (SELECT DISTINCT ON (person) * FROM tried ORDER BY person, d DESC, t)
    SELECT count(*), count(*) FILTER (WHERE d > 1), count(*) FILTER (WHERE d > 2),
      avg({time("b", "t")}) FILTER (WHERE d > 1),
      percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY {time("b", "t")}) FILTER (WHERE d > 1),
      avg({time("c", "b")}) FILTER (WHERE d > 2),
      percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY {time("c", "b")}) FILTER (WHERE d > 2)
    FROM best GROUP BY value"""
