"""Whether steps fit together by what their functions declare: params, types, keys that are missing.

Pure: no ORM. Only what is certain to fail is an error; of functions that declare nothing, nothing
is said.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.inputs import RUN, read_source
from pgflow_django.definitions.options import MAX_STEPS, STEP_KEYS
from pgflow_django.definitions.problems import Problem, say
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.schema_words import say_type
from pgflow_django.definitions.schemas import escape_token
from pgflow_django.definitions.typed_steps import ARRAY, TypedFlow, read_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pgflow_django.definitions.declared import Contracts
    from pgflow_django.definitions.problems import Patch
    from pgflow_django.definitions.schema_views import Object, View
    from pgflow_django.definitions.typed_steps import TypedFunction, TypedStep

#: The key of a step's constants.
_PARAMS = "params"
#: Characters of a type in a message.
_MAX_WORDS = 160
#: Dependencies that may be the source of a key.
_MAX_CANDIDATES = 20


def contract_problems(document: Mapping[str, Any], contracts: Contracts) -> Iterator[Problem]:
    """What of a document breaks the ``contracts`` of the functions that its steps call."""
    rows = document.get("steps")
    if isinstance(rows, list | tuple) and len(rows) <= MAX_STEPS:
        for step in TypedFlow(document, rows, contracts).steps:
            yield from _step_problems(step)


def _step_problems(step: TypedStep) -> Iterator[Problem]:
    if step.is_map:
        yield from _map_problems(step)
    if step.sources:
        yield from _source_problems(step)
    function = step.function
    if function is None:
        return
    yield from _params_problems(step, function)
    if function.accepted is not None:
        yield from _given_problems(step, function.accepted)
        yield from _missing_problems(step, function, function.accepted)
    if function.meant is not None:
        yield from _unused_problems(step, function.meant)


def _map_problems(step: TypedStep) -> Iterator[Problem]:
    """Whether a map step runs over a list."""
    if step.row.get("initial_tasks") is not None or step.fits(step.mapped, ARRAY) != "no":
        return
    whose = next((f"what {show(slug)} returns" for slug in step.waits), "the run's input")
    text = f"it maps over {whose}, which is {_say(step.mapped)}, but must be a list"
    path = f"{step.pointer}/depends_on/0" if step.waits else f"{step.pointer}/type"
    yield Problem("map_over_no_array", path, say(step.owner, text))


def _params_problems(step: TypedStep, function: TypedFunction) -> Iterator[Problem]:
    """Whether each call would refuse the params."""
    params = step.row.get(_PARAMS)
    faults = function.find_faults(params)
    if not faults or (params is not None and STEP_KEYS[_PARAMS].fault(params)):
        return
    for fault in faults:
        path = f"{step.pointer}/params{fault.pointer}"
        text = f"params{fault.pointer} for {step.calls} {fault.message}"
        yield Problem("invalid_params", path, say(step.owner, text))


def _source_problems(step: TypedStep) -> Iterator[Problem]:
    """Whether what ``inputs`` name is there, and of the type that the function reads."""
    for name, written in step.sources.items():
        source = read_source(written)
        given = step.find_source(source.head)
        if given is None:
            continue
        found = given.follow(source.tokens)
        path = f"{step.pointer}/inputs/{escape_token(name)}"
        if found.schema is False:
            text = (
                f"its input {show(name)} is {show(written)}, but that leads to nothing: "
                f"{show(source.head)} is {_say(given)}"
            )
            yield Problem("type_mismatch", path, say(step.owner, text))
        elif name not in step.own and name != _PARAMS:
            yield from _compare(step, found, name, path, f"its input {show(name)}")


def _given_problems(step: TypedStep, read: Object) -> Iterator[Problem]:
    """Whether what comes under the names of other steps, and a map's item, are of the type."""
    for slug, at in () if step.is_map else step.waits.items():
        if slug in read.properties and slug not in step.sources and slug != _PARAMS:
            output = step.flow.by_slug[slug].output
            path = f"{step.pointer}/depends_on/{at}"
            yield from _compare(step, output, slug, path, f"what {show(slug)} returns")
    for name in [name for name in step.own if name in read.properties]:
        is_item = name == "item" and step.waits
        path = f"{step.pointer}/{'depends_on/0' if is_item else 'type'}"
        what = "the run's input" if name == RUN else f"its {name}"
        yield from _compare(step, step.own[name], name, path, what)


