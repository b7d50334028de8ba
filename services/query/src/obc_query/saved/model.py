"""What is saved: an insight, a dashboard or a cohort under a name, in versions."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

ItemType = Literal["insight", "dashboard", "cohort"]


@dataclass(frozen=True, slots=True)
class Content:
    """What a version holds, checked.

    Attributes:
        kind: name of the insight; empty for what is none.
        name: for people.
        description: for people.
        definition: JSON of the request, of tiles and time range, or of who belongs to the cohort.
        insights: the insights of a dashboard's tiles, each with the field of the request that names it first.
        cohorts: the cohorts that an insight's request names, likewise.
    """

    kind: str
    name: str
    description: str
    definition: bytes
    insights: Mapping[UUID, str] = field(default_factory=dict)
    cohorts: Mapping[UUID, str] = field(default_factory=dict)

    @property
    def name_key(self) -> str:
        """The name as it is compared."""
        return name_key(self.name)


def name_key(name: str) -> str:
    """Equal for names that people take for the same: whatever the case of letters and how they are put together."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


@dataclass(frozen=True, slots=True)
class SavedItem:
    """One version of what is saved. Times are unix milliseconds.

    Attributes:
        created_at_ms, created_by: of the first version.
        saved_at_ms, saved_by: of this version.
        deleted_at_ms, deleted_by: 0 and empty while it lives.
        insight_ids: what the tiles of the dashboard's newest version show.
    """

    id: UUID
    kind: str
    name: str
    description: str
    definition: bytes
    version: int
    created_at_ms: int
    created_by: str
    saved_at_ms: int
    saved_by: str
    deleted_at_ms: int
    deleted_by: str
    insight_ids: tuple[UUID, ...]
