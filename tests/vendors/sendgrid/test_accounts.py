"""SendGrid's subusers, regions and keys, and what `optout check` says of them."""

from __future__ import annotations

import logging

import pytest

from optout.errors import AuthenticationFailed, PermissionMissing, SourceError
from optout.records import MailEvent, Reading
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.sendgrid.state import Group
from optout.testing.outputs import MemoryOutput
from optout.testing.sendgrid import AT, CATEGORIES, MAILING, MAPPED, link
from optout.testing.sendgrid import SendGridBench as Bench


def test_a_suppression_blocks_only_in_its_own_account(bench: Bench) -> None:
    """Unsubscribed in the main account, a contact of the subuser: that mail still goes out."""
    shop = bench.twin.add_subuser("shop")
    shop.put_contact("p1@example.org", "c-1", AT)
    bench.twin.opt_out("p1@example.org", None, link())
    [row] = bench.read("unsubscribes").of(Reading)
    assert (row.store, row.blocks, row.store_blocks) == ("account:main", 0, CATEGORIES.all)
    contacts = [r for r in bench.read("contacts").of(Reading) if r.address == "p1@example.org"]
    stores = {r.store: r.sends for r in contacts}
    assert stores == dict.fromkeys(("account:main", "subuser:shop"), CATEGORIES.mask(MAPPED))


def test_a_group_may_belong_to_a_subuser(bench: Bench) -> None:
    """Mapped groups are looked for in all accounts before one is called missing."""
    shop = bench.twin.add_subuser("shop")
    shop.groups[20_002] = bench.twin.main.groups.pop(20_002)
    shop.suppress(20_002, "p1@example.org", AT)
    out = bench.read("groups")
    assert out.status == "complete"
    assert [row.store for row in out.of(Reading)] == ["subuser:shop"]


def test_accounts_that_are_not_read_are_named(bench: Bench) -> None:
    """An audit that leaves a region out and does not say so is worse than none."""
    bench.twin.add_subuser("europe", region="eu")
    bench.twin.add_subuser("asleep", disabled=True)
    note = bench.read("unsubscribes").note
    assert note and "europe is in another region" in note and "asleep is disabled" in note
    out = bench.read("unsubscribes", subusers=("typo",))
    assert (out.status, out.why) == ("incomplete", "there is no subuser typo")
    bench.twin.scopes.discard("subusers.read")
    note = bench.read("unsubscribes").note
    assert note and "may not list subusers" in note
    assert bench.read("unsubscribes", subusers=()).note is None


def test_the_messages_of_a_subuser_are_its_own(bench: Bench) -> None:
    """The Email Logs name the subuser by number, not by the header."""
    shop = bench.twin.add_subuser("shop")
    bench.twin.send(MAILING, ["p1@example.org"])
    for message in bench.twin.main.messages.values():
        shop.keep(message)
    bench.twin.main.messages.clear()
    assert {e.kind for e in bench.read("messages").of(MailEvent)} == {"sent", "delivered"}


# --- credentials, secrets, check ------------------------------------------------------------------
def test_a_refused_key_is_an_error_and_never_an_empty_list(bench: Bench) -> None:
    """401 and 403 end the reading; nothing is written as complete."""
    out = MemoryOutput()
    with pytest.raises(AuthenticationFailed):
        bench.read("unsubscribes", out, token="SG.other", subusers=())
    bench.twin.scopes.discard("suppression.unsubscribes.read")
    with pytest.raises(PermissionMissing):
        bench.read("unsubscribes", out)
    assert (out.status, out.rows) == (None, [])


def test_no_log_line_or_error_holds_an_address_or_the_key(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs are read by people who may not read addresses."""
    caplog.set_level(logging.DEBUG)
    bench.twin.opt_out("p1@example.org", "promotional", link())
    bench.twin.send(MAILING, ["p1@example.org"])
    for endpoint in ("/unsubscribes", "/logs/{id}", "/exports"):
        bench.sandbox.faults.plant(Fault(FaultKind.SERVER_ERROR, "sendgrid", endpoint, times=None))
    texts = []
    for stream in ("unsubscribes", "groups", "contacts", "messages"):
        try:
            bench.read(stream)
        except SourceError as error:
            texts.append(str(error))
    assert len(texts) == 3
    shown = caplog.text + "".join(texts)
    assert "example.org" not in shown
    assert "SG.test" not in shown


def test_check_is_silent_about_a_good_account(bench: Bench) -> None:
    """Only the category that SendGrid does not send is mentioned."""
    problems = list(bench.connector().check())
    assert [(p.key, p.fatal) for p in problems] == [("esp.sendgrid.categories.events", False)]


def test_check_names_everything_at_once(bench: Bench) -> None:
    """One round of mending before the first night, not one a day."""
    twin = bench.twin
    twin.scopes -= {"suppression.bounces.read", "marketing.read"}
    twin.main.groups[777] = Group(777, "Other", "", is_default=True)
    del twin.main.groups[20_002]
    twin.logs_on = False
    twin.add_subuser("europe", region="eu")
    told = "\n".join(f"{p.key}: {p.message} {p.mend}" for p in bench.connector().check())
    for part in (
        "permission suppression.bounces.read", "permission marketing.read",
        "no unsubscribe group 20002", "default group 777", "sends after an opt-out cannot",
        "europe belongs to another region", "https://api.eu.sendgrid.com",
    ):  # fmt: skip
        assert part in told
    with pytest.raises(AuthenticationFailed):
        list(bench.connector(token="SG.other").check())
