"""The geometry of a step's card, which the layout and the drawing share.

Imports only the standard library, ``graph`` and ``text``.
"""

from __future__ import annotations

import math

from pgflow_django.drawing.graph import Node
from pgflow_django.drawing.text import NAME_FONT, NOTE_FONT

MIN_WIDTH, MAX_WIDTH = 190, 260
MAP_MIN_WIDTH = 220  # the line of counts needs more room than most names
HEIGHT = 60
STACK_OFFSET = 5  # how far a map step's second sheet sticks out, right and below
TEXT_LEFT, TEXT_RIGHT = 56, 12  # from the card's edges


def find_card_width(node: Node) -> int:
    """Return the width of the card that shows the node's texts, within limits, an even number."""
    room = max(NAME_FONT.measure(node.name), NOTE_FONT.measure(node.subtitle))
    least = MAP_MIN_WIDTH if node.kind == "map" else MIN_WIDTH
    width = TEXT_LEFT + math.ceil(room) + TEXT_RIGHT
    return min(max(width + width % 2, least), MAX_WIDTH)
