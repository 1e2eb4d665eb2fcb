"""What `[hub]` may say of a Zendesk Sell account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator

from optout.vendors.base import SystemConfig
from optout.vendors.zendesk_sell.history import ENTRY_FIELDS, REQUIRED
from optout.vendors.zendesk_sell.values import SellFields

Mode = Literal["auto", "on", "off"]


class ZendeskSellConfig(SystemConfig):
    """`[hub]` with `vendor = "zendesk_sell"`; `base_url` is https://api.getbase.com.

    `categories` is optional: category → custom field, where one does not follow `fields.category`.
    """

    sync: Mode = "auto"
    """`auto`: if the plan and the token have it; `on`: its absence makes the night incomplete."""
    firehose: Mode = "auto"
    device_uuid: str | None = Field(default=None, pattern=r"^[0-9A-Za-z-]{8,64}$")
    """Our name in Sell's queue; by default derived from name, base_url and token. Two
    installations on one account must have different ones, or each takes the other's changes."""
    fields: SellFields = SellFields()
    history_required: tuple[str, ...] = REQUIRED
    """What every entry of the history field must have."""
    full_read_every: int = Field(default=7, ge=1)
    """The Sync queue tells every change and deletion; the walk is the check on the queue."""
    history_relaxed: Mapping[str, tuple[str, ...]] = {}
    """Source → what its entries need not have."""

    @property
    def history_field(self) -> str | None:
        """The custom field that holds the history; None where the company keeps none."""
        return self.fields.history or None

    @field_validator("history_required")
    @classmethod
    def _known_fields(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _refuse_unknown(value)
        return value

    @field_validator("history_relaxed")
    @classmethod
    def _known_relaxed(cls, value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for fields in value.values():
            _refuse_unknown(fields)
        return value


def _refuse_unknown(fields: tuple[str, ...]) -> None:
    unknown = sorted(set(fields) - set(ENTRY_FIELDS))
    if unknown:
        raise ValueError(
            f"no part of an entry: {', '.join(unknown)}; use {', '.join(ENTRY_FIELDS)}"
        )
