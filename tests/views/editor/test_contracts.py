"""What functions declare, in the panel: what they need, where it comes from, and their params."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any, TypedDict

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pydantic import BaseModel, Field

from pgflow_django import drafts, executor, step_function
from pgflow_django.registry import registry
from tests.views.editor.conftest import HTMX, Post, make_user

URL = "/admin/pgflow_django/workflow/codes/"
PLAIN: dict[str, str] = {}


class Airport(TypedDict):
    """A row."""

    code: str


class Checked(TypedDict):
    """What a check gives."""

    valid: list[Airport]
    rejected: int


class ToLoad(TypedDict):
    """What is to be written."""

    rows: list[Airport]
    run: Any


class Params(BaseModel):
    """How to write."""

    delimiter: str = Field(",", max_length=1, description="Between two values.")
    limit: int | None = None
    strict: bool = False
    mode: str | None = Field(None, json_schema_extra={"enum": ["new", "all"]})


NAMES = ("csv.check", "csv.load", "csv.each", "csv.plain")


def check(input: dict[str, Any]) -> Checked:
    """Part the rows.

    Those with `code` are valid:
    - the others
    - are counted
    """
    return {"valid": [{"code": "HAM"}], "rejected": 1}


def load(input: ToLoad) -> int:
    """Write the rows."""
    return len(input["rows"])


class OneRow(TypedDict):
    """A task of a map."""

    item: Airport
    day: str


def each(input: OneRow) -> str:
    """Look at one row."""
    return input["item"]["code"]


def plain(input: dict[str, Any]) -> Any:
    """Do something."""
    return None


@pytest.fixture(autouse=True)
def functions(db: None) -> Iterator[None]:
    """Register the functions of the flow."""
    for name in NAMES:
        registry.unregister(name)
    step_function("csv.check", effects="reads", tags=["csv", "airports"])(check)
    step_function("csv.load", effects="writes", params=Params, tags=["csv"])(load)
    step_function("csv.each", map_only=True)(each)
    step_function("csv.plain")(plain)
    yield
    for name in NAMES:
        registry.unregister(name)


STEPS: list[dict[str, Any]] = [
    {"slug": "check", "uses": "csv.check"},
    {"slug": "other", "uses": "csv.plain"},
    {"slug": "load", "uses": "csv.load", "depends_on": ["check"]},
]


@pytest.fixture
def boss() -> User:
    """Give a superuser."""
    user = make_user("boss")
    assert user
    return user


@pytest.fixture
def page(client: Client, boss: User) -> Client:
    """Make the flow, and give a client whose user may do everything."""
    drafts.create("codes", {"steps": STEPS}, user=boss)
    client.force_login(boss)
    return client


@pytest.fixture
def post(page: Client) -> Post:
    """Post an operation as the page does."""

    def post_one(op: str, *, headers: dict[str, str] = HTMX, **values: Any) -> Any:
        values = {**values.pop("fields", {}), **values}
        values.setdefault("version", drafts.load("codes").version)
        return page.post(f"{URL}op/", {"op": op, **values}, headers=headers)

    return post_one


Look = Callable[[str], str]


@pytest.fixture
def look(page: Client) -> Look:
    """Read the panel of a step."""

    def look_at(step: str) -> str:
        return unescape(page.get(f"{URL}panel/?step={step}").text)

    return look_at


def row_of(slug: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = drafts.load("codes").document["steps"]
    return next(row for row in rows if row["slug"] == slug)


def options_of(panel: str, name: str) -> list[str]:
    """The values of a select, those that can't be chosen in brackets."""
    select = re.search(rf'<select[^>]* name="{name}".*?</select>', panel, re.DOTALL)
    assert select, name
    found = re.findall(r'<option value="([^"]*)"([^>]*)>', select[0])
    return [f"[{value}]" if "disabled" in rest else value for value, rest in found]


def error_of(page: str, end: str) -> str:
    """What stands beside a field."""
    found = re.search(rf'<p class="pgf-field-error"\s+id="pgf-e-{end}"[^>]*>([^<]*)</p>', page)
    assert found, end
    return found[1].strip()


