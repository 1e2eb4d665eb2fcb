"""The twin's marketing side: contacts, their export as files, single sends and senders.

`GET /v3/marketing/contacts` shows fifty and has no pages; everything comes only by an export: a job
that is `pending` for a while and then names files elsewhere, which expire. As with the vendor's
store the files refuse a request that carries our credential besides their own signature.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from optout.sandbox.sendgrid.door import Refusal, Row, body_of, number
from optout.sandbox.sendgrid.state import Account, Export, iso

if TYPE_CHECKING:
    from optout.sandbox.sendgrid.twin import SendGridTwin

SAMPLE = 50
COLUMNS = (
    "EMAIL", "FIRST_NAME", "LAST_NAME", "ADDRESS_LINE_1", "ADDRESS_LINE_2", "CITY",
    "STATE_PROVINCE_REGION", "POSTAL_CODE", "COUNTRY", "ALTERNATE_EMAILS", "PHONE_NUMBER",
    "WHATSAPP", "LINE", "FACEBOOK", "UNIQUE_NAME", "CREATED_AT", "UPDATED_AT", "CONTACT_ID",
)  # fmt: skip
"""The head of a real CSV export (a recorded file in airbytehq/airbyte, source-sendgrid)."""
_FILES = "/export-files/{job}/{part}"


def table(twin: SendGridTwin) -> list[Row]:
    """Paths below /v3/marketing."""
    api = _Marketing(twin)
    base, scope = "/v3/marketing", "marketing.read"
    return [
        ("GET", f"{base}/contacts", scope, api.sample),
        ("GET", f"{base}/contacts/count", scope, api.count),
        ("POST", f"{base}/contacts/exports", scope, api.start_export),
        ("GET", f"{base}/contacts/exports", scope, api.exports),
        ("GET", f"{base}/contacts/exports/{{id}}", scope, api.export),
        ("GET", f"{base}/singlesends", scope, api.single_sends),
        ("GET", f"{base}/singlesends/{{id}}", scope, api.single_send),
        ("GET", f"{base}/senders", scope, api.senders),
        ("GET", f"{base}/senders/{{id}}", scope, api.sender),
    ]


def files(twin: SendGridTwin) -> list[Route]:
    """The store of exported files; outside the API, without its credential."""

    def answer(request: Request) -> Response:
        if "authorization" in request.headers:
            return Response("<Error><Code>InvalidArgument</Code></Error>", 400)
        for account in (twin.main, *twin.subusers.values()):
            job = account.exports.get(request.path_params["job"])
            if job is None or job.expires < twin.clock():
                continue
            part = int(request.path_params["part"].split(".")[0])
            return Response(job.parts[part], media_type="binary/octet-stream")
        return Response("<Error><Code>AccessDenied</Code></Error>", 403)

    return [Route(_FILES, answer, methods=["GET"])]


class _Marketing:
    """Handlers; each is given the account that the request speaks for."""

    def __init__(self, twin: SendGridTwin) -> None:
        self.twin = twin

    # --- contacts -------------------------------------------------------------------------------
    def sample(self, account: Account, request: Request) -> Response:
        newest = sorted(account.contacts.values(), key=lambda c: str(c["updated_at"]))[-SAMPLE:]
        shown = sorted(newest, key=lambda c: str(c.get("email")))
        me = {"self": str(request.url)}
        total = len(account.contacts)
        return JSONResponse({"result": shown, "contact_count": total, "_metadata": me})

    def count(self, account: Account, request: Request) -> Response:
        total = len(account.contacts)
        return JSONResponse({"contact_count": total, "billable_count": total})

    async def start_export(self, account: Account, request: Request) -> Response:
        body = await body_of(request) if int(request.headers.get("content-length", 0)) else {}
        kind = body.get("file_type", "csv")
        if kind not in ("csv", "json"):
            raise Refusal(400, "file_type must be csv or json", "file_type")
        twin, made = self.twin, self.twin.clock()
        contacts = list(account.contacts.values())
        write = _csv if kind == "csv" else _json_lines
        parts = [write(chunk) for chunk in _split(contacts, max(1, twin.export_parts))]
        if twin.export_gzip:
            parts = [gzip.compress(part, mtime=0) for part in parts]
        job = Export(
            twin.new_id(), made, made + twin.export_ttl, parts,
            f"{kind}.gzip" if twin.export_gzip else kind, len(contacts),
            twin.export_polls, twin.export_failures > 0,
        )  # fmt: skip
        twin.export_failures = max(0, twin.export_failures - 1)
        account.exports[job.id] = job
        return JSONResponse({"id": job.id, "_metadata": {"self": f"{request.url}/{job.id}"}}, 202)

    def exports(self, account: Account, request: Request) -> Response:
        shown = [self._told(job, request) for job in account.exports.values()]
        return JSONResponse({"result": shown, "_metadata": {"self": str(request.url)}})

    def export(self, account: Account, request: Request) -> Response:
        job = account.exports.get(request.path_params["id"])
        if job is None:
            raise Refusal(404, "export not found", "id")
        told = self._told(job, request)
        job.polls_left = max(0, job.polls_left - 1)
        return JSONResponse(told)

    def _told(self, job: Export, request: Request) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": job.id, "status": "pending", "urls": [], "created_at": iso(job.created),
            "updated_at": iso(self.twin.clock()), "expires_at": iso(job.expires),
        }  # fmt: skip
        if job.polls_left:
            return told
        if job.fails:
            return told | {"status": "failure", "message": "internal error"}
        root = str(request.url).split("/v3/")[0]
        place = f"{root}/export-files/{job.id}"
        urls = [f"{place}/{i}.{job.suffix}?signature=x" for i in range(len(job.parts))]
        told |= {"status": "ready", "completed_at": told["updated_at"], "urls": urls}
        if self.twin.tells_count:
            told["contact_count"] = job.count
        return told

    # --- single sends and senders ---------------------------------------------------------------
    def single_sends(self, account: Account, request: Request) -> Response:
        size, first = number(request, "page_size", 100), number(request, "page_token", 0)
        sends = list(account.single_sends.values())
        shown = []
        for each in sends[first : first + size]:
            row = {k: v for k, v in each.items() if k not in ("email_config", "send_to")}
            shown.append(row | {"abtest": None, "is_abtest": False})
        meta: dict[str, Any] = {"self": str(request.url), "count": len(sends)}
        if first + size < len(sends):
            onwards = request.url.include_query_params(page_size=size, page_token=first + size)
            meta["next"] = str(onwards)
        return JSONResponse({"result": shown, "_metadata": meta})

    def single_send(self, account: Account, request: Request) -> Response:
        found = account.single_sends.get(request.path_params["id"])
        if found is None:
            raise Refusal(404, "single send not found")
        return JSONResponse(found)

    def senders(self, account: Account, request: Request) -> Response:
        return JSONResponse({"results": list(account.senders.values())})

    def sender(self, account: Account, request: Request) -> Response:
        text = request.path_params["id"]
        found = account.senders.get(int(text)) if text.isdigit() else None
        if found is None:
            raise Refusal(404, "sender not found")
        return JSONResponse(found)


def _split(rows: Sequence[Mapping[str, Any]], parts: int) -> list[Sequence[Mapping[str, Any]]]:
    size = max(1, -(-len(rows) // parts))
    return [rows[i : i + size] for i in range(0, len(rows), size)] or [()]


def _csv(contacts: Iterable[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(COLUMNS)
    for contact in contacts:
        fields = {key.upper(): value for key, value in contact.items()}
        fields["CONTACT_ID"] = contact["id"]
        fields["ALTERNATE_EMAILS"] = ",".join(contact["alternate_emails"])
        writer.writerow([fields.get(column) or "" for column in COLUMNS])
    return text.getvalue().encode()


def _json_lines(contacts: Iterable[Mapping[str, Any]]) -> bytes:
    lines = []
    for contact in contacts:
        fields = {key: value for key, value in contact.items() if key != "id"}
        lines.append(json.dumps({"contact_id": contact["id"], **fields}))
    return "".join(f"{line}\n" for line in lines).encode()
