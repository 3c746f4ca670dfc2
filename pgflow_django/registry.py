"""The registered step functions: what a stored flow may name, and nothing else.

Gateway layer: no ORM, no SQL. Nothing here imports a path that came from data.
"""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from pgflow_django.contracts import Contract, Declaration, Effects, Example, declare
from pgflow_django.definitions.options import FUNCTION_NAME
from pgflow_django.definitions.rules import show
from pgflow_django.exceptions import InvalidStepOption, PgflowError

StepFunction = Callable[..., Any]

#: The attribute of a decorated function that has its contract.
_CONTRACT = "_pgflow_contract"
#: How the names of our own functions begin.
_BUILT_IN = "pgflow."
#: What functions are searched by, without what every description says.
_WORD = re.compile(r"[^\W_]{3,}")
_COMMON = frozenset({"and", "the", "for", "from", "into", "with", "each", "all", "that", "its"})
#: Effects that change nothing: nobody's consent is needed for them.
_HARMLESS = ("none", "reads")
F = TypeVar("F", bound=StepFunction)


@dataclass(frozen=True, slots=True)
class RegisteredFunction:
    """A step function with what the engine has to know about it.

    ``atomic``: it runs in the transaction that completes its task. ``takes_context``: it is called
    as ``function(input, context=context)``. ``contract``: what it declares of its input, params and
    output; ``None`` of one that declares nothing. Calling this object calls the function.
    """

    name: str
    function: StepFunction
    atomic: bool = False
    takes_context: bool = False
    doc: str = ""
    module: str = ""
    contract: Contract | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself."""
        return self.function(*args, **kwargs)

    @property
    def text(self) -> str:
        """What it can be found by: its name, its tags, what its docs say."""
        tags = self.contract.tags if self.contract else ()
        return " ".join((self.name, *tags, self.doc)).casefold()

    @property
    def place(self) -> str:
        """Where it stands, for messages: ``"shop/steps.py:12"``, else its module and name."""
        plain = inspect.unwrap(self.function)
        code = getattr(plain, "__code__", None)
        if code is None:
            return f"{self.module}.{getattr(plain, '__qualname__', type(plain).__name__)}"
        return f"{code.co_filename}:{code.co_firstlineno}"


class StepRegistry:
    """Step functions by name. Safe to use from many threads."""

    def __init__(self) -> None:
        """Start without any."""
        self._functions: dict[str, RegisteredFunction] = {}
        self._lock = threading.Lock()

    def register(
        self,
        function: StepFunction,
        name: str | None = None,
        *,
        atomic: bool = False,
        contract: Contract | None = None,
    ) -> RegisteredFunction:
        """Register ``function`` under ``name`` (its own name by default).

        The same function again, as after a module's reload, replaces what was there; so do
        functions that are made inside other functions. Without a ``contract`` its hints are read.

        Raises ``PgflowError``
        (``function_already_registered``) when another function of a module has the name, and
        ``InvalidStepOption`` (``invalid_function``) for a bad name.
        """
        registered = describe(function, name, atomic=atomic, contract=contract)
        if fault := FUNCTION_NAME.fault(registered.name):
            raise InvalidStepOption(
                f"The name of step function {show(function)} {fault}.", code="invalid_function"
            )
        with self._lock:
            present = self._functions.get(registered.name)
            if present and not _may_replace(present, registered):
                raise PgflowError(
                    f'Two step functions are called "{registered.name}": one in {present.place}, '
                    f"another in {registered.place}. Name one of them: "
                    f'@step_function("<app>.{registered.name}").',
                    code="function_already_registered",
                )
            self._functions[registered.name] = registered
        return registered

    def unregister(self, name: str) -> None:
        """Forget the function ``name``; nothing happens when there is none."""
        with self._lock:
            self._functions.pop(name, None)

    def get(self, name: str) -> RegisteredFunction | None:
        """The function registered under ``name``, or ``None``."""
        return self._functions.get(name)

    def all(self) -> list[RegisteredFunction]:
        """Every registered function, by name."""
        with self._lock:
            return sorted(self._functions.values(), key=lambda registered: registered.name)

    def names(self) -> list[str]:
        """Every registered name, in order."""
        return [registered.name for registered in self.all()]

    def search(self, text: str) -> list[str]:
        """The functions in whose name, tags or docs words of ``text`` stand, the most words first.

        Each word counts the more, the fewer functions have it.
        """
        words = set(_WORD.findall(text.casefold())) - _COMMON
        texts = {found.name: found.text for found in self.all()}
        scores = dict.fromkeys(texts, 0.0)
        for word in words:
            having = [name for name, known in texts.items() if word in known]
            for name in having:
                scores[name] += 1 / len(having)
        found = [name for name, score in scores.items() if score]
        return sorted(found, key=lambda name: -scores[name])

    def own_names(self) -> list[str]:
        """The names of the site's functions, without those that pgflow_django brings along."""
        return [name for name in self.names() if not name.startswith(_BUILT_IN)]

    def contracts(self) -> dict[str, Declaration]:
        """What the registered functions declare, without those that declare nothing."""
        return {
            found.name: Declaration(found.contract)
            for found in list(self._functions.values())
            if found.contract is not None
        }

    def effects_of(self, name: str) -> Effects:
        """What the function of this name says that it does to the world."""
        found = self._functions.get(name)
        return found.contract.effects if found and found.contract else "unknown"

    def is_harmless(self, name: str) -> bool:
        """Whether the function of this name says that it changes nothing outside of the flow."""
        return self.effects_of(name) in _HARMLESS

    def __contains__(self, name: object) -> bool:
        """Whether a function is registered under ``name``."""
        return name in self._functions


