"""An optout.toml and an environment for a running sandbox.

Only what a user of the real vendors would write as well: base URLs, names of variables, stores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from optout.sandbox.server import Sandbox
from optout.sandbox.world.deeds import HUB, SENDGRID
from optout.sandbox.world.world import World

TOKEN_ENVS: Mapping[str, str] = {
    "zendesk_sell": "SELL_TOKEN",
    "mailchimp": "MAILCHIMP_API_KEY",
    "sendgrid": "SENDGRID_API_KEY",
    "klaviyo": "KLAVIYO_API_KEY",
    "hubspot": "HUBSPOT_TOKEN",
}
"""The names that `optout init` writes."""
KEY_ENV = "OPTOUT_KEY"


@dataclass(frozen=True)
class SandboxConfig:
    """What a run against the sandbox needs."""

    file: Path
    environ: Mapping[str, str]
    """The credentials of the sandbox and a key for the hashes; secret of nothing real."""


def write_config(sandbox: Sandbox, world: World, folder: Path) -> SandboxConfig:
    """Write `folder/optout.toml` for the running sandbox; its data goes to `folder/data`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "optout.toml"
    file.write_text(render(sandbox, world), encoding="utf-8")
    environ = {TOKEN_ENVS[system]: token for system, token in world.tokens.items()}
    seed = f"sandbox key {world.plan.seed}".encode()
    return SandboxConfig(file, {**environ, KEY_ENV: hashlib.sha256(seed).hexdigest()})


def render(sandbox: Sandbox, world: World) -> str:
    """The text of optout.toml."""
    lines = [
        "# Written for the sandbox; the systems below are twins on this machine.",
        'data_dir = "data"',
        'timezone = "UTC"',
        f"categories = {json.dumps(list(world.plan.categories))}",
        "",
        "[identity]",
        f'key_env = "{KEY_ENV}"',
    ]
    for system in world.twins:
        lines += ["", *_table(sandbox, world, system)]
    return "\n".join(lines) + "\n"


def _table(sandbox: Sandbox, world: World, system: str) -> list[str]:
    """One `[hub]` or `[[esp]]` table."""
    lines = [
        "[hub]" if system == HUB else "[[esp]]",
        f'name = "{system}"',
        f'vendor = "{system}"',
        f'base_url = "{sandbox.base_url(system)}"',
        f'token_env = "{TOKEN_ENVS[system]}"',
    ]
    if system == HUB:
        return lines
    if system == SENDGRID and not sandbox.limits_on:
        # Each message costs a request: at the vendor's pace a demonstration would wait for minutes.
        lines.append("requests_per_minute = 60000")
    stores = world.twins[system].category_map()
    lines.append("[esp.categories]")
    lines += [f"{category} = {json.dumps(list(each))}" for category, each in stores.items()]
    return lines
