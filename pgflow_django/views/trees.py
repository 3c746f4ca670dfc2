"""JSON values as trees that fold, of bounded size. Every key and value in them is escaped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

#: Levels, children of one value, values of a tree, and characters of a text.
DEPTH, CHILDREN, VALUES, TEXT = 6, 100, 3_000, 2_000
#: Levels that are unfolded.
_OPEN = 2

Path = tuple[str, ...]
#: The address of a part of the value, from one of its children on.
Link = Callable[[Path, int], str]


@dataclass
class Tree:
    """Renders one value; what has no room in it is a link to its own tree."""

    link: Link
    _left: int = field(default=VALUES, init=False)

    def render(self, value: Any, at: Path = (), start: int = 0) -> SafeString:
        """The value, which stands ``at`` a path, from its child number ``start`` on."""
        if not isinstance(value, dict | list) or not value:
            return format_html('<div class="pgf-tree">{}</div>', _show(value))
        return format_html('<div class="pgf-tree">{}</div>', self._list(value, at, start, 0))

    def _list(self, value: Any, at: Path, start: int, depth: int) -> SafeString:
        rows: list[tuple[SafeString]] = []
        for key, child in _children(value)[start : start + CHILDREN]:
            self._left -= 1
            rows.append((self._child(key, child, (*at, key), depth),))
        rest = len(value) - start - CHILDREN
        if rest > 0:
            words = _("%(count)s more") % {"count": rest}
            more = format_html('<a href="{}">{}</a>', self.link(at, start + CHILDREN), words)
            rows.append((more,))
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", rows))

    def _child(self, key: str, value: Any, at: Path, depth: int) -> SafeString:
        name = format_html("<b>{}</b>", key)
        if not isinstance(value, dict | list) or not value:
            return format_html("{}: {}", name, _show(value))
        size = _name_size(value)
        if depth + 1 >= DEPTH or self._left <= 0:
            return format_html('{}: <a href="{}">{}</a>', name, self.link(at, 0), size)
        return format_html(
            "<details{}><summary>{} <small>{}</small></summary>{}</details>",
            SafeString(" open") if depth + 1 < _OPEN else "",
            name,
            size,
            self._list(value, at, 0, depth + 1),
        )


def _children(value: dict[str, Any] | list[Any]) -> Sequence[tuple[str, Any]]:
    pairs: Iterator[tuple[Any, Any]] = iter(
        value.items() if isinstance(value, dict) else enumerate(value)
    )
    return [(str(key), child) for key, child in pairs]


def _name_size(value: dict[str, Any] | list[Any]) -> str:
    return f"{{{len(value)}}}" if isinstance(value, dict) else f"[{len(value)}]"


def _show(value: Any) -> SafeString:
    text = json.dumps(value, ensure_ascii=False)
    kind = "text" if isinstance(value, str) else "other"
    shown = text if len(text) <= TEXT else f"{text[:TEXT]}…"
    return format_html('<code class="pgf-json-{}">{}</code>', kind, shown)
