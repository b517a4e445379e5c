from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.report.plot import to_svg
from benchmarks.report.summary import summarize
from tests.benchmarks.report.made_up import ALL, IDLE, ONE, RUNS, SQLITE, outcome

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> tuple[list[float], list[str]]:
    """The widths of the bars and all texts, from top to bottom."""
    tree = ET.fromstring(text)
    widths = [float(rect.attrib["width"]) for rect in tree.iter(f"{SVG}rect")]
    return widths, [each.text or "" for each in tree.iter(f"{SVG}text")]


def test_there_is_a_bar_for_each_headline_and_contestant() -> None:
    widths, texts = drawn(to_svg([ONE, IDLE], summarize([ONE, IDLE], ALL, RUNS)))

    assert len(widths) == 5
    assert {"one_activity, workflows/s", "idle_latency, ms", "11,000", "300", "12.5"} <= set(texts)


def test_a_bar_is_as_long_as_the_logarithm_of_its_figure() -> None:
    rates = [outcome("one_activity", each, 1, rate=rate) for each, rate in zip(ALL, (100, 1_000, 10_000), strict=False)]
    widths, _ = drawn(to_svg([ONE], summarize([ONE], ALL, rates)))

    assert widths[1] * 2 == widths[2]


def test_a_single_figure_has_a_scale_too() -> None:
    runs = [outcome("one_activity", SQLITE, 1, rate=1_000)]

    assert len(drawn(to_svg([ONE], summarize([ONE], [SQLITE], runs)))[0]) == 1


def test_no_figures_are_an_empty_picture() -> None:
    assert drawn(to_svg([ONE], [])) == ([], [])


def test_the_plot_follows_the_readers_light_or_dark() -> None:
    assert "prefers-color-scheme: dark" in to_svg([ONE], summarize([ONE], ALL, RUNS))
