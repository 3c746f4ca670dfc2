"""Flows in code: Flow classes, objects with __workflow_steps__(), and how they are stored."""

from __future__ import annotations

import types
from typing import Any, ClassVar

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pgflow_django import Flow, executor, flow_builder, step
from pgflow_django.exceptions import (
    CycleDetected,
    InvalidDocument,
    InvalidSlug,
    InvalidStepOption,
    WorkflowConflict,
)
from pgflow_django.flows import CodeFlow, definition_of, sync_code_flow
from pgflow_django.models import Workflow
from pgflow_django.registry import RegisteredFunction, registry


class Report(Flow):
    """A flow as sites write them."""

    max_attempts = 5
    input_schema: ClassVar[dict[str, Any] | None] = {"type": "object"}

    @step
    def fetch(input: Any) -> Any:  # noqa: N805
        """Fetch rows."""
        return [1, 2, input.get("n", 3)]

    @step(depends_on=["fetch"], step_type="map", params={"factor": 2}, atomic=True)
    def render(input: Any, context: Any) -> Any:  # noqa: N805
        return input["item"] * input["params"]["factor"]


DOCUMENT = {
    "workflow_slug": "report",
    "max_attempts": 5,
    "input_schema": {"type": "object"},
    "steps": [
        {"slug": "fetch", "uses": "report.fetch"},
        {
            "slug": "render",
            "depends_on": ["fetch"],
            "type": "map",
            "uses": "report.render",
            "params": {"factor": 2},
        },
    ],
}


# The class


def test_step_functions_stay_plain_functions_of_their_input() -> None:
    assert Report.fetch({}) == [1, 2, 3]
    assert Report().fetch({"n": 5}) == [1, 2, 5]
    assert Report.render({"item": 4, "params": {"factor": 3}}, None) == 12


def test_steps_are_registered_under_the_flow_s_slug() -> None:
    found = registry.get("report.render")
    assert found is not None
    assert (found.atomic, found.takes_context) == (True, True)
    assert registry.get("report.fetch") == RegisteredFunction(
        "report.fetch", Report.fetch, doc="Fetch rows.", module=__name__
    )


def test_workflow_steps_come_in_the_order_of_definition() -> None:
    assert Report.__workflow_steps__() == [
        ("fetch", Report.fetch, {"depends_on": []}),
        (
            "render",
            Report.render,
            {"depends_on": ["fetch"], "step_type": "map", "params": {"factor": 2}},
        ),
    ]


@pytest.mark.django_db
def test_a_description_is_what_somebody_notes_and_not_what_the_function_says() -> None:
    class Noted(Flow):
        @step(description="Ask the shop.")
        def fetch(input: Any) -> Any:  # noqa: N805
            """Fetch rows."""

        @step
        def render(input: Any) -> Any:  # noqa: N805
            """Render rows."""

    sync_code_flow(definition_of(Noted))
    rows = flow_builder.export_flow("noted")["steps"]
    assert [row.get("description") for row in rows] == ["Ask the shop.", None]
    assert registry.get("noted.fetch").doc == "Fetch rows."  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Report", "report"),
        ("DailyReport", "daily_report"),
        ("ABTest", "ab_test"),
        ("ParseHTML", "parse_html"),
        ("HTTPServer2Check", "http_server2_check"),
        ("already_snake", "already_snake"),
    ],
)
def test_the_slug_is_the_class_s_name_in_snake_case(name: str, slug: str) -> None:
    assert type(name, (Flow,), {}).slug == slug  # type: ignore[attr-defined]


def test_the_slug_may_be_given_and_is_not_inherited() -> None:
    class Named(Flow):
        slug = "another_name"

    class Child(Named):
        pass

    assert (Named.slug, Child.slug) == ("another_name", "child")


def test_a_bad_slug_is_told_where_the_class_is_written() -> None:
    with pytest.raises(InvalidSlug, match='The flow name "run" is a reserved word'):
        type("Run", (Flow,), {})


