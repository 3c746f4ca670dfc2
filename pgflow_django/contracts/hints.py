"""What the hints of a step function say, without importing pydantic for those that say nothing."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Side = typing.Literal["input", "params", "output"]

#: Hints that say nothing about a value.
_NOTHING = (Any, object, typing.NoReturn, typing.Never, inspect.Parameter.empty)
_CONTAINERS = (dict, list, collections.abc.Mapping, collections.abc.Sequence)
_AWAITED = (collections.abc.Awaitable, collections.abc.Coroutine)


def read_annotations(function: Callable[..., Any]) -> dict[Side, Any]:
    """The annotations of the first parameter (``input``) and of what is returned (``output``)."""
    try:
        annotations = dict(getattr(_find_called(function), "__annotations__", None) or {})
        if not annotations:
            return {}
        first = next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError, NameError):
        return {}
    found: dict[Side, Any] = {"input": annotations.get(first) if first else None}
    if "return" in annotations:
        # None is a hint here: it says that null is returned.
        found["output"] = annotations["return"] or type(None)
    return {side: hint for side, hint in found.items() if hint is not None}


def resolve(hint: Any, function: Callable[..., Any]) -> Any:
    """What a hint means, which may be written as text. Raises whatever its evaluation raises."""
    names = _names_of(function)
    try:
        return _evaluate(hint, names, None)
    except NameError:
        # Functions and types that are made inside a function: their names are there.
        for scope in _scopes(names):
            try:
                return _evaluate(hint, names, scope)
            except NameError:
                continue
        raise


def says_nothing(hint: Any) -> bool:
    """Whether a hint declares no more than that there is a JSON value."""
    if any(hint is nothing for nothing in (*_NOTHING, *_CONTAINERS)):
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin not in _CONTAINERS:
        return False
    keys, values = (arguments[:1], arguments[1:]) if len(arguments) == 2 else ((), arguments)
    return all(one in (str, Any) for one in keys) and all(one in (Any, object) for one in values)


def plain(hint: Any) -> Any:
    """What a value of this hint is in the end: awaited, and of a model without its notes."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in _AWAITED and arguments:
        return arguments[-1]
    if origin is typing.Annotated and isinstance(arguments[0], type):
        return arguments[0] if is_object(arguments[0]) else hint
    return hint


def is_object(hint: Any) -> bool:
    """Whether a hint is a pydantic model or a dataclass with fields of its own."""
    if not isinstance(hint, type):
        return False
    if dataclasses.is_dataclass(hint):
        return bool(dataclasses.fields(hint))
    pydantic = sys.modules.get("pydantic")  # a model's class has imported it
    return bool(
        pydantic and issubclass(hint, pydantic.BaseModel) and getattr(hint, "model_fields", None)
    )


def is_typed_dict(hint: Any) -> bool:
    """Whether a hint is a ``TypedDict`` with fields, of ``typing`` or ``typing_extensions``."""
    return (
        isinstance(hint, type)
        and issubclass(hint, dict)
        and hasattr(hint, "__total__")
        and bool(hint.__annotations__)
    )


def portable(hint: Any, above: tuple[Any, ...] = ()) -> Any:
    """The hint as pydantic takes it: before Python 3.12 it refuses ``typing.TypedDict``."""
    if sys.version_info >= (3, 12):
        return hint
    if hint in above:
        raise TypeError(f"{hint!r} holds itself: use typing_extensions.TypedDict")
    if typing.is_typeddict(hint):
        return _rebuild(hint, above)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if not arguments or origin is typing.Literal or origin is collections.abc.Callable:
        return hint
    if origin is typing.Annotated:
        inner = portable(arguments[0], above)
        return hint if inner is arguments[0] else typing.Annotated[(inner, *hint.__metadata__)]
    new = tuple(portable(one, above) for one in arguments)
    if all(one is other for one, other in zip(new, arguments, strict=True)):
        return hint
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(lambda one, other: typing.Union[one, other], new)  # noqa: UP007
    return hint.copy_with(new) if hasattr(hint, "copy_with") else origin[new]


def _rebuild(hint: Any, above: tuple[Any, ...]) -> Any:
    import typing_extensions

    fields = {}
    for name, value in typing.get_type_hints(hint, include_extras=True).items():
        kind = portable(value, (*above, hint))
        is_marked = typing.get_origin(kind) in (typing.Required, typing.NotRequired)
        if not is_marked and name in hint.__optional_keys__:
            kind = typing.NotRequired[kind]
        fields[name] = kind
    make: Any = typing_extensions.TypedDict
    made = make(hint.__name__, fields)
    made.__doc__, made.__module__ = hint.__doc__, hint.__module__
    if config := getattr(hint, "__pydantic_config__", None):
        made.__pydantic_config__ = config
    return made


def _evaluate(hint: Any, names: dict[str, Any], scope: Mapping[str, Any] | None) -> Any:
    holder = types.SimpleNamespace(__annotations__={"hint": hint})
    local = dict(scope) if scope is not None else None
    found: dict[str, Any] = typing.get_type_hints(holder, names, local, include_extras=True)
    return found["hint"]


def _names_of(function: Callable[..., Any]) -> dict[str, Any]:
    names: dict[str, Any] = getattr(_find_called(function), "__globals__", {})
    return names


def _find_called(function: Any) -> Any:
    """What is called in the end: within wrappers and partials, of an object its ``__call__``."""
    found = inspect.unwrap(function)
    if isinstance(found, functools.partial):
        return _find_called(found.func)
    if isinstance(found, type):
        return type(found).__call__  # its annotations are those of its fields
    call = type(found).__call__
    return inspect.unwrap(call) if isinstance(call, types.FunctionType) else found


def _scopes(names: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The local names of the functions that are being called, of the module of ``names``."""
    above: Any = sys._getframe(1)  # noqa: SLF001 - as pydantic finds the names of its models
    while above is not None:
        if above.f_globals is names:
            yield above.f_locals
        above = above.f_back
