"""JSON Patch (RFC 6902), with bounds: patches come from anybody."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pgflow_django.definitions import bounds
from pgflow_django.definitions.bounds import find_excess, measure
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.schemas import unescape_token
from pgflow_django.exceptions import EditRefused

MAX_OPERATIONS = 1_000
#: Of a patch as JSON, and of what it copies.
MAX_BYTES = 1024 * 1024
MAX_LEVELS = 64

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_BAD_ESCAPE = re.compile(r"~(?![01])")


class _MisfitError(Exception):
    """Why an operation can't be done, as the end of a sentence."""


def apply_patch(document: Any, patch: Any) -> Any:
    """The patched document; the document itself stays as it is.

    Takes all operations of RFC 6902, at most 1,000, of 1 MiB and 64 levels in all. Raises
    ``EditRefused`` that says which operation failed and why.
    """
    operations = _read_patch(patch)
    if not operations:
        return document
    reading = bounds.read(document)
    if not reading.is_json:
        raise _refuse("the flow holds what is no JSON")
    return apply_trusted(reading.value, operations)


def apply_trusted(document: Any, patch: list[dict[str, Any]]) -> Any:
    """The same with a patch of any size, which is our own."""
    if not patch:
        return document
    if excess := find_excess(document):
        raise _refuse(f"the flow is too {excess} to be patched")
    patched = _Patched(_copy(document))
    for number, operation in enumerate(patch, 1):
        try:
            patched.apply(operation)
        except _MisfitError as misfit:
            of = f"operation {number:,} of {len(patch):,} ({_describe(operation)})"
            raise _refuse(f"{of}: {misfit}") from None
    if excess := find_excess(patched.root):
        raise _refuse(f"it makes the flow too {excess}", code="patch_too_large")
    return patched.root


def fits_bounds(patch: list[dict[str, Any]]) -> bool:
    """Whether a patch is one that ``apply_patch`` takes, as to its size."""
    return len(patch) <= MAX_OPERATIONS and not find_excess(
        patch, levels=MAX_LEVELS, size=MAX_BYTES
    )


def _read_patch(patch: Any) -> list[Any]:
    """A patch from anybody. Raises ``EditRefused`` for what is none, or too large."""
    reading = bounds.read(patch, levels=MAX_LEVELS, size=MAX_BYTES)
    match reading.excess:
        case "deep":
            raise _refuse(f"it is nested deeper than {MAX_LEVELS} levels", code="patch_too_large")
        case "large":
            raise _refuse(f"it is larger than {MAX_BYTES // 1024:,} KiB", code="patch_too_large")
    operations = reading.value
    if not isinstance(operations, list | tuple):
        raise _refuse(f"a JSON Patch is a list of operations, but this is {show(operations)}")
    if len(operations) > MAX_OPERATIONS:
        text = f"it has {len(operations):,} operations, but may have at most {MAX_OPERATIONS:,}"
        raise _refuse(text, code="patch_too_large")
    return list(operations)


def _refuse(reason: str, *, code: str = "fix_does_not_fit") -> EditRefused:
    return EditRefused(f"This fix does not fit the flow: {reason}.", code=code)


def _describe(operation: Any) -> str:
    if not isinstance(operation, dict):
        return show(operation)
    op, path = operation.get("op"), operation.get("path")
    return f"{op} {show(path)}" if isinstance(op, str) and len(op) < 10 else show(op)


def _copy(value: Any) -> Any:
    """The same in containers of its own. Its levels are bounded already."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list | tuple) else value


class _Patched:
    """A document that is being patched, in place."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self._may_copy = MAX_BYTES

    def apply(self, operation: Any) -> None:
        """Do one operation."""
        if not isinstance(operation, dict):
            raise _MisfitError("an operation is an object")
        op = operation.get("op")
        done = self._operations.get(op) if isinstance(op, str) else None
        if done is None:
            raise _MisfitError(f"the operations are {', '.join(self._operations)}")
        done(self, operation)

    def _do_add(self, operation: dict[str, Any]) -> None:
        self._add(_path(operation), _copy(_value(operation)))

    def _do_remove(self, operation: dict[str, Any]) -> None:
        self._remove(_path(operation))

    def _do_replace(self, operation: dict[str, Any]) -> None:
        tokens, value = _path(operation), _copy(_value(operation))
        if not tokens:
            self.root = value
            return
        container = self._find(tokens[:-1])
        container[_existing(container, tokens[-1])] = value

    def _do_move(self, operation: dict[str, Any]) -> None:
        source, target = _path(operation, "from"), _path(operation)
        if source == target:
            self._find(source)
        elif target[: len(source)] == source:
            raise _MisfitError("nothing can be moved into itself")
        else:
            self._add(target, self._remove(source))

    def _do_copy(self, operation: dict[str, Any]) -> None:
        value = self._find(_path(operation, "from"))
        size = measure(value, MAX_LEVELS)
        if size is None or size > self._may_copy:
            raise _MisfitError("it copies more than a patch may add")
        self._may_copy -= size
        self._add(_path(operation), _copy(value))

    def _do_test(self, operation: dict[str, Any]) -> None:
        if not _equal(self._find(_path(operation)), _value(operation)):
            raise _MisfitError("there is another value")

    _operations: dict[str, Callable[[_Patched, dict[str, Any]], None]] = {
        "add": _do_add,
        "remove": _do_remove,
        "replace": _do_replace,
        "move": _do_move,
        "copy": _do_copy,
        "test": _do_test,
    }

    def _find(self, tokens: list[str]) -> Any:
        value = self.root
        for token in tokens:
            value = value[_existing(value, token)]
        return value

    def _remove(self, tokens: list[str]) -> Any:
        if not tokens:
            raise _MisfitError("the whole flow can't be removed")
        container = self._find(tokens[:-1])
        return container.pop(_existing(container, tokens[-1]))

    def _add(self, tokens: list[str], value: Any) -> None:
        if not tokens:
            self.root = value
            return
        container, last = self._find(tokens[:-1]), tokens[-1]
        if isinstance(container, dict):
            container[last] = value
        elif isinstance(container, list) and last in ("-", str(len(container))):
            container.append(value)
        else:
            index = _existing(container, last)
            container.insert(index, value)


def _path(operation: dict[str, Any], key: str = "path") -> list[str]:
    """The tokens of an operation's pointer."""
    pointer = operation.get(key)
    if not isinstance(pointer, str) or not (pointer == "" or pointer.startswith("/")):
        raise _MisfitError(f"{key} is no JSON Pointer")
    if _BAD_ESCAPE.search(pointer):
        raise _MisfitError(f"in {key}, behind ~ stands 0 (for ~ itself) or 1 (for a slash)")
    return [unescape_token(token) for token in pointer.split("/")[1:]]


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise _MisfitError("it has no value")
    return operation["value"]


def _existing(container: Any, token: str) -> Any:
    """The key or the index of what is there under this token."""
    if isinstance(container, dict):
        if token in container:
            return token
        raise _MisfitError(f"there is no {show(token)}")
    if not isinstance(container, list):
        raise _MisfitError(f"{show(container)} holds no {show(token)}")
    if _INDEX.fullmatch(token) and int(token) < len(container):
        return int(token)
    raise _MisfitError(f"a list of {len(container):,} has no place {show(token)}")


def _equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, as RFC 6902 has it: 1 is 1.0, and not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
