"""The plot for the documentation: bars on a logarithmic scale, as SVG that follows the reader's light or dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

import msgspec

from benchmarks.case import Case
from benchmarks.report.summary import Row
from benchmarks.report.table import number

WIDTH = 860
_LABELS = 240
_NUMBERS = 90
_BAR = 15
_GAP = 12
_HEADING = 22
_PANEL = 46

_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .panel { font-weight: 600; font-size: 14px }
  .case { font-weight: 600 }
  .grid { stroke: #d1d9e0 }
  .tick { fill: #59636e; font-size: 11px }
  .ours { fill: #0969da }
  .peer { fill: #9198a1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .grid { stroke: #3d444d }
    .tick { fill: #9198a1 }
    .ours { fill: #4493f8 }
    .peer { fill: #656c76 }
  }
"""


class _Panel(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    rows: tuple[Row, ...]

    @property
    def decades(self) -> tuple[int, int]:
        """The powers of ten around all values."""
        values = [row.median for row in self.rows]
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return low, max(high, low + 1)


def to_svg(cases: Sequence[Case], rows: Sequence[Row]) -> str:
    """The headlines: what is per second, then what is a time."""
    headlines = {(case.name, case.measures[0].figure) for case in cases}
    shown = [row for row in rows if (row.case, row.figure) in headlines and row.median > 0]
    panels = [
        _Panel(title=title, rows=tuple(row for row in shown if row.unit.endswith("/s") == is_rate and is_plotted(row)))
        for title, is_rate in (("per second: longer is better", True), ("milliseconds: shorter is better", False))
    ]
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})
    ET.SubElement(svg, "title").text = "Benchmarks of perdure and its peers, medians, on logarithmic scales"
    ET.SubElement(svg, "style").text = _STYLE
    bottom = 0.0
    for panel in panels:
        if panel.rows:
            bottom = _draw_panel(svg, panel, bottom)
    svg.set("viewBox", f"0 0 {WIDTH} {bottom:g}")
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def is_plotted(row: Row) -> bool:
    """Rates and milliseconds; megabytes and seconds would need axes of their own."""
    return row.unit.endswith("/s") or row.unit == "ms"


def _draw_panel(svg: ET.Element, panel: _Panel, top: float) -> float:
    """Draw it from there on; where it ends."""
    groups = [(case, list(rows)) for case, rows in groupby(panel.rows, lambda row: row.case)]
    height = sum(_HEADING + _BAR * len(rows) + _GAP for _, rows in groups)
    _text(svg, panel.title, 8, top + 20, "panel")
    _draw_grid(svg, panel, top + _PANEL - 8, top + _PANEL + height)
    y = top + _PANEL
    for case, rows in groups:
        _text(svg, f"{case}, {rows[0].unit}", 8, y + 14, "case")
        y += _HEADING
        for row in rows:
            _draw_bar(svg, panel, row, y)
            y += _BAR
        y += _GAP
    return y + 8


def _draw_grid(svg: ET.Element, panel: _Panel, top: float, bottom: float) -> None:
    low, high = panel.decades
    for exponent in range(low, high + 1):
        x = _x(panel, 10.0**exponent)
        ET.SubElement(svg, "line", {"class": "grid", **_points(x1=x, x2=x, y1=top, y2=bottom)})
        _text(svg, number(10.0**exponent), x, top - 4, "tick", anchor="middle")


def _draw_bar(svg: ET.Element, panel: _Panel, row: Row, y: float) -> None:
    end = _x(panel, row.median)
    kind = "peer" if row.is_peer else "ours"
    _text(svg, row.contestant, _LABELS - 8, y + 11, "label", anchor="end")
    points = _points(x=_LABELS, y=y + 1, width=max(end - _LABELS, 1), height=_BAR - 3, rx=2)
    ET.SubElement(svg, "rect", {"class": kind, **points})
    _text(svg, number(row.median), end + 5, y + 11, "number")


def _x(panel: _Panel, value: float) -> float:
    low, high = panel.decades
    share = (math.log10(value) - low) / (high - low)
    return _LABELS + share * (WIDTH - _LABELS - _NUMBERS)


def _text(svg: ET.Element, text: str, x: float, y: float, kind: str, *, anchor: str = "start") -> None:
    ET.SubElement(svg, "text", {"class": kind, "text-anchor": anchor, **_points(x=x, y=y)}).text = text


def _points(**values: float) -> dict[str, str]:
    return {name: f"{value:.1f}" for name, value in values.items()}