def _compare(step: TypedStep, given: View, name: str, path: str, what: str) -> Iterator[Problem]:
    """Whether what is given under a key can be what the function reads there."""
    function = step.function
    if function is None or function.accepted is None or name not in function.accepted.properties:
        return
    if step.fits(given, function.accepted.property(name)) == "no":
        wanted = _say(function.wanted(name))
        text = f"{what} is {_say(given)}, but {step.calls} reads {wanted} there"
        yield Problem("type_mismatch", path, say(step.owner, text))


def _missing_problems(step: TypedStep, function: TypedFunction, read: Object) -> Iterator[Problem]:
    """Whether something gives each key that the function requires."""
    for name in sorted(read.required):
        if name in step.sources or name in step.own or name == _PARAMS:
            continue
        if step.is_map or name not in step.waits:
            yield from _missing(step, function, read, name)


def _missing(
    step: TypedStep, function: TypedFunction, read: Object, name: str
) -> Iterator[Problem]:
    """What is wrong where nothing but the run's input can give a key."""
    path = f"{step.pointer}/inputs"
    run, _ = step.flow.run.resolve()
    may_give = "object" in run.kinds()
    keys = read_keys(run)
    if may_give and keys is not None:
        found = keys.property(name)
        may_give = found.schema is not False and step.fits(found, read.property(name)) != "no"
        if name in keys.properties and not may_give:
            yield from _compare(step, found, name, path, f"{show(name)} of the run")
            return
        if name in keys.required:
            return
    names = _find_candidates(step, function.wanted(name), name)
    which = "only the run's input may have" if may_give else "nothing gives"
    text = f"{step.calls} reads {show(name)} ({_say(function.wanted(name))}), which {which}"
    message = say(step.owner, text) + _propose(names)
    fix = _give(step, name, names[0]) if len(names) == 1 else None
    yield Problem("missing_input", path, message, names, fix, "warning" if may_give else "error")


def _find_candidates(step: TypedStep, wanted: View, name: str) -> list[str]:
    """The sources that fit a key: whole outputs, or else what has this name in them."""
    near = islice(step.waits, _MAX_CANDIDATES)
    given = {slug: step.flow.by_slug[slug].output for slug in near}
    if step.is_map:
        given = {"item": step.item}
    whole = [head for head, view in given.items() if step.fits(view, wanted) == "yes"]
    if whole:
        return whole
    return [
        f"{head}/{escape_token(name)}"
        for head, view in given.items()
        if (keys := read_keys(view)) is not None
        and name in keys.properties.keys() & keys.required
        and step.fits(keys.property(name), wanted) == "yes"
    ]


def _give(step: TypedStep, name: str, source: str) -> Patch | None:
    """Let ``inputs`` name the source of a key."""
    path, inputs = f"{step.pointer}/inputs", step.row.get("inputs")
    if isinstance(inputs, dict):
        return [{"op": "add", "path": f"{path}/{escape_token(name)}", "value": source}]
    return [{"op": "add", "path": path, "value": {name: source}}] if inputs is None else None


def _unused_problems(step: TypedStep, meant: Object) -> Iterator[Problem]:
    """Whether a function that reads declared keys only reads all that it waits for."""
    if meant.rest is not False or step.is_map:
        return
    read = {read_source(source).head for source in step.sources.values()}
    unused = [slug for slug in step.waits if slug not in read and slug not in meant.properties]
    listed = ", ".join(map(show, islice(meant.properties, 10))) or "nothing"
    for slug in unused:
        text = f"{step.calls} reads {listed} only, and nothing of {show(slug)}"
        path = f"{step.pointer}/depends_on/{step.waits[slug]}"
        yield Problem("unused_dependency", path, say(step.owner, text), severity="warning")


def _say(view: View) -> str:
    words = say_type(view.schema, view.root) or "anything"
    return words if len(words) <= _MAX_WORDS else f"{words[:_MAX_WORDS]}…"


def _propose(names: Sequence[str]) -> str:
    quoted = " or ".join(show(name) for name in names)
    return f" Take it from {quoted}, by inputs." if names else ""
