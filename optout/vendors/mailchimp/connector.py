"""Mailchimp (Marketing API 3.0): audiences, campaign reports and their traps.

State is held per audience; there is no account-wide unsubscribe. How members are read without
missing one is told in `mailchimp_pages`, what they say in `mailchimp_members`, whence the times
come in `mailchimp_reports` and `mailchimp_activity`. Only GET is ever asked. Not visible here:
customer journeys, and mail of Mailchimp Transactional, which is another product.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field, field_validator

from optout.errors import AuthenticationFailed, NotFound, UsageError
from optout.http.client import Answer, HttpOptions, Limit
from optout.vendors.base import (
    Connector,
    Problem,
    ReadRequest,
    Role,
    Stream,
    StreamOutput,
    SystemConfig,
)
from optout.vendors.mailchimp.activity import ActivityReader, CampaignReader
from optout.vendors.mailchimp.audiences import Directory, MemberReader
from optout.vendors.mailchimp.members import Audience, audiences
from optout.vendors.mailchimp.pages import Paging
from optout.vendors.mailchimp.reports import ReportReader

_STORE = re.compile(r"[0-9A-Za-z]+(/[0-9A-Za-z]+)?")


class MailchimpConfig(SystemConfig):
    """`[[esp]]` with `vendor = "mailchimp"`.

    `base_url` includes the version: `https://<dc>.api.mailchimp.com/3.0`, where `<dc>` is what
    follows the dash in the API key. A category is mapped to `"<list id>/<interest id>"`, or to
    `"<list id>"` where the whole audience is that category.
    """

    report_days: int = Field(default=90, ge=1)
    """How long after a campaign its report is read again every night."""
    activity_limit: int = Field(default=2000, ge=0)
    """The most members per audience and night whose activity is asked for a time."""
    engagement: bool = True
    """Whether clicks are read: one row for every recipient of every recent campaign."""

    @field_validator("categories")
    @classmethod
    def _readable(cls, value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for stores in value.values():
            for store in stores:
                if not _STORE.fullmatch(store):
                    raise ValueError('write "<list id>/<interest id>" or "<list id>"')
        return value


class Mailchimp(Connector):
    """Reads one Mailchimp account."""

    vendor = "mailchimp"
    Config = MailchimpConfig
    revision = "3.0"
    sends_evidence = True
    send_streams = ("sent_to",)
    paging: ClassVar[Paging] = Paging()

    config: MailchimpConfig

    @classmethod
    def http_options(cls, config: SystemConfig, token: str) -> HttpOptions:
        """Basic authentication with any user; ten connections; two ways of saying "too many"."""
        return HttpOptions(
            basic_auth=("optout", token),
            limits=(Limit(concurrent=10),),
            is_limited=_is_throttled,
            refusal=_problem,
        )

    @classmethod
    def streams(cls, config: SystemConfig) -> tuple[Stream, ...]:
        """Members first; `activity` asks only for whom the reports do not explain."""
        streams = (
            Stream("members", snapshot=True, stores=("audience:",)),
            Stream("unsubscribes", role=Role.CHANGES),
            Stream("activity", role=Role.CHANGES),
            Stream("campaigns"),
            Stream("sent_to"),
            Stream("abuse_reports"),
        )
        has_clicks = isinstance(config, MailchimpConfig) and config.engagement
        return (*streams, Stream("clicks")) if has_clicks else streams

    def read(self, stream: str, request: ReadRequest, out: StreamOutput) -> None:
        """Read one stream; see the classes that do."""
        if stream == "members":
            reader = MemberReader(
                self.http, self._audiences, self._directory, self.paging, self.context.pseudonym
            )
            reader.read(request, out)
        elif stream == "activity":
            limit = self.config.activity_limit
            activity = ActivityReader(self.http, self._reports, self.categories, self.paging, limit)
            activity.read(list(self._audiences.values()), request, out)
        elif stream == "campaigns":
            campaigns = CampaignReader(self.http, self._reports, self._directory, self.paging)
            campaigns.read(request, out)
        elif stream == "abuse_reports":
            self._reports.read_abuse(out, list(self._directory.lists()))
        elif stream in self._reports.plans:
            self._reports.read(stream, request, out)
        else:
            raise UsageError(f"mailchimp has no stream '{stream}'")

    def check(self) -> Iterator[Problem]:
        """Key, base URL, every mapped list and interest, and audiences that are not mapped."""
        place = f"esp.{self.config.name}"
        try:
            self.http.get("/ping", template="/ping")
        except AuthenticationFailed:
            yield Problem(
                f"{place}.token_env",
                "Mailchimp does not accept the API key",
                "Make a new key under Account, Extras, API keys; base_url must name the data "
                "centre that follows the dash in the key.",
            )
            return
        except NotFound:
            yield Problem(
                f"{place}.base_url",
                "there is no Marketing API below this URL",
                "It must end in /3.0: https://<dc>.api.mailchimp.com/3.0",
            )
            return
        yield from self._check_stores(place)

    # --- inner works ------------------------------------------------------------------------------
    @cached_property
    def _audiences(self) -> dict[str, Audience]:
        return audiences(self.config.categories, self.categories)

    @cached_property
    def _directory(self) -> Directory:
        return Directory(self.http, self.paging)

    @cached_property
    def _reports(self) -> ReportReader:
        return ReportReader(
            self.http,
            self._audiences,
            self.categories,
            self.paging,
            self.config.report_days,
            self.context.pseudonym,
        )

    def _check_stores(self, place: str) -> Iterator[Problem]:
        lists = {key: str(row.get("name", "")) for key, row in self._directory.lists().items()}
        homes = {key: self._directory.interests(key) for key in lists}
        for category, stores in self.config.categories.items():
            key = f"{place}.categories.{category}"
            for store in stores:
                list_id, _, interest = store.partition("/")
                if list_id not in lists:
                    yield Problem(key, f"there is no list '{list_id}'", _there_are("lists", lists))
                elif interest and interest not in homes[list_id]:
                    elsewhere = [other for other, has in homes.items() if interest in has]
                    what = (
                        f"the interest '{interest}' belongs to the list '{elsewhere[0]}'"
                        if elsewhere
                        else f"the list '{list_id}' has no interest '{interest}'"
                    )
                    yield Problem(key, what, _there_are("interests", homes[list_id]))
        for list_id in sorted(set(lists) - set(self._audiences)):
            yield Problem(
                f"{place}.categories",
                f"the list '{list_id}' ({lists[list_id]}) is not mapped to any category: whom it "
                "mails is not audited",
                "Map it to the categories that it is used for, or leave it if it is not mailed.",
                fatal=False,
            )


def _there_are(kind: str, names: Mapping[str, str]) -> str:
    told = ", ".join(f"{key} ({name})" for key, name in names.items())
    return f"Use one of the {kind}: {told}" if told else f"There are no {kind}: make one first."


def _is_throttled(answer: Answer) -> bool:
    """Under load the vendor answers a bare 403, without its JSON; a real refusal has it."""
    return answer.status == 403 and answer.data is None


def _problem(answer: Answer) -> str | None:
    """An error body in a 200."""
    data: Any = answer.data
    if isinstance(data, dict) and isinstance(data.get("status"), int) and "title" in data:
        return "an error in a 200" if data["status"] >= 400 else None
    return None
