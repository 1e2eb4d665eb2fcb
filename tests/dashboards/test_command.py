"""`optout dashboard`: where the pages are, with a server or without."""

from __future__ import annotations

import threading
import urllib.request

import pytest

from orchestration.cli import dashboard, run

CONFIG = """
data_dir = "data"
timezone = "Europe/Berlin"
categories = ["product_updates", "educational", "promotional", "events"]

[hub]
name = "zendesk_sell"
vendor = "zendesk_sell"
base_url = "http://127.0.0.1:1"
token_env = "SELL_TOKEN"

[[esp]]
name = "mailchimp"
vendor = "mailchimp"
base_url = "http://127.0.0.1:1/3.0"
token_env = "MAILCHIMP_API_KEY"
[esp.categories]
promotional = ["a/b"]
"""


@pytest.fixture
def file(tmp_path):
    config = tmp_path / "optout.toml"
    config.write_text(CONFIG)
    return config


def test_the_command_prints_the_page_to_open(file, copy, capsys):
    """A path that leads nowhere ends the first morning."""
    published = file.parent / "data" / "published" / "optout.duckdb"
    published.parent.mkdir(parents=True)
    published.write_bytes(copy.read_bytes())
    assert run(["--config", str(file), "dashboard"]) == 0
    index = capsys.readouterr().out.strip()
    assert index == str(file.parent / "data" / "published" / "site" / "latest" / "index.html")
    text = (file.parent / "data/published/site/latest/index.html").read_text(encoding="utf-8")
    assert "20 Nov 2026, 03:00 CET" in text
    assert run(["--config", str(file), "dashboard", "--date", "2026-11-10"]) == 0
    assert "/2026-11-10-" in capsys.readouterr().out
    assert run(["--config", str(file), "dashboard", "--date", "2020-01-01"]) == 2


def test_without_a_published_night_the_command_says_what_to_do(file, capsys):
    """An empty site would look like a quiet night."""
    assert run(["--config", str(file), "dashboard"]) == 2
    assert "Run `optout run` first" in capsys.readouterr().err


def test_the_server_answers_on_loopback_and_stops(built, capsys, monkeypatch):
    """Pages with contact keys are nobody else's to read."""
    seen: list[str] = []

    class Once(dashboard.http.server.ThreadingHTTPServer):
        def serve_forever(self, poll_interval=0.5):
            seen.append(self.server_address[0])
            worker = threading.Thread(target=self.handle_request)
            worker.start()
            url = f"http://127.0.0.1:{self.server_address[1]}/latest/index.html"
            with urllib.request.urlopen(url) as answer:
                seen.append(answer.headers["Cache-Control"])
                seen.append(answer.read().decode()[:15])
            worker.join()
            raise KeyboardInterrupt

    monkeypatch.setattr(dashboard.http.server, "ThreadingHTTPServer", Once)
    dashboard.serve(built.folder.parent, "latest/", 0, False)
    assert seen[:2] == ["127.0.0.1", "no-store"]
    assert seen[2].strip().startswith("<!doctype")
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


def test_the_asset_builds_what_the_command_opens():
    """The night has to end with its pages."""
    from assets.dashboard import build_dashboard

    asset = build_dashboard()
    assert asset.key.path == ["published", "dashboard"]
    assert [k.path for k in asset.asset_deps[asset.key]] == [["published", "warehouse"]]
