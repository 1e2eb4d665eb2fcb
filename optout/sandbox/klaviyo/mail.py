"""The Klaviyo twin's answers about mail: metrics, events, campaigns, messages and templates."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from starlette.requests import Request

from optout.sandbox.klaviyo import query as kq
from optout.sandbox.klaviyo import state as ks
from optout.sandbox.klaviyo.query import Condition

if TYPE_CHECKING:
    from optout.sandbox.klaviyo.twin import KlaviyoTwin

REVISION = "2026-07-15"
"""The only revision whose campaigns are served here; the next one gives them another shape."""

_BOTH = ("greater-or-equal", "greater-than", "less-or-equal", "less-than")
_EVENT_FILTERS: Mapping[str, tuple[str, ...]] = {
    "metric_id": ("equals",), "profile_id": ("equals",), "datetime": _BOTH,
}  # fmt: skip
_CAMPAIGN_FILTERS: Mapping[str, tuple[str, ...]] = {
    "messages.channel": ("equals",), "id": ("any",), "status": ("any", "equals"),
    "archived": ("equals",), "created_at": _BOTH, "scheduled_at": _BOTH, "updated_at": _BOTH,
}  # fmt: skip


class Mail:
    """The handlers; each takes a request and returns the body of the answer."""

    def __init__(self, twin: KlaviyoTwin) -> None:
        self._twin = twin

    def metrics(self, request: Request) -> kq.Item:
        """The account's metrics; their ids differ from account to account."""
        kq.check_parameters(request, frozenset({"filter", "include", "page[cursor]"}))
        shown = [(i, name, "Klaviyo") for name, i in self._twin.metrics.items()]
        shown += [(i, name, "Shopify") for i, name in self._twin.foreign_metrics.items()]
        data = [_metric(request, *each) for each in shown]
        return {"data": data, "links": {"self": str(request.url)}}

    def events(self, request: Request) -> kq.Item:
        """Events by metric and time; the newest first unless asked otherwise."""
        kq.check_parameters(request, kq.PAGED)
        size = kq.page_size(request, 200, 1000)
        _, back = kq.sorting(request, ("datetime",), "-datetime")
        conditions = kq.conditions(request, _EVENT_FILTERS)
        found = self._found(request, conditions, size, back=back)
        page, links = kq.page_of(
            request, found, size, self._twin.cursor_generation,
            _event_key, reverse=back,
        )  # fmt: skip
        include = kq.words(request, "include", ("metric", "profile", "attributions"))
        body: kq.Item = {"data": [self._event(request, each) for each in page], "links": links}
        if include:
            body["included"] = self._included(request, page, include)
        return body

    def campaigns(self, request: Request) -> kq.Item:
        """Campaigns of one channel: without a filter for it the vendor refuses."""
        if request.headers["revision"] != REVISION:
            raise kq.invalid("Campaigns are served in the shape of 2026-07-15 only.", "revision")
        kq.check_parameters(request, kq.PAGED)
        size = kq.page_size(request, 100, 100)
        conditions = kq.conditions(request, _CAMPAIGN_FILTERS)
        channels = [each.value for each in conditions if each.field == "messages.channel"]
        if not channels:
            raise kq.invalid("A channel filter is required to list campaigns.", "filter")
        include = kq.words(request, "include", ("campaign-messages", "tags"))
        found = [
            each for each in self._twin.campaigns.values()
            if not each.is_flow and channels == ["email"] and _campaign_fits(each, conditions)
        ]  # fmt: skip
        page, links = kq.page_of(
            request, found, size, self._twin.cursor_generation, lambda each: [each.id]
        )
        body: kq.Item = {"data": [self._campaign(request, each) for each in page], "links": links}
        if "campaign-messages" in include:
            body["included"] = [self._message(request, each) for each in page]
        return body

    def message(self, request: Request) -> kq.Item:
        """One message of a campaign, with its template if asked for."""
        kq.check_parameters(request, frozenset({"include"}))
        campaign = self._by_message(request, is_flow=False)
        body: kq.Item = {"data": self._message(request, campaign)}
        if "template" in kq.words(request, "include", ("campaign", "template", "image")):
            attributes = campaign.template_attributes()
            body["included"] = [kq.resource(request, "template", campaign.template_id, attributes)]
        return body

    def flow_message(self, request: Request) -> kq.Item:
        """One message of a flow, with the action that says whether it is transactional."""
        kq.check_parameters(request, frozenset({"include"}))
        campaign = self._by_message(request, is_flow=True)
        at = ks.stamp(campaign.mailing.sent_at)
        content = campaign.message_attributes()["definition"]["content"]
        attributes = {"name": campaign.mailing.name, "channel": "email", "content": content,
                      "created": at, "updated": at}  # fmt: skip
        body: kq.Item = {
            "data": kq.resource(request, "flow-message", campaign.message_id, attributes)
        }
        if "flow-action" in kq.words(request, "include", ("flow-action", "template")):
            message = {"transactional": True, "name": campaign.mailing.name}
            definition = {"type": "send-email", "data": {"message": message, "status": "live"}}
            action = {"created": at, "updated": at, "definition": definition}
            body["included"] = [kq.resource(request, "flow-action", "FA0001", action)]
        return body

    def _by_message(self, request: Request, *, is_flow: bool) -> ks.Campaign:
        for campaign in self._twin.campaigns.values():
            if campaign.message_id == request.path_params["id"] and campaign.is_flow is is_flow:
                return campaign
        raise kq.Refused(404, "not_found", "A message with this id does not exist.")

    def _found(
        self, request: Request, conditions: Sequence[Condition], size: int, *, back: bool
    ) -> list[ks.Event]:
        """The events that are asked for, in order. Forwards through one metric, the usual way to
        read, no more of them are looked at than a page needs."""
        asked = {each.value for each in conditions if each.field == "metric_id"}
        names = [name for name, mid in self._twin.metrics.items() if not asked or mid in asked]
        if len(names) == 1 and not back:
            events = self._twin.events[names[0]]
            later = islice(events, self._first(request, events, conditions), None)
            fitting = (each for each in later if _event_fits(each, conditions))
            return list(islice(fitting, size + 1))
        found = [
            each for name in names for each in self._twin.events[name]
            if _event_fits(each, conditions)
        ]  # fmt: skip
        return sorted(found, key=_event_key, reverse=back)

    def _first(
        self, request: Request, events: Sequence[ks.Event], conditions: Sequence[Condition]
    ) -> int:
        """The place of the first event that can be on the page."""
        since = [c.value for c in conditions if c.field == "datetime" and "greater" in c.operator]
        first = bisect_left(events, max(since), key=lambda each: each.at) if since else 0
        cursor = request.query_params.get("page[cursor]")
        if not cursor:
            return first
        behind = kq.decode_cursor(cursor, self._twin.cursor_generation)
        return max(first, bisect_right(events, behind, key=_event_key))

    def _event(self, request: Request, event: ks.Event) -> kq.Item:
        metric_id = self._twin.metrics[event.metric]
        return kq.resource(
            request, "event", event.id, event.attributes(),
            profile=kq.to_one("profile", event.profile_id), metric=kq.to_one("metric", metric_id),
        )  # fmt: skip

    def _included(
        self, request: Request, events: Sequence[ks.Event], include: Sequence[str]
    ) -> list[kq.Item]:
        included: list[kq.Item] = []
        if "profile" in include:
            ids = dict.fromkeys(each.profile_id for each in events)
            included += [
                kq.resource(request, "profile", each, self._twin.profiles[each].attributes())
                for each in ids
            ]
        if "metric" in include:
            names = dict.fromkeys(each.metric for each in events)
            included += [
                kq.resource(request, "metric", self._twin.metrics[name], {"name": name})
                for name in names
            ]
        return included

    def _campaign(self, request: Request, campaign: ks.Campaign) -> kq.Item:
        messages = kq.to_many("campaign-message", campaign.message_id)
        return kq.resource(
            request, "campaign", campaign.id, campaign.attributes(),
            **{"campaign-messages": messages},
        )  # fmt: skip

    def _message(self, request: Request, campaign: ks.Campaign) -> kq.Item:
        return kq.resource(
            request, "campaign-message", campaign.message_id, campaign.message_attributes(),
            campaign=kq.to_one("campaign", campaign.id),
            template=kq.to_one("template", campaign.template_id),
        )  # fmt: skip


def _metric(request: Request, metric_id: str, name: str, maker: str) -> kq.Item:
    integration = {"object": "integration", "id": f"In{maker}", "key": maker.lower(),
                   "name": maker, "category": "Internal"}  # fmt: skip
    when = "2020-01-01T00:00:00+00:00"
    attributes = {"name": name, "created": when, "updated": when, "integration": integration}
    return kq.resource(request, "metric", metric_id, attributes)


def _event_key(event: ks.Event) -> list[float | str]:
    return [event.at.timestamp(), event.id]


def _event_fits(event: ks.Event, conditions: Sequence[Condition]) -> bool:
    have: dict[str, str | datetime] = {"profile_id": event.profile_id, "datetime": event.at}
    return all(each.field == "metric_id" or each.holds([have[each.field]]) for each in conditions)


def _campaign_fits(campaign: ks.Campaign, conditions: Sequence[Condition]) -> bool:
    sent_at = campaign.mailing.sent_at
    have: kq.Item = {"messages.channel": "email", "id": campaign.id, "status": "Sent",
                  "archived": False, "created_at": sent_at, "scheduled_at": sent_at,
                  "updated_at": sent_at}  # fmt: skip
    return all(each.holds([have[each.field]]) for each in conditions)
