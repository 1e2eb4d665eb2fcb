"""The twin's HTTP API: suppressions, groups and the key's own rights.

Traps that the vendor documents and that are kept here: an unknown group sends its additions to the
global list; deleting a group frees everybody in it; whoever is not globally suppressed is answered
`{}` with 200; lists are bare arrays without total or next link; `limit` above 500 is refused;
`start_time` and `end_time` both belong to the window. `/v3/asm/suppressions` takes `limit` and
`offset` although its specification names none (sendgrid/docs#5178).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from optout.sandbox.sendgrid import log as sendgrid_log
from optout.sandbox.sendgrid import marketing as sendgrid_marketing
from optout.sandbox.sendgrid.door import Refusal, body_of, door, number
from optout.sandbox.sendgrid.state import Account, Group

if TYPE_CHECKING:
    from optout.sandbox.sendgrid.twin import SendGridTwin

MAX_PAGE = 500
DEFAULT_PAGE = 50
"""The vendor does not say what it is; small, so that a client which relies on it is found out."""


def routes(twin: SendGridTwin) -> list[Route]:
    """Every path of the twin, as the vendor spells them."""
    api = _Suppressions(twin)
    groups, group = "/v3/asm/groups", "/v3/asm/groups/{group_id}"
    own, everywhere = "asm.groups.suppressions", "asm.suppressions.global"
    table: list[tuple[str, str, str | None, Callable[..., Any]]] = [
        ("GET", "/v3/scopes", None, api.scopes),
        ("GET", "/v3/subusers", "subusers.read", api.subusers),
        ("GET", groups, "asm.groups.read", api.groups),
        ("POST", groups, "asm.groups.create", api.create_group),
        ("GET", group, "asm.groups.read", api.group),
        ("DELETE", group, "asm.groups.delete", api.delete_group),
        ("GET", f"{group}/suppressions", f"{own}.read", api.members),
        ("POST", f"{group}/suppressions", f"{own}.create", api.add_members),
        ("DELETE", f"{group}/suppressions/{{email}}", f"{own}.delete", api.remove_member),
        ("GET", "/v3/asm/suppressions", f"{own}.read", api.all_members),
        ("POST", "/v3/asm/suppressions/global", f"{everywhere}.create", api.add_global),
        ("GET", "/v3/asm/suppressions/global/{email}", f"{everywhere}.read", api.one_global),
        (
            "DELETE",
            "/v3/asm/suppressions/global/{email}",
            f"{everywhere}.delete",
            api.remove_global,
        ),
        ("GET", "/v3/asm/suppressions/{email}", f"{own}.read", api.one_member),
    ]
    for name in ("unsubscribes", "bounces", "blocks", "invalid_emails", "spam_reports"):
        scope = f"suppression.{name}.read"
        table.append(("GET", f"/v3/suppression/{name}", scope, api.list_of(name)))
    table += sendgrid_marketing.table(twin) + sendgrid_log.table(twin)
    served = [door(twin, method, path, scope, answer) for method, path, scope, answer in table]
    return [*served, *sendgrid_marketing.files(twin)]


class _Suppressions:
    """Handlers; each is given the account that the request speaks for."""

    def __init__(self, twin: SendGridTwin) -> None:
        self.twin = twin

    def scopes(self, account: Account, request: Request) -> Response:
        return JSONResponse({"scopes": sorted(self.twin.scopes)})

    def subusers(self, account: Account, request: Request) -> Response:
        first, size = number(request, "offset", 0), number(request, "limit", 100)
        shown = []
        for each in list(self.twin.subusers.values())[first : first + size]:
            row = {"id": each.id, "username": each.name, "disabled": each.disabled,
                   "email": f"{each.name}@shop.example.org"}  # fmt: skip
            if request.query_params.get("include_region") == "true":
                row["region"] = each.region
            shown.append(row)
        return JSONResponse(shown)

    # --- the five lists -------------------------------------------------------------------------
    def list_of(self, name: str) -> Callable[[Account, Request], Response]:
        """The handler of one list: newest first, a window in time, a page of it."""

        def answer(account: Account, request: Request) -> Response:
            first, size = _page(request)
            start, end = number(request, "start_time", 0), number(request, "end_time", 2**40)
            prefix = request.query_params.get("email", "").lower().strip("%")
            rows = [
                row
                for row in account.lists[name].values()
                if start <= row["created"] <= end and row["email"].startswith(prefix)
            ]
            rows.sort(key=lambda row: (-row["created"], row["email"]))
            return JSONResponse(rows[first : first + size])

        return answer

    # --- groups ---------------------------------------------------------------------------------
    def groups(self, account: Account, request: Request) -> Response:
        asked = {int(each) for each in request.query_params.getlist("id")}
        found = [g.as_json() for g in account.groups.values() if not asked or g.id in asked]
        return JSONResponse(found)

    def group(self, account: Account, request: Request) -> Response:
        return JSONResponse(_group(account, request).as_json())

    async def create_group(self, account: Account, request: Request) -> Response:
        body = await body_of(request)
        name, description = str(body.get("name", "")), str(body.get("description", ""))
        if not name or len(name) > 30 or any(g.name == name for g in account.groups.values()):
            raise Refusal(400, "name must be unique and have at most 30 characters", "name")
        new = max((*account.groups, *self.twin.main.groups), default=20_000) + 1
        account.groups[new] = Group(new, name, description, bool(body.get("is_default")))
        told = account.groups[new].as_json()
        del told["unsubscribes"]
        return JSONResponse(told, 201)

    def delete_group(self, account: Account, request: Request) -> Response:
        """Its members are mailable again: the vendor forgets them with the group."""
        del account.groups[_group(account, request).id]
        return Response(status_code=204)

    def members(self, account: Account, request: Request) -> Response:
        """What a group that is gone answers is documented nowhere; the treacherous answer is the
        empty list, so that is what the twin gives."""
        text = request.path_params["group_id"]
        group = account.groups.get(int(text)) if text.isdigit() else None
        return JSONResponse(list(group.members) if group else [])

    async def add_members(self, account: Account, request: Request) -> Response:
        """No 404 for an unknown group: its addresses go to the global list."""
        emails = _recipients(await body_of(request))
        for email in emails:
            account.suppress(int(request.path_params["group_id"]), email, self.twin.clock())
        return JSONResponse({"recipient_emails": emails}, 201)

    def remove_member(self, account: Account, request: Request) -> Response:
        account.release(_group(account, request).id, request.path_params["email"])
        return Response(status_code=204)

    def all_members(self, account: Account, request: Request) -> Response:
        rows = [
            {"email": email, "group_id": g.id, "group_name": g.name, "created_at": created}
            for g in account.groups.values()
            for email, created in g.members.items()
        ]
        if "limit" in request.query_params or "offset" in request.query_params:
            first, size = _page(request)
            rows = rows[first : first + size]
        return JSONResponse(rows)

    def one_member(self, account: Account, request: Request) -> Response:
        email = request.path_params["email"].lower()
        shown = []
        for group in account.groups.values():
            row = group.as_json() | {"suppressed": email in group.members}
            del row["unsubscribes"]
            shown.append(row)
        return JSONResponse({"suppressions": shown})

    # --- the global list ------------------------------------------------------------------------
    async def add_global(self, account: Account, request: Request) -> Response:
        emails = _recipients(await body_of(request))
        for email in emails:
            account.unsubscribe(email, self.twin.clock())
        return JSONResponse({"recipient_emails": emails}, 201)

    def one_global(self, account: Account, request: Request) -> Response:
        """Not suppressed is no 404 but an empty object."""
        email = request.path_params["email"].lower()
        known = email in account.lists["unsubscribes"]
        return JSONResponse({"recipient_email": email} if known else {})

    def remove_global(self, account: Account, request: Request) -> Response:
        account.lists["unsubscribes"].pop(request.path_params["email"].lower(), None)
        return Response(status_code=204)


def _page(request: Request) -> tuple[int, int]:
    size = number(request, "limit", DEFAULT_PAGE)
    if not 1 <= size <= MAX_PAGE:
        raise Refusal(400, f"limit must be between 1 and {MAX_PAGE}", "limit")
    return number(request, "offset", 0), size


def _group(account: Account, request: Request) -> Group:
    text = request.path_params["group_id"]
    group = account.groups.get(int(text)) if text.isdigit() else None
    if group is None:
        raise Refusal(404, "Group not found")
    return group


def _recipients(body: Mapping[str, Any]) -> list[str]:
    emails = body.get("recipient_emails")
    if not isinstance(emails, list) or not emails:
        raise Refusal(400, "recipient_emails is required", "recipient_emails")
    return [str(email).lower() for email in emails]