def test_the_panel_says_what_the_function_needs_gives_and_does(look: Look) -> None:
    panel = look("check")
    assert "Part the rows." in panel
    assert "Those with <code>code</code> are valid:" in panel
    assert "{valid: list of {code: text}, rejected: whole number}" in panel
    assert "reads data, changes nothing" in panel
    assert "csv, airports" in panel
    assert "list of {code: text}" in look("load")


def test_a_reader_sees_it_too(page: Client, client: Client, post: Post) -> None:
    post("save_step", step="load", fields={"input-rows": "check/valid"})
    viewer = make_user("viewer")
    assert viewer
    client.force_login(viewer)
    panel = unescape(client.get(f"{URL}panel/?step=load").text)
    assert "list of {code: text}" in panel
    assert "check/valid" in panel
    assert "<select" not in panel


def test_each_name_that_is_declared_has_a_row_and_says_what_is_missing(look: Look) -> None:
    panel = look("load")
    assert "Needed: nothing gives it, unless the run's input has it." in panel
    options = options_of(panel, "input-rows")
    assert "run" in options
    assert "other" in options
    assert 'name="input-run"' not in panel
    assert 'name="path-rows"' not in panel


@pytest.mark.parametrize("headers", [HTMX, PLAIN], ids=["script", "no script"])
def test_a_source_is_chosen_and_a_path_into_it(
    post: Post, look: Look, headers: dict[str, str]
) -> None:
    post("save_step", headers=headers, step="load", fields={"input-rows": "other"})
    post("save_step", headers=headers, step="load", fields={"path-rows": "a/b"})
    assert row_of("load")["inputs"] == {"rows": "other/a/b"}
    post("save_step", headers=headers, step="load", fields={"input-rows": "check/valid"})
    assert row_of("load")["inputs"] == {"rows": "check/valid"}
    panel = look("load")
    assert "Needed" not in panel.partition("Where its input comes from")[2]
    assert '<option value="valid/0/code">' in panel
    post("save_step", headers=headers, step="load", fields={"input-rows": ""})
    assert "inputs" not in row_of("load")


def test_a_source_that_is_no_dependency_yet_becomes_one_in_the_same_edit(post: Post) -> None:
    before = drafts.load("codes").document
    post("save_step", step="load", fields={"input-rows": "other"})
    assert row_of("load")["depends_on"] == ["check", "other"]
    assert row_of("load")["inputs"] == {"rows": "other"}
    post("undo")
    assert drafts.load("codes").document == before


def test_a_whole_form_without_scripts_keeps_all_of_it(post: Post) -> None:
    fields = {"input-rows": "check/valid", "depends_on": ["", "check"], "timeout": "9"}
    post("save_step", headers=PLAIN, step="load", slug="load", fields=fields)
    assert row_of("load")["inputs"] == {"rows": "check/valid"}
    again = {"input-rows": "check", "path-rows": "valid", "slug": "load"}
    post("save_step", headers=PLAIN, step="load", fields={**again, "depends_on": ["", "check"]})
    assert row_of("load")["inputs"] == {"rows": "check/valid"}
    # A step that is no longer waited for takes its sources along.
    post("save_step", headers=PLAIN, step="load", fields={**again, "depends_on": [""]})
    assert "inputs" not in row_of("load")
    assert "depends_on" not in row_of("load")


def test_a_name_that_nobody_declares_is_added_and_removed(post: Post, look: Look) -> None:
    name = 'the "day"'
    post("save_inputs", step="load", fields={"new-input": name, "new-source": "run"})
    assert row_of("load")["inputs"] == {name: "run"}
    panel = look("load")
    assert "Remove the" in panel
    # Enter in a field presses the first button of its form: that must be the one that adds.
    buttons = re.findall(r'<button[^>]*form="pgf-input-form"[^>]*>', panel)
    assert len(buttons) == 1
    assert "name=" not in buttons[0]
    post("save_step", step="load", fields={f"path-{name}": "day"})
    assert row_of("load")["inputs"] == {name: "run/day"}
    post("save_inputs", step="load", fields={"set": json.dumps({name: None})})
    assert "inputs" not in row_of("load")


