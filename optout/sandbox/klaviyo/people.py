"""The Klaviyo twin's answers about people: the account, lists, profiles, and subscription jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request

from optout.model import Source
from optout.sandbox.acts import Act
from optout.sandbox.klaviyo import query as kq
from optout.sandbox.klaviyo import state as ks

if TYPE_CHECKING:
    from optout.sandbox.klaviyo.twin import KlaviyoTwin

_STRICT = ("greater-than", "less-than")
_BOTH = ("greater-or-equal", "greater-than", "less-or-equal", "less-than")
_MARKETING = "subscriptions.email.marketing."
_PROFILE_FILTERS: Mapping[str, tuple[str, ...]] = {
    "id": ("any", "equals"),
    "email": ("any", "equals"),
    "created": _STRICT,
    "updated": _STRICT,
    f"{_MARKETING}suppression.timestamp": _BOTH,
    f"{_MARKETING}suppression.reason": ("equals",),
    f"{_MARKETING}list_suppressions.timestamp": _BOTH,
    f"{_MARKETING}list_suppressions.reason": ("equals",),
    f"{_MARKETING}list_suppressions.list_id": ("equals",),
}
_PROFILE_SORTS = ("id", "created", "updated", "email", f"{_MARKETING}suppression.timestamp",
                  f"{_MARKETING}list_suppressions.timestamp")  # fmt: skip
_ADDITIONAL = ("subscriptions", "predictive_analytics")


class People:
    """The handlers; each takes a request and returns the body of the answer."""

    def __init__(self, twin: KlaviyoTwin) -> None:
        self._twin = twin

    def accounts(self, request: Request) -> kq.Item:
        """The one account that the key belongs to."""
        street = {"address1": "1 Example Way", "address2": "", "city": "Exampleton",
                  "region": "EX", "country": "US", "zip": "00001"}  # fmt: skip
        contact = {"default_sender_name": "Example Shop", "organization_name": "Example Shop",
                   "default_sender_email": "news@shop.example.org",
                   "website_url": "https://shop.example.org", "street_address": street}  # fmt: skip
        attributes = {"test_account": False, "contact_information": contact, "industry": "Retail",
                      "timezone": "UTC", "preferred_currency": "USD", "public_api_key": "KLEX01",
                      "locale": "en-US"}  # fmt: skip
        account = kq.resource(request, "account", "KLEX01", attributes)
        return {"data": [account], "links": {"self": str(request.url)}}

    def lists(self, request: Request) -> kq.Item:
        """All lists, never more than ten a page."""
        kq.check_parameters(request, kq.PAGED)
        size = kq.page_size(request, 10, 10)
        found = sorted(self._twin.lists.values(), key=lambda each: each.id)
        page, links = kq.page_of(
            request, found, size, self._twin.cursor_generation, lambda each: [each.id]
        )
        return {"data": [self._list(request, each) for each in page], "links": links}

    def list_one(self, request: Request) -> kq.Item:
        """One list; the number of its members only if asked for."""
        kq.check_parameters(request, frozenset({"additional-fields[list]", "include"}))
        listed = self._known_list(request)
        item = self._list(request, listed)
        if "profile_count" in kq.words(request, "additional-fields[list]", ("profile_count",)):
            item["attributes"]["profile_count"] = len(listed.members)
        return {"data": item}

    def members(self, request: Request) -> kq.Item:
        """The profiles on a list."""
        kq.check_parameters(request, kq.PAGED | {"additional-fields[profile]"})
        listed = self._known_list(request)
        size = kq.page_size(request, 20, 100)
        wanted = kq.words(request, "additional-fields[profile]", _ADDITIONAL)
        page, links = kq.page_of(
            request, listed.ordered(), size, self._twin.cursor_generation, lambda each: [each]
        )
        data = []
        for profile_id in page:
            joined = {"joined_group_at": ks.stamp(listed.members[profile_id])}
            data.append(self._profile(request, self._twin.profiles[profile_id], wanted, joined))
        return {"data": data, "links": links}

    def profiles(self, request: Request) -> kq.Item:
        """Profiles, filtered and in order; consent only if asked for."""
        kq.check_parameters(request, kq.PAGED | {"additional-fields[profile]"})
        size = kq.page_size(request, 20, 100)
        wanted = kq.words(request, "additional-fields[profile]", _ADDITIONAL)
        conditions = kq.conditions(request, _PROFILE_FILTERS)
        found = [
            profile for profile in self._twin.profiles.values()
            if all(each.holds(profile.values(each.field)) for each in conditions)
        ]  # fmt: skip
        name, back = kq.sorting(request, _PROFILE_SORTS, "id")
        # Ids are given out in order, so the order of the whole table is the order of its making.
        if (name, back) != ("id", False):
            found.sort(key=lambda each: (each.sort_key(name), each.id), reverse=back)
        page, links = kq.page_of(
            request, found, size, self._twin.cursor_generation,
            lambda each: [each.sort_key(name), each.id], reverse=back,
        )  # fmt: skip
        return {"data": [self._profile(request, p, wanted, {}) for p in page], "links": links}

    def subscribe_job(self, request: Request) -> kq.Item:
        """Subscribes, and thereby erases opt-outs."""
        addresses, list_id = _job(request)
        for address in addresses:
            profile = self._twin.ensure(address)
            lists = [list_id] if list_id else []
            self._twin.subscribe(profile, self._act(), lists)
        return {}

    def unsubscribe_job(self, request: Request) -> kq.Item:
        """Unsubscribes: of the list if the profile is on it, else of everything."""
        addresses, list_id = _job(request)
        for address in addresses:
            self._twin.unsubscribe(self._twin.ensure(address), self._act(), list_id)
        return {}

    def _act(self) -> Act:
        if self._twin.now is None:
            raise kq.Refused(500, "error", "The sandbox has no clock.")
        return Act(self._twin.now, Source.API, ip=None, user_agent=None)

    def _known_list(self, request: Request) -> ks.MailingList:
        listed = self._twin.lists.get(request.path_params["id"])
        if listed is None:
            raise kq.Refused(404, "not_found", "A list with this id does not exist.")
        return listed

    def _list(self, request: Request, listed: ks.MailingList) -> kq.Item:
        return kq.resource(request, "list", listed.id, listed.attributes())

    def _profile(
        self, request: Request, profile: ks.Profile, wanted: Sequence[str], more: kq.Item
    ) -> kq.Item:
        attributes = {**profile.attributes(), **more}
        if "subscriptions" in wanted and self._twin.consent_field_empty != "absent":
            empty = self._twin.consent_field_empty == "null"
            attributes["subscriptions"] = None if empty else profile.subscriptions()
        return kq.resource(request, "profile", profile.id, attributes)


def _job(request: Request) -> tuple[list[str], str | None]:
    """The addresses and the list of a subscription job."""
    try:
        data = json.loads(request.state.body)["data"]
        profiles = data["attributes"]["profiles"]["data"]
        addresses = [each["attributes"]["email"] for each in profiles]
        listed = data.get("relationships", {}).get("list", {}).get("data")
        return addresses, listed["id"] if listed else None
    except (ValueError, KeyError, TypeError):
        raise kq.Refused(400, "invalid", "The body is not a valid job.") from None
