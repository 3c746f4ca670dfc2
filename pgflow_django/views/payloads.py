"""Inputs and outputs on a page: secrets hidden, and never more than a page can show."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

#: Characters of a value that a page shows; the whole can be downloaded.
SHOWN = 64 * 1024
#: What stands for a value that nobody is to read.
HIDDEN = "[hidden]"
_SECRET = re.compile(
    r"passw(or)?d|passphrase|secret|token|api[-_ ]?key|private[-_ ]?key|authorization|credential"
    r"|cookie",
    re.IGNORECASE,
)


def redact(value: Any) -> Any:
    """``value`` with whatever stands under a key that names a secret hidden."""
    if isinstance(value, dict):
        return {
            key: HIDDEN if _SECRET.search(key) and item is not None else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redact(item) for item in value]
    return value


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
    size = _("%(size)s KiB") % {"size": f"{len(text.encode()) // 1024:,}"}
    return Payload(text[:SHOWN], is_cut=True, size=size)
