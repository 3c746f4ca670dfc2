"""What a step function declares: its input, params and output, and what it does to the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pgflow_django.contracts import hints
from pgflow_django.contracts.hints import Side
from pgflow_django.contracts.parts import MismatchError, Part, SchemaPart, TypePart
from pgflow_django.definitions.rules import OneOf
from pgflow_django.definitions.schemas import NoSchemaError
from pgflow_django.exceptions import PgflowError

if TYPE_CHECKING:
    from collections.abc import Sequence

Effects = Literal["none", "reads", "writes", "external", "unknown"]
EFFECTS: tuple[Effects, ...] = get_args(Effects)
SIDES: tuple[Side, ...] = get_args(Side)

_NAMES = {"input": "its input", "params": "its params", "output": "what it returns"}


@dataclass(frozen=True, slots=True)
class Example:
    """A call of a step function and what it gives; what is ``None`` is not told."""

    input: Any = None
    params: Any = None
    output: Any = None


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a declaration: of hints and types (``type``) or of an ``example``."""

    kind: Literal["type", "example"]
    text: str


@dataclass(eq=False)
class Contract:
    """What a step function declares. ``None`` stands for a part of which nothing is known.

    Types are looked at when they are needed first, since a hint may name what comes later in its
    module. A part that can't be used is not checked; ``flaws`` tell of it.
    """

    #: What was given, over what its hints say; a hint that names what was not there yet is late.
    given: dict[Side, Any]
    hinted: dict[Side, Any]
    late: dict[Side, Any]
    function: Callable[..., Any]
    map_only: bool = False
    tags: tuple[str, ...] = ()
    effects: Effects = "unknown"
    examples: tuple[Example, ...] = ()
    _parts: dict[Side, Part | None] | None = field(default=None, init=False, repr=False)
    _object: TypePart | None = field(default=None, init=False, repr=False)
    _flaws: list[Flaw] = field(default_factory=list, init=False, repr=False)

    @property
    def parts(self) -> dict[Side, Part | None]:
        """What is known of each side."""
        if self._parts is None:
            flaws: list[Flaw] = []
            known = {**self.hinted, **self._resolve_late(flaws)}
            parts = {side: self._read(side, known.get(side), flaws) for side in SIDES}
            self._object = _read_object(known.get("input"), parts["input"])
            self._flaws, self._parts = flaws, parts
        return self._parts

    @property
    def input(self) -> Part | None:
        """What the function reads."""
        return self.parts["input"]

    @property
    def params(self) -> Part | None:
        """What a step's params must be."""
        return self.parts["params"]

    @property
    def output(self) -> Part | None:
        """What the function returns."""
        return self.parts["output"]

    def admit(self, given: dict[str, Any], params: Any = None) -> Any:
        """What the function is called with, of the dict and the params that its step has.

        Raises ``MismatchError``, and what validators raise.
        """
        if (declared := self.params) is not None:
            given = put_params(given, params, declared)
        part = self.input
        checked = given if part is None else part.check(given)
        if self._object is None:
            return checked if isinstance(checked, dict) else given
        return checked if self._object is part else self._object.check(given)

    def release(self, output: Any) -> Any:
        """What is stored of what the function returned; raises as ``admit`` does."""
        part = self.output
        return output if part is None else part.store(part.check(output))

    def flaws(self) -> Iterator[Flaw]:
        """What is wrong with what was declared, as the ends of sentences about the function."""
        parts = self.parts
        yield from self._flaws
        for side, part in parts.items():
            if part is not None and (text := _schema_fault(part, side)):
                yield Flaw("type", text)
        for number, example in enumerate(self.examples, 1):
            for side, part in parts.items():
                if text := _example_fault(part, getattr(example, side)):
                    yield Flaw("example", f"the {side} of its example {number} {text}")

    def _resolve_late(self, flaws: list[Flaw]) -> dict[Side, Any]:
        found = {}
        for side, hint in self.late.items():
            try:
                found[side] = hints.plain(hints.resolve(hint, self.function))
            except Exception as error:  # noqa: BLE001 - evaluating a hint may raise anything
                if side not in self.given:
                    flaws.append(Flaw("type", _say_unusable(side, error)))
        return found

    def _read(self, side: Side, hint: Any, flaws: list[Flaw]) -> Part | None:
        declared = self.given.get(side)
        if declared is None and hint is not None and _is_declaration(side, hint):
            declared = hint
        if declared is None:
            return None
        try:
            if isinstance(declared, dict):
                return SchemaPart(side, declared)
            return TypePart(side, declared)
        except NoSchemaError as error:
            flaws.append(Flaw("type", f"the schema of {_NAMES[side]} is none: {error}"))
        except Exception as error:  # noqa: BLE001 - pydantic, and the types themselves
            flaws.append(Flaw("type", _say_unusable(side, error)))
        return None


