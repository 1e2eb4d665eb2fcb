"""Which secret made the contact keys that are stored.

With another one everybody would be a stranger tonight and every opt-out forgotten: no night begins
before the key is proven to be the one.
"""

from __future__ import annotations

from datetime import datetime

from duckdb import DuckDBPyConnection

from optout.errors import ConfigurationError
from optout.settings import Secrets
from optout.warehouse.load import naive

_BACK = "Set it back; to change the key, see `optout rotate-key --help`"


def check_key(con: DuckDBPyConnection, secrets: Secrets, now: datetime) -> None:
    """Raises ConfigurationError where current or retired keys are not those of the warehouse; the
    first key ever is noted."""
    rows = con.execute(
        "SELECT key_id, fingerprint, is_current FROM core.contact_key_secret ORDER BY since"
    ).fetchall()
    if not rows:
        note_key(con, secrets, now)
        return
    current = next((row for row in rows if row[2]), None)
    if current is not None and current[0] != secrets.keyer.key_id:
        raise ConfigurationError(
            f"the stored contact keys were made with the key '{current[0]}'",
            key="identity.key_id", mend="Run `optout rotate-key`, or set it back",
        )  # fmt: skip
    if current is not None and current[1] != secrets.keyer.fingerprint:
        raise ConfigurationError(
            f"is another secret than the one that '{current[0]}' was when the keys were made",
            key="identity.key_env", mend=_BACK,
        )  # fmt: skip
    check_retired(con, secrets)


def check_retired(con: DuckDBPyConnection, secrets: Secrets) -> None:
    """Raises ConfigurationError unless every retired key is there, oldest first, unchanged."""
    rows = con.execute(
        "SELECT key_id, fingerprint FROM core.contact_key_secret WHERE NOT is_current"
        " ORDER BY since"
    ).fetchall()
    listed = [(old.key_id, old.fingerprint) for old in secrets.retired]
    if rows != listed[: len(rows)]:
        names = ", ".join(key_id for key_id, _ in rows)
        raise ConfigurationError(
            f"the retired keys have to be, oldest first: {names}",
            key="identity.retired", mend="List them with the secrets that they were",
        )  # fmt: skip


def note_key(con: DuckDBPyConnection, secrets: Secrets, now: datetime) -> None:
    """The current key is from now on the one; others are retired. In the caller's transaction."""
    moment = naive(now)
    con.execute(
        "UPDATE core.contact_key_secret SET is_current = false,"
        " retired_at = coalesce(retired_at, $now)",
        {"now": moment},
    )
    con.execute(
        "INSERT INTO core.contact_key_secret (key_id, fingerprint, is_current, since)"
        " VALUES ($id, $print, true, $now)",
        {"id": secrets.keyer.key_id, "print": secrets.keyer.fingerprint, "now": moment},
    )
