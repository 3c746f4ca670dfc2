"""Params with their declared defaults: what was given stays, and what was left out is added."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

_NOT_GIVEN: Any = object()
#: The fields of a class, and the keys that are read for each.
Fields = tuple[tuple[str, tuple[str, ...]], ...]


def complete(given: Any, checked: Any) -> Any:
    """What was given, with the defaults that ``checked``, made of it by pydantic, has beyond it.

    They are added under the names by which they are read, and secrets as they are.
    """
    if not isinstance(given, dict | list) and given is not _NOT_GIVEN:
        return given
    if getattr(type(checked), "__pydantic_root_model__", False):
        checked = checked.root
    if isinstance(checked, list | tuple):
        return _complete_list(given, checked)
    if isinstance(checked, dict):
        return _complete_dict(given, checked)
    kind: Any = type(checked)
    fields = _read_fields(kind)
    if fields is not None:
        return given if isinstance(given, list) else _complete_object(given, checked, fields)
    return _write(checked) if given is _NOT_GIVEN else given


def _complete_list(given: Any, checked: Any) -> Any:
    if given is _NOT_GIVEN:
        return [complete(_NOT_GIVEN, value) for value in checked]
    if isinstance(given, list) and len(given) == len(checked):
        return [complete(one, value) for one, value in zip(given, checked, strict=True)]
    return given


def _complete_dict(given: Any, checked: dict[Any, Any]) -> Any:
    if given is _NOT_GIVEN:
        return {_write(key): complete(_NOT_GIVEN, value) for key, value in checked.items()}
    if isinstance(given, dict):
        return {key: complete(value, checked.get(key)) for key, value in given.items()}
    return given


def _complete_object(given: Any, checked: Any, fields: Fields) -> dict[str, Any]:
    found = {} if given is _NOT_GIVEN else dict(given)
    for field, names in fields:
        for name in names:
            if name in found:
                if isinstance(found[name], dict | list):
                    found[name] = complete(found[name], getattr(checked, field, None))
                break
        else:
            if names and hasattr(checked, field):
                found[names[0]] = complete(_NOT_GIVEN, getattr(checked, field))
    return found


@lru_cache(maxsize=1024)
def _read_fields(kind: Any) -> Fields | None:
    """The fields of a model or a dataclass; ``None`` of other classes."""
    known = getattr(kind, "__pydantic_fields__", None)
    if known is None:
        if not dataclasses.is_dataclass(kind):
            return None
        read = [one for one in dataclasses.fields(kind) if one.init]
        known = {one.name: one.default for one in read}  # may be a Field(…) of pydantic's
    config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", {})
    return tuple(
        (name, _read_names(name, getattr(one, "validation_alias", None), config))
        for name, one in known.items()
    )


def _read_names(name: str, alias: Any, config: Any) -> tuple[str, ...]:
    """The keys under which a field is looked for; a path into other keys is none."""
    if alias is None:
        return (name,)
    by_name = config.get("validate_by_name") or config.get("populate_by_name")
    names = (name,) if by_name else ()
    if not config.get("validate_by_alias", True):
        return names
    choices = [alias] if isinstance(alias, str) else getattr(alias, "choices", ())
    return (*(one for one in choices if isinstance(one, str)), *names)


def _write(value: Any) -> Any:
    """A default as JSON."""
    if value is None or type(value) in {str, int, bool}:
        return value
    if hasattr(value, "get_secret_value"):
        return _write(value.get_secret_value())
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)
