"""Judges and delivers a night's alerts in a child process that dies at a given step.

Run as `python -m optout.testing.killable`: it imports everything once, then forks a child for each
line of JSON that it reads (`config`, `now`, `environ`, `kill`) and answers with the child's exit
status and the number of steps. A step is a statement to the state file, a connection that is
opened, and an answer that is awaited; `kill` 0 lets the child live.
"""

from __future__ import annotations

import http.client
import os
import signal
import smtplib
import sqlite3
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from optout.alerts.service import evaluate_and_deliver
from optout.alerts.state import AlertState
from optout.project import Project


class Counter:
    """Counts steps, and ends the process without any farewell at one of them."""

    def __init__(self, kill: int) -> None:
        self.kill = kill
        self.steps = 0

    def step(self, *told: Any) -> None:
        """One step is about to be taken."""
        self.steps += 1
        if self.steps == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with a step before it."""

        def stepping(*args: Any, **named: Any) -> Any:
            self.step()
            return function(*args, **named)

        return stepping


def run(asked: dict[str, Any]) -> int:
    """One night in this process; the steps that it took."""
    counter = Counter(asked["kill"])
    opened = AlertState.__init__

    def traced(self: AlertState, data_dir: Path) -> None:
        opened(self, data_dir)
        con: sqlite3.Connection = self.con
        con.set_trace_callback(counter.step)

    AlertState.__init__ = traced  # type: ignore[method-assign]
    for holder, name in (
        (http.client.HTTPConnection, "connect"),
        (http.client.HTTPConnection, "getresponse"),
        (smtplib.SMTP, "getreply"),
    ):
        setattr(holder, name, counter.before(getattr(holder, name)))
    now = datetime.fromisoformat(asked["now"])
    project = Project.open(Path(asked["config"]), now=now, environ=asked["environ"])
    evaluate_and_deliver(project)
    return counter.steps


def main() -> None:
    """Serve standard input, one child a line."""
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            steps = run(orjson.loads(line))
            os.write(writer, str(steps).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as told:
            steps = int(told.read() or 0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(orjson.dumps({"status": status, "steps": steps}).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
