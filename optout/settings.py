"""optout.toml and the environment, read once, validated, with a mend for everything wrong.

Nothing is read at import. Secrets stand in the environment; the file holds only the names of
their variables. Unknown keys are errors: a misspelt threshold that is silently ignored is worse
than a night that does not start.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from optout.address import Folding, Keyer
from optout.alerts.settings import AlertsTable
from optout.errors import ConfigurationError
from optout.model import TRANSACTIONAL, Categories
from optout.policy.clocks import AudienceTable, ClocksTable, ConsentTable, RegimesTable
from optout.policy.detection import DetectionTable
from optout.policy.engine import EngineTable
from optout.policy.rights import RetentionTable, RetiredKey
from optout.vendors import VENDORS
from optout.vendors.base import SystemConfig

DEFAULT_FILE = Path("optout.toml")
_MIN_KEY_BYTES = 32


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IdentityTable(_Table):
    """`[identity]`: how addresses become contact keys."""

    key_env: str = "OPTOUT_KEY"
    key_id: str = Field(default="k1", pattern=r"^[a-z0-9_-]{1,20}$")
    fold_plus_tags: bool = False
    fold_dots: bool = False
    retired: tuple[RetiredKey, ...] = ()

    @field_validator("retired")
    @classmethod
    def _distinct(cls, value: tuple[RetiredKey, ...]) -> tuple[RetiredKey, ...]:
        if len({key.key_id for key in value}) < len(value):
            raise ValueError("two retired keys have the same key_id; give each its own")
        return value


class ScheduleTable(_Table):
    """`[schedule]`: when the night begins, in `timezone`."""

    at: str = Field(default="02:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")


class PolicyTable(_Table):
    """`[policy]`: thresholds of the rules and promises."""

    simultaneous_minutes: int = Field(default=15, ge=0)
    overlap_hours: int = Field(default=48, ge=1)
    follow_address_change: bool = True
    clocks: ClocksTable = ClocksTable()
    consent: ConsentTable = ConsentTable()
    audience: AudienceTable = AudienceTable()
    regimes: RegimesTable = RegimesTable()
    retention: RetentionTable = RetentionTable()
    detection: DetectionTable = DetectionTable()


class Settings(_Table):
    """The whole of optout.toml."""

    data_dir: Path = Path("data")
    timezone: str = "UTC"
    categories: tuple[str, ...] = ("product_updates", "educational", "promotional", "events")
    identity: IdentityTable = IdentityTable()
    schedule: ScheduleTable = ScheduleTable()
    policy: PolicyTable = PolicyTable()
    alerts: AlertsTable = AlertsTable()
    engine: EngineTable = EngineTable()
    hub: SystemConfig
    esp: tuple[SystemConfig, ...] = Field(min_length=1)
    file: Path | None = Field(default=None, exclude=True)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("is no IANA time zone; write one such as Europe/Berlin")
        return value

    @field_validator("categories")
    @classmethod
    def _usable_categories(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if TRANSACTIONAL in value:
            raise ValueError(f"{TRANSACTIONAL} is no category: no opt-out blocks it; remove it")
        Categories(value)
        return value

    @property
    def category_masks(self) -> Categories:
        """The categories as bits."""
        return Categories(self.categories)

    @property
    def zone(self) -> ZoneInfo:
        """The zone of nights, deadlines without a jurisdiction, and pages."""
        return ZoneInfo(self.timezone)

    @property
    def systems(self) -> tuple[SystemConfig, ...]:
        """The hub and every ESP."""
        return (self.hub, *self.esp)

    @property
    def overlap(self) -> timedelta:
        """How far an incremental read reaches back before the last one."""
        return timedelta(hours=self.policy.overlap_hours)

    def system(self, name: str) -> SystemConfig:
        """The system of a name; raises ConfigurationError."""
        for config in self.systems:
            if config.name == name:
                return config
        names = ", ".join(c.name for c in self.systems)
        raise ConfigurationError(
            f"there is no system '{name}'", file=self.file, mend=f"Use one of: {names}"
        )

    def mapped(self, config: SystemConfig) -> int:
        """The mask of the categories that an ESP holds; the hub holds all."""
        masks = self.category_masks
        return masks.all if config is self.hub else masks.mask(config.categories)


@dataclass(frozen=True)
class Secrets:
    """What the environment gave; `repr` shows names only."""

    tokens: Mapping[str, str]
    """System name → credential."""
    keyer: Keyer
    retired: tuple[Keyer, ...] = ()
    """Earlier keys, oldest first."""

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self.tokens)})"


def load_settings(path: Path = DEFAULT_FILE) -> Settings:
    """Read and validate optout.toml; raises ConfigurationError that tells everything wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            "the file does not exist", file=path, mend="Run `optout init` to write one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the file cannot be read ({type(error).__name__})", file=path, mend="Make it readable"
        ) from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"not valid TOML: {error}", file=path, mend="Correct it at that place"
        ) from None
    return parse_settings(table, path)


