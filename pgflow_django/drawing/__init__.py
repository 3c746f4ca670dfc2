"""Drawing flows: layouts and SVG in pure Python, without Django and without a database."""

from __future__ import annotations

from pgflow_django.drawing.layout import Layout, Node, compute_layout
from pgflow_django.drawing.svg import StepState, render_svg

__all__ = ["Layout", "Node", "StepState", "compute_layout", "render_svg"]
