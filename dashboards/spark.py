"""Thirty nights as a small SVG: it needs no script, prints, and hatches what is unknown."""

from __future__ import annotations

from html import escape

from dashboards import words
from dashboards.frame import Frame

BEFORE = "before"
"""The status of a night before the first that was ever run: neither known nor unknown."""

_WIDTH, _HEIGHT, _PAD = 240.0, 44.0, 5.0


def spark(frame: Frame, *, name: str, target: float | None, is_share: bool) -> str:
    """`frame` has night, value, status: a line, broken and hatched where the value is unknown."""
    values = frame.column("value")
    statuses = frame.column("status")
    if not values:
        return ""
    step = (_WIDTH - 2 * _PAD) / max(1, len(values) - 1)
    low, high = _range(values, target)
    points = [
        None if v is None else (_PAD + i * step, _height(v, low, high))
        for i, v in enumerate(values)
    ]
    parts = [
        f'<rect class="hatch" x="{_PAD + i * step - step / 2:.1f}" y="0" width="{step:.1f}"'
        f' height="{_HEIGHT:.0f}"/>'
        for i, point in enumerate(points)
        if point is None and statuses[i] != BEFORE
    ]
    if target is not None:
        y = _height(target, low, high)
        parts.append(f'<line class="goal" x1="0" x2="{_WIDTH:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
    parts += [f'<polyline points="{run}"/>' for run in _runs(points)]
    last = points[-1]
    if last is not None:
        status = statuses[-1]
        x, y_last = f"{last[0]:.1f}", f"{last[1]:.1f}"
        parts.append(f'<line class="last {status}" x1="{x}" x2="{x}" y1="{y_last}" y2="{y_last}"/>')
    said = escape(
        _said(name, [v for v, s in zip(values, statuses, strict=True) if s != BEFORE], is_share)
    )
    return (
        f'<svg class="spark" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img"'
        f' aria-label="{said}" preserveAspectRatio="none"><title>{said}</title>'
        f"{''.join(parts)}</svg>"
    )


def _range(values: list[float | None], target: float | None) -> tuple[float, float]:
    known = [v for v in (*values, target) if v is not None]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _height(value: float, low: float, high: float) -> float:
    return _HEIGHT - _PAD - (value - low) / (high - low) * (_HEIGHT - 2 * _PAD)


def _runs(points: list[tuple[float, float] | None]) -> list[str]:
    """Unbroken stretches; a single night is drawn as a short dash."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    lines = [run if len(run) > 1 else [(x - 2, y), (x + 2, y)] for run in runs for x, y in run[:1]]
    return [" ".join(f"{x:.1f},{y:.1f}" for x, y in line) for line in lines]


def _said(name: str, values: list[float | None], is_share: bool) -> str:
    known = [v for v in values if v is not None]
    unknown = len(values) - len(known)
    nights = words.plural(len(values), "night")
    if not known:
        return f"{name}, {nights}: unknown throughout"
    show = words.percent if is_share else words.count
    text = f"{name}, {nights}: between {show(min(known))} and {show(max(known))}"
    return f"{text}; {words.plural(unknown, 'night')} unknown" if unknown else text