#: The one registry of this process.
registry = StepRegistry()


@overload
def step_function(name: F) -> F: ...


@overload
def step_function(
    name: str | None = None,
    *,
    atomic: bool = False,
    input: Any = None,
    params: Any = None,
    output: Any = None,
    map_only: bool = False,
    tags: Sequence[str] = (),
    effects: Effects = "unknown",
    examples: Sequence[Example] = (),
) -> Callable[[F], F]: ...


def step_function(
    name: StepFunction | str | None = None,
    *,
    atomic: bool = False,
    input: Any = None,
    params: Any = None,
    output: Any = None,
    map_only: bool = False,
    tags: Sequence[str] = (),
    effects: Effects = "unknown",
    examples: Sequence[Example] = (),
) -> Any:
    """Register a function that steps of flows may use; it stays callable as it is.

    ``@step_function`` registers it under its own name, ``@step_function("orders.fetch")`` under
    that one. With ``atomic=True`` it runs in the transaction that completes its task: what it
    writes with Django's ORM is committed exactly once.

    The function takes the step's input (a dict), and a second parameter only if that is called
    ``context``. ``input``, ``params`` and ``output`` declare what it reads and returns, as types
    that pydantic takes or as JSON Schemas; what is not given is read from its hints, and each call
    is checked against it. ``map_only``, ``tags``, ``effects`` (``none``, ``reads``, ``writes``,
    ``external``, ``unknown``) and ``examples`` are for those who build flows.

    See ``StepRegistry.register`` for errors; bad tags, effects and examples are a ``PgflowError``
    (``invalid_contract``).
    """
    if callable(name):
        return step_function()(name)

    def decorate(function: F) -> F:
        contract = declare(
            function,
            input=input,
            params=params,
            output=output,
            map_only=map_only,
            tags=tags,
            effects=effects,
            examples=examples,
        )
        # A caller who passes the function to a run by itself passes what it declares, too.
        # It is that of the last name, also where that has none.
        with suppress(AttributeError, TypeError):
            setattr(function, _CONTRACT, contract)
        registry.register(function, name, atomic=atomic, contract=contract)
        return function

    return decorate


def describe(
    function: StepFunction,
    name: str | None = None,
    *,
    atomic: bool = False,
    contract: Contract | None = None,
) -> RegisteredFunction:
    """What ``registry`` would keep of ``function``, without registering it."""
    if isinstance(function, RegisteredFunction):
        return function
    if not callable(function):
        raise TypeError(f"a step function must be callable, but this is {show(function)}")
    return RegisteredFunction(
        name=str(name or getattr(function, "__name__", "")),
        function=function,
        atomic=atomic,
        takes_context=takes_context(function),
        doc=inspect.getdoc(function) or "",
        module=getattr(function, "__module__", None) or "",
        contract=contract or _find_declared(function) or declare(function),
    )


def _find_declared(function: StepFunction) -> Contract | None:
    """What was declared of this very function: a wrapper around it has its attributes, too."""
    found: Contract | None = getattr(function, _CONTRACT, None)
    return found if found is not None and found.function is function else None


def takes_context(function: StepFunction) -> bool:
    """Whether the second parameter of ``function`` is called ``context``."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtins have no signature
        return False
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return len(parameters) > 1 and parameters[1].name == "context" and parameters[1].kind in by_name


def _may_replace(present: RegisteredFunction, new: RegisteredFunction) -> bool:
    old_name, new_name = _identity(present), _identity(new)
    # Functions made in a function (a test, a factory) are made again at every call of it.
    return old_name == new_name or "<locals>" in old_name + new_name


def _identity(registered: RegisteredFunction) -> str:
    function = inspect.unwrap(registered.function)
    return f"{registered.module}:{getattr(function, '__qualname__', id(function))}"
