"""Whether objects hold what their classes declare, which pydantic asks when they are made only.

Whoever changes an object later, or makes a plain dataclass, may put anything into it.
"""

from __future__ import annotations

from pgflow_django.contracts.cores import Core, rebuild

_ANY: Core = {"type": "any"}
#: What was made by a function, or is no value in the end: pydantic's writing looks at its type.
_UNKNOWN = {
    "call",
    "function-plain",
    "generator",
    "json",
    "json-or-python",
    "lax-or-strict",
}


def judge_core(core: Core) -> Core:
    """A core schema that reads checked values again by their fields, and calls no validators.

    Those have run, and what they gave need not pass them again.
    """
    return rebuild(core, _judge)


def needs_judging(core: Core) -> bool:
    """Whether this is of objects that ``check_again`` leaves as they are."""
    return core["type"] in {"model", "dataclass"} and not _is_plain(core)


def leaves_out(core: Core) -> bool:
    """Whether something in this passes the judge unseen."""
    return core["type"] in _UNKNOWN | {"function-after", "function-wrap"}


def check_again(core: Core) -> Core:
    """A core schema that takes plain dataclasses as it takes dicts: nobody has checked them yet."""
    return {**core, "revalidate_instances": "always"} if _is_plain(core) else core


def _is_plain(core: Core) -> bool:
    """Whether this is a dataclass that can be made again of its fields, and is the same then."""
    if core["type"] != "dataclass" or hasattr(core["cls"], "__pydantic_validator__"):
        return False
    inner = core["schema"]
    return (
        not core.get("post_init")
        and "serialization" not in core
        and inner["type"] == "dataclass-args"
        and all(_is_plain_field(field) for field in inner["fields"])
    )


def _is_plain_field(field: Core) -> bool:
    is_given = not field.get("init_only") and field.get("init", True)
    return is_given and "validation_alias" not in field


def _judge(core: Core) -> Core:
    kind = core["type"]
    if kind in _UNKNOWN:
        return _named(_ANY, core)
    if kind in {"default", "function-before", "custom-error"}:
        return _named(core["schema"], core)
    if kind in {"function-after", "function-wrap"}:
        is_object = core["schema"]["type"] in {"model-fields", "definition-ref"}
        return _named(core["schema"] if is_object else _ANY, core)
    if kind == "tagged-union":
        return _named({"type": "union", "choices": list(core["choices"].values())}, core)
    if kind == "model":
        inner = core["schema"]
        root = {"type": "model-field", "schema": inner}
        return _named(_read_fields({"root": root}) if core["root_model"] else inner, core)
    if kind == "dataclass":
        return _named(core["schema"], core)
    if kind == "dataclass-args":
        fields = [one for one in core["fields"] if not one.get("init_only")]
        return _read_fields({one["name"]: one for one in fields})
    if kind in {"model-fields", "typed-dict"}:
        fields = core["fields"]
        if kind == "model-fields":
            return _read_fields(fields)
        return {**core, "fields": {name: _forget_alias(one) for name, one in fields.items()}}
    return core


def _read_fields(fields: dict[str, Core]) -> Core:
    return {
        "type": "model-fields",
        "fields": {
            name: {"type": "model-field", "schema": one["schema"]} for name, one in fields.items()
        },
        "from_attributes": True,
        "extra_behavior": "ignore",
    }


def _forget_alias(field: Core) -> Core:
    return {key: value for key, value in field.items() if key != "validation_alias"}


def _named(core: Core, above: Core) -> Core:
    """The schema under the name of the one that it stands for."""
    rest = {key: value for key, value in core.items() if key != "ref"}
    return {**rest, "ref": above["ref"]} if "ref" in above else core