def parse_settings(table: Mapping[str, Any], path: Path | None = None) -> Settings:
    """Validate a parsed optout.toml; relative paths count from the file's folder."""
    problems = list(_problems_of_systems(table))
    known: dict[str, Any] = dict(table)
    if not problems:
        known["hub"] = _system(table["hub"], "hub", problems)
        known["esp"] = tuple(
            _system(esp, f"esp.{esp.get('name', i)}", problems)
            for i, esp in enumerate(table["esp"], 1)
        )
    try:
        settings = Settings.model_validate(known) if not problems else None
    except ValidationError as error:
        problems += [_told(e, "", Settings) for e in error.errors()]
    if problems or settings is None:
        raise _refused(problems, path)
    problems += _problems_of_mapping(settings)
    if problems:
        raise _refused(problems, path)
    base = path.parent if path else Path()
    data_dir = settings.data_dir if settings.data_dir.is_absolute() else base / settings.data_dir
    return settings.model_copy(update={"file": path, "data_dir": data_dir})


def load_secrets(
    settings: Settings, environ: Mapping[str, str], *, with_tokens: bool = True
) -> Secrets:
    """The key, and the credentials of all systems unless they are not needed; raises
    ConfigurationError for all that are missing, at once."""
    problems: list[_Problem] = []
    tokens: dict[str, str] = {}
    for config in settings.systems if with_tokens else ():
        where = "hub" if config is settings.hub else f"esp.{config.name}"
        token = environ.get(config.token_env, "")
        if not token.strip():
            mend = f"Set {config.token_env} to the credential of {config.name}"
            what = f"the environment variable {config.token_env} is not set"
            problems.append(_Problem(f"{where}.token_env", what, mend))
        tokens[config.name] = token.strip()
    identity = settings.identity
    first, *others = [
        _secret(environ, name, where, problems)
        for name, where in (
            (identity.key_env, "identity.key_env"),
            *((k.key_env, f"identity.retired.{k.key_id}.key_env") for k in identity.retired),
        )
    ]
    if identity.key_id in {k.key_id for k in identity.retired}:
        what = f"'{identity.key_id}' is listed as retired, too"
        problems.append(_Problem("identity.key_id", what, "Give the new key an id of its own"))
    if problems:
        raise _refused(problems, settings.file)
    folding = Folding(plus_tags=identity.fold_plus_tags, dots=identity.fold_dots)
    retired = tuple(
        Keyer(secret, each.key_id, folding)
        for secret, each in zip(others, identity.retired, strict=True)
    )
    keyer = Keyer(first, identity.key_id, folding, others[0] if others else None)
    return Secrets(tokens, keyer, retired)


def _secret(environ: Mapping[str, str], name: str, where: str, problems: list[_Problem]) -> bytes:
    key = environ.get(name, "")
    if len(key.encode()) < _MIN_KEY_BYTES:
        what = f"the environment variable {name} " + (
            f"is shorter than {_MIN_KEY_BYTES} characters" if key else "is not set"
        )
        mend = 'Make one with: python -c "import secrets; print(secrets.token_hex(32))"'
        problems.append(_Problem(where, what, mend))
    return key.encode()


@dataclass(frozen=True)
class _Problem:
    key: str
    message: str
    mend: str


