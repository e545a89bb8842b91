"""Small pictures of what a stage made, for the orchestrator's page.

Belongs here: drawing numbers as SVG, a pure function of them. Does not belong here: where the numbers come from, and
figures for reports (`bench`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, PANEL_HEIGHT, TITLE, VALUE, FOOT, LABEL_WIDTH = 560, 132, 18, 12, 18, 46
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
# Readable on the page's light and dark ground alike.
_BAR, _TEXT, _LINE = "#4f7fd6", "#8a8f98", "#8a8f98"


@dataclass(frozen=True)
class Panel:
    """One row of bars: a title that says quantity and unit, the bars' labels and values, and the scale's top.

    `top` is the value at full height (None: the largest one).
    """

    title: str
    bars: Sequence[tuple[str, float]]
    top: float | None = None


def short(value: float) -> str:
    """A number for a picture: three digits and k, M, G (10^9) or T (10^12)."""
    for size, letter in _SCALES:
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def draw(panels: Sequence[Panel]) -> str:
    """Bars one panel below the other as SVG text; the same numbers give the same text."""
    height = PANEL_HEIGHT * len(panels)
    drawn = "".join(_panel(panel, PANEL_HEIGHT * number) for number, panel in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="11" fill="{_TEXT}">{drawn}</svg>'
    )


def as_markdown(svg: str, words: str) -> str:
    """The picture as Markdown that needs no other file; `words` say what it shows."""
    return f"![{words}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _panel(panel: Panel, above: int) -> str:
    top = panel.top if panel.top is not None else max((value for _, value in panel.bars), default=0.0)
    base, room = above + PANEL_HEIGHT - FOOT, PANEL_HEIGHT - TITLE - FOOT - VALUE
    step = WIDTH / max(len(panel.bars), 1)
    width = min(step * 0.8, 48)
    outline, values = [], []
    for number, (_, value) in enumerate(panel.bars):
        tall = room * min(value / top, 1.0) if top > 0 else 0.0
        left = number * step + (step - width) / 2
        outline.append(f"M{left:.1f} {base}v-{tall:.1f}h{width:.1f}v{tall:.1f}z")
        if _fits(panel):
            middle, over = left + width / 2, base - tall - 3
            values.append(f'<text x="{middle:.1f}" y="{over:.1f}" text-anchor="middle">{short(value)}</text>')
    title = f'<text x="0" y="{above + 12}">{escape(panel.title)}</text>'
    scale = f'<text x="{WIDTH}" y="{above + 12}" text-anchor="end">top: {short(top)}</text>'
    line = f'<path d="M0 {base}.5H{WIDTH}" stroke="{_LINE}" stroke-width="1"/>'
    bars = f'<path d="{"".join(outline)}" fill="{_BAR}"/>'
    return title + scale + bars + "".join(values) + line + _labels(panel, step, base)


def _fits(panel: Panel) -> bool:
    return len(panel.bars) * LABEL_WIDTH <= WIDTH


def _labels(panel: Panel, step: float, base: int) -> str:
    """Every label where they have room, otherwise the first, the middle and the last."""
    count, fits = len(panel.bars), _fits(panel)
    shown = range(count) if fits else sorted({0, count // 2, count - 1})
    words = []
    for number in shown:
        at = number * step + step / 2
        anchor = "middle" if fits or 0 < number < count - 1 else ("start" if number == 0 else "end")
        x = at if anchor == "middle" else (0 if anchor == "start" else WIDTH)
        words.append(f'<text x="{x:.1f}" y="{base + 13}" text-anchor="{anchor}">{escape(panel.bars[number][0])}</text>')
    return "".join(words)
