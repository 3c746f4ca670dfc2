"""What no form of the editor sends: it is refused, with a reason, and nothing is stored."""

from __future__ import annotations

import json

import pytest

from pgflow_django import drafts
from tests.views.editor.conftest import Post

pytestmark = pytest.mark.django_db

#: Numbers that Python might read, and nobody means.
NUMBERS = (
    *("--5", "-", "5-", "+5", "0x10", "1_0", "5.0", "1e3", "1e400", "NaN", "Infinity", "null"),
    *(
        "\uff11\uff12",
        "\u0663",
        "\u00b2",
        "\u00bd",
        "9" * 19,
        "9" * 5000,
        "\0",
        "5\0",
        "[]",
        "five",
    ),
)
STEP_NUMBERS = ("timeout", "max_attempts", "base_delay", "start_delay", "initial_tasks")
#: Arguments of operations as a fix posts them: of every type but the right one.
VALUES = (
    *("null", "true", "0", "1.5", '""', '"\\u0000"', '"\\ud800"', "[]", "[[]]", "[1]", "{}"),
    *('{"a": []}', '["fetch"]', "99999999999999999999999", "1e400", "NaN", '"fetch"'),
)
ARGUMENTS = {
    "add_step": ("slug", "uses", "type", "depends_on"),
    "update_step": ("step", "uses", "type", "depends_on", "params", "timeout", "queue"),
    "rename_step": ("step", "to"),
    "delete_step": ("step",),
    "add_edge": ("source", "target"),
    "delete_edge": ("source", "target"),
    "insert_on_edge": ("source", "target", "slug", "uses", "type"),
    "duplicate": ("step",),
    "set_flow": ("description", "timeout", "queue", "input_schema"),
    "restore": ("seq",),
    "patch": ("patch",),
}
USUAL = {"step": "fetch", "source": "fetch", "target": "double", "slug": "one", "to": "two"}
PATCHES = (
    '[{"op": "add"}]',
    '[{"op": "add", "path": 1, "value": 1}]',
    '[{"op": "remove", "path": ""}]',
    '[{"op": "remove", "path": "/steps"}, {"op": "remove", "path": "/steps"}]',
    '[{"op": "replace", "path": "/steps", "value": 5}]',
    '[{"op": "replace", "path": "/steps/\u0661/slug", "value": {}}]',
    '[{"op": "replace", "path": "/steps/99999999999999999999", "value": 1}]',
    '[{"op": "move", "from": "/steps", "path": "/steps/0"}]',
    '[{"op": [], "path": "/a"}]',
    '[{"op": "add", "path": "/steps/0/slug", "value": []}]',
    '[{"op": "add", "path": "/steps/0/depends_on", "value": [[]]}]',
)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("op", ["update_step", "save_step", "set_flow", "save_flow"])
def test_what_is_no_number_is_refused(post: Post, op: str, number: str) -> None:
    fields = STEP_NUMBERS if op.endswith("step") else STEP_NUMBERS[:3]
    field = fields[NUMBERS.index(number) % len(fields)]
    before = drafts.load("numbers")
    answer = post(op, step="fetch", version=before.version, **{field: number})
    assert answer.status_code == 422, field
    assert drafts.load("numbers").document == before.document


@pytest.mark.parametrize("number", NUMBERS)
def test_a_version_that_is_none_is_refused(post: Post, number: str) -> None:
    answer = post("delete_step", step="fetch", version=number)
    assert answer.status_code in {409, 422}
    assert len(drafts.load("numbers").document["steps"]) == 3


@pytest.mark.parametrize("text", ["", " ", "-1", "0.0", "1_0", "abc", "\u0663", "\0", "9" * 30])
def test_a_revision_that_is_none_is_not_restored(post: Post, text: str) -> None:
    assert post("set_flow", description="worked on").status_code == 200
    assert post("restore", seq=text).status_code == 422
    assert drafts.load("numbers").document["description"] == "worked on"


@pytest.mark.slow
@pytest.mark.parametrize("op", ARGUMENTS)
def test_arguments_of_another_type_change_nothing_or_what_they_say(post: Post, op: str) -> None:
    for name in ARGUMENTS[op]:
        for value in (*VALUES, *(PATCHES if op == "patch" else ())):
            usual = {key: word for key, word in USUAL.items() if key in ARGUMENTS[op]}
            usual.pop(name, None)
            more = "".join(f', "{key}": {json.dumps(word)}' for key, word in usual.items())
            version = drafts.load("numbers").version
            arguments = f'{{"{name}": {value}{more}}}'
            answer = post("fix", fix=op, arguments=arguments, version=version)
            assert answer.status_code in {200, 422}, arguments
            if answer.status_code == 200:  # and the next one finds the flow as it was
                post("undo", version=drafts.load("numbers").version)


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "1", '"x"', "\0", "[" * 100_000, "9" * 5000]
)
def test_arguments_that_are_no_object_are_refused(post: Post, text: str) -> None:
    version = drafts.load("numbers").version
    answer = post("fix", fix="delete_step", arguments=text, version=version)
    assert answer.status_code == 422


@pytest.mark.parametrize("op", ["", "\0", "replace", "discard2", "x" * 5000])
def test_an_operation_that_there_is_not_is_refused(post: Post, op: str) -> None:
    version = drafts.load("numbers").version
    assert post(op, version=version).status_code == 422
    assert post("fix", fix=op, arguments="{}", version=version).status_code == 422
