"""One palette for pages and plots, light and dark.

Figures are drawn in the light colours; a page in the dark exchanges each for its counterpart, so
that a figure needs no second drawing. Text colours reach a contrast of at least 4.5 on both grounds
(a test computes it).
"""

from __future__ import annotations

LIGHT = {
    "ink": "#1b1f24",
    "muted": "#57606a",
    "ground": "#ffffff",
    "panel": "#f5f7f9",
    "line": "#d0d7de",
    "grid": "#e6eaee",
    "link": "#0a4f9e",
    "met": "#146c2e",
    "missed": "#b0201a",
    "unknown": "#59626c",
    "met_ground": "#dcf3e1",
    "missed_ground": "#fde5e3",
    "missed_more": "#f5a39c",
    "unknown_ground": "#e9ecef",
    "series_1": "#0b5cad",
    "series_2": "#b35300",
    "series_3": "#0b7264",
    "series_4": "#7a3ea6",
    "series_5": "#8a6a00",
    "series_6": "#525c67",
    "series_7": "#a5195f",
    "series_8": "#2e6e1c",
}
DARK = {
    "ink": "#e8edf2",
    "muted": "#a3adb8",
    "ground": "#0f1419",
    "panel": "#171e26",
    "line": "#36414c",
    "grid": "#222c36",
    "link": "#84bfff",
    "met": "#5fd47c",
    "missed": "#ff8a80",
    "unknown": "#a8b1bb",
    "met_ground": "#12301c",
    "missed_ground": "#43191a",
    "missed_more": "#8c2f2b",
    "unknown_ground": "#252e38",
    "series_1": "#79b8fe",
    "series_2": "#ffa65a",
    "series_3": "#5fe0cd",
    "series_4": "#d0a6ff",
    "series_5": "#e2c85c",
    "series_6": "#aeb7c1",
    "series_7": "#ff90c5",
    "series_8": "#8fdc7c",
}
SERIES = tuple(LIGHT[f"series_{n}"] for n in range(1, 9))
CLEAR = "rgba(0,0,0,0)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def colour_of(names: list[str]) -> dict[str, str]:
    """A colour for each name, the same on every page for the same list."""
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(names)}


def exchange() -> dict[str, str]:
    """Light colour → dark colour."""
    return {LIGHT[name]: DARK[name] for name in LIGHT}


def css() -> str:
    """The palette as custom properties: by the reader's system, or by the switch on the page."""
    return (
        f":root{{color-scheme:light;{_properties(LIGHT)}}}\n"
        "@media screen and (prefers-color-scheme: dark){"
        f":root:not([data-theme=light]){{color-scheme:dark;{_properties(DARK)}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{_properties(DARK)}}}}}\n"
    )


def _properties(palette: dict[str, str]) -> str:
    return "".join(f"--{name.replace('_', '-')}:{value};" for name, value in palette.items())
