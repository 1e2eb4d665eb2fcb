"""`python -m optout.sandbox`: serve a world by hand until Ctrl-C, or until input ends.

Enter moves the world to its next night; everything is printed that a run against it needs.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from optout.sandbox.config import write_config
from optout.sandbox.server import Sandbox
from optout.sandbox.world.world import Plan, World


def main(arguments: list[str] | None = None) -> int:
    """Serve; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m optout.sandbox", description=__doc__)
    parser.add_argument("--people", type=int, default=200, help="size of the world")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another world")
    parser.add_argument("--drift", type=int, default=1, help="instances of each fault at first")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--folder", type=Path, default=Path("sandbox"), help="of optout.toml")
    parser.add_argument("--no-limits", action="store_true", help="switch the rate limits off")
    given = parser.parse_args(arguments)
    world = World(Plan(people=given.people, seed=given.seed, drift=given.drift))
    with Sandbox(world.twins.values(), limits_on=not given.no_limits).start(given.port) as sandbox:
        config = write_config(sandbox, world, given.folder)
        _say(f"{config.file} is for this sandbox. Its environment:\n")
        for name, value in config.environ.items():
            _say(f"export {name}={shlex.quote(value)}")
        for vendor in sandbox.vendors:
            _say(f"# {vendor}: {sandbox.base_url(vendor)}")
        _tell_night(world)
        try:
            for _ in sys.stdin:
                world.advance()
                _tell_night(world)
        except KeyboardInterrupt:
            pass
    return 0


def _tell_night(world: World) -> None:
    night = world.night
    _say(f"# Night {night.number} ({night.date}): read it with --now {night.read_at.isoformat()}")
    _say("# Enter: the next night. Ctrl-C: end.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
