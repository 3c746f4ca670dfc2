"""The HTTP API: every operation at its address, and one shape for whatever is wrong."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings

from pgflow_django import executor
from pgflow_django.agents.http import serve
from pgflow_django.agents.operations import OPERATIONS
from pgflow_django.agents.tokens import revoke_token
from pgflow_django.choices import Access
from pgflow_django.models import AgentCall, AgentToken, WorkflowRevision, WorkflowRun
from project import flows as airports
from tests.agents.calling import ROOT, Program, make_client, read_error, sign_in
from tests.agents.test_operations import DOCUMENT
from tests.documentation import DOCS, read_blocks, read_commands
from tests.views.conftest import make_flow, run_flow, steps

__all__ = ["steps"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

LARGEST = 2 * 1024 * 1024


@pytest.fixture(autouse=True)
def _writing() -> Iterator[None]:
    with override_settings(PGFLOW={"AGENTS": "write"}):
        yield


@pytest.fixture
def program() -> Program:
    return sign_in()


@pytest.fixture
def openapi(program: Program) -> Any:
    response = program.send("GET", "/openapi.json")
    assert response.status_code == 200
    return response.json()


def test_a_flow_is_drawn_handed_in_run_and_explained(program: Program) -> None:
    saved = program.get("save_flow", document=DOCUMENT, note="as asked", model="m-1")
    assert (saved["version"], saved["problems"]) == (1, [])
    patch = [{"op": "add", "path": "/description", "value": "Adds."}]
    assert program.get("patch_flow", slug="adding", version=1, patch=patch)["version"] == 2
    handed = program.get("publish_flow", slug="adding", version=2)
    assert handed["status"] == "waiting_for_approval"
    assert handed["url"].startswith("http://testserver/admin/")
    provenance = WorkflowRevision.objects.earliest("seq").provenance
    assert provenance is not None
    assert (provenance["via"], provenance["token"]) == ("http", "bot")
    make_flow("numbers")
    run = program.get("start_run", slug="numbers", input={}, key="once")
    executor.drain(timeout=30)
    done = program.get("get_run", run_id=run["run_id"], wait_seconds=0.5, steps=False, payload=True)
    assert (done["status"], done["steps"]) == ("completed", [])
    assert program.get("explain_run", run_id=run["run_id"])["status"] == "completed"
    assert program.get("list_runs", slug="numbers", status=["completed", "failed"])["runs"]
    assert program.get("cancel_run", run_id=run["run_id"])["status"] == "completed"
    assert WorkflowRun.objects.get().via == "http"
    assert set(AgentCall.objects.values_list("via", "code")) == {("http", "")}


def test_what_a_client_calls_itself_is_kept(program: Program) -> None:
    program.send("GET", "/flows", headers={"User-Agent": "curl/8 " + "x" * 500})
    assert AgentCall.objects.get().client.startswith("curl/8 xxx")


def test_arguments_of_a_query_have_their_types(program: Program) -> None:
    make_flow("numbers")
    found = program.send("GET", "/functions?names=fetch&names=double&detail=full&limit=1").json()
    assert (found["total"], len(found["functions"])) == (2, 1)
    assert "properties" in program.get("get_flow_schema", strict=True)["schema"]
    assert program.send("GET", "/flows?query=numb&limit=5&cursor=").json()["flows"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        *(("limit=many", "/limit"), ("limit=0", "/limit"), ("limit=1.5", "/limit")),
        *(("limit=", "/limit"), ("limit=1&limit=2", "/limit"), ("limit=1_0", "/limit")),
        *(("limt=1", "/limt"), ("query=%00", ""), ("limit=" + "9" * 5000, "/limit")),
    ],
)
def test_a_wrong_query_is_refused_with_its_place(
    program: Program, query: str, pointer: str
) -> None:
    response = program.send("GET", f"/flows?{query}")
    assert read_error(response) == (422, "invalid_arguments")
    assert response.json()["error"].get("pointer", "") == pointer
    assert AgentCall.objects.get().code == "invalid_arguments"


def test_an_unknown_key_is_refused_with_what_was_meant(program: Program) -> None:
    response = program.send("POST", "/validate", {"documnt": {}})
    assert read_error(response) == (422, "invalid_arguments")
    suggested = [each.get("suggestions") for each in response.json()["error"]["problems"]]
    assert ["document"] in suggested


def test_what_stands_in_the_address_stands_nowhere_else(program: Program) -> None:
    make_flow("numbers")
    body = {"slug": "others", "version": 0}
    assert read_error(program.send("POST", "/flows/numbers/publish", body))[0] == 422
    other = {"document": DOCUMENT}
    assert read_error(program.send("PUT", "/flows/numbers/draft", other))[0] == 422
    assert program.send("PUT", "/flows/adding/draft", other).status_code == 200


def test_a_body_may_be_left_out_where_nothing_must_be_said(program: Program) -> None:
    make_flow("numbers")
    run = program.get("start_run", slug="numbers")
    path = f"/runs/{run['run_id']}/cancel"
    assert program.send("POST", path, content_type="").status_code == 200
    assert program.send("POST", path, {}).json()["status"] == "cancelled"


# -- what is no call ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        *((b"{", 400, "invalid_json"), (b"\xff\xfe{}", 400, "invalid_json")),
        *((b"   ", 400, "invalid_json"), (b'{"a": NaN}', 400, "invalid_json")),
        *((b'{"document": 1e999}', 422, "invalid_arguments"), (b"{'a': 1}", 400, "invalid_json")),
        (b'{"document": ' + b"9" * 5000 + b"}", 400, "invalid_json"),
        (b"[" * 100_000, 422, "document_too_deep"),
        (b'{"document": ' + b"[" * 100_000, 422, "document_too_deep"),
        (b'{"document": ' + b"[" * 200 + b"]" * 200 + b"}", 422, "document_too_deep"),
        *((b"[]", 422, "invalid_arguments"), (b"null", 422, "invalid_arguments")),
        *((b"", 422, "invalid_arguments"), (b"{}", 422, "invalid_arguments")),
        (b'{"document": []}', 422, "invalid_arguments"),
        (b'{"document": {"workflow_slug": "\\ud800"}}', 422, "invalid_arguments"),
        (b'{"document": {"workflow_slug": "\\u0000"}}', 422, "invalid_arguments"),
    ],
)
def test_a_body_that_is_none_is_refused(
    program: Program, body: bytes, status: int, code: str
) -> None:
    assert read_error(program.send("POST", "/validate", body)) == (status, code)
    assert AgentCall.objects.get().code == code


@pytest.mark.parametrize(
    "kind",
    [
        *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""),
        *("application/json; charset=latin-1", "application/xml", "application/jsonp"),
    ],
)
def test_only_json_is_read(program: Program, kind: str) -> None:
    response = program.send("POST", "/validate", b'{"document": {}}', content_type=kind)
    assert read_error(response) == (415, "unsupported_media_type")
    assert AgentCall.objects.get().code == "unsupported_media_type"


@pytest.mark.parametrize("kind", ["application/json; charset=UTF-8", "APPLICATION/JSON"])
def test_json_is_known_however_it_is_written(program: Program, kind: str) -> None:
    response = program.send("POST", "/validate", b'{"document": {}}', content_type=kind)
    assert response.status_code == 200


def test_a_large_request_is_refused_before_it_is_read(program: Program) -> None:
    large = program.send("POST", "/validate", b" " * (LARGEST + 1))
    assert read_error(large) == (413, "request_too_large")
    assert AgentCall.objects.get().code == "request_too_large"
    padded = b'{"document": {}}'.ljust(LARGEST)
    assert program.send("POST", "/validate", padded).status_code == 200
    with override_settings(PGFLOW={"AGENT_MAX_BYTES": 10}):
        assert program.send("POST", "/validate", {"document": {}}).status_code == 413
    # Django's own limit, which would answer with a page, is not asked.
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10):
        assert program.send("POST", "/validate", {"document": {}}).status_code == 200


def test_a_query_of_too_many_parts_is_refused(program: Program) -> None:
    response = program.send("GET", "/flows?" + "&".join(f"a{n}=1" for n in range(2000)))
    assert read_error(response) == (400, "unreadable_request")


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/nothing", "/flows/", "/flows/a/b", "/docs", "/flows//draft", "/flows/a%2Fb"),
        *("/runs/1/cancel/x", "/%0A", "/openapi.json/", "/%F0%28", "/\u2028"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_where_nothing_is_there_is_json(program: Program, method: str, path: str) -> None:
    assert read_error(program.send(method, path)) == (404, "not_found")


@pytest.mark.parametrize("slug", ["no-slug", "%00", "%0A", "a b", "x" * 5000, "%E2%80%AE", ".."])
def test_a_flow_of_no_name_is_not_found_or_refused(program: Program, slug: str) -> None:
    for method, tail, body in (("GET", "", None), ("POST", "/publish", {"version": 0})):
        status, _ = read_error(program.send(method, f"/flows/{slug}{tail}", body))
        assert status in {404, 422}


@pytest.mark.parametrize("method", ["DELETE", "PUT", "HEAD", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_refused_with_those_that_are_known(program: Program, method: str) -> None:
    for path, known in (("/flows", "GET"), ("/validate", "POST"), ("/openapi.json", "GET")):
        response = program.send(method, path)
        assert (response.status_code, response["Allow"]) == (405, known)
    assert set(program.send("GET", "/flows/a/draft")["Allow"].split(", ")) == {"PUT", "PATCH"}


# -- the door ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPERATIONS)
def test_without_a_good_token_there_is_401(name: str) -> None:
    operation = OPERATIONS[name]
    path = ROOT + operation.path.format(slug="numbers", run_id="x")
    response = make_client().generic(operation.method, path)
    assert read_error(response) == (401, "not_signed_in")
    assert response["WWW-Authenticate"] == "Bearer"
    assert AgentCall.objects.get().code == "not_signed_in"


def test_what_the_api_tells_of_itself_is_for_programs_only(program: Program) -> None:
    path = f"{ROOT}/openapi.json"
    assert read_error(make_client().get(path)) == (401, "not_signed_in")

    revoke_token(AgentToken.objects.get().pk)
    assert read_error(program.send("GET", "/openapi.json"))[0] == 401


def test_a_flood_of_strangers_does_not_fill_the_log() -> None:
    for _ in range(70):
        assert make_client().get(f"{ROOT}/flows").status_code == 401
    assert AgentCall.objects.count() == 60


def test_a_person_who_is_logged_in_is_no_program(program: Program) -> None:
    client = make_client()
    client.force_login(User.objects.get())
    assert client.get(f"{ROOT}/flows").status_code == 401


def test_where_programs_are_not_served_there_is_nothing(program: Program) -> None:
    with override_settings(PGFLOW={"AGENTS": "off"}):
        for path in ("/flows", "/openapi.json", "/nothing"):
            assert read_error(program.send("GET", path)) == (404, "agents_off")
            assert make_client().get(ROOT + path).status_code == 404


def test_a_site_that_lets_programs_read_says_so(program: Program) -> None:
    with override_settings(PGFLOW={"AGENTS": "read"}):
        assert program.get("list_flows") == {"flows": [], "next": ""}
        assert program.refused("save_flow", document=DOCUMENT) == (403, "access_denied")


def test_who_calls_too_often_is_told_when_to_come_back(program: Program) -> None:
    with override_settings(PGFLOW={"AGENT_POLICY": {"CALLS_PER_MINUTE": 1}}):
        program.get("list_flows")
        response = program.call("list_flows")
    assert read_error(response) == (429, "quota_exceeded")
    assert response["Retry-After"] == str(response.json()["error"]["retry_after"])


def test_no_session_no_cookie_and_nothing_is_cached(program: Program) -> None:
    response = program.call("list_flows")
    assert not response.cookies
    assert "no-store" in response["Cache-Control"]


def test_a_call_is_in_no_transaction_around_it() -> None:
    assert connection.alias in serve._non_atomic_requests  # type: ignore[attr-defined]


def test_what_is_served_is_escaped_for_nobody_and_no_page(program: Program) -> None:
    """A browser that is led here shows text, not a page."""
    response = program.send("GET", "/flows/%3Cscript%3E")
    assert response["Content-Type"] == "application/json"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_hosts_are_those_of_the_site(program: Program) -> None:
    program.client = Client(SERVER_NAME="elsewhere.example")
    assert program.call("list_flows").status_code == 400


# -- documentation -----------------------------------------------------------------------------


def read_curls() -> list[list[str]]:
    """The words of each curl of the docs."""
    blocks = [block for block in read_blocks(DOCS / "agents.md") if block.language == "console"]
    commands = [words for block in blocks for words, _ in read_commands(block)]
    return [words[1:] for words in commands if words[0] == "curl" and "/api/v1/" in words[-1]]


@pytest.mark.parametrize("words", read_curls(), ids=lambda words: words[-1])
def test_the_curls_of_the_docs_work(program: Program, words: list[str]) -> None:
    parser = ArgumentParser()
    parser.add_argument("-H", action="append")
    parser.add_argument("--data", default="")
    parser.add_argument("address")
    asked = parser.parse_args(words)
    headers = dict(header.split(": ", 1) for header in asked.H)
    headers["Authorization"] = headers["Authorization"].replace("$PGFLOW_TOKEN", program.secret)
    kind = headers.pop("Content-Type", "application/x-www-form-urlencoded")
    path = asked.address.removeprefix("http://localhost:8000")
    airports.install()
    method = "POST" if asked.data else "GET"
    response = make_client().generic(method, path, asked.data, content_type=kind, headers=headers)
    assert response.status_code == 200, response.content


# -- OpenAPI -----------------------------------------------------------------------------------


def test_every_operation_is_described_with_all_its_statuses(openapi: Any) -> None:
    assert openapi["openapi"].startswith("3.1")
    described = {
        each["operationId"]: (method.upper(), path, each)
        for path, methods in openapi["paths"].items()
        for method, each in methods.items()
    }
    assert set(described) == set(OPERATIONS)
    for name, (method, path, each) in described.items():
        operation = OPERATIONS[name]
        assert (method, path) == (operation.method, f"{ROOT}{operation.path}")
        assert {int(status) for status in each["responses"]} == {
            *(200, 400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
        }
        shapes = [answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                  for answer in each["responses"].values()]  # fmt: skip
        assert shapes == [operation.result.__name__, *["Failure"] * 10]
        assert operation.summary in each["description"]
        assert each["security"] == [{"Token": []}]
        assert "WWW-Authenticate" in each["responses"]["401"]["headers"]
        assert "Retry-After" in each["responses"]["429"]["headers"]


def test_every_argument_is_described_where_it_is_sent(openapi: Any) -> None:
    for methods in openapi["paths"].values():
        for method, each in methods.items():
            operation = OPERATIONS[each["operationId"]]
            model = operation.arguments
            names = {field.alias or name for name, field in model.model_fields.items()}
            told = [(each["in"], each["name"]) for each in each["parameters"]]
            assert len(told) == len(set(told))
            body = each.get("requestBody", {}).get("content", {}).get("application/json", {})
            told_names = {name for _, name in told} | set(
                body.get("schema", {}).get("properties", ())
            )
            assert told_names - {"slug"} == names - {"slug"}
            assert {place for place, _ in told} <= (
                {"path", "query"} if method == "get" else {"path"}
            )
            if body:
                assert body["schema"]["additionalProperties"] is False


def test_all_schemas_are_schemas(openapi: Any) -> None:
    for schema in openapi["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    assert openapi["components"]["securitySchemes"]["Token"]["scheme"] == "bearer"


def test_answers_are_as_described(program: Program, openapi: Any) -> None:
    make_flow("numbers")
    run = run_flow("numbers")
    calls: dict[str, dict[str, Any]] = {
        "search_step_functions": {"query": "double"},
        "get_flow_schema": {},
        "list_flows": {},
        "get_flow": {"slug": "numbers"},
        "validate_flow": {"document": DOCUMENT},
        "simulate_flow": {"slug": "numbers"},
        "diff_flow": {"slug": "numbers"},
        "list_runs": {},
        "get_run": {"run_id": str(run.pk)},
        "explain_run": {"run_id": str(run.pk)},
    }
    for name, arguments in calls.items():
        schema = {"$ref": f"#/components/schemas/{OPERATIONS[name].result.__name__}", **openapi}
        jsonschema.validate(program.get(name, **arguments), schema)


def test_a_token_of_less_access_is_told_what_it_needs() -> None:
    reader = sign_in(access=Access.READ)
    assert reader.refused("save_flow", document=DOCUMENT) == (403, "access_denied")
