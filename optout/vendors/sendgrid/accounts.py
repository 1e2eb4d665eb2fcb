"""Whose stores are read: the main account and the subusers that answer at this base_url."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from optout.errors import NotFound, PermissionMissing
from optout.http.client import HttpClient
from optout.http.pagination import Call, Offset
from optout.vendors.sendgrid.rows import Account

_SUBUSERS = "/v3/subusers"
_PAGE = 100


class Accounts:
    """The accounts behind one key at one base_url; asked once."""

    def __init__(self, http: HttpClient, base_url: str, wanted: str | tuple[str, ...]) -> None:
        self._http = http
        self._wanted = wanted
        self._known: list[Account] | None = None
        host = urlsplit(base_url).hostname or ""
        self.region = "eu" if ".eu." in f".{host}" else "global"
        self.notes: list[str] = []
        """What people should know of accounts that are not read."""
        self.elsewhere: list[str] = []
        """Subusers of the other region."""
        self.unknown: list[str] = []
        """Configured subusers that the account does not have."""
        self.is_hidden = False
        """Whether the key may not list subusers."""

    def all(self) -> list[Account]:
        """The main account first; scoped if there are several."""
        if self._known is None:
            self._known = self._ask()
        return self._known

    def _ask(self) -> list[Account]:
        if self._wanted == ():
            return [Account()]
        try:
            rows = self._rows()
        except (PermissionMissing, NotFound):
            if self._wanted != "auto":
                raise
            self.is_hidden = True
            self.notes.append("the key may not list subusers: if there are any, they are not read")
            return [Account()]
        if self._wanted != "auto":
            names = {row["username"] for row in rows}
            self.unknown = [name for name in self._wanted if name not in names]
            rows = [row for row in rows if row["username"] in self._wanted]
        here = [self._account(row) for row in rows if self._is_here(row)]
        main = Account(scoped=bool(here))
        return [main, *here]

    def _rows(self) -> list[dict[str, Any]]:
        call = Call(_SUBUSERS, {"include_region": True})
        rows: dict[str, dict[str, Any]] = {}
        for page in Offset(items="", size=_PAGE).pages(self._http, call):
            for row in page.items:
                if not isinstance(row, dict) or not isinstance(row.get("username"), str):
                    raise call.broken(self._http, "a subuser without a name")
                rows[row["username"]] = row
        return list(rows.values())

    def _is_here(self, row: dict[str, Any]) -> bool:
        name = row["username"]
        if row.get("region", self.region) != self.region:
            self.elsewhere.append(name)
            self.notes.append(f"subuser {name} is in another region and is not read here")
            return False
        if row.get("disabled"):
            self.notes.append(f"subuser {name} is disabled: it cannot send, and is not read")
            return False
        return True

    @staticmethod
    def _account(row: dict[str, Any]) -> Account:
        return Account(row["username"], str(row.get("id", "")), scoped=True)