def test_steps_are_inherited_overridden_and_taken_away() -> None:
    class Base(Flow):
        @step
        def first(input: Any) -> Any:  # noqa: N805
            return "base first"

        @step(depends_on=["first"])
        def second(input: Any) -> Any:  # noqa: N805
            return "base second"

        @step
        def third(input: Any) -> Any:  # noqa: N805
            return "base third"

    class Child(Base):
        third = None

        @step(timeout=5)
        def first(input: Any) -> Any:  # noqa: N805
            return "child first"

        @step(depends_on=["second"])
        def fourth(input: Any) -> Any:  # noqa: N805
            return "child fourth"

    assert [name for name, _, _ in Child.__workflow_steps__()] == ["first", "second", "fourth"]
    assert Child.first({}) == "child first"
    assert definition_of(Child).functions["second"].name == "child.second"
    assert definition_of(Base).functions["first"]({}) == "base first"
    assert len(definition_of(Base).document["steps"]) == 3


def test_static_methods_are_taken_too() -> None:
    class Static(Flow):
        @step
        @staticmethod
        def fetch(input: Any) -> Any:
            return input

    assert Static.fetch(5) == 5


def test_self_is_refused_with_a_word_about_it() -> None:
    with pytest.raises(
        TypeError, match=r"Selfish\.fetch takes self, but steps are plain functions"
    ):

        class Selfish(Flow):
            @step
            def fetch(self, input: Any) -> Any: ...


def test_steps_may_not_be_called_like_parts_of_flow() -> None:
    with pytest.raises(TypeError, match="a step can't be called 'start', which Flow uses"):

        class Starting(Flow):
            @step
            def start(input: Any) -> Any: ...  # noqa: N805


def test_unknown_options_of_a_step_are_type_errors() -> None:
    with pytest.raises(TypeError, match="step\\(\\) got an unexpected option 'retries'"):
        step(retries=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="function"):
        step(function="other")  # type: ignore[call-overload]


# Its definition


def test_the_definition_of_a_flow_class() -> None:
    code = definition_of(Report)
    assert code.slug == "report"
    assert code.functions.keys() == {"fetch", "render"}
    assert code.functions["render"].function is Report.render
    assert definition_of(Report) is code


def test_the_fingerprint_changes_with_the_definition_alone() -> None:
    def make(options: dict[str, Any], function: Any = len) -> CodeFlow:
        return definition_of(plain([("a", function, options)]))

    one = make({"timeout": 5, "params": {"a": 1, "b": 2}})
    assert one.fingerprint == make({"params": {"b": 2, "a": 1}, "timeout": 5}, print).fingerprint
    assert one.fingerprint != make({"timeout": 6, "params": {"a": 1, "b": 2}}).fingerprint
    assert one.fingerprint != make({"timeout": 5, "params": {"a": True, "b": 2}}).fingerprint


def plain(steps: Any, **attributes: Any) -> Any:
    class PlainPipeline:
        def __workflow_steps__(self) -> Any:
            return steps

    found = PlainPipeline()
    vars(found).update(attributes)
    return found


def test_tuples_without_dependencies_run_in_sequence() -> None:
    code = definition_of(
        plain(
            [
                ("a", len),
                ("b", len, {"step_type": "map"}),
                ["c", len, {"depends_on": ["a"], "timeout": 5}],
                ("d", len, {}),
                ("e", len, {"depends_on": []}),
            ]
        )
    )
    assert code.slug == "plain_pipeline"
    assert code.document["steps"] == [
        {"slug": "a", "depends_on": []},
        {"slug": "b", "depends_on": ["a"], "type": "map"},
        {"slug": "c", "depends_on": ["a"], "timeout": 5},
        {"slug": "d", "depends_on": ["c"]},
        {"slug": "e", "depends_on": []},
    ]
    assert code.functions["a"].function is len


def test_a_plain_object_may_have_a_slug_and_options_of_its_own() -> None:
    code = definition_of(plain([("a", len)], workflow_slug="mine", timeout=9))
    assert (code.slug, code.document["timeout"]) == ("mine", 9)


