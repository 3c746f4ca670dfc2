"""What counts as one kind of failure: the type and the first line, without what differs."""

from __future__ import annotations

import pytest

from pgflow_django.runs.failure_groups import LINE, Failed, group_failures, kind_of
from tests.engine.database import value

SAME = [
    ("host 10.0.0.1:5432 refused", "host 10.0.0.22:5432 refused", "host ‹n› refused"),
    ("took 1.5 s\nand more", "took 12 s", "took ‹n› s"),
    (
        "no row 01a20627-c15e-7627-bf5c-2721865faa60",
        "no row FFFFFFFF-0000-7627-bf5c-2721865faa61",
        "no row ‹id›",
    ),
    ("at 0x7f01", "at 0xFFFFFF", "at ‹id›"),
    ("key 'a b' is unknown", "key 'it' is unknown", "key ‹text› is unknown"),
    ('got "x', 'got "' + "y" * 500, "got ‹text›"),
    ("(1) of `x`", "(22) of ``", "(‹n›) of ‹text›"),
    ("50%_off\\ (a|b)* [c]", "7%_off\\ (a|b)* [c]", "‹n›%_off\\ (a|b)* [c]"),
    ("", "", ""),
]
OTHERS = ["can't do that, it's 5", "can't do that, it's", "host refused", "Zeile 1 · ü", "٣"]


@pytest.mark.parametrize(("one", "other", "text"), SAME)
def test_messages_that_differ_in_numbers_ids_and_quotes_are_one_kind(
    one: str, other: str, text: str
) -> None:
    assert kind_of("E", one) == kind_of("E", other) == ("E", text)
    assert kind_of("E", one) != kind_of("F", one)


@pytest.mark.django_db
def test_postgresql_finds_the_messages_of_a_kind_and_no_others() -> None:
    messages = [*OTHERS, *(message for one, other, _ in SAME for message in (one, other))]
    lines = [message.partition("\n")[0][:LINE] for message in messages]
    for line in lines:
        kind = kind_of("E", line)
        matched = value(
            "select array(select line from unnest(%s::text[]) as line where line ~ %s)",
            lines, kind.pattern,
        )  # fmt: skip
        assert matched == [each for each in lines if kind_of("E", each) == kind], kind


def test_the_group_with_most_tasks_comes_first_and_a_task_counts_once() -> None:
    found = group_failures(
        [
            Failed(1, "a", 5, "E", "no 1"),
            Failed(2, "a", 5, "E", "no 2"),
            Failed(3, "b", 1, "E", "no 3"),
            Failed(4, "a", 7, "F", "x"),
            Failed(5, "a", 2, "F", "x"),
        ]
    )
    assert [(each.step, each.kind, each.tasks, each.attempts, each.first) for each in found] == [
        ("a", ("F", "x"), 2, 2, 2),
        ("a", ("E", "no ‹n›"), 1, 2, 5),
        ("b", ("E", "no ‹n›"), 1, 1, 1),
    ]
    assert [each.example for each in found] == [5, 1, 3]
