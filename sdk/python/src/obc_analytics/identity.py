"""User ids that would merge everybody into one person; the server rejects them as `bad_user_id`.

A test of the suite keeps this list and the server's the same.
"""

MERGING_IDS = frozenset(
    {
        "",
        "0",
        "-1",
        "00000000-0000-0000-0000-000000000000",
        "null",
        "(null)",
        "nil",
        "none",
        "undefined",
        "nan",
        "n/a",
        "unknown",
        "anonymous",
        "anon",
        "guest",
        "not_authenticated",
        "[object object]",
        "true",
        "false",
        "id",
        "user",
        "user_id",
        "userid",
        "email",
        "distinct_id",
        "distinctid",
    }
)


def merges_everybody(user_id: str) -> bool:
    """True for a value that is no id of one person, whatever its case, spaces and quotes."""
    return user_id.strip(" \t\r\n\"'").lower() in MERGING_IDS
