"""Turn values into JSON text that PostgreSQL can store, or say exactly what stands in the way.

Pure: no Django. One call of the C encoder and a few scans of its text decide about good values;
only a bad value is walked, to name the path, the type and a way out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from pgflow_django.exceptions import StepInterrupted

MAX_DEPTH = 64

#: Makes the exception to raise out of its message, e.g. ``InvalidInput`` itself or
#: ``partial(InvalidInput, code="input_too_large")``.
Failure = Callable[[str], Exception]

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
#: Refuses an object whose keys are of several types, which two keys of one text must be.
_encode_sorted = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
).encode
#: What a key looks like that may have been no text.
_NO_TEXT_KEY = re.compile(r'"(?:-?[0-9][^"\\]*|true|false|null)":')
_EXPONENT = re.compile(r"\de([+-]?\d{1,3})")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTAINERS = (dict, list, tuple)
_PLAIN_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)

#: The name of a class, whatever its metaclass does.
_name_of = type.__dict__["__name__"].__get__

_REMEDIES = {
    "datetime": "use .isoformat()",
    "date": "use .isoformat()",
    "time": "use .isoformat()",
    "timedelta": "use .total_seconds()",
    "Decimal": "use str(…), or float(…) if it may be rounded",
    "UUID": "use str(…)",
    "set": "use sorted(…) or list(…)",
    "frozenset": "use sorted(…) or list(…)",
    "bytes": "decode it, or use base64",
    "bytearray": "decode it, or use base64",
    "generator": "use list(…)",
    "QuerySet": "use list(queryset.values(…))",
    "ndarray": "use .tolist()",
    "DataFrame": 'use .to_dict("records")',
    "function": "call it, or leave it out",
    "coroutine": "await it first",
}


def encode(
    value: Any,
    *,
    subject: str,
    not_json: Failure,
    too_large: Failure | None = None,
    limit: int | None = None,
) -> str:
    """Compact JSON text of ``value`` that ``jsonb`` takes and gives back.

    Dictionary keys that are numbers, booleans or ``None`` become text, as ``json.dumps`` does it.

    ``subject`` begins the message of an error: "The output of step 'fetch'".
    ``limit`` is in bytes of JSON; ``None`` means no limit.

    Raises ``not_json(message)`` for anything else than JSON, NaN and infinities, ``\\u0000``, lone
    surrogates, more than 64 levels and integers of more than 4,300 digits; the message names the
    path (``$.rows[3].when``). Raises ``too_large(message)`` (``not_json`` where it is not given)
    for more than ``limit`` bytes.
    """
    try:
        text = _encode_strictly(value)
        size = stored_size(text)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        reason = find_problem(value) or f"{type(error).__name__}: {error}"
        raise not_json(f"{subject} can't be stored as JSON: {reason}") from None
    # The scans only suspect (an escaped backslash before "u0000", many brackets side by side):
    # what they let through is good for certain, and the rest is looked at closely.
    suspect = "\\u0000" in text or (
        text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(value)
    )
    if suspect and (problem := find_problem(value)):
        raise not_json(f"{subject} can't be stored as JSON: {problem}")
    if limit is not None and size > limit:
        raise (too_large or not_json)(
            f"{subject} is {size:,} bytes of JSON, but at most {limit:,} are allowed. Store large "
            "data elsewhere and pass a reference to it."
        )
    return text


def _encode_strictly(value: Any) -> str:
    """JSON text; raises for an object in which two keys are the same text."""
    text = _encode(value)
    if _NO_TEXT_KEY.search(text):
        try:
            _encode_sorted(value)
        except TypeError:
            if problem := find_problem(value):
                raise TypeError(problem) from None
    return text


def stored_size(text: str) -> int:
    """How large JSON text is when PostgreSQL gives it back, in bytes; never too little.

    ``jsonb`` keeps numbers in full: 1e300 comes back with 301 digits.
    """
    size = len(text) if text.isascii() else len(text.encode())
    if "e+" not in text and "e-" not in text:
        return size
    return size + sum(abs(int(found[1])) for found in _EXPONENT.finditer(text))


def stored(value: Any) -> Any:
    """The value as PostgreSQL gives it back. Raises ``ValueError`` or ``TypeError`` for no JSON.

    Keys are text, tuples are lists, and 1e22 has no point: it comes back as a whole number.
    """
    return json.loads(_encode(value), parse_float=_read_number)


def _read_number(text: str) -> int | float:
    return int(Decimal(text)) if "e+" in text else float(text)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same. In Python ``1 == True == 1.0``; in JSON they differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    kinds = (bool, float)
    return one == other and all(isinstance(one, k) == isinstance(other, k) for k in kinds)


def find_problem(value: Any) -> str | None:
    """The first thing in ``value`` that can't be stored as JSON, with its path; else ``None``."""
    return next(_problems(value, "$", ()), None)


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, _CONTAINERS)
        ]
        if not level:
            return False
    return True


def _problems(value: Any, path: str, above: tuple[int, ...]) -> Iterator[str]:
    if not isinstance(value, _CONTAINERS):
        if fault := _scalar_fault(value):
            yield f"{path} {fault}."
    elif id(value) in above:
        yield f"{path} contains itself."
    elif len(above) == MAX_DEPTH:
        yield f"{path} is nested deeper than {MAX_DEPTH} levels."
    elif isinstance(value, dict):
        yield from _dict_problems(value, path, (*above, id(value)))
    else:
        for index, item in enumerate(value):
            yield from _problems(item, f"{path}[{index}]", (*above, id(value)))


