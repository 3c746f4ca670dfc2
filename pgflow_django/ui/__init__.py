"""Drawing flows: layouts and SVG in pure Python, without Django and without a database."""

from __future__ import annotations

from pgflow_django.ui.layout import Layout, Node, compute_layout
from pgflow_django.ui.svg import StepState, render_svg

__all__ = ["Layout", "Node", "StepState", "compute_layout", "render_svg"]
