"""Colours, icons and the style sheet of standalone diagrams.

Colours are written out, not as CSS variables: some programs that show SVG files know no variables.
Imports only the standard library, ``states`` and ``text``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pgflow_django.drawing.states import Status
from pgflow_django.drawing.text import NAME_FONT, NOTE_FONT, Font

Theme = Literal["auto", "light", "dark"]

FADED: frozenset[Status] = frozenset({"waiting", "cancelled", "skipped"})


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one appearance as ``#rrggbb``."""

    canvas: str
    dot: str
    line: str
    card: str
    border: str
    text: str
    quiet: str
    single: str
    map: str
    statuses: Mapping[Status, str]


LIGHT = Palette(
    canvas="#f6f8fa",
    dot="#d5dbe2",
    line="#7d8b99",
    card="#ffffff",
    border="#cfd7e0",
    text="#1f2933",
    quiet="#5b6673",
    single="#2563b0",
    map="#7c3aed",
    statuses={
        "waiting": "#5b6673",
        "running": "#1d4ed8",
        "retrying": "#92500a",
        "completed": "#166534",
        "failed": "#b91c1c",
        "cancelled": "#6b5344",
        "skipped": "#4a6076",
    },
)
DARK = Palette(
    canvas="#131518",
    dot="#2a3037",
    line="#6b7885",
    card="#1d2126",
    border="#3a424c",
    text="#e6eaee",
    quiet="#9aa5b1",
    single="#6cb2ff",
    map="#b794f6",
    statuses={
        "waiting": "#9aa5b1",
        "running": "#7fb0ff",
        "retrying": "#fbbf24",
        "completed": "#4ade80",
        "failed": "#ff8a8a",
        "cancelled": "#cbb3a0",
        "skipped": "#9fb3c8",
    },
)

# Paths around (0, 0) in a square of 20, drawn as rounded lines.
ICONS: Mapping[Status | Literal["single", "map"], str] = {
    "single": "M-4-5-8 0l4 5M4-5 8 0 4 5M1.7-6.5-1.7 6.5",
    "map": "M-8-7H1V-1H-8ZM4.5-4V3H-4.5M8-1V7H-1",
    "waiting": "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0M0-3.8V0l2.6 1.8",
    "running": "M0-7a7 7 0 1 1-7 7",
    "retrying": "M6.8-1.8A7 7 0 1 0 6.2 3.4M7.4-6.6V-1.8H2.6",
    "completed": "M-5.8.4-1.8 4.4 5.8-4",
    "failed": "M-4.8-4.8 4.8 4.8M4.8-4.8-4.8 4.8",
    "cancelled": "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0M-4.9-4.9 4.9 4.9",
    "skipped": "M-6-5-.5 0-6 5M.5-5 6 0 .5 5",
}

FONT_FAMILY = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif"


def build_stylesheet(theme: Theme = "auto") -> str:
    """Return the CSS of a standalone diagram; ``"auto"`` follows the reader's preference."""
    rules = [*_list_shapes(), *_list_colours(DARK if theme == "dark" else LIGHT)]
    if theme == "auto":
        rules += ["@media (prefers-color-scheme:dark){", *_list_colours(DARK), "}"]
    rules += [
        "@media (forced-colors:active){",
        ".pgf-canvas,.pgf-card,.pgf-stack,.pgf-tile{fill:Canvas}",
        ".pgf-card,.pgf-stack,.pgf-line,.pgf-icon{stroke:CanvasText}",
        ".pgf-name,.pgf-note,.pgf-arrow,.pgf-done{fill:CanvasText}",
        "}",
    ]
    return "".join(rules)


def _list_shapes() -> Iterator[str]:
    yield f"text{{font-family:{FONT_FAMILY}}}"
    yield f".pgf-name{{{_set_font(NAME_FONT)}}}.pgf-note{{{_set_font(NOTE_FONT)}}}"
    yield ".pgf-line,.pgf-icon{fill:none}.pgf-line{stroke-width:1.8}"
    yield ".pgf-icon{stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}"
    yield ".pgf-completed .pgf-icon,.pgf-failed .pgf-icon,.pgf-running .pgf-icon{stroke-width:2.4}"
    yield ".pgf-card,.pgf-stack{stroke-width:1.2}"
    yield ".pgf-skipped .pgf-card,.pgf-cancelled .pgf-card{stroke-dasharray:5 4}"


def _set_font(font: Font) -> str:
    return f"font-size:{font.size}px;font-weight:{font.weight}"


def _list_colours(palette: Palette) -> Iterator[str]:
    yield f".pgf-canvas{{fill:{palette.canvas}}}.pgf-dot{{fill:{palette.dot}}}"
    yield f".pgf-line{{stroke:{palette.line}}}.pgf-arrow{{fill:{palette.line}}}"
    yield f".pgf-card,.pgf-stack{{fill:{palette.card};stroke:{palette.border}}}"
    yield f".pgf-name{{fill:{palette.text}}}.pgf-note{{fill:{palette.quiet}}}"
    yield f".pgf-track{{fill:{palette.border}}}.pgf-done{{fill:{palette.statuses['completed']}}}"
    yield f".pgf-lost{{fill:{palette.statuses['failed']}}}"
    for kind, colour in (("single", palette.single), ("map", palette.map)):
        yield from _list_accents(kind, colour, palette)
    for status, colour in palette.statuses.items():
        yield from _list_accents(status, colour, palette)
        yield f".pgf-{status} .pgf-note{{fill:{colour}}}"
        if status in FADED:
            yield f".pgf-{status} .pgf-name{{fill:{palette.quiet}}}"
        else:
            border = mix_colours(colour, palette.card, 0.55)
            yield f".pgf-{status} .pgf-card,.pgf-{status} .pgf-stack{{stroke:{border}}}"
    failed, running = palette.statuses["failed"], palette.statuses["running"]
    yield f".pgf-failed .pgf-card{{fill:{mix_colours(failed, palette.card, 0.07)}}}"
    yield f".pgf-active .pgf-line{{stroke:{running}}}.pgf-active .pgf-arrow{{fill:{running}}}"


def _list_accents(name: str, colour: str, palette: Palette) -> Iterator[str]:
    yield f".pgf-{name} .pgf-icon{{stroke:{colour}}}"
    yield f".pgf-{name} .pgf-tile{{fill:{mix_colours(colour, palette.card, 0.13)}}}"


def mix_colours(colour: str, ground: str, share: float) -> str:
    """Return ``share`` of ``colour`` on ``ground`` as ``#rrggbb``."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(ground[1:]), strict=True)
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)