def declare(
    function: Callable[..., Any],
    *,
    input: Any = None,
    params: Any = None,
    output: Any = None,
    map_only: bool = False,
    tags: Sequence[str] = (),
    effects: Effects = "unknown",
    examples: Sequence[Example] = (),
) -> Contract | None:
    """The contract of a function, from what is given and from its hints; ``None`` for none.

    Raises ``PgflowError`` (``invalid_contract``) for effects, tags or examples that are none.
    """
    _refuse(tags, effects, examples)
    sides: dict[Side, Any] = {"input": input, "params": params, "output": output}
    given = {side: value for side, value in sides.items() if value is not None}
    known, late = _read_hints(function)
    if not (given or known or late or map_only or tags or examples or effects != "unknown"):
        return None
    if given or known or late:
        import pydantic  # noqa: F401 - here and not in the first attempt, whose time is limited
    return Contract(
        given,
        known,
        late,
        function,
        map_only=map_only,
        tags=tuple(tags),
        effects=effects,
        examples=tuple(examples),
    )


def _read_hints(function: Callable[..., Any]) -> tuple[dict[Side, Any], dict[Side, Any]]:
    """The hints that declare something, and those that can't be resolved yet."""
    known, late = {}, {}
    for side, hint in hints.read_annotations(function).items():
        try:
            resolved = hints.plain(hints.resolve(hint, function))
        except Exception:  # noqa: BLE001 - it may name what comes later in the module, or nothing
            late[side] = hint
        else:
            if _is_declaration(side, resolved):
                known[side] = resolved
    return known, late


def _refuse(tags: Any, effects: Any, examples: Any) -> None:
    fault = OneOf(EFFECTS).fault(effects)
    if fault is not None:
        raise PgflowError(f"effects {fault}.", code="invalid_contract")
    if isinstance(tags, str) or not all(isinstance(tag, str) and tag for tag in tags):
        raise PgflowError(f"tags must be a list of words, not {tags!r}.", code="invalid_contract")
    if not all(isinstance(example, Example) for example in examples):
        raise PgflowError("examples must be a list of Example(…).", code="invalid_contract")


def _is_declaration(side: Side, hint: Any) -> bool:
    if side == "input":
        hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        return hints.is_object(hint) or hints.is_typed_dict(hint)
    return not hints.says_nothing(hint)


def _read_object(hint: Any, part: Part | None) -> TypePart | None:
    """What makes the input the object that the first parameter's hint asks for."""
    if not hints.is_object(hint):
        return None
    if isinstance(part, TypePart) and part.hint is hint:
        return part
    try:
        return TypePart("input", hint)
    except Exception:  # noqa: BLE001 - a flaw where it is what is declared; else it is not asked
        return None


def _say_unusable(side: Side, error: Exception) -> str:
    reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    return f"the type of {_NAMES[side]} can't be used: {reason}"


def put_params(given: dict[str, Any], params: Any, part: Part) -> dict[str, Any]:
    """The dict of a step with its params, checked, and with the defaults of those left out.

    What the run or another step gives under that name is not taken for them.
    """
    if params is None:
        if part.takes_none:
            return {key: value for key, value in given.items() if key != "params"}
        params = {}
    return {**given, "params": part.complete(params)}


def _schema_fault(part: Part, side: Side) -> str:
    try:
        schema = part.schema
    except Exception as error:  # noqa: BLE001 - pydantic, and the models themselves
        return f"{_NAMES[side]} has no JSON Schema: {type(error).__name__}: {error}"
    kind = schema.get("type") if isinstance(schema, dict) else None
    if side == "input" and kind not in {None, "object"}:
        return f"{_NAMES[side]} is declared as {kind}, but a function gets an object"
    return ""


def _example_fault(part: Part | None, value: Any) -> str:
    """How an example breaks what is declared, as the end of a sentence."""
    if part is None or value is None:
        return ""
    try:
        part.store(part.check(value))
    except MismatchError as error:
        return "does not fit: " + "; ".join(
            f"{fault.pointer or 'it'}: {fault.message}" for fault in error.faults
        )
    except Exception as error:  # noqa: BLE001 - validators may raise anything
        return f"can't be checked: {type(error).__name__}: {error}"
    return ""
