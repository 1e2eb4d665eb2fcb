"""Colours that everybody can read."""

from __future__ import annotations

import pytest

from dashboards.theme import DARK, LIGHT, css, exchange


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_reaches_the_contrast_of_wcag_aa_on_every_ground_it_stands_on(palette):
    """Grey on grey is read by nobody over fifty, nor by an auditor on a projector."""
    pairs = [(text, ground) for text in ("ink", "muted", "link") for ground in ("ground", "panel")]
    pairs += [(s, f"{s}_ground") for s in ("met", "missed", "unknown")]
    pairs += [("ink", g) for g in ("met_ground", "missed_ground", "missed_more", "unknown_ground")]
    pairs += [(s, "ground") for s in ("met", "missed", "unknown")]
    weak = {p: round(contrast(palette[p[0]], palette[p[1]]), 2) for p in pairs}
    assert {p: c for p, c in weak.items() if c < 4.5} == {}


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_of_plots_stand_out_from_the_ground(palette):
    """WCAG asks 3:1 of graphics."""
    series = [palette[f"series_{n}"] for n in range(1, 9)]
    assert min(contrast(colour, palette["ground"]) for colour in series) >= 3


def test_each_light_colour_has_one_dark_counterpart():
    """Two names of one colour would be exchanged for the same, and one of them wrongly."""
    assert set(LIGHT) == set(DARK)
    assert len(set(LIGHT.values())) == len(LIGHT) == len(exchange())


def test_the_stylesheet_obeys_the_system_and_the_switch_and_prints_in_light():
    """A page printed white on black is thrown away."""
    text = css()
    assert "prefers-color-scheme: dark" in text
    assert ":root[data-theme=dark]" in text
    assert text.count("@media screen") == 2
