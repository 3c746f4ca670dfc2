"""Secrets in inputs, outputs and what steps tell, hidden from whoever reads them."""

from __future__ import annotations

import re
from typing import Any, Final

#: What stands for a value that nobody is to read.
HIDDEN: Final = "[hidden]"
_SECRET: Final = re.compile(
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