@pytest.mark.parametrize(
    ("fields", "place", "told"),
    [
        ({"new-input": "", "new-source": "run"}, "new-input", "Write the key"),
        ({"new-input": "day", "new-source": ""}, "new-source", "Choose where"),
    ],
)
@pytest.mark.parametrize("headers", [HTMX, PLAIN], ids=["script", "no script"])
def test_a_new_name_that_is_refused_stays_in_its_form(
    post: Post, fields: dict[str, str], place: str, told: str, headers: dict[str, str]
) -> None:
    response = post("save_inputs", headers=headers, step="load", fields=fields)
    assert response.status_code == 422
    answer = unescape(response.content.decode())
    assert told in error_of(answer, place)
    if not headers:
        assert f'value="{fields["new-input"]}"' in answer
    assert "inputs" not in row_of("load")


@pytest.mark.parametrize("text", ["no json", "[1]", '"rows"', '{"rows": 7}', '{"": "run"}'])
def test_a_strange_button_changes_nothing(post: Post, text: str) -> None:
    assert post("save_inputs", step="load", fields={"set": text}).status_code == 422
    assert "inputs" not in row_of("load")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5_000, "", "run", "rows/0", " ", "ü\u202e"])
@pytest.mark.parametrize("headers", [HTMX, PLAIN], ids=["script", "no script"])
def test_a_strange_key_is_no_failure(post: Post, name: str, headers: dict[str, str]) -> None:
    for fields in (
        {f"input-{name}": "check", f"path-{name}": "a\0b", f"param-{name}": "1"},
        {f"input-{name}": "run"},
    ):
        for values in (fields, {"new-input": name, "new-source": "run"}):
            op = "save_step" if values is fields else "save_inputs"
            assert post(op, headers=headers, step="load", fields=values).status_code < 500


@pytest.mark.parametrize("name", ["inputs", "params"])
@pytest.mark.parametrize("text", ["1.5", "[1]", '"x"', '{"a": 1.5}', "null", "{"])
def test_strange_json_is_no_failure(post: Post, name: str, text: str) -> None:
    assert post("save_step", step="load", fields={name: text}).status_code < 500


@pytest.mark.parametrize("inputs", ["abc", [1], {"rows": 7}, {"rows": ["check"]}])
def test_a_strange_fix_is_refused(post: Post, inputs: Any) -> None:
    arguments = json.dumps({"step": "load", "inputs": inputs})
    assert post("fix", fix="update_step", arguments=arguments).status_code == 422


def test_a_bad_path_is_told_beside_its_row(post: Post) -> None:
    post("save_step", step="load", fields={"input-rows": "other"})
    response = post("save_step", step="load", fields={"path-rows": "a~7"})
    assert response.status_code == 422
    assert "behind ~" in error_of(unescape(response.content.decode()), "input-rows")
    assert row_of("load")["inputs"] == {"rows": "other"}


def test_a_map_offers_its_item_its_index_and_its_one_dependency(post: Post, look: Look) -> None:
    steps = [*STEPS, {"slug": "each", "uses": "csv.each", "type": "map", "depends_on": ["other"]}]
    post("fix", fix="patch", arguments=json.dumps({"patch": [_replace("/steps", steps)]}))
    panel = look("each")
    assert options_of(panel, "input-day") == ["", "other", "run", "item", "[index]"]
    assert 'name="input-item"' not in panel
    post("save_step", step="each", fields={"input-day": "item", "path-day": "code"})
    assert row_of("each")["inputs"] == {"day": "item/code"}


