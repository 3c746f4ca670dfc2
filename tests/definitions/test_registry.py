"""Registering step functions."""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pgflow_django import step_function
from pgflow_django.exceptions import InvalidStepOption, PgflowError
from pgflow_django.registry import RegisteredFunction, StepRegistry, describe, registry


def write_module(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (folder / f"{name}.py").write_text(text)
    return importlib.import_module(name)


STEPS = """
from pgflow_django import step_function

@step_function("shop.fetch", atomic=True)
def fetch(input):
    '''Fetch what there is.'''
    return 1
"""


def test_the_bare_decorator_takes_the_function_s_name_and_gives_it_back() -> None:
    @step_function
    def fetch_things(input: Any) -> Any:
        """Fetch them."""
        return input

    assert fetch_things({"a": 1}) == {"a": 1}
    found = registry.get("fetch_things")
    assert found == RegisteredFunction(
        "fetch_things", fetch_things, atomic=False, takes_context=False, doc="Fetch them.",
        module=__name__,
    )  # fmt: skip
    assert found({"b": 2}) == {"b": 2}
    assert "fetch_things" in registry
    assert "fetch_things" in registry.names()


def test_a_name_and_options_may_be_given() -> None:
    @step_function("orders.fetch", atomic=True)
    def fetch(input: Any) -> Any:
        return input

    @step_function(atomic=True)
    def save(input: Any) -> Any:
        return input

    @step_function(name="orders.check")
    def check(input: Any) -> Any:
        return input

    assert fetch(1) == save(1) == check(1) == 1
    assert registry.get("fetch") is None
    for name in ("orders.fetch", "save"):
        found = registry.get(name)
        assert found is not None
        assert found.atomic
    assert "orders.check" in registry


def test_names_come_in_order() -> None:
    registry = StepRegistry()
    for name in ("b", "a.c", "a"):
        registry.register(print, name)
    assert registry.names() == ["a", "a.c", "b"]
    assert [found.name for found in registry.all()] == registry.names()
    registry.unregister("b")
    registry.unregister("b")
    assert registry.get("b") is None


def with_context(input: Any, context: Any) -> Any: ...
def with_keyword_context(input: Any, *, context: Any) -> Any: ...
def with_another(input: Any, other: Any = None) -> Any: ...
def with_context_first(context: Any) -> Any: ...
def with_positional_context(input: Any, context: Any, /) -> Any: ...
def with_many(*args: Any, **context: Any) -> Any: ...


class Callable:
    def __call__(self, input: Any, context: Any) -> Any: ...

    def method(self, input: Any, context: Any) -> Any: ...


@functools.wraps(with_context)
def wrapped(*args: Any, **kwargs: Any) -> Any: ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (with_context, True),
        (with_keyword_context, True),
        (wrapped, True),
        (Callable(), True),
        (Callable().method, True),
        (functools.partial(with_context), True),
        (with_another, False),
        (with_context_first, False),
        (with_positional_context, False),
        (with_many, False),
        (lambda input: input, False),
        (print, False),
        (dict, False),
    ],
)
def test_a_second_parameter_called_context_is_asked_for(function: Any, expected: bool) -> None:
    assert describe(function, "name").takes_context is expected


def test_describing_what_is_registered_gives_it_back() -> None:
    found = StepRegistry().register(with_context, "a", atomic=True)
    assert describe(found, "b") is found


@pytest.mark.parametrize("name", ["a b", "1a", "a-b", ".a", "a\n", "é", "f" * 256, "os.system()"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidStepOption) as caught:
        StepRegistry().register(with_context, name)
    assert caught.value.code == "invalid_function"
    assert "must be 1 to 255 letters a-z, digits, underscores and dots" in str(caught.value)


def test_a_function_without_a_name_needs_one() -> None:
    with pytest.raises(InvalidStepOption):
        StepRegistry().register(functools.partial(with_context))
    with pytest.raises(InvalidStepOption, match="<lambda>"):
        step_function(lambda input: input)


def test_what_can_t_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="a step function must be callable, but this is 5"):
        StepRegistry().register(5)  # type: ignore[arg-type]


def test_two_modules_may_not_share_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_module(tmp_path, "shop_steps", STEPS, monkeypatch)
    with pytest.raises(PgflowError) as caught:
        write_module(tmp_path, "other_steps", STEPS, monkeypatch)
    assert caught.value.code == "function_already_registered"
    assert str(caught.value) == (
        f'Two step functions are called "shop.fetch": one in {tmp_path}/shop_steps.py:4, another '
        f"in {tmp_path}/other_steps.py:4. Name one of them: "
        '@step_function("<app>.shop.fetch").'
    )
    found = registry.get("shop.fetch")
    assert found is not None
    assert found.function is first.fetch


def test_a_reloaded_module_registers_its_functions_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = write_module(tmp_path, "reloaded_steps", STEPS, monkeypatch)
    old = module.fetch
    importlib.reload(module)
    found = registry.get("shop.fetch")
    assert found is not None
    assert found.function is module.fetch is not old


def test_functions_made_in_functions_replace_one_another() -> None:
    def make(number: int) -> Any:
        @step_function
        def made(input: Any) -> int:
            return number

        return made

    make(1)
    make(2)
    found = registry.get("made")
    assert found is not None
    assert found(None) == 2


def test_places_of_odd_callables() -> None:
    assert describe(print, "a").place == "builtins.print"
    assert describe(Callable(), "a").place == f"{__name__}.Callable"
    assert describe(with_context, "a").place.startswith(__file__)


def test_many_threads_may_register_at_once() -> None:
    registry = StepRegistry()
    barrier = threading.Barrier(8)

    def register(number: int) -> None:
        barrier.wait()
        for index in range(50):
            registry.register(with_context, f"f{number}_{index}")
            registry.names()

    threads = [threading.Thread(target=register, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.names()) == 400
