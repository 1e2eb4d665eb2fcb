"""Asks HubSpot about the statuses of many addresses, and notices whom it did not answer about.

The address stands in the body, never in a path, so that no error or log can hold one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optout.errors import RequestRefused
from optout.http.client import HttpClient
from optout.vendors.hubspot.rows import askable
from optout.vendors.hubspot.statuses import Answered

STATUSES = "/communication-preferences/v4/statuses/batch/read"
WIDE = "/communication-preferences/v4/statuses/batch/unsubscribe-all/read"
BATCH = 100
"""Addresses a batch; the vendor documents no bound, and refuses more than this elsewhere."""

Found = dict[str, list[Mapping[str, Any]]]


class Asking:
    """Batch reads for one business unit; safe to use from several threads."""

    def __init__(self, http: HttpClient, unit: int) -> None:
        self._http = http
        self._params = {"channel": "EMAIL", "businessUnitId": unit}

    def about(self, addresses: Sequence[str]) -> tuple[list[Answered], list[str]]:
        """Answers in the order of the addresses, and the addresses without one. Texts that are
        no addresses are not asked about: the landing puts them into quarantine."""
        answered: list[Answered] = []
        unanswered: list[str] = []
        good = [address for address in addresses if askable(address)]
        for start in range(0, len(good), BATCH):
            batch = good[start : start + BATCH]
            statuses = self._twice(STATUSES, "statuses", batch)
            wide = self._twice(WIDE, "wideStatuses", batch)
            for address in batch:
                if address in statuses and address in wide:
                    answered.append(Answered(address, statuses[address], wide[address]))
                else:
                    unanswered.append(address)
        return answered, unanswered

    def _twice(self, path: str, key: str, batch: Sequence[str]) -> Found:
        """Those without an answer are asked about once more (207, or results left out)."""
        found = self._split(path, key, batch)
        missing = [address for address in batch if address not in found]
        return found | self._split(path, key, missing) if missing else found

    def _split(self, path: str, key: str, batch: Sequence[str]) -> Found:
        """One refused address refuses its whole batch: halve it until that one stands alone.

        Raises RequestRefused where not one of several is answered: then it is not the address.
        """
        try:
            return self._once(path, key, batch)
        except RequestRefused:
            if len(batch) == 1:
                return {}
            half = len(batch) // 2
            found = self._split(path, key, batch[:half]) | self._split(path, key, batch[half:])
            if not found:
                raise
            return found

    def _once(self, path: str, key: str, batch: Sequence[str]) -> Found:
        """What one request tells; an answer of another form tells nothing."""
        answer = self._http.post(path, {"inputs": list(batch)}, self._params, ok=(200, 207))
        data = answer.data
        if not isinstance(data, dict) or data.get("status") != "COMPLETE":
            return {}
        found: Found = {}
        for result in data.get("results") or []:
            address = str(result.get("subscriberIdString") or "").lower()
            listed = result.get(key)
            if address in batch and isinstance(listed, list):
                found[address] = [each for each in listed if isinstance(each, dict)]
        return found
