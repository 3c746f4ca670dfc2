"""Bars of a timeline: what lasted how long, and how many at once, as SVG that holds no text."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from pgflow_django.drawing.gantt import BINS, WIDTH, Span, count_in_bins, render_bar

_moments = st.floats(0, 100)
_spans = st.lists(
    st.tuples(st.sampled_from(["completed", "failed", "running"]), _moments, _moments).map(
        lambda row: Span(row[0], min(row[1:]), max(row[1:]))  # type: ignore[arg-type]
    ),
    max_size=30,
)


@given(_spans)
def test_a_bin_counts_what_there_was_in_it(spans: list[Span]) -> None:
    counts = count_in_bins(spans, 0, 100 / BINS)
    assert len(counts) == BINS

    def place(moment: float) -> int:
        return min(BINS - 1, int(moment / (100 / BINS)))

    for number, count in enumerate(counts):
        assert count == sum(place(s.since) <= number <= place(s.until) for s in spans)


@given(_spans, st.booleans())
def test_nothing_is_drawn_outside_of_the_bar(spans: list[Span], is_map: bool) -> None:
    drawing = ET.fromstring(render_bar(spans, 0, 100, "a<b>", is_map=is_map))  # noqa: S314
    assert drawing.get("aria-label") == "a<b>"
    for rect in drawing.iter("rect"):
        left, width = float(rect.get("x", "")), float(rect.get("width", ""))
        assert 0 <= left <= left + width <= WIDTH + 0.2
    paths = [path.get("d", "") for path in drawing.iter("path")]
    assert len(paths) == (len({span.status for span in spans}) if is_map else 0)
    for path in paths:
        for left, top in re.findall(r"M([\d.]+) ([\d.]+)h", path):
            assert 0 <= float(left) < WIDTH
            assert float(top) >= 0


def test_waits_are_thin_and_an_attempt_of_no_time_is_seen() -> None:
    spans = [Span("waiting", 0, 50), Span("failed", 50, 50), Span("completed", 60, 100)]
    drawing = ET.fromstring(render_bar(spans, 0, 100, "a"))  # noqa: S314
    waits, failed, done = drawing
    assert (waits.get("class"), waits.get("width"), waits.get("height")) == (
        "pgf-t-waiting", "500.0", "4",
    )  # fmt: skip
    assert (failed.get("x"), failed.get("width")) == ("500.0", "3.0")
    assert (done.get("x"), done.get("width"), done.get("height")) == ("600.0", "400.0", "18")


def test_what_fails_stands_on_the_ground_of_a_map() -> None:
    spans = [Span("completed", 0, 100)] * 3 + [Span("failed", 0, 100)]
    failed, completed = ET.fromstring(render_bar(spans, 0, 100, "a", is_map=True))  # noqa: S314
    assert failed.get("class") == "pgf-t-failed"
    assert failed.get("d", "").startswith("M0.0 18.0h8.3v6.0")
    assert completed.get("d", "").startswith("M0.0 0.0h8.3v18.0")
