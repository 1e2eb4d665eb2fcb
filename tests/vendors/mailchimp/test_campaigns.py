"""Mailchimp's campaigns: who wrote, what was missing, which category they are of."""

from __future__ import annotations

from typing import Any

import pytest

from optout.model import Source
from optout.records import Campaign
from optout.sandbox.acts import Mailing
from optout.testing.mailchimp import ANA, BO, DAY, EVENTS, MAPPED, NEWS, OFFERS, World, act
from optout.vendors.mailchimp.content import bodies, has_postal_address, has_unsubscribe
from optout.vendors.mailchimp.events import campaign_categories
from optout.vendors.mailchimp.members import Audience as Mapped


def test_campaigns_tell_who_wrote_and_what_was_missing(world: World) -> None:
    """The duty to identify and to offer an opt-out is checked on what was really sent."""
    world.join(ANA, BO)
    world.twin.send(Mailing("good", "May", "news", DAY), [ANA, BO])
    bare = Mailing("bare", "Bare", "offers", DAY, has_unsubscribe=False, has_postal_address=False)
    world.twin.send(bare, [ANA])
    world.twin.opt_out(ANA, None, act(Source.EMAIL_LINK, campaign_id="good"))
    world.twin.bounce(BO, "good", DAY)
    found = {c.campaign_id: c for c in world.read("campaigns").of(Campaign)}
    good, poor = found["good"], found["bare"]
    assert (good.has_unsubscribe, good.has_postal_address) == (True, True)
    assert (poor.has_unsubscribe, poor.has_postal_address) == (False, False)
    assert (good.sent_count, good.delivered_count, good.opt_out_count) == (2, 1, 1)
    assert (good.from_address, good.categories, poor.categories) == (
        "help@shop.example.org", NEWS, OFFERS,
    )  # fmt: skip


CONTACT = {"address1": "1 Sandbox Street", "city": "Springfield", "zip": "01101"}


@pytest.mark.parametrize(
    ("html", "unsubscribe", "address"),
    [
        ('<a href="*|UNSUB|*">off</a> *|LIST:ADDRESS|*', True, True),
        ("*|unsub|* *|HTML:LIST_ADDRESS_HTML|*", True, True),
        ("https://x.us1.list-manage.com/unsubscribe?u=1", True, False),
        ("1 Sandbox&nbsp;Street,<br> SPRINGFIELD", False, True),
        ("1 Sandbox Street", False, False),
        ("<!-- *|UNSUB|* *|LIST:ADDRESS|* -->", False, False),
        ("<!-- open *|UNSUB|*", False, False),
    ],
)
def test_the_content_is_searched_for_merge_tags_and_for_what_they_become(
    html: str, unsubscribe: bool, address: bool
) -> None:
    """A tag in a comment offers nothing to anybody."""
    found = bodies({"html": html})
    assert has_unsubscribe(found, {}) is unsubscribe
    assert has_postal_address(found, {}, CONTACT) is address


def test_every_variant_must_offer_the_opt_out_and_no_content_is_unknown() -> None:
    """A test mail without the link is mail without the link."""
    variants = [{"html": "*|UNSUB|*"}, {"html": "nothing"}]
    assert has_unsubscribe(bodies({"variate_contents": variants}), {}) is False
    assert has_unsubscribe([], {}) is None
    assert has_postal_address([], {}, CONTACT) is None
    assert has_unsubscribe([], {"auto_footer": True}) is True
    assert has_postal_address(["*|LIST:ADDRESS|*"], {}, {"address1": ""}) is False
    assert has_postal_address(["x"], {"auto_footer": True}, {}) is False


@pytest.mark.parametrize(
    ("conditions", "audience", "expected"),
    [
        ([{"op": "interestcontains", "value": ["i1", "i2"]}], MAPPED, NEWS | OFFERS),
        ([{"op": "interestnotcontains", "value": ["i1"]}], MAPPED, EVENTS),
        ([], MAPPED, EVENTS),
        ([], Mapped("l2", 0, {"i1": NEWS, "i2": OFFERS}), 0),
        ([], Mapped("l2", 0, {"i1": NEWS}), NEWS),
        ([{"op": "interestcontains", "value": ["i1"]}], None, 0),
    ],
)
def test_a_campaign_belongs_to_the_interests_of_its_segment_else_to_its_audience(
    conditions: list[Any], audience: Mapped | None, expected: int
) -> None:
    """Mail to a whole audience that holds several categories is of a kind that nobody tells."""
    campaign = {"recipients": {"segment_opts": {"conditions": conditions}}}
    assert campaign_categories(campaign, audience) == expected
