"""The vendors' ways of cutting a list into pages, as objects.

    PageNumber  page=1, 2, 3 ...                         Zendesk Sell
    Offset      limit and offset, with or without total  Mailchimp, SendGrid
    NextLink    the body holds the next page's URL       Klaviyo
    Cursor      the body holds a token for a parameter   HubSpot, the Firehose

    pages = Offset(items="members", size=1000, size_param="count", total="total_items", workers=4)
    call = Call(f"/lists/{quote_segment(list_id)}/members", template="/lists/{id}/members")
    for page in pages.pages(http, call, out.cursor):
        for item in page.items: out.add(...)
        out.page_done(page.cursor)

Each page comes with a JSON cursor from which a later call goes on behind it; the cursor of the
last page says that nothing is left, so a read that was interrupted between its last page and its
end does not begin anew. No paginator can loop: a page, link or token that comes again raises
UnexpectedAnswer, and so does a run of empty pages without end.
"""

from __future__ import annotations

from optout.http.chained import Cursor, NextLink
from optout.http.numbered import Offset, PageNumber
from optout.http.paging import Call, Page, Paginator, Progress, Selector

__all__ = [
    "Call",
    "Cursor",
    "NextLink",
    "Offset",
    "Page",
    "PageNumber",
    "Paginator",
    "Progress",
    "Selector",
]
