"""The seeded world: the same for a seed, harmless, and held by the twins as the oracle says."""

from __future__ import annotations

import hashlib
import inspect
import io
import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from optout.address import normalise
from optout.model import Actual, DriftClass
from optout.sandbox.__main__ import main
from optout.sandbox.config import TOKEN_ENVS, write_config
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.mailchimp.state import subscriber_hash
from optout.sandbox.mailchimp.twin import MailchimpTwin
from optout.sandbox.sendgrid.twin import SendGridTwin
from optout.sandbox.server import Sandbox
from optout.sandbox.world.deeds import ESPS, HUB, SYSTEMS, What
from optout.sandbox.world.drift import PLOTS
from optout.sandbox.world.nights import Day, night
from optout.sandbox.world.world import CATEGORIES, Plan, World
from optout.sandbox.zendesk_sell.twin import ZendeskSellTwin

NIGHTS = 4


@pytest.fixture(scope="module")
def world() -> World:
    """One world over several nights; the tests only look at it."""
    made = World(Plan(people=200, seed=11))
    for _ in range(NIGHTS - 1):
        made.advance()
    return made


def digest(world: World) -> str:
    """Everything that happened, was sent, is held and is true."""
    told = []
    for number in range(1, world.night.number + 1):
        told.append(repr(world.deeds(number)) + repr(world.sent(number)))
        told.append(repr(sorted(world.truth(number).drift)))
    told.append(repr(vars(world.twins["sendgrid"])["main"]))
    told.append(repr(vars(world.twins["klaviyo"])["profiles"]))
    return hashlib.sha256("".join(told).encode()).hexdigest()


