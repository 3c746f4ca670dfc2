"""JSON Patch (RFC 6902), as far as the fixes of problems use it: add, remove, replace, move."""

from __future__ import annotations

import copy
from typing import Any

from pgflow_django.exceptions import EditRefused


def apply_patch(document: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The patched document; raises ``EditRefused`` where the patch does not fit it."""
    result = copy.deepcopy(document)
    try:
        for change in patch:
            _apply(result, change)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        text = "This fix does not fit the flow any more: it has changed meanwhile."
        raise EditRefused(text, code="fix_does_not_fit") from None
    return result


def _apply(document: Any, change: dict[str, Any]) -> None:
    match change["op"]:
        case "remove":
            _remove(document, change["path"])
        case "replace":
            _remove(document, change["path"])
            _add(document, change["path"], change["value"])
        case "add":
            _add(document, change["path"], change["value"])
        case "move":
            _add(document, change["path"], _remove(document, change["from"]))
        case other:
            raise ValueError(other)


def _find(document: Any, path: str) -> tuple[Any, Any]:
    """The container that a pointer leads into, and the key or index in it."""
    first, *tokens = path.split("/")
    if first or not tokens:
        raise ValueError(path)
    *above, last = (token.replace("~1", "/").replace("~0", "~") for token in tokens)
    for token in above:
        document = document[int(token)] if isinstance(document, list) else document[token]
    if isinstance(document, list):
        return document, len(document) if last == "-" else int(last)
    return document, last


def _remove(document: Any, path: str) -> Any:
    container, key = _find(document, path)
    return container.pop(key)


def _add(document: Any, path: str, value: Any) -> None:
    container, key = _find(document, path)
    if isinstance(container, list):
        container.insert(key, value)
    else:
        container[key] = value
