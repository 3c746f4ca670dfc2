"""Inputs and outputs on a page: what a site hides of them, and no more than a page can show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from pgflow_django.runs.redaction import HIDDEN

#: Characters of a value that a page shows; the whole can be downloaded.
SHOWN = 64 * 1024

Hook = TypeVar("Hook", bound=Callable[..., Any])


def by_keys(hook: Hook) -> Hook:
    """Mark a ``redact_payload`` that hides by keys alone: it may be handed a part of a value."""
    hook.is_by_keys = True  # type: ignore[attr-defined]
    return hook


def judges_by_keys(hook: Any) -> bool:
    """Whether a ``redact_payload`` is so marked."""
    return getattr(hook, "is_by_keys", False)


def redact_places(
    problems: Iterable[Mapping[str, Any]], hide: Callable[[Any], Any]
) -> dict[str, Any]:
    """Where a value broke a contract, and how: that tells of the value, and is hidden as it is."""
    return redact_dict({each.get("pointer") or "/": each.get("message") for each in problems}, hide)


def redact_dict(value: dict[str, Any], hide: Callable[[Any], Any]) -> dict[str, Any]:
    """What ``hide`` leaves of a dict; nothing of one that it makes something else of."""
    shown = hide(value)
    return shown if isinstance(shown, dict) else {}


def drop_hidden(value: Any) -> Any:
    """``value`` without what is hidden in it: nobody wants to send that back."""
    if isinstance(value, dict):
        return {key: drop_hidden(item) for key, item in value.items() if item != HIDDEN}
    if isinstance(value, list):
        return [drop_hidden(item) for item in value if item != HIDDEN]
    return value


@dataclass(frozen=True, slots=True)
class Payload:
    """A value as text, and where all of it is if the text was cut."""

    text: str
    is_cut: bool = False
    size: str = ""


def show(value: Any) -> Payload:
    """Return a value, already redacted, as indented JSON that is cut where it gets too long."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if len(text) <= SHOWN:
        return Payload(text)
    return Payload(text[:SHOWN], is_cut=True, size=name_size(len(text.encode())))


def name_size(size: int) -> str:
    """Return a number of bytes as people say it."""
    return _("%(size)s KiB") % {"size": f"{size // 1024:,}"}
