"""How values of a type are checked and written: as pydantic does it, where that is enough."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pgflow_django.contracts.cores import Core, iterate, open_top, read_at_once, rebuild
from pgflow_django.contracts.hints import Side
from pgflow_django.contracts.judging import check_again, judge_core, leaves_out, needs_judging

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Made(NamedTuple):
    """How values of a type are checked and written."""

    validate: Callable[[Any], Any]
    dump: Callable[..., Any]
    #: Raises what ``validate`` does for a checked value that holds what its classes don't declare.
    judge: Callable[..., Any] | None
    #: Whether nothing passes these unseen, and ``dump`` need not look at types again.
    is_sure: bool
    #: Whether something in it is iterated.
    is_iterated: bool


def make(adapter: TypeAdapter[Any], side: Side) -> Made:
    """How values of a type are checked and written on one side of a contract."""
    core: Any = adapter.core_schema
    inner = list(iterate(core))
    kinds = {one["type"] for one in inner}
    is_iterated = "generator" in kinds
    changed = core
    # An input also holds the keys of the run, whatever the type says of other keys.
    if side == "input" and any(map(_minds_keys, inner)):
        changed = open_top(changed)
    if side == "output" and "dataclass" in kinds:
        changed = rebuild(changed, check_again)
    if is_iterated:
        changed = read_at_once(changed)
    validator, serializer = (
        (adapter.validator, adapter.serializer) if changed is core else _build(changed)
    )
    validate, dump = validator.validate_python, serializer.to_python
    if side == "output":
        is_judged = any(map(needs_judging, inner))
        judge = _build(judge_core(core))[0].validate_python if is_judged else None
        return Made(validate, dump, judge, not any(map(leaves_out, inner)), is_iterated)
    # What a function gets was JSON, and is strict as JSON is; what it returns is Python's.
    if any(map(_is_strict, inner)):
        validate = partial(_validate_json, validator)
    return Made(validate, dump, None, False, is_iterated)


def _build(core: Core) -> tuple[Any, Any]:
    from pydantic_core import SchemaSerializer, SchemaValidator

    # Models bring those of their own, which know nothing of what was changed.
    make_validator: Any = partial(SchemaValidator, core, _use_prebuilt=False)
    make_serializer: Any = partial(SchemaSerializer, core, _use_prebuilt=False)
    return make_validator(), make_serializer()


def _validate_json(validator: Any, value: Any) -> Any:
    from pydantic_core import to_json

    return validator.validate_json(to_json(value))


def _minds_keys(core: Core) -> bool:
    of_config = (core.get("config") or {}).get("extra_fields_behavior")
    return core.get("extra_behavior", of_config) in {"forbid", "allow"}


def _is_strict(core: Core) -> bool:
    return bool(core.get("strict") or (core.get("config") or {}).get("strict"))
