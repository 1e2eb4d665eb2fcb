"""Nothing of a person stands in any page, script or file name."""

from __future__ import annotations

import shutil
import sqlite3

import duckdb

from dashboards.build import build
from dashboards.data import open_published
from dashboards.page import Places

ADDRESS = "canary.{n}@example.org"
SCRIPT = "<script>alert('canary')</script>"


def canary(n: int) -> str:
    return ADDRESS.format(n=n)


def test_no_address_and_no_markup_of_others_reaches_a_page(copy, context, tmp_path):
    """A campaign's name, an error's text, an alert: each can carry what a vendor let in."""
    spoilt = tmp_path / "optout.duckdb"
    shutil.copy(copy, spoilt)
    with duckdb.connect(str(spoilt)) as con:
        con.execute(f"UPDATE core.campaign SET name = '{SCRIPT.replace(chr(39), '')} {canary(1)}'")
        con.execute(
            "UPDATE core.source_read SET is_complete = false, note = ?, why_not = ?, revision = ?"
            " WHERE system = 'mailchimp'",
            [f"{SCRIPT} {canary(2)}", f"{SCRIPT} {canary(3)}", f"v {canary(4)}"],
        )
        con.execute("UPDATE core.finding SET detail = ?, record_id = ?", [canary(5), canary(6)])
        con.execute("UPDATE mart.metric_daily SET note = ?", [f"{SCRIPT} {canary(7)}"])
        con.execute("UPDATE audit.spike SET note = ?, key = key || ?", [canary(8), canary(9)])
        con.execute("UPDATE audit.violation SET campaign_id = ?", [f"=cmd {canary(10)}"])
        con.execute("UPDATE mart.touchpoint SET channel = ?", [canary(11)])
        con.execute("UPDATE audit.drift SET store = ?", [canary(12)])
    alerts = tmp_path / "alerts.sqlite"
    with sqlite3.connect(alerts) as state:
        state.execute(
            "CREATE TABLE alert (dedup_key, rule, state, severity, facts, opened_night, opened_at)"
        )
        facts = f'{{"headline": "{SCRIPT} {canary(13)}", "next_step": "{canary(14)}"}}'
        state.execute(
            "INSERT INTO alert VALUES ('k', 'r', 'open', 'page', ?, '2026-11-20', '')", [facts]
        )
    state.close()
    with open_published(spoilt, context) as data:
        site = build(data, tmp_path / "site", Places(alerts=alerts)).folder.parent
    for file in site.rglob("*"):
        assert "canary" not in file.name
        if file.is_file() and file.parent.name != "assets":
            text = file.read_text(encoding="utf-8")
            assert "canary." not in text and "example.org" not in text, file.name
            assert "<script>alert" not in text or file.suffix == ".csv", file.name


def test_a_word_of_others_is_no_formula_in_a_spreadsheet(copy, context, tmp_path):
    """A campaign named =HYPERLINK(...) would run on the auditor's machine."""
    spoilt = tmp_path / "optout.duckdb"
    shutil.copy(copy, spoilt)
    with duckdb.connect(str(spoilt)) as con:
        con.execute("UPDATE core.campaign SET name = '=HYPERLINK(1)'")
    with open_published(spoilt, context) as data:
        file = tmp_path / "campaigns.csv"
        data.export("opt_out_campaigns", file)
    text = file.read_text()
    assert "'=HYPERLINK(1)" in text
    assert ",=" not in text
