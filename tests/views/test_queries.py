"""What the lists answer to query strings and selections that no page of ours writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlencode

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from pgflow_django.admin import WorkflowAdmin, WorkflowRunAdmin
from pgflow_django.models import Workflow, WorkflowRun
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db

LISTS = ("workflow", "workflowrun")
#: Lookups that would spell out, letter by letter, what their user may not see.
ORACLES = [
    *(("workflowrun", f"{name}__{lookup}") for name in ("input", "output", "error", "key")
      for lookup in ("password__startswith", "password", "icontains", "regex", "has_key", "gt")),
    *(("workflowrun", name) for name in ("input", "status", "workflow_slug", "version__gt")),
    ("workflowrun", "step_states__tasks__output__password__startswith"),
    ("workflowrun", "step_states__tasks__item__regex"),
    ("workflowrun", "step_states__status"),
    ("workflowrun", "started_at__year"),
    ("workflowrun", "state__startswith"),
    ("workflow", "steps__params__password__startswith"),
    ("workflow", "steps__function__regex"),
    ("workflow", "input_schema__secret__startswith"),
    ("workflow", "created_by__startswith"),
    ("workflow", "description__regex"),
    ("workflow", "workflow_slug"),
    ("workflow", "origin__regex"),
    ("workflow", "nonsense"),
]  # fmt: skip
STRANGE = ("\0", "a\0b", "(", "%", "--5", "x" * 5000, "\u0661", "\udcff")
PARAMETERS = (
    *("q", "p", "o", "e", "all", "flow", "state", "last", "on", "origin__exact", "origin__isnull"),
    *("origin__in", "_facets", "_popup", "_to_field", "_changelist_filters", "nonsense"),
)


@pytest.fixture
def run(flow: str) -> WorkflowRun:
    """Give a run that has ended."""
    return run_flow(flow, {"password": "hunter2"})


@pytest.mark.parametrize(("model", "lookup"), ORACLES)
def test_lists_are_filtered_by_their_filters_only(
    log_in: LogIn, run: WorkflowRun, model: str, lookup: str
) -> None:
    for role in ("viewer", "boss"):
        client = log_in(role)
        for value in ("h", "x", "("):
            query = urlencode({lookup: value})
            answer = client.get(f"{address(f'{model}_changelist')}?{query}")
            assert answer.status_code == 400, (role, value)


def test_the_filters_that_there_are_go_on(log_in: LogIn, run: WorkflowRun) -> None:
    client = log_in("viewer")
    for model, query, found in (
        ("workflowrun", "state=completed&flow=numbers", True),
        ("workflowrun", "state=failed", False),
        ("workflow", "last=completed&on=1&origin__exact=api", True),
        ("workflow", "origin__exact=code", False),
    ):
        page = client.get(f"{address(f'{model}_changelist')}?{query}").content.decode()
        assert ("/change/" in page or "/workflow/numbers/edit/" in page) is found, query


def test_a_site_adds_filters_of_its_own(
    log_in: LogIn, run: WorkflowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = (*WorkflowRunAdmin.list_filter, "version", ("key", admin.EmptyFieldListFilter))
    monkeypatch.setattr(WorkflowRunAdmin, "list_filter", filters)
    monkeypatch.setattr(WorkflowRunAdmin, "date_hierarchy", "started_at")
    client = log_in("viewer")
    base = address("workflowrun_changelist")
    for query in ("version=1", "key__isempty=1", "started_at__year=2020&started_at__month=2"):
        assert client.get(f"{base}?{query}").status_code == 200, query
    for query in ("version__regex=1", "key__startswith=a", "ended_at__year=2020"):
        assert client.get(f"{base}?{query}").status_code == 400, query


@pytest.mark.parametrize("parameter", PARAMETERS)
@pytest.mark.parametrize("model", LISTS)
def test_strange_values_find_nothing_or_are_refused(
    log_in: LogIn, run: WorkflowRun, model: str, parameter: str
) -> None:
    client = log_in("boss")
    for value in STRANGE:
        query = urlencode({parameter: value}, errors="surrogateescape")
        answer = client.get(f"{address(f'{model}_changelist')}?{query}", follow=True)
        assert answer.status_code in {200, 400}, value
        if answer.status_code == 200 and "\0" in value and parameter in {"flow", "last", "q"}:
            assert answer.context["cl"].result_count == 0


@pytest.mark.parametrize(
    "action",
    [
        *("delete_selected", "\0"),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("switch_on", "switch_off", "export")
        ),
    ],
)
@pytest.mark.parametrize("model", LISTS)
def test_strange_selections_select_nothing(
    log_in: LogIn, run: WorkflowRun, model: str, action: str
) -> None:
    client = log_in("boss")
    for value in (*STRANGE[:-1], "unknown"):
        for more in ({}, {"post": "yes"}, {"index": "--5"}, {"index": "9" * 5000}):
            data = {"action": action, "_selected_action": [value], **more}
            answer = client.post(address(f"{model}_changelist"), data, follow=True)
            assert answer.status_code in {200, 403}, (value, more)
    assert Workflow.objects.get().is_active
    assert WorkflowRun.objects.count() == 1


def test_actions_that_a_site_adds_to_runs_take_only_ids(
    log_in: LogIn, run: WorkflowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []

    def note(modeladmin: object, request: object, queryset: Iterable[WorkflowRun]) -> None:
        taken.extend(queryset)

    monkeypatch.setattr(WorkflowRunAdmin, "actions", [note])
    data = {"action": "note", "_selected_action": ["\0", "x", str(run.pk)]}
    answer = log_in("boss").post(address("workflowrun_changelist"), data)
    assert answer.status_code == 302
    assert taken == [run]


@pytest.mark.parametrize(
    ("model", "field"), [("workflowstepstate", "run"), ("workflowstep", "workflow")]
)
def test_nobody_completes_names_of_ours(
    log_in: LogIn, run: WorkflowRun, model: str, field: str
) -> None:
    query = {"app_label": "pgflow_django", "model_name": model, "field_name": field, "term": "n"}
    for role in ("bare", "viewer", "boss"):
        assert log_in(role).get("/admin/autocomplete/", query).status_code == 404


@pytest.mark.parametrize("model", [Workflow, WorkflowRun])
def test_forms_of_a_site_complete_names_of_ours(
    run: WorkflowRun, rf: RequestFactory, model: type[Model]
) -> None:
    owner = admin.site.get_model_admin(model)
    request = rf.get("/", {"app_label": "shop", "model_name": "order", "field_name": "flow"})
    assert owner.get_search_fields(request)
    for term, count in (("", 1), ("numbers", 1), ("other", 0), ("\0", 0), ("numbers\0", 0)):
        found, _ = owner.get_search_results(request, model._default_manager.all(), term)
        assert found.distinct().count() == count, term


def test_facets_do_not_count_all_runs(log_in: LogIn, run: WorkflowRun) -> None:
    client = log_in("boss")
    base = address("workflowrun_changelist")
    client.get(base)
    with CaptureQueriesContext(connection) as plain:
        client.get(base)
    with CaptureQueriesContext(connection) as faceted:
        client.get(f"{base}?_facets=True")
    assert len(plain) == len(faceted)


def test_the_selection_for_deleting_names_no_flow_that_is_hidden(
    log_in: LogIn, run: WorkflowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_flow("hidden_one")
    shown = Workflow.objects.exclude(pk="hidden_one")
    monkeypatch.setattr(WorkflowAdmin, "get_queryset", lambda self, request: shown.all())
    client = log_in("boss")
    data = {"action": "delete_selected", "_selected_action": ["numbers", "hidden_one"]}
    page = client.post(address("workflow_changelist"), data).content.decode()
    assert "numbers" in page
    assert "hidden_one" not in page


#: Pages with what they read of their address; ``*`` is where the strange value stands.
ADDRESSES = (
    *("workflow/numbers/edit/?step=*&view=*", "workflow/numbers/panel/?step=*&view=*"),
    *("workflow/numbers/run/?from=*&mode=*", "workflow/new/?begin=*", "workflow/*/edit/"),
    *("workflow/*/run/", "workflow/*/import/", "workflow/*/history/", "workflow/*/export.json"),
    *("workflow/*/diagram.svg", "workflow/*/delete/", "workflow/*/change/"),
    *("workflow/numbers/history/*/diff/", "workflow/numbers/*/", "workflow/numbers/*"),
    *("workflowrun/{run}/change/?step=*", "workflowrun/{run}/live/?direction=*"),
    *("workflowrun/{run}/step/?step=*", "workflowrun/{run}/*.json", "workflowrun/{run}/*/"),
    *("workflowrun/*/change/", "workflowworker/?q=*&state=*", "workflowworker/*/change/"),
)
#: Forms with what they send.
FORMS: Mapping[str, tuple[str, ...]] = {
    "workflow/new/": ("name", "begin"),
    "workflow/import/": ("text", "confirm"),
    "workflow/numbers/import/": ("text", "confirm"),
    "workflow/numbers/run/": ("input", "token", "mode", "f-count", "f-day", "f-name", "f-kind"),
    "workflow/numbers/publish/": ("version", "selected", "view"),
    "workflow/numbers/validate/": ("selected", "view"),
    "workflow/numbers/presence/": ("key",),
    "workflowrun/{run}/retry/": ("step",),
}
SCHEMA = {
    "properties": {
        "count": {"type": "integer", "minimum": 1},
        "day": {"type": "string", "format": "date"},
        "name": {"type": "string"},
        "kind": {"enum": ["a", 1, None]},
    }
}


@pytest.mark.parametrize("place", ADDRESSES)
def test_strange_values_in_an_address_break_no_page(
    log_in: LogIn, run: WorkflowRun, place: str
) -> None:
    client = log_in("boss")
    for value in (*STRANGE, "..", "\ufffd", "a/b"):
        text = quote(value, safe="", errors="surrogateescape")
        path = "/admin/pgflow_django/" + place.format(run=run.pk).replace("*", text)
        assert client.get(path, follow=True).status_code in {200, 204, 400, 404, 405}, path


@pytest.mark.parametrize("place", FORMS)
def test_strange_values_in_a_form_break_no_page(
    log_in: LogIn, run: WorkflowRun, place: str
) -> None:
    Workflow.objects.filter(pk="numbers").update(input_schema=SCHEMA)
    client = log_in("boss", headers={"HX-Request": "true"})
    path = "/admin/pgflow_django/" + place.format(run=run.pk)
    for name in FORMS[place]:
        for value in (
            *STRANGE[:-1],
            "NaN",
            "1e400",
            "9" * 5000,
            '"\\u0000"',
            '{"a": 1e400}',
            "[" * 999,
        ):
            usual = {"mode": "form" if name.startswith("f-") else "json", "input": "{}"}
            answer = client.post(path, {**usual, name: value})
            assert answer.status_code in {200, 204, 302, 409, 422}, (name, value[:20])


@pytest.mark.parametrize("cookie", ["", "\x01", "auto.0x0", "LR.9999x9999", "TB.1x1", "x" * 3000])
def test_strange_cookies_break_no_page(log_in: LogIn, run: WorkflowRun, cookie: str) -> None:
    client = log_in("boss")
    client.cookies["pgf_view"] = cookie
    assert client.get(address("workflow_edit", "numbers")).status_code == 200
    assert client.get(address("workflowrun_change", run.pk)).status_code == 200


@pytest.mark.parametrize("number", ["1_0", "\uff11\uff12", "\u0663", "--5", "1e400", "9" * 5000])
def test_what_is_no_number_starts_no_run(log_in: LogIn, flow: str, number: str) -> None:
    Workflow.objects.filter(pk=flow).update(input_schema=SCHEMA)
    answer = log_in("boss").post(address("workflow_run", flow), {"f-count": number})
    assert answer.status_code == 422
    assert not WorkflowRun.objects.exists()
