"""Flows defined in code: ``Flow`` classes, whose methods are their steps.

Service layer. They become the same document as any other flow, and are stored when they run.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, overload

from asgiref.sync import sync_to_async

from pgflow_django import executor
from pgflow_django.definitions.options import STEP_OPTIONS
from pgflow_django.definitions.problems import raise_problems, workflow_slug_problems
from pgflow_django.registry import RegisteredFunction, StepFunction, registry
from pgflow_django.runs.code import (
    CodeFlow,
    WorkflowSteps,
    define,
    definition_of,
    snake_case,
    sync_code_flow,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pgflow_django.models import WorkflowRun

__all__ = ["CodeFlow", "Flow", "Step", "definition_of", "step", "sync_code_flow"]

_NO_INPUT: Final[dict[str, Any]] = {}


@dataclass(frozen=True, eq=False)
class Step:
    """A step in the body of a ``Flow`` class; as an attribute of the class, its function."""

    function: StepFunction
    options: dict[str, Any] = field(default_factory=dict)
    atomic: bool = False

    def __get__(self, instance: object, owner: type | None = None) -> StepFunction:
        """Give the function, unbound: steps take their input and no ``self``."""
        return self.function


@overload
def step(function: StepFunction, /) -> Any: ...


@overload
def step(
    *,
    depends_on: Sequence[str] = (),
    atomic: bool = False,
    step_type: str = "single",
    initial_tasks: int | None = None,
    max_attempts: int | None = None,
    timeout: int | None = None,
    base_delay: int | None = None,
    start_delay: int = 0,
    params: Any = None,
    queue: str | None = None,
    description: str = "",
    inputs: dict[str, str] | None = None,
) -> Callable[[StepFunction], Any]: ...


def step(
    function: StepFunction | None = None,
    /,
    *,
    depends_on: Sequence[str] = (),
    atomic: bool = False,
    **options: Any,
) -> Any:
    """Make a function in the body of a ``Flow`` class one of its steps.

    The step's slug is the function's name, and ``depends_on`` names others of the class. The
    options are those of ``flow_builder.add_step``; ``atomic`` is that of ``step_function``.
    """
    allowed = STEP_OPTIONS.keys() - {"function"}
    if unknown := options.keys() - allowed:
        raise TypeError(f"step() got an unexpected option {min(unknown)!r}")

    def decorate(function: StepFunction) -> Step:
        plain = function.__func__ if isinstance(function, staticmethod) else function
        return Step(plain, {"depends_on": list(depends_on), **options}, atomic)

    return decorate if function is None else decorate(function)


class Flow:
    """Base of flows in code: the functions marked with ``@step`` are the steps.

    ``slug`` defaults to the class's name in snake case; the other attributes are the options of
    ``flow_builder.create_flow``. Subclasses inherit steps, and may override them by name. Each
    step's function is registered as ``<flow slug>.<step slug>``.
    """

    slug: ClassVar[str]
    max_attempts: ClassVar[int] = 3
    timeout: ClassVar[int] = 30
    base_delay: ClassVar[int] = 1
    queue: ClassVar[str] = "default"
    description: ClassVar[str] = ""
    input_schema: ClassVar[dict[str, Any] | None] = None

    _steps: ClassVar[dict[str, Step]] = {}
    _functions: ClassVar[dict[str, RegisteredFunction]] = {}
    _code_flow: ClassVar[CodeFlow | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Collect, check and register the steps."""
        super().__init_subclass__(**kwargs)
        if "slug" not in vars(cls):
            cls.slug = snake_case(cls.__name__)
        raise_problems(workflow_slug_problems(cls.slug))
        cls._code_flow = None
        cls._steps = _collect_steps(cls)
        cls._functions = {
            slug: registry.register(found.function, f"{cls.slug}.{slug}", atomic=found.atomic)
            for slug, found in cls._steps.items()
        }

    @classmethod
    def __workflow_steps__(cls) -> WorkflowSteps:
        """The steps in the order of definition: slug, function, options."""
        return [(slug, found.function, found.options) for slug, found in cls._steps.items()]

    @classmethod
    def __code_flow__(cls) -> CodeFlow:
        """The definition, made once: a class does not change."""
        if cls._code_flow is None:
            cls._code_flow = define(cls, cls.slug, cls.__workflow_steps__(), cls._functions)
        return cls._code_flow

    @classmethod
    def start(cls, input: Any = _NO_INPUT, **options: Any) -> WorkflowRun:
        """Start a run for the workers: see ``executor.start_flow`` for options and errors."""
        return executor.start_flow(cls, input, **options)

    @classmethod
    async def astart(cls, input: Any = _NO_INPUT, **options: Any) -> WorkflowRun:
        """Do what ``start`` does, from async code."""
        return await sync_to_async(cls.start)(input, **options)


def code_flows() -> Iterator[type[Flow]]:
    """Every class with steps that this process has imported, in the order of definition.

    A subclass comes after its base, before what stands beside that.
    """
    waiting = Flow.__subclasses__()[::-1]
    while waiting:
        flow = waiting.pop()
        waiting += flow.__subclasses__()[::-1]
        if flow.__workflow_steps__():
            yield flow


def _collect_steps(cls: type) -> dict[str, Step]:
    steps: dict[str, Step] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, Step):
                _check_step(cls, name, value)
                steps[name] = value
            else:
                steps.pop(name, None)
    return steps


def _check_step(cls: type, name: str, found: Step) -> None:
    if hasattr(Flow, name):
        raise TypeError(f"{cls.__name__}.{name}: a step can't be called {name!r}, which Flow uses")
    parameters = list(inspect.signature(found.function).parameters)
    if parameters[:1] == ["self"]:
        raise TypeError(
            f"{cls.__name__}.{name} takes self, but steps are plain functions of their input: "
            f"def {name}(input)"
        )