def test_a_part_of_the_last_output_is_picked_by_a_button(
    page: Client, post: Post, look: Look, boss: User
) -> None:
    post("delete_step", step="other")
    post("save_step", step="load", fields={"input-rows": "check/valid"})
    post("save_inputs", step="load", fields={"new-input": "first", "new-source": "check"})
    assert "Pick from what" not in look("load")
    drafts.publish("codes", drafts.load("codes").version, user=boss)
    executor.start_flow("codes", {})
    executor.drain(timeout=30)
    panel = look("load")
    assert "Pick from what check returned last" in panel
    found = re.search(r'name="set"\s+value="({"first": "check/valid/0"})"', panel)
    assert found
    post("save_inputs", step="load", fields={"set": found[1]})
    assert row_of("load")["inputs"] == {"rows": "check/valid", "first": "check/valid/0"}
    pressed = re.findall(r'value="([^"]*"[^>]*)"\s+aria-pressed="true"', look("load"))
    assert len(pressed) == 2


def test_params_are_a_form_with_json_beside_it(post: Post, look: Look) -> None:
    panel = look("load")
    assert "Between two values." in panel
    assert 'placeholder=","' in panel
    assert options_of(panel, "param-strict") == ["", "true", "false"]
    assert "no, as declared" in panel
    post("save_step", step="load", fields={"param-delimiter": ";"})
    post("save_step", step="load", fields={"param-limit": "7"})
    post("save_step", step="load", fields={"param-strict": "true"})
    post("save_step", step="load", fields={"param-mode": '"all"'})
    assert row_of("load")["params"] == {"delimiter": ";", "limit": 7, "strict": True, "mode": "all"}
    assert '"delimiter": ";"' in look("load")
    for name in ("delimiter", "limit", "strict", "mode"):
        post("save_step", step="load", fields={f"param-{name}": ""})
    assert "params" not in row_of("load")


def test_what_the_fields_and_the_json_say_is_one(post: Post) -> None:
    fields = {"params": '{"note": "x", "limit": 3}', "param-delimiter": ";", "param-limit": ""}
    post("save_step", headers=PLAIN, step="load", slug="load", fields=fields)
    assert row_of("load")["params"] == {"note": "x", "limit": 3, "delimiter": ";"}


@pytest.mark.parametrize("headers", [HTMX, PLAIN], ids=["script", "no script"])
def test_a_param_that_is_none_is_told_beside_it_and_stays(
    post: Post, headers: dict[str, str]
) -> None:
    fields = {"param-limit": "many", "param-delimiter": ";"}
    response = post("save_step", headers=headers, step="load", fields=fields)
    answer = unescape(response.content.decode())
    assert response.status_code == 422
    assert "Write a whole number" in error_of(answer, "param-limit")
    if not headers:
        assert 'value="many"' in answer
        assert 'value=";"' in answer
    assert "params" not in row_of("load")


def test_who_reads_a_step_by_its_name_is_told_before_it_is_renamed(post: Post, look: Look) -> None:
    assert "rename" not in look("load")
    post("save_step", step="other", fields={"depends_on": ["", "check"]})
    panel = look("check")
    assert 'other declares nothing and may read input["check"]' in panel
    assert "load declares" not in panel
    post("save_step", step="load", fields={"input-rows": "check/valid"})
    post("rename_step", step="check", to="judge")
    assert row_of("load")["inputs"] == {"rows": "judge/valid"}


def test_the_palette_says_it_as_text_and_finds_it_by_it(page: Client) -> None:
    text = unescape(page.get(f"{URL}edit/").text)
    palette = text[text.index('id="pgf-palette"') : text.index('id="pgf-stage"')]
    item = re.search(r'data-function="csv.check".*?</details>', palette, re.DOTALL)
    assert item
    about = re.search(r'data-about="([^"]*)"', item[0])
    assert about
    for words in ("airports", "reads data", "those with", "rejected: whole number"):
        assert words in about[1]
    assert "<small" in item[0]
    shown = re.sub(r"<[^>]*>", "", item[0].partition("<details>")[2])
    for words in ("Those with code are valid", "reads data, changes nothing", "csv, airports"):
        assert words in shown
    plain = palette[palette.index('data-function="csv.plain"') :]
    assert "<details>" not in plain[: plain.index("</div>")]


