"""Documents that are made to keep an import busy: the work grows as the text, not as its square.

Lines of Python are counted, not seconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pgflow_django import drafts
from pgflow_django.definitions.answers import MAX_TOLD
from pgflow_django.definitions.rules import show

pytestmark = pytest.mark.django_db

Steps = list[dict[str, Any]]


def make(steps: Steps, **more: Any) -> dict[str, Any]:
    return {"workflow_slug": "large", "steps": steps, **more}


def keys(size: int) -> Any:
    return make([{"slug": "fetch"}], **{f"key_{number}": 1 for number in range(size)})


def keys_of_steps(size: int) -> Any:
    return make([{"slug": f"s{n}", "name": n, "Timeout": n, "queue": n} for n in range(size)])


def slugs(size: int) -> Any:
    return make([{"slug": f"no {n}", "depends_on": [f"no {n - 1}"]} for n in range(1, size)])


def one_slug(size: int) -> Any:
    return make([{"slug": "no good", "depends_on": ["no good"] * 5} for _ in range(size)])


def duplicates(size: int) -> Any:
    taken = [{"slug": f"a_{n}"} for n in range(2, size // 2)]
    return make(taken + [{"slug": "a"}] * (size // 2))


def missing(size: int) -> Any:
    return make([{"slug": f"step_{n}", "depends_on": [f"stepp_{n}"]} for n in range(size)])


def missing_again(size: int) -> Any:
    many = [f"step_{n}" for n in range(size)]
    return make(
        [*({"slug": slug} for slug in many), {"slug": "z", "depends_on": many + ["s"] * size}]
    )


def functions(size: int) -> Any:
    return make([{"slug": f"s{n}", "uses": f"fetsch_{n}"} for n in range(size)])


def flow_slug(size: int) -> Any:
    return {"workflow_slug": {f"k{n}": n for n in range(size)}, "steps": [{"slug": 1}] * size}


def maps(size: int) -> Any:
    many = [f"s{n}" for n in range(size)]
    end = [{"slug": f"m{n}", "type": "map", "depends_on": many} for n in range(5)]
    return make([*({"slug": slug} for slug in many), *end])


def params(size: int) -> Any:
    return make([{"slug": "a", "params": [[{"k": 1}] for _ in range(size)]}])


MAKERS = (
    *(keys, keys_of_steps, slugs, one_slug, duplicates, missing, missing_again, functions),
    *(flow_slug, maps, params),
)


def count_lines(text: str) -> int:
    """How many lines of Python a preview runs through."""
    count = 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        drafts.preview_import(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("maker", MAKERS)
def test_four_times_as_much_text_is_four_times_as_much_work(maker: Callable[[int], Any]) -> None:
    small, large = (json.dumps(maker(size), indent=1) for size in (150, 600))
    drafts.preview_import(small)
    assert count_lines(large) < 5 * count_lines(small)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_preview_tells_a_few_problems_and_counts_the_others(maker: Callable[[int], Any]) -> None:
    preview = drafts.preview_import(json.dumps(maker(600), indent=1))
    assert len(preview.problems) <= MAX_TOLD
    assert (preview.more > 0) is (len(preview.problems) == MAX_TOLD)
    assert all(len(problem.found.message) < 2000 for problem in preview.problems)


def test_errors_are_told_before_warnings_where_not_all_are() -> None:
    text = json.dumps(make([*functions(200)["steps"], {"slug": "bad", "timeout": -1}]), indent=1)
    preview = drafts.preview_import(text)
    first = preview.problems[0]
    assert (first.found.code, first.found.step) == ("invalid_timeout", "bad")
    assert text.splitlines()[first.line - 1].strip() == '"timeout": -1'
    assert preview.more == 201 - MAX_TOLD


def test_names_that_look_alike_are_compared_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    import difflib

    compared = 0
    ratio = difflib.SequenceMatcher.ratio

    def count(self: Any) -> float:
        nonlocal compared
        compared += 1
        return ratio(self)

    monkeypatch.setattr(difflib.SequenceMatcher, "ratio", count)
    names = [f"{'ab' * 20}{n:04}" for n in range(600)]
    drafts.preview_import(
        json.dumps(make([{"slug": name, "depends_on": [f"{name}x"]} for name in names]))
    )
    assert 0 < compared < 1000


def test_what_a_message_shows_of_a_value_is_short() -> None:
    nested: Any = "x" * 100
    for _ in range(8):
        nested = [nested] * 8
    for value in (nested, {str(n): nested for n in range(50)}, {"k" * 10_000: nested}):
        assert len(show(value)) < 200
