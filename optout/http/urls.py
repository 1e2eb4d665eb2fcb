"""Where a request goes: the base URL, what may be appended to it, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urljoin, urlsplit

from optout.errors import ConfigurationError, UnexpectedAnswer

_PORTS = {"http": 80, "https": 443}


def quote_segment(value: object) -> str:
    """One path segment, quoted: `a+b@example.org` → `a%2Bb%40example.org`.

    Raises UnexpectedAnswer for what cannot be a segment and would ask for something else: nothing
    at all, `.` or `..`.
    """
    text = str(value)
    if text in ("", ".", ".."):
        raise UnexpectedAnswer("an identifier is empty or dots only and cannot stand in a path")
    return quote(text, safe="")


def encode_query(params: Mapping[str, Any] | None) -> str:
    """A query string: None is left out, booleans are `true`/`false`, lists repeat the name."""
    pairs: list[tuple[str, str]] = []
    for name, value in (params or {}).items():
        if value is None:
            continue
        values = value if isinstance(value, (list, tuple)) else (value,)
        pairs += [(name, str(one).lower() if isinstance(one, bool) else str(one)) for one in values]
    return urlencode(pairs, quote_via=quote, safe="")


class BaseUrl:
    """A system's base URL; everything asked for stays at its origin.

    Raises ConfigurationError for anything that is not https, or http to this machine, or http to
    another host where `allow_plain_http`.
    """

    def __init__(self, system: str, base_url: str, *, allow_plain_http: bool) -> None:
        self.system = system
        parts = urlsplit(base_url)
        key = f"{system}.base_url"
        if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
            raise ConfigurationError(
                "not a base URL", key=key, mend="Write https://host, with a path prefix if needed."
            )
        if "@" in parts.netloc:
            raise ConfigurationError(
                "it holds a credential", key=key, mend="Name the token's variable in token_env."
            )
        if parts.scheme == "http" and not (allow_plain_http or is_loopback(parts.hostname)):
            raise ConfigurationError(
                "plain http would send the credential in clear", key=key, mend="Use https."
            )
        self.identity = _origin(parts)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.prefix = parts.path.rstrip("/")

    def join(self, path: str, params: Mapping[str, Any] | None = None, *, request: str) -> str:
        """The URL of `path`: below the prefix, or absolute at the same origin.

        Raises UnexpectedAnswer for another origin; `request` names the request in the message.
        """
        if path.startswith("/") and not path.startswith("//"):
            url = f"{self.origin}{self.prefix}{path}"
        else:
            url = self.same_origin(path, request=request)
        query = encode_query(params)
        if not query:
            return url
        return f"{url}{'&' if '?' in url else '?'}{query}"

    def same_origin(self, link: str, *, request: str, seen_from: str = "") -> str:
        """The absolute URL of a vendor's `link`, if it stays at this origin."""
        problem = "a link that is not a URL"
        try:
            parts = urlsplit(urljoin(seen_from, link))
            if _origin(parts) == self.identity:
                # Rebuilt on our own origin: no reading of the link can lead to another host.
                query = f"?{parts.query}" if parts.query else ""
                return f"{self.origin}{parts.path or '/'}{query}"
            problem = "a link or redirect to another host was refused"
        except ValueError:
            pass
        raise UnexpectedAnswer(
            problem,
            system=self.system,
            request=request,
            mend="Check that base_url names the vendor's own host for this account.",
        )


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    """Scheme, host and port, comparable."""
    return (parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme))