def test_what_does_not_fit_is_not_offered_but_its_parts_that_do(post: Post, look: Look) -> None:
    assert options_of(look("load"), "input-rows") == ["", "check/valid", "other", "run"]
    post("set_flow", input_schema=json.dumps(RUN_INPUT))
    options = options_of(look("load"), "input-rows")
    assert options == ["", "check/valid", "other", "run/rows"]
    post("save_step", step="other", uses="csv.load")
    assert options_of(look("load"), "input-rows") == ["", "check/valid", "run/rows"]
    post("add_edge", source="other", target="load")
    panel = look("load")
    assert options_of(panel, "input-rows") == ["", "check/valid", "[other]", "run/rows"]
    assert "other gives whole number" in panel


RUN_INPUT = {
    "type": "object",
    "properties": {"rows": {"type": "array"}, "day": {"type": "string"}},
    "required": ["rows"],
}


@pytest.mark.parametrize("headers", [HTMX, PLAIN], ids=["script", "no script"])
@pytest.mark.parametrize(
    ("op", "fields", "place"),
    [
        ("save_step", {"input-rows": "check"}, "input-rows"),
        ("save_step", {"input-rows": "check", "path-rows": "rejected"}, "input-rows"),
        ("save_inputs", {"set": '{"rows": "check/rejected"}'}, "input-rows"),
        ("save_inputs", {"new-input": "rows", "new-source": "check"}, "new-source"),
    ],
)
def test_a_wrong_source_is_refused_with_both_types_in_words(
    post: Post, op: str, fields: dict[str, str], place: str, headers: dict[str, str]
) -> None:
    before = drafts.load("codes")
    response = post(op, headers=headers, step="load", fields=fields)
    assert response.status_code == 422
    answer = unescape(response.content.decode())
    told = error_of(answer, place)
    assert "list of {code: text}" in told
    assert "whole number" in told
    assert drafts.load("codes") == before
    if not headers and "path-rows" in fields:
        assert re.search(r'<option value="check/rejected"\s+selected', answer)
        assert 'value="rejected"' in answer


def test_a_param_that_breaks_its_declaration_is_refused_beside_it(post: Post) -> None:
    response = post("save_step", step="load", fields={"param-delimiter": "ab"})
    assert response.status_code == 422
    assert "at most 1 character" in error_of(response.content.decode(), "param-delimiter")
    assert "params" not in row_of("load")


def test_what_was_broken_before_does_not_stand_in_the_way(post: Post, look: Look) -> None:
    post("fix", fix="update_step", arguments='{"step": "load", "inputs": {"rows": "check"}}')
    assert row_of("load")["inputs"] == {"rows": "check"}
    assert "list of {code: text}" in look("load").partition("</ul>")[0]
    fields = {"input-rows": "check", "path-rows": "", "timeout": "9"}
    response = post("save_step", headers=PLAIN, step="load", slug="load", fields=fields)
    assert response.status_code == 302
    assert row_of("load")["timeout"] == 9


def test_a_card_and_the_list_say_what_is_missing(page: Client, post: Post) -> None:
    card = re.compile(r'<g class="([^"]*)"[^>]*id="pgf-step-load"[^>]*aria-label="([^"]*)"')
    found = card.search(page.get(f"{URL}canvas/").text)
    assert found
    assert "pgf-bad pgf-doubtful" in found[1]
    assert "rows" in found[2]
    listed = unescape(page.get(f"{URL}edit/?view=list").text)
    row = listed[listed.index('id="pgf-row-load"') :].partition("</tr>")[0]
    assert "warning" in row
    assert 'csv.load reads "rows"' in re.sub(r"<[^>]*>", "", row)
    post("save_step", step="load", fields={"input-rows": "check/valid"})
    found = card.search(page.get(f"{URL}canvas/").text)
    assert found
    assert "pgf-bad" not in found[1]


def _replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}
