"""What can be wrong with a Klaviyo account before the first night, all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optout.errors import AuthenticationFailed, PermissionMissing, RequestRefused
from optout.http.pagination import Call
from optout.vendors.base import Problem
from optout.vendors.klaviyo.account import Account
from optout.vendors.klaviyo.mail import METRICS
from optout.vendors.klaviyo.pages import ask_all

_ONE: Mapping[str, Any] = {"page[size]": 1}
_SCOPES: Sequence[tuple[str, Mapping[str, Any], str]] = (
    ("/api/events", _ONE, "events:read"),
    ("/api/campaigns", {**_ONE, "filter": "equals(messages.channel,'email')"}, "campaigns:read"),
)


def problems(account: Account, categories: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Key, revision, scopes, lists, metrics, and whether consent is shown. Raises SourceError only
    where the vendor cannot be asked at all."""
    place = f"esp.{account.system}"
    try:
        yield from _account(account, place)
    except AuthenticationFailed:
        yield Problem(
            f"{place}.token_env", "Klaviyo does not accept the key",
            "Put a private API key (pk_...) into the variable; it may have been revoked",
        )  # fmt: skip
        return
    except RequestRefused:
        yield Problem(
            f"{place}.base_url", "Klaviyo refuses the pinned API revision",
            "Check base_url (https://a.klaviyo.com); a retired revision needs a newer optout",
        )  # fmt: skip
        return
    yield from _lists(account, place, categories)
    yield from _consent(account, place)
    yield from _metrics(account, place)
    for path, params, scope in _SCOPES:
        try:
            account.http.get(path, params)
        except PermissionMissing:
            yield _scope(place, scope)


def _account(account: Account, place: str) -> Iterator[Problem]:
    try:
        account.http.get("/api/accounts")
    except PermissionMissing:
        yield _scope(place, "accounts:read", "the account's postal address is not known",
                     fatal=False)  # fmt: skip


def _lists(
    account: Account, place: str, categories: Mapping[str, Sequence[str]]
) -> Iterator[Problem]:
    try:
        found = ask_all(account.http, Call("/api/lists", {"page[size]": 10}))
    except PermissionMissing:
        yield _scope(place, "lists:read")
        return
    known = {item["id"] for item in found}
    for category, list_ids in categories.items():
        key = f"{place}.categories.{category}"
        if not list_ids:
            yield Problem(key, "the category has no list", "Name at least one list id")
        for list_id in list_ids:
            if list_id not in known:
                yield Problem(key, f"there is no list {list_id}",
                              "Copy the id from the list's settings in Klaviyo")  # fmt: skip
    spare = sorted(known - account.lists.keys())
    if spare:
        yield Problem(
            f"{place}.categories", f"lists of no category are not watched: {', '.join(spare)}",
            "Map them to a category if marketing goes to them", fatal=False,
        )  # fmt: skip


def _consent(account: Account, place: str) -> Iterator[Problem]:
    params = {**_ONE, "additional-fields[profile]": "subscriptions"}
    try:
        items = account.http.get("/api/profiles", params).data["data"]
    except PermissionMissing:
        yield _scope(place, "profiles:read")
        return
    if items and "subscriptions" not in items[0]["attributes"]:
        yield Problem(
            f"{place}.token_env", "Klaviyo does not show consent to this key",
            "Give the key the scope subscriptions:read",
        )  # fmt: skip


def _metrics(account: Account, place: str) -> Iterator[Problem]:
    try:
        found = account.metrics()
    except PermissionMissing:
        yield _scope(place, "metrics:read")
        return
    missing = [name for name in METRICS if name not in found]
    if missing:
        yield Problem(
            f"{place}.vendor", f"the account has no metrics of these names: {', '.join(missing)}",
            "Nothing, if such a thing never happened there: Klaviyo makes a metric with its first"
            " event", fatal=False,
        )  # fmt: skip


def _scope(
    place: str, scope: str, otherwise: str = "the night would be incomplete", *, fatal: bool = True
) -> Problem:
    return Problem(
        f"{place}.token_env", f"the key lacks the scope {scope}; without it {otherwise}",
        f"Make a private API key with {scope}", fatal=fatal,
    )  # fmt: skip