def test_the_same_seed_gives_the_same_world_in_any_process() -> None:
    """Iterating over a set of texts differs from process to process: a failure could not be found
    again by its seed."""
    code = (
        "from __future__ import annotations\nimport hashlib\n"
        "from optout.sandbox.world.world import Plan, World\n"
        + inspect.getsource(digest)
        + "w = World(Plan(people=40, seed=5)); w.advance()\nprint(digest(w))\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(found) == 1
    assert len(found.pop()) == 64


def test_another_seed_gives_another_world() -> None:
    """A seed that changes nothing tests one world a thousand times."""
    first, second = (World(Plan(people=40, seed=seed)) for seed in (1, 2))
    assert digest(first) != digest(second)


def test_no_address_can_reach_anybody(world: World) -> None:
    """RFC 2606 names only."""
    for number in range(1, NIGHTS + 1):
        for deed in world.deeds(number):
            domain = deed.who.rpartition("@")[2]
            assert domain.endswith(("example.org", "example.com", "example.net"))


def test_systems_spell_addresses_differently_and_mean_the_same(world: World) -> None:
    """Joins on raw addresses must fail on this world."""
    spellings: dict[str, set[str]] = {}
    for deed in world.deeds(1):
        assert normalise(deed.address) == deed.who
        spellings.setdefault(deed.who, set()).add(deed.address)
    assert sum(len(each) > 1 for each in spellings.values()) > 10
    whos = set(spellings)
    assert any("xn--" in who for who in whos)
    assert any("+" in who for who in whos)
    assert any(not who.isascii() for who in whos)


def test_acts_keep_away_from_the_cutoff(world: World) -> None:
    """An act between a cut-off and its read would make the truth a matter of milliseconds."""
    for number in range(1, NIGHTS + 1):
        this = night(world.plan.first_night, number)
        for deed in world.deeds(number):
            assert deed.done_at < this.cutoff - timedelta(hours=1)
            if number > 1:
                assert deed.done_at > this.cutoff - timedelta(hours=22, minutes=1)
        assert this.read_at > this.cutoff


def test_every_fault_happens(world: World) -> None:
    """A class of drift that is never planted is never tested."""
    roles = {r.role for r in world._carriers}
    assert roles == {plot.name for plot in PLOTS}
    classes = {row.drift_class for row in world.truth(1).drift}
    assert classes == set(DriftClass)
    for system in ESPS:
        found = {row.drift_class for row in world.truth(1).drift if row.system == system}
        assert found >= {
            DriftClass.UNHONOURED_OPT_OUT, DriftClass.LOST_OPT_OUT, DriftClass.OVER_SUPPRESSED,
            DriftClass.ORPHAN_MAILABLE, DriftClass.MISSING_HERE,
        }  # fmt: skip


def test_more_instances_can_be_planted() -> None:
    """The number of planted faults is a setting; none leaves hardly any drift."""
    none, one, three = (
        len(World(Plan(people=120, seed=3, drift=count)).truth(1).drift) for count in (0, 1, 3)
    )
    assert none == 0
    assert three > 2 * one > 100


def test_drift_is_added_mended_and_opened_again(world: World) -> None:
    """Ages and closings are only tested by a world that changes."""
    before, after = world.truth(1).drift, world.truth(NIGHTS).drift
    assert after - before
    assert before - after
    assert any(r.is_mended for r in world._carriers)
    again = [
        number for number in range(2, NIGHTS + 1)
        for deed in world.deeds(number) if deed.what is What.SILENT
    ]  # fmt: skip
    assert again


def test_life_goes_on_every_day(world: World) -> None:
    """Opt-outs by link, in the hub and late; returns; comings and goings; mail."""
    for number in range(2, NIGHTS + 1):
        kinds = Counter((deed.system == HUB, deed.what) for deed in world.deeds(number))
        hub_kinds = {What.RECORD, What.OUT, What.DELETE}
        esp_kinds = {What.OUT, What.BOUNCE, What.COMPLAIN, What.CLICK}
        wanted = {(True, kind) for kind in hub_kinds} | {(False, kind) for kind in esp_kinds}
        assert wanted <= set(kinds)
        assert {sent.system for sent in world.sent(number)} == set(ESPS)
        assert all(sent.who for sent in world.sent(number))
    everything = [deed for n in range(1, NIGHTS + 1) for deed in world.deeds(n)]
    late = [deed.recorded_at - deed.at for deed in everything if deed.recorded_at]
    assert late
    assert min(late) > timedelta(days=1)
    assert any(deed.what is What.MOVE for deed in everything)
    assert any(deed.is_lead for deed in everything)


def test_consent_fields_are_of_every_kind(world: World) -> None:
    """Bases in force, ended, near their end and without a document, and countries nobody knows."""
    consent = [each for rows in world.truth(1).consent.values() for each in rows]
    assert {governance.basis for governance, _ in consent} == {
        "express", "purchase", "contract", "inquiry", "membership", "grandfathered", None,
    }  # fmt: skip
    in_force = [g for g, _ in consent if g.basis == "contract" and not g.basis_date]
    assert {bool(g.basis_ref) for g in in_force} == {True, False}
    assert {"DE", "germany", "Atlantis", None} <= {country for _, country in consent}


def test_twins_clocks_stand_at_the_read(world: World) -> None:
    """Stamps of exports and cursors are of the sandbox's time."""
    assert {twin.now for twin in world.twins.values()} == {world.night.read_at}


def test_a_day_has_its_order() -> None:
    """Mail goes out between the acts before it and the reactions to it."""
    day = Day(night(Plan().first_night, 3))
    assert day.morning < day.noon < day.afternoon < day.evening < day.night.cutoff


def test_the_truth_is_of_nights_that_were(world: World) -> None:
    """Asking for tomorrow is a mistake of the test."""
    with pytest.raises(ValueError, match="stands at night"):
        world.truth(NIGHTS + 1)


def test_the_configuration_names_variables_and_never_a_token(world: World, tmp_path: Path) -> None:
    """The file is what a user would write."""
    with Sandbox(world.twins.values()) as sandbox:
        config = write_config(sandbox, world, tmp_path / "run")
    text = config.file.read_text(encoding="utf-8")
    assert set(TOKEN_ENVS.values()) < set(config.environ)
    assert not any(value in text for value in config.environ.values())
    assert len(config.environ["SELL_TOKEN"]) == 64
    assert sandbox.base_url("mailchimp") in text


# --- the twins hold what the oracle says, read from their native state ----------------------------
def of_mailchimp(twin: MailchimpTwin, address: str, category: str) -> Actual:
    """Interests are for the reader to judge: only what is certain is told, else NEITHER."""
    key = subscriber_hash(address)
    known = [a.members[key] for a in twin.audiences.values() if key in a.members]
    if not known:
        return Actual.ABSENT
    audience, interest = twin._homes[category]
    member = audience.members.get(key)
    if member is None or member.status not in ("subscribed", "unsubscribed"):
        return Actual.NEITHER
    if member.status == "unsubscribed":
        return Actual.OPTED_OUT
    return Actual.MAILABLE if not interest or member.interests[interest] else Actual.NEITHER


def of_sendgrid(twin: SendGridTwin, address: str, category: str) -> Actual:
    email, account = address.lower(), twin.main
    outs = [c for c, n in twin.group_of.items() if email in account.groups[n].members]
    if email in account.lists["unsubscribes"] or category in outs:
        return Actual.OPTED_OUT
    if email not in account.contacts:
        return Actual.NEITHER if outs else Actual.ABSENT
    blocked = any(email in account.lists[name] for name in ("bounces", "spam_reports"))
    return Actual.NEITHER if blocked else Actual.MAILABLE


def of_klaviyo(twin: KlaviyoTwin, address: str, category: str) -> Actual:
    profile = twin.profile(address)
    if profile is None:
        return Actual.ABSENT
    (list_id,) = twin.category_map()[category]
    reasons = {s.reason for s in profile.suppressions}
    reasons |= {s.reason for s in profile.list_suppressions if s.list_id == list_id}
    if reasons & {"UNSUBSCRIBE", "USER_SUPPRESSED"}:
        return Actual.OPTED_OUT
    on_list = profile.id in twin.lists[list_id].members
    return Actual.MAILABLE if on_list and not reasons else Actual.NEITHER


def of_hubspot(twin: HubSpotTwin, address: str, category: str) -> Actual:
    portal, email = twin.portal, address.lower()
    (number,) = twin.category_map()[category]
    words = {n: s.word for n, s in portal.statuses.get(email, {}).items()}
    wide = portal.wide.get(email)
    word = words.get(int(number), "NOT_SPECIFIED")
    if word == "UNSUBSCRIBED" or (wide is not None and wide.word == "UNSUBSCRIBED"):
        return Actual.OPTED_OUT
    contact = portal.contact(address)
    if contact is None and not set(words.values()) - {"NOT_SPECIFIED"}:
        return Actual.ABSENT
    bounced = contact is not None and contact.value("hs_email_bounce")
    return Actual.MAILABLE if word == "SUBSCRIBED" and not bounced else Actual.NEITHER


READERS = {
    MailchimpTwin: of_mailchimp, SendGridTwin: of_sendgrid, KlaviyoTwin: of_klaviyo,
    HubSpotTwin: of_hubspot,
}  # fmt: skip


@pytest.mark.parametrize("system", ESPS)
def test_a_twin_holds_what_the_oracle_says(world: World, system: str) -> None:
    """If the two models of a vendor part, the truth is not true."""
    twin = world.twins[system]
    reader = READERS[type(twin)]
    complained = {
        deed.who for n in range(1, NIGHTS + 1) for deed in world.deeds(n)
        if deed.what is What.COMPLAIN
    }  # fmt: skip
    typed = {}
    for number in range(1, NIGHTS + 1):
        for deed in world.deeds(number):
            if deed.system == system:
                typed[deed.who] = deed.address
                if deed.what is What.MOVE:
                    typed[deed.new_who] = deed.new_address
    cells = world.truth().cells
    wrong = []
    for who, address in typed.items():
        for category in CATEGORIES:
            said, held = cells[system, category, who], reader(twin, address, category)
            weak = system == "mailchimp" and {said, held} == {Actual.OPTED_OUT, Actual.NEITHER}
            if said is not held and not weak and who not in complained:
                wrong.append((who, category, said, held))
    assert not wrong
    assert len(typed) > 150


def test_the_hub_shows_what_the_oracle_says(world: World) -> None:
    """Expected and lost opt-outs both hang on what the hub shows."""
    twin = world.twins[HUB]
    assert isinstance(twin, ZendeskSellTwin)
    live = {normalise(r.email) for k in ("contact", "lead") for r in twin.store.live(k) if r.email}
    for who in {who for _, _, who in world.truth().cells}:
        assert world._oracle.hub(who).knows == (who in live)
    for record in (r for k in ("contact", "lead") for r in twin.store.live(k) if r.email):
        hub = world._oracle.hub(normalise(record.email or ""))
        flag = bool(twin.store.value(record, "email_opt_out_global"))
        for category in CATEGORIES:
            word = twin.store.value(record, f"email_pref_{category}")
            if flag or word == "opted_out":
                assert hub.shows_out(category)


def test_sending_keeps_to_whom_the_esp_would_reach(world: World) -> None:
    """A send to somebody who was blocked there would be a fault that nobody planted."""
    for sent in world.sent(1):
        assert len(set(sent.who)) == len(sent.who)
        assert {normalise(address) for address in sent.addresses} == set(sent.who)
    assert set(SYSTEMS) == set(world.twins)


def test_the_sandbox_can_be_served_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever tries it needs the file, the variables and the clock; Enter moves on a night."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert main(["--people", "30", "--folder", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert (tmp_path / "optout.toml").exists()
    assert "export SELL_TOKEN=" in told
    assert "Night 1 (2026-09-01)" in told
    assert "--now 2026-09-02T02:05:00+00:00" in told
