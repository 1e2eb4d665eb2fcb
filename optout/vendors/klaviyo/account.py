"""What all readings of a Klaviyo account need: who is asked, and what the company maps to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from optout.http.client import HttpClient
from optout.http.pagination import Call
from optout.model import Categories
from optout.vendors.base import ReadRequest
from optout.vendors.klaviyo.mail import METRICS
from optout.vendors.klaviyo.pages import ask_all
from optout.vendors.klaviyo.words import moment


def stamp(at: datetime) -> str:
    """A moment as filters want it, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Account:
    """One account."""

    http: HttpClient
    system: str
    categories: Categories
    lists: Mapping[str, int]
    """Id of a mapped list → mask of its categories."""
    event_days: int
    event_overlap_hours: int

    def start(self, request: ReadRequest) -> datetime:
        """Where dated records are read from: the last night's end less the overlap."""
        known = [request.since] if request.since else []
        through = moment(request.state.get("through"))
        if through is not None:
            known.append(through - timedelta(hours=self.event_overlap_hours))
        before = [each for each in known if each < request.cutoff]
        first = request.cutoff - timedelta(days=self.event_days)
        return min(before) if before else first

    def through(self, request: ReadRequest) -> str:
        """Up to where dated records are known once this read is complete; a night that is read
        belatedly does not take it back."""
        known = moment(request.state.get("through"))
        return max(request.cutoff, known or request.cutoff).isoformat()

    def metrics(self) -> dict[str, list[str]]:
        """Name → ids of the metrics that are read; Klaviyo's own where others have the name too."""
        found: dict[str, list[tuple[bool, str]]] = {}
        for item in ask_all(self.http, Call("/api/metrics")):
            name = item["attributes"].get("name")
            if name in METRICS:
                maker = (item["attributes"].get("integration") or {}).get("name")
                found.setdefault(name, []).append((maker == "Klaviyo", item["id"]))
        return {
            name: [i for own, i in ids if own] or [i for _, i in ids] for name, ids in found.items()
        }

    def list_names(self) -> dict[str, list[str]]:
        """Name → ids of all lists; names need not be unique."""
        names: dict[str, list[str]] = {}
        for item in ask_all(self.http, Call("/api/lists", {"page[size]": 10})):
            names.setdefault(str(item["attributes"].get("name")), []).append(item["id"])
        return names