def test_classes_and_modules_are_objects_too() -> None:
    class OrderImport:
        @staticmethod
        def __workflow_steps__() -> Any:
            return [("a", len)]

    assert definition_of(OrderImport).slug == "order_import"
    module: Any = types.ModuleType("shop.flows.order_export")
    module.__workflow_steps__ = OrderImport.__workflow_steps__
    module.queue = types  # an import of its own, not an option
    assert definition_of(module).slug == "order_export"


@pytest.mark.parametrize("found", [None, 5, "report", object(), dict])
def test_what_is_no_flow_is_refused(found: Any) -> None:
    with pytest.raises(TypeError, match="is not a flow: pass a slug, a Flow class, or an object"):
        definition_of(found)


@pytest.mark.parametrize("steps", [["a"], [("a",)], [("a", len, {}, 1)]])
def test_odd_tuples_are_refused(steps: Any) -> None:
    with pytest.raises(TypeError, match="must give tuples \\(slug, function\\)"):
        definition_of(plain(steps))


def test_problems_of_the_definition_are_told_as_everywhere() -> None:
    with pytest.raises(InvalidSlug):
        definition_of(plain([("a b", len)]))
    with pytest.raises(InvalidStepOption, match="timeout is 0"):
        definition_of(plain([("a", len, {"timeout": 0})]))
    with pytest.raises(InvalidDocument, match='there is no key "retries"'):
        definition_of(plain([("a", len, {"retries": 0})]))
    with pytest.raises(CycleDetected, match="a → b → a"):
        definition_of(plain([("a", len, {"depends_on": ["b"]}), ("b", len)]))
    with pytest.raises(TypeError, match="must be callable, but this is 5"):
        definition_of(plain([("a", 5)]))


# Storing it


@pytest.mark.django_db
def test_a_code_flow_is_stored_like_any_other() -> None:
    workflow = sync_code_flow(definition_of(Report))
    assert (workflow.origin, workflow.version) == ("code", 1)
    assert workflow.fingerprint == definition_of(Report).fingerprint
    assert flow_builder.export_flow("report") == DOCUMENT
    flow_builder.create_flow_from_spec({**DOCUMENT, "workflow_slug": "stored"})
    one, other = (flow_builder.get_flow(slug)["steps"] for slug in ("report", "stored"))
    for row in one + other:
        row.pop("workflow_slug")
    assert one == other


@pytest.mark.django_db
def test_a_code_flow_is_written_only_when_it_changed() -> None:
    sync_code_flow(definition_of(Report))
    with CaptureQueriesContext(connection) as queries:
        assert sync_code_flow(definition_of(Report)).version == 1
    assert len(queries) == 1

    class Changed(Flow):
        slug = "report"

        @step(depends_on=["extra"])
        def fetch(input: Any) -> Any: ...  # noqa: N805

        @step
        def extra(input: Any) -> Any: ...  # noqa: N805

    workflow = sync_code_flow(definition_of(Changed))
    assert workflow.version == 2
    assert [row["depends_on"] for row in flow_builder.export_flow("report")["steps"][:1]] == [
        ["extra"]
    ]


@pytest.mark.django_db
def test_a_fingerprint_alone_makes_no_version() -> None:
    sync_code_flow(definition_of(Report))
    Workflow.objects.update(fingerprint="of an older release")
    workflow = sync_code_flow(definition_of(Report))
    assert (workflow.version, workflow.fingerprint) == (1, definition_of(Report).fingerprint)


@pytest.mark.django_db
@pytest.mark.parametrize("origin", ["api", "editor", "agent"])
def test_a_slug_of_another_origin_is_refused(origin: str) -> None:
    flow_builder.create_flow_from_spec(DOCUMENT, origin=origin)
    with pytest.raises(WorkflowConflict) as caught:
        sync_code_flow(definition_of(Report))
    assert caught.value.code == "workflow_origin_conflict"
    assert f'its origin is "{origin}"' in str(caught.value)


@pytest.mark.django_db
def test_start_starts_a_run_for_the_workers() -> None:
    run = Report.start({"n": 4}, key="once")
    assert run.workflow_slug == "report"
    assert run.input == {"n": 4}
    assert Report.start(key="once").id == run.id
    assert Report.start().input == {}
    assert executor.get_run_status(run.id).status == "started"