def _dict_problems(value: dict[Any, Any], path: str, above: tuple[int, ...]) -> Iterator[str]:
    seen: dict[str, Any] = {}
    for key, item in value.items():
        if (text := _key_text(key)) in seen:
            yield f"{path} has the key {text} twice, as {seen[text]!r} and as {key!r}."
            continue
        seen[text] = key
        if fault := _scalar_fault(key, remedy="use text as keys"):
            yield f"{path} has a key that {fault}."
        else:
            yield from _problems(item, path + _subscript(key), above)


def _key_text(key: Any) -> str:
    """The text that a key becomes, as JSON; of what can't be one, something else."""
    if isinstance(key, str):
        return json.dumps(key)
    try:
        return f'"{_encode(key)}"'
    except (TypeError, ValueError):
        return repr(id(key))


def _subscript(key: Any) -> str:
    if isinstance(key, str) and len(key) <= 80 and _PLAIN_KEY.fullmatch(key):
        return f".{key}"
    text = json.dumps(str(key), ensure_ascii=False)
    return f"[{text}]" if len(text) <= 80 else f'[{text[:60]}…"]'


def _scalar_fault(value: Any, remedy: str | None = None) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return text_fault(value)
    if isinstance(value, int | float):
        return _number_fault(value)
    return _type_fault(value, remedy)


def text_fault(text: str) -> str | None:
    """What keeps PostgreSQL from storing ``text``, as the end of a sentence; else ``None``."""
    if "\0" in text:
        return "holds the character \\u0000, which PostgreSQL can't store; remove it"
    if surrogate := _SURROGATE.search(text):
        return f"holds the lone surrogate \\u{ord(surrogate[0]):04x}, which is not a character"
    return None


def _number_fault(number: Any) -> str | None:
    if isinstance(number, float):
        return None if math.isfinite(number) else f"is {number!r}, which JSON can't express"
    try:
        int.__repr__(number)
    except ValueError:
        return "is an integer of too many digits; use text"
    return None


class Foreign:
    """Stands for a value that is no JSON where values from anybody are looked at.

    It equals itself only, and does nothing that the value does when it is compared, say.
    """

    def __init__(self, value: Any) -> None:
        """``value`` is of any class."""
        self._value = value

    @property
    def kind(self) -> type:
        """The class of the value."""
        return type(self._value)

    def __deepcopy__(self, memo: Any) -> Foreign:
        """Stand for the same value in a copy, too."""
        return self

    def __repr__(self) -> str:
        """What Python shows of the value; of one that raises then, its class."""
        try:
            return repr(self._value)
        except Exception:  # noqa: BLE001 - whatever the value's own __repr__ raises
            return object.__repr__(self._value)


def _type_fault(value: Any, remedy: str | None = None) -> str:
    kind = value.kind if type(value) is Foreign else type(value)
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    remedy = remedy or _REMEDIES.get(kind.__name__)
    return f"is of type {name}, which is not JSON" + (f"; {remedy}" if remedy else "")


# What can't be stored as it is, stored as far as it can be.


def text_of(value: Any, limit: int | None = None) -> str:
    """What ``str(value)`` gives, whatever that raises; cut after ``limit`` characters."""
    try:
        text = "".join(str(value))
    except StepInterrupted:
        raise
    except BaseException as fault:  # noqa: BLE001 - whatever the value's own __str__ raises
        text = "".join(["<its text can't be shown: ", _name_of(type(fault)), ">"])
    return text if limit is None else cut(text, limit)


def cut(text: str, limit: int) -> str:
    """The beginning of a text, and how much more there was."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def storable_text(text: str, *, limit: int | None = None) -> str:
    """The text without what PostgreSQL can't store; cut after ``limit`` characters."""
    text = text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()
    return text if limit is None else cut(text, limit)


def storable(value: Any, *, limit: int) -> tuple[Any, int]:
    """A JSON value as near to ``value`` as can be stored, and its size in bytes.

    Of one that is larger than ``limit`` bytes only the size is left. Raises nothing.
    """
    if _holds_more(value, limit):  # each takes a byte at least
        return {"left_out_values": f"more than {limit:,}"}, 0
    shown = value
    try:
        text = encode(shown, subject="", not_json=ValueError)
    except StepInterrupted:
        raise
    except BaseException:  # noqa: BLE001 - values of any kind come here
        shown = _storable(value, 0)
        text = _encode(shown)
    size = len(text.encode())
    return (shown, size) if size <= limit else ({"left_out_bytes": size}, 0)


def _holds_more(value: Any, limit: int) -> bool:
    """Whether it holds more values than that, each counted as often as JSON would write it."""
    waiting, count = [(value, 0)], 0
    while waiting and count <= limit:
        parent, depth = waiting.pop()
        children = _children(parent) if depth < MAX_DEPTH else ()
        count += len(children)
        if count <= limit:
            waiting += [(child, depth + 1) for child in children]
    return count > limit


# Asked of the built-in types: subclasses may do anything when they are read.


def _children(value: Any) -> Sequence[Any]:
    kind = type(value)
    if issubclass(kind, dict):
        return list(dict.values(value))
    if issubclass(kind, list | tuple):
        return [*(list if issubclass(kind, list) else tuple).__iter__(value)]
    return ()


def _storable(value: Any, depth: int) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind in {int, float} and _number_fault(value) is None:
        return value
    if depth < MAX_DEPTH - 1 and issubclass(kind, dict):
        return {
            storable_text(text_of(key)): _storable(item, depth + 1)
            for key, item in list(dict.items(value))
        }
    if depth < MAX_DEPTH - 1 and issubclass(kind, list | tuple):
        return [_storable(item, depth + 1) for item in _children(value)]
    return storable_text(text_of(value))


def dump(value: Any) -> str:
    """Compact JSON text of a value that is known to be storable."""
    return _encode(value)
