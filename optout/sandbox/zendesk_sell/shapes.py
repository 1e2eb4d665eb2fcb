"""How Sell writes a record: keyed by name in v2 and Sync, as an array in the Firehose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from optout.sandbox.zendesk_sell.store import Definition, Event, Record, Store, stamp


@dataclass
class Shapes:
    """The vendor's documents and clients disagree about some forms; each is a switch."""

    store: Store
    list_shape: Literal["name", "object"] = "name"
    """A list value is its plain name (Zapier, Singer) or `{id, name}` (the documentation)."""
    unset: Literal["absent", "null", "mixed"] = "mixed"
    """How a value that was never set shows; which one is not documented."""
    previous_shape: Literal["full", "changed"] = "full"
    """What `previous` holds of the custom fields when one changes: all, or the changed ones."""

    def data(self, record: Record) -> dict[str, Any]:
        """A record in the v2 shape."""
        return {**self._frame(record), "custom_fields": self._custom(record)}

    def _frame(self, record: Record) -> dict[str, Any]:
        return {
            "id": record.id,
            **record.attributes,
            "created_at": stamp(record.created_at),
            "updated_at": stamp(record.updated_at),
        }

    def _custom(self, record: Record) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for definition in self.store.definitions[record.kind]:
            value = record.custom.get(definition.id)
            if value is not None:
                shown[definition.name] = self._value(definition, value)
            elif self.unset == "null" or (self.unset == "mixed" and record.id % 2):
                shown[definition.name] = None
        return shown

    def _value(self, definition: Definition, value: Any) -> Any:
        if definition.type == "list" and self.list_shape == "object" and value is not None:
            return {"id": definition.id * 100 + len(str(value)), "name": value}
        return value

    def event(self, event: Event) -> dict[str, Any]:
        """A Firehose entry."""
        after, before = event.after, event.before
        meta: dict[str, Any] = {
            "event_id": event.id,
            "event_type": event.type,
            "event_cause": event.cause,
            "event_time": stamp(event.at),
            "type": after.kind,
            "sequence": after.sequence,
        }
        if event.type == "deleted":
            return {"data": {"id": after.id}, "meta": meta}
        data = self._firehose_data(after)
        if before is not None:
            old = self._firehose_data(before)
            meta["previous"] = self._previous(old, data)
        return {"data": data, "meta": meta}

    def _previous(self, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        changed = {name: value for name, value in old.items() if value != new[name]}
        if self.previous_shape == "changed" and "custom_field_values" in changed:
            now = {v["custom_field"]["id"]: v["value"] for v in new["custom_field_values"]}
            before = {v["custom_field"]["id"]: v for v in old["custom_field_values"]}
            changed["custom_field_values"] = [
                before.get(id_, {"custom_field": v["custom_field"], "value": None})
                for v in new["custom_field_values"]
                if (before.get(id_ := v["custom_field"]["id"]) or {}).get("value") != now[id_]
            ]
        return changed

    def _firehose_data(self, record: Record) -> dict[str, Any]:
        values = [
            {
                "custom_field": {"id": d.id, "name": d.name, "type": d.type},
                "value": self._value(d, record.custom[d.id]),
            }
            for d in self.store.definitions[record.kind]
            if record.custom.get(d.id) is not None
        ]
        return {**self._frame(record), "custom_field_values": values}


def definition_data(kind: str, definition: Definition) -> dict[str, Any]:
    """A custom field's definition."""
    data: dict[str, Any] = {
        "id": definition.id,
        "name": definition.name,
        "type": definition.type,
        "created_at": "2024-01-01T00:00:00Z",
        "updated_at": "2024-01-01T00:00:00Z",
    }
    if definition.choices:
        choices = enumerate(definition.choices)
        data["choices"] = [{"id": definition.id * 100 + i, "name": name} for i, name in choices]
    if kind == "contact":
        # The documentation says `for_company`; the vendor's own Zapier app reads this.
        data.update(for_contact=True, for_organisation=True)
    return data
