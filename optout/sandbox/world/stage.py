"""Performs deeds on the twins: the one place that knows the twins' methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime

from optout.model import Source, State
from optout.sandbox.acts import Act, HubTwin, Person, Twin
from optout.sandbox.world.deeds import HUB, Deed, Sent, What
from optout.sandbox.zendesk_sell.twin import ZendeskSellTwin

GARBLED = "Maybe later"
"""The word that nobody knows."""
_ATTEMPTS_BY_HAND = frozenset({Source.SUPPORT_REQUEST, Source.MANUAL})


class Stage:
    """The twins, and which of the hub's ids stands for which of the world's records."""

    def __init__(self, twins: Mapping[str, Twin], hub: ZendeskSellTwin) -> None:
        self.twins = twins
        self._hub = hub
        self._record_ids: dict[int, int] = {}
        self._people = 0

    def perform(self, deeds: Sequence[Deed], sent: Sequence[Sent], now: datetime) -> None:
        """Everything in the order of time; afterwards the twins' clocks stand at `now`."""
        with ExitStack() as held:
            for twin in self.twins.values():
                held.enter_context(twin.lock)
            timed: list[tuple[datetime, int, int, Deed | Sent]] = []
            timed += [(each.mailing.sent_at, 0, i, each) for i, each in enumerate(sent)]
            timed += [(each.done_at, 1, i, each) for i, each in enumerate(deeds)]
            for _, _, _, each in sorted(timed, key=lambda entry: entry[:3]):
                if isinstance(each, Deed):
                    self._one(each)
                else:
                    self.twins[each.system].send(each.mailing, each.addresses)
            for twin in self.twins.values():
                twin.now = now

    def _one(self, deed: Deed) -> None:
        if deed.system == HUB:
            self._on_hub(deed)
        else:
            self._on_esp(deed, self.twins[deed.system])

    def _on_hub(self, deed: Deed) -> None:
        hub: HubTwin = self._hub
        record = None if deed.record is None else self._record_ids.get(deed.record)
        if deed.what is What.RECORD:
            self._record_ids[deed.record or 0] = hub.add_record(
                self._person(deed), deed.states or {}, deed.at,
                lead=deed.is_lead, governance=deed.governance, fault=deed.fault,
            )  # fmt: skip
        elif deed.what in (What.OUT, What.IN):
            state = State.OPTED_OUT if deed.what is What.OUT else State.OPTED_IN
            hub.set_preference(
                deed.address, deed.category, state, _act(deed),
                fault=deed.fault, record_id=record, at_recorded=deed.recorded_at,
            )  # fmt: skip
        elif deed.what is What.SILENT:
            hub.restore(deed.address, deed.category, State.OPTED_IN, deed.at)
        elif deed.what is What.GARBLE:
            self._garble(deed)
        else:
            self._common(deed, hub)

    def _garble(self, deed: Deed) -> None:
        """Somebody adds a word to the drop-down and uses it."""
        store = self._hub.store
        for each in store.of_address(deed.address):
            store.update(each, deed.at, values={f"email_pref_{deed.category}": GARBLED})

    def _on_esp(self, deed: Deed, twin: Twin) -> None:
        campaign = deed.campaign or ""
        if deed.what is What.ADD:
            twin.add(self._person(deed), deed.states or {}, deed.at)
        elif deed.what is What.OUT:
            twin.opt_out(deed.address, deed.category, _act(deed))
        elif deed.what is What.IN:
            twin.opt_in(deed.address, deed.category, _act(deed))
        elif deed.what is What.SILENT:
            twin.silently_mailable(deed.address, deed.category, deed.at)
        elif deed.what is What.BOUNCE:
            twin.bounce(deed.address, campaign, deed.at)
        elif deed.what is What.COMPLAIN:
            twin.complain(deed.address, campaign, deed.at)
        elif deed.what is What.CLICK:
            twin.click(deed.address, campaign, deed.at)
        else:
            self._common(deed, twin)

    def _common(self, deed: Deed, twin: Twin) -> None:
        if deed.what is What.MOVE:
            twin.change_address(deed.address, deed.new_address, deed.at)
        elif deed.what is What.DELETE:
            twin.delete(deed.address, deed.at)
        else:
            raise ValueError(f"{deed.system} has no such act: {deed.what}")

    def _person(self, deed: Deed) -> Person:
        self._people += 1
        return Person(self._people, deed.address, deed.first_name, deed.last_name, deed.country)


def _act(deed: Deed) -> Act:
    reason = "asked by telephone" if deed.source in _ATTEMPTS_BY_HAND else None
    return Act(deed.at, deed.source, deed.campaign, reason=reason)
