"""What can be wrong with a Sell account before the first night, each with its mend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optout.errors import AuthenticationFailed, PermissionMissing
from optout.model import State
from optout.vendors.base import Problem
from optout.vendors.zendesk_sell.api import STORES, Definition, SellApi
from optout.vendors.zendesk_sell.values import Preferences, word

_TEXT = frozenset({"string", "text", "list"})
_USABLE = {
    "history": frozenset({"string", "text"}),
    "last_updated": frozenset({"string", "text", "datetime"}),
    "consent_basis_date": frozenset({"string", "text", "date", "datetime"}),
}
"""What a field is for → the types that can hold it; the others take any of `_TEXT`."""
_FLAG = frozenset({"bool", "boolean", "list", "string", "text"})
_UI = "in Sell under Settings > Customize > {}; the API cannot"
_PAGES = {"contacts": "Contacts", "leads": "Leads"}


def problems(
    api: SellApi, preferences: Preferences, *, sync: str, firehose: str, device: str
) -> Iterator[Problem]:
    """Each once, all at once; a token that is not accepted ends it, as nothing more can be asked.

    `sync` and `firehose` are the settings of that name (`auto`, `on`, `off`).
    """
    try:
        yield from _owner(api)
        for store in STORES:
            yield from _fields(api, preferences, store)
        if sync != "off":
            yield from _sync(api, device, is_demanded=sync == "on")
        if firehose != "off":
            yield from _firehose(api, is_demanded=firehose == "on")
    except AuthenticationFailed:
        yield Problem(
            "hub.token_env",
            "Sell does not accept the token",
            "Make a new one in Sell under Settings > Integrations > OAuth and put it into the "
            "variable that token_env names",
        )


def _owner(api: SellApi) -> Iterator[Problem]:
    role = None
    try:
        role = word(api.user().get("role"))
    except PermissionMissing:
        yield Problem(
            "hub.token_env",
            "the token lacks the scope `profile`, so its owner cannot be looked at",
            "Make a token with the scopes read, profile and sync",
            fatal=False,
        )
    if role in ("admin", "administrator"):
        return
    yield Problem(
        "hub.token_env",
        "Sell shows only what the token's owner may see, and the owner is not known to be an "
        "administrator: hidden contacts cannot be told from absent ones",
        "Use the token of an administrator who sees every contact and lead",
        fatal=False,
    )


def _fields(api: SellApi, preferences: Preferences, store: str) -> Iterator[Problem]:
    try:
        found = {each.name: each for each in api.definitions(store)}
    except PermissionMissing:
        yield Problem(
            "hub.token_env",
            f"the token may not read the custom fields of {store}",
            "Make a token with the scope read",
        )
        return
    page = _UI.format(_PAGES[store])
    for name, category in preferences.category_of.items():
        key = "hub.fields.global_opt_out" if category is None else f"hub.categories.{category}"
        usable = _FLAG if category is None else _TEXT
        yield from _field(found.get(name), (key, name, store, page), usable, is_fatal=True)
        if name in found and found[name].type == "list":
            yield from _choices(found[name], (key, name, store, page), is_flag=category is None)
    for role, name in preferences.roles.items():
        place = (f"hub.fields.{role}", name, store, page)
        usable = _USABLE.get(role, _TEXT)
        yield from _field(found.get(name), place, usable, is_fatal=role == "history")


def _field(
    found: Definition | None,
    place: tuple[str, str, str, str],
    usable: frozenset[str],
    *,
    is_fatal: bool,
) -> Iterator[Problem]:
    key, name, store, page = place
    kinds = " or ".join(sorted(usable))
    if found is None:
        yield Problem(
            key,
            f"{store} have no custom field '{name}'",
            f"Create it ({kinds}) {page}. If it was renamed, write its new name here",
            is_fatal,
        )
    elif found.type not in usable:
        yield Problem(
            key,
            f"the custom field '{name}' of {store} has the type {found.type}",
            f"Create it anew as {kinds} {page}",
            is_fatal,
        )


def _choices(
    found: Definition, place: tuple[str, str, str, str], *, is_flag: bool
) -> Iterator[Problem]:
    key, name, store, page = place
    choices = {word(choice) for choice in found.choices}
    needed: Sequence[str] = [State.OPTED_OUT] if is_flag else [State.OPTED_IN, State.OPTED_OUT]
    lacking = [each for each in needed if each not in choices]
    if lacking and not (is_flag and choices & {"true", "yes"}):
        yield Problem(
            key,
            f"the dropdown '{name}' of {store} does not offer {' and '.join(lacking)}",
            f"Add the choice {page}",
        )


def _sync(api: SellApi, device: str, *, is_demanded: bool) -> Iterator[Problem]:
    try:
        api.sync_probe(device)
    except PermissionMissing:
        yield Problem(
            "hub.sync",
            "Sync is not available: every contact and lead is read every night",
            "Make a token with the scope sync (Sync needs the plan Growth or higher), or set "
            'sync = "off"',
            is_demanded,
        )


def _firehose(api: SellApi, *, is_demanded: bool) -> Iterator[Problem]:
    try:
        for store in STORES:
            api.events(store, "top", 1)
    except PermissionMissing:
        yield Problem(
            "hub.firehose",
            "the Firehose is not available: changes that leave no history entry are known only "
            "from comparing nights",
            "It needs the plan Growth or higher and the right owner of the token; else set "
            'firehose = "off"',
            is_demanded,
        )
