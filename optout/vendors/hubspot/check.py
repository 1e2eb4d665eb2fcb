"""What can be wrong with a HubSpot account before the first night: `optout check`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from optout.errors import AuthenticationFailed, Permanent, PermissionMissing, SourceError
from optout.http.client import Answer, HttpClient
from optout.vendors.base import Problem
from optout.vendors.hubspot.asking import STATUSES, WIDE
from optout.vendors.hubspot.campaigns import EMAILS
from optout.vendors.hubspot.feeds import EVENTS, TIMELINE
from optout.vendors.hubspot.people import CONTACTS
from optout.vendors.hubspot.rows import CONTACT_PROPERTIES, TypeBook, number_of

if TYPE_CHECKING:
    from optout.vendors.hubspot.connector import HubSpotConfig

ACCOUNT = "/account-info/v3/details"
DEFINITIONS = "/communication-preferences/v4/definitions"
PROPERTIES = "/crm/v3/properties/contacts"

_SCOPES: Mapping[str, str] = {
    "/communication-preferences/v4/statuses/batch": "communication_preferences.statuses.batch.read",
    "/communication-preferences": "communication_preferences.read",
    "/crm/v3": "crm.objects.contacts.read",
    "/email/public/v1": "content",
    "/marketing/v3": "content",
}
"""Path prefix → the scope that it needs; the longest prefix stands first."""
_NOBODY = "nobody@example.com"
"""An address that asks about no one: reserved for documentation (RFC 2606)."""


def scope_of(request: str) -> str | None:
    """The scope that a request needs, by its path."""
    path = request.rpartition(" ")[2]
    return next((scope for prefix, scope in _SCOPES.items() if path.startswith(prefix)), None)


class HubSpotCheck:
    """Asks each endpoint that the nights will ask, once and for little."""

    def __init__(self, http: HttpClient, config: HubSpotConfig, book: TypeBook) -> None:
        self._http = http
        self._config = config
        self._book = book
        self._key = f"esp.{config.name}"
        self._found: list[Problem] = []

    def problems(self) -> Iterator[Problem]:
        """Each problem once. Raises SourceError only where nothing more can be asked: the token
        is not accepted, or nobody answers."""
        get = self._http.get
        get(ACCOUNT)
        self._found = []
        definitions = self._probe(lambda: get(DEFINITIONS))
        if definitions is not None:
            self._judge_types(definitions.get("results") or [])
        for path in (STATUSES, WIDE):
            self._probe(partial(self._ask_batch, path))
        properties = self._probe(lambda: get(PROPERTIES))
        if properties is not None:
            self._judge_properties(properties.get("results") or [])
        for path in (CONTACTS, TIMELINE, EVENTS, EMAILS):
            self._probe(partial(get, path, {"limit": 1}))
        yield from self._found

    def _ask_batch(self, path: str) -> Answer:
        params = {"channel": "EMAIL", "businessUnitId": self._config.business_unit_id}
        return self._http.post(path, {"inputs": [_NOBODY]}, params, ok=(200, 207))

    def _probe(self, ask: Callable[[], Answer]) -> dict[str, Any] | None:
        """The answer's object, or None after its problem was noted."""
        try:
            data = ask().data
        except AuthenticationFailed:
            raise
        except PermissionMissing as error:
            mend = f"Give the private app the scope {scope_of(error.request)}"
            self._note("token_env", f"the token may not ask {error.request}", mend)
        except SourceError as error:
            if not isinstance(error, Permanent):
                raise
            mend = "Check base_url, and whether the account's plan still has this endpoint"
            self._note("base_url", error.message, mend)
        else:
            return data if isinstance(data, dict) else {}
        return None

    def _judge_types(self, definitions: list[dict[str, Any]]) -> None:
        known = {number_of(each.get("id")): each for each in definitions}
        for category in self._book.categories.names:
            if category not in self._config.categories:
                self._note(
                    f"categories.{category}", "no subscription type holds this category",
                    "Name the ids of its types, or leave it if HubSpot mails none", False,
                )  # fmt: skip
        for category, kinds in self._config.categories.items():
            for kind in kinds:
                wrong = self._wrong_with(known.get(int(kind)))
                if wrong:
                    self._note(f"categories.{category}", f"subscription type {kind} {wrong}",
                               f"Use one of {_choice(definitions)}")  # fmt: skip
        for number, each in known.items():
            if number not in self._book.masks and self._wrong_with(each) is None:
                name = str(each.get("name"))
                self._note(
                    "categories", f"no category maps subscription type {number} ({name})",
                    "Map it if it is marketing mail; else nothing is to be done", False,
                )  # fmt: skip

    def _wrong_with(self, definition: Mapping[str, Any] | None) -> str | None:
        """Why a type cannot be read, or None."""
        if definition is None:
            return "does not exist"
        if definition.get("isActive") is False:
            return "is archived"
        unit = number_of(definition.get("businessUnitId")) or 0
        if unit != self._config.business_unit_id:
            return f"belongs to business unit {unit}"
        return None

    def _judge_properties(self, properties: list[dict[str, Any]]) -> None:
        missing = set(CONTACT_PROPERTIES) - {str(each.get("name")) for each in properties}
        for name in sorted(missing):
            self._note("token_env", f"contacts have no property {name} that this token can see",
                       "Check the private app's access to contact properties",
                       name in ("email", "hs_additional_emails", "lastmodifieddate"))  # fmt: skip

    def _note(self, key: str, message: str, mend: str, fatal: bool = True) -> None:
        self._found.append(Problem(f"{self._key}.{key}", message, mend, fatal))


def _choice(definitions: list[dict[str, Any]]) -> str:
    active = [each for each in definitions if each.get("isActive") is not False]
    return ", ".join(f"{each.get('id')} ({each.get('name')})" for each in active) or "none"