def _refused(problems: list[_Problem], path: Path | None) -> ConfigurationError:
    first, *others = problems
    if not others:
        return ConfigurationError(first.message, key=first.key, file=path, mend=first.mend)
    lines = [f"{p.key}: {p.message}. {p.mend}" for p in problems]
    return ConfigurationError(
        f"{len(problems)} things are wrong:\n  - " + "\n  - ".join(lines),
        file=path,
        mend="Mend them and run `optout check`",
    )


def _problems_of_systems(table: Mapping[str, Any]) -> Iterator[_Problem]:
    if not isinstance(table.get("hub"), Mapping):
        yield _Problem("hub", "the table [hub] is missing", "Add it (see `optout init`)")
    esps = table.get("esp")
    if not isinstance(esps, list) or not esps or not all(isinstance(e, Mapping) for e in esps):
        yield _Problem("esp", "no [[esp]] table", "Add one for each e-mail service provider")
        return
    names = [t.get("name") for t in (table.get("hub"), *esps) if isinstance(t, Mapping)]
    for name in sorted({str(n) for n in names if n is not None and names.count(n) > 1}):
        yield _Problem(
            f"esp.{name}.name", f"two systems are called '{name}'", "Give each its own name"
        )


def _system(
    table: Mapping[str, Any], where: str, problems: list[_Problem]
) -> SystemConfig | Mapping[str, Any]:
    vendor = table.get("vendor")
    connector = VENDORS.get(str(vendor))
    if connector is None:
        kinds = ", ".join(VENDORS)
        near = difflib.get_close_matches(str(vendor), VENDORS, 1)
        mend = f"Did you mean {near[0]}?" if near else f"Use one of: {kinds}"
        problems.append(_Problem(f"{where}.vendor", f"'{vendor}' is no known vendor", mend))
        return table
    if connector.is_hub != (where == "hub"):
        what = f"{vendor} is {'a hub' if connector.is_hub else 'an ESP'}"
        mend = f"Put it into {'[hub]' if connector.is_hub else 'an [[esp]] table'}"
        problems.append(_Problem(f"{where}.vendor", what, mend))
        return table
    try:
        return connector.Config.model_validate(_as_text(table))
    except ValidationError as error:
        problems += [_told(e, where, connector.Config) for e in error.errors()]
        return table


def _as_text(table: Mapping[str, Any]) -> dict[str, Any]:
    """Store references may be written as numbers (SendGrid groups) or alone instead of a list."""
    result = dict(table)
    mapping = result.get("categories")
    if isinstance(mapping, Mapping):
        result["categories"] = {
            category: tuple(str(v) for v in (stores if isinstance(stores, list) else [stores]))
            for category, stores in mapping.items()
        }
    return result


def _problems_of_mapping(settings: Settings) -> Iterator[_Problem]:
    for config in settings.esp:
        where = f"esp.{config.name}.categories"
        if not config.categories:
            mend = "Map at least one category to the lists, groups or types that hold it"
            yield _Problem(where, "no category is mapped", mend)
        for category, stores in config.categories.items():
            if category not in settings.categories:
                near = difflib.get_close_matches(category, settings.categories, 1)
                mend = f"Did you mean {near[0]}?" if near else "Add it to `categories`, or remove"
                what = f"'{category}' is not one of the company's categories"
                yield _Problem(f"{where}.{category}", what, mend)
            elif not stores:
                yield _Problem(f"{where}.{category}", "is mapped to nothing", "Name its stores")


def _told(error: Any, where: str, model: type[BaseModel]) -> _Problem:
    """A pydantic error in the user's words."""
    path = [str(part) for part in error["loc"]]
    key = ".".join([where, *path] if where else path)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], model.model_fields, 1)
        mend = f"Did you mean '{near[0]}'?" if near else "Remove it, or see `optout init`"
        return _Problem(key, "unknown key", mend)
    if error["type"] == "missing":
        return _Problem(key, "is missing", "Add it (see `optout init`)")
    message = error["msg"].removeprefix("Value error, ")
    shown = error.get("input")
    given = f" (got {shown!r})" if isinstance(shown, str | int | float) and len(path) else ""
    return _Problem(key, f"{message[0].lower()}{message[1:]}{given}", "Correct the value")
