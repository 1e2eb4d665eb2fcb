"""`optout dashboard`: the pages of the last night."""

from __future__ import annotations

import functools
import http.server
import webbrowser
from pathlib import Path

import click

from orchestration.cli.common import EXIT_OK, Invocation, parse_date


@click.command(name="dashboard")
@click.option("--date", "date_text", help="Another night than the last.")
@click.option("--serve", "port", type=click.IntRange(0, 65535), metavar="PORT",
              help="Serve on 127.0.0.1 until interrupted; 0 chooses a port.")  # fmt: skip
@click.option("--open", "should_open", is_flag=True, help="Open it in the browser.")
@click.pass_obj
def command(
    invocation: Invocation, date_text: str | None, port: int | None, should_open: bool
) -> int:
    """Build the pages from the published copy and print where they are. They need no server."""
    from dashboards.build import build_site

    built = build_site(invocation.project(), parse_date(date_text))
    index = built.folder / "index.html" if date_text else built.index
    index = index.absolute()
    if port is None:
        click.echo(str(index))
        if should_open:
            webbrowser.open(index.as_uri())
        return EXIT_OK
    serve(built.folder.parent, f"{index.parent.name}/", port, should_open)
    return EXIT_OK


def serve(site: Path, start: str, port: int, should_open: bool) -> None:
    """Serve the folder on the loopback interface until interrupted."""
    handler = functools.partial(_Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/{start}"
        click.echo(url)
        if should_open:
            webbrowser.open(url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("stopped", err=True)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files only, quietly; nothing is remembered by the browser, so that a new night is seen."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal shows the address."""
