"""Flows defined in code: ``Flow`` classes and objects with ``__workflow_steps__()``.

Service layer. Both become the same document as any other flow, and are stored when they run.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, overload

from asgiref.sync import sync_to_async
from django.db import router

from pgflow_django import definition_store as store
from pgflow_django.choices import Origin
from pgflow_django.database import transact
from pgflow_django.definition import Document, fingerprint, read_document
from pgflow_django.document import validate_flow
from pgflow_django.exceptions import WorkflowExists
from pgflow_django.models import Workflow
from pgflow_django.options import FLOW_OPTIONS, STEP_OPTIONS, show
from pgflow_django.problems import raise_problems, workflow_slug_problems
from pgflow_django.registry import RegisteredFunction, StepFunction, describe, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pgflow_django.models import WorkflowRun

_NO_INPUT: Final[dict[str, Any]] = {}

WorkflowSteps = list[tuple[str, StepFunction, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class CodeFlow:
    """A flow as code defines it.

    ``functions`` has each step's function by step slug. ``fingerprint`` changes exactly when
    ``document`` says something else.
    """

    slug: str
    document: Document
    functions: dict[str, RegisteredFunction]
    fingerprint: str


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
            cls.slug = _snake_case(cls.__name__)
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
            cls._code_flow = _define(cls, cls.slug, cls.__workflow_steps__(), cls._functions)
        return cls._code_flow

    @classmethod
    def start(cls, input: Any = _NO_INPUT, **options: Any) -> WorkflowRun:
        """Start a run for the workers: see ``executor.start_flow`` for options and errors."""
        from pgflow_django import executor  # it builds on this module

        return executor.start_flow(cls, input, **options)

    @classmethod
    async def astart(cls, input: Any = _NO_INPUT, **options: Any) -> WorkflowRun:
        """Do what ``start`` does, from async code."""
        return await sync_to_async(cls.start)(input, **options)


def definition_of(flow: Any) -> CodeFlow:
    """The definition of a ``Flow`` class, or of anything else with ``__workflow_steps__()``.

    ``__workflow_steps__()`` gives tuples ``(slug, function)`` or ``(slug, function, options)``.
    Those without ``depends_on`` wait for the one before them. The flow's slug is the object's
    ``workflow_slug``, or the name of its class (of itself, for a class or a module) in snake case;
    its attributes may be options of ``flow_builder.create_flow``.

    Raises what ``create_flow_from_spec`` raises for a document with problems.
    """
    if isinstance(flow, type) and issubclass(flow, Flow):
        return flow.__code_flow__()
    if not hasattr(flow, "__workflow_steps__"):
        raise TypeError(
            f"{show(flow)} is no flow: pass a slug, a Flow class, or an object with "
            "__workflow_steps__()"
        )
    name: str = getattr(flow, "__name__", None) or type(flow).__name__
    slug = getattr(flow, "workflow_slug", None) or _snake_case(name.rpartition(".")[2])
    return _define(flow, slug, _in_sequence(flow.__workflow_steps__()))


def sync_code_flow(code_flow: CodeFlow, *, using: str | None = None) -> Workflow:
    """Store a code flow, as a new version where it changed, and give its row.

    Costs one query when nothing changed. Raises ``WorkflowConflict`` (``workflow_origin_conflict``)
    when a flow that is not defined in code has the slug.
    """
    alias = using or router.db_for_write(Workflow)
    stored = Workflow.objects.using(alias).filter(workflow_slug=code_flow.slug).first()
    if stored and stored.origin == Origin.CODE and stored.fingerprint == code_flow.fingerprint:
        return stored
    definition = read_document(code_flow.document)
    save = partial(store.save_definition, definition, alias, origin=Origin.CODE, replace=True)
    return transact(partial(save, fingerprint=code_flow.fingerprint), alias, also=(WorkflowExists,))


def _define(
    flow: Any,
    slug: str,
    steps: WorkflowSteps,
    registered: dict[str, RegisteredFunction] | None = None,
) -> CodeFlow:
    options = (
        {}
        if inspect.ismodule(flow)
        else {name: getattr(flow, name) for name in FLOW_OPTIONS if hasattr(flow, name)}
    )
    rows = []
    for step_slug, _, step_options in steps:
        uses = {"uses": registered[step_slug].name} if registered else {}
        rows.append({"slug": step_slug, **uses, **_by_key(step_options)})
    document: Document = {"workflow_slug": slug, **options, "steps": rows}
    raise_problems(validate_flow(document))
    functions = registered or {slug: describe(function, slug) for slug, function, _ in steps}
    return CodeFlow(slug, document, functions, fingerprint(document))


def _by_key(options: dict[str, Any]) -> Document:
    """Options of ``add_step`` under the keys that they have in a document."""
    return {
        STEP_OPTIONS[name].key if name in STEP_OPTIONS else name: value
        for name, value in options.items()
    }


def _in_sequence(steps: Iterable[Any]) -> WorkflowSteps:
    """The tuples of ``__workflow_steps__()``, each with its options and ``depends_on``."""
    result: WorkflowSteps = []
    for found in steps:
        if not isinstance(found, tuple | list) or len(found) not in {2, 3}:
            raise TypeError(
                "__workflow_steps__() must give tuples (slug, function) or (slug, function, "
                f"options), but gave {show(found)}"
            )
        slug, function, *rest = found
        before = [result[-1][0]] if result else []
        result.append((slug, function, {"depends_on": before, **dict(*rest)}))
    return result


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


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
