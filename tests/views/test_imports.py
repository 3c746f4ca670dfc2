"""Importing with a preview, and the history with its differences."""

from __future__ import annotations

import json
import re
from html import escape, unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from pgflow_django import drafts
from tests.views.conftest import LogIn, address

pytestmark = pytest.mark.django_db

NEW = {
    "workflow_slug": "new_one",
    "steps": [{"slug": "fetch"}, {"slug": "pay", "depends_on": ["fetch"]}],
}
CHANGED = {
    "workflow_slug": "numbers",
    "steps": [
        {"slug": "fetch"},
        {"slug": "double", "depends_on": ["fetch"], "type": "map", "timeout": 99},
        {"slug": "extra", "depends_on": ["double"]},
    ],
}


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def preview(client: Client, document: Any, path: str = "") -> tuple[str, str]:
    """The page of a preview, and the token that confirms it."""
    text = document if isinstance(document, str) else json.dumps(document)
    response = client.post(path or address("workflow_import_new"), {"text": text})
    page = response.content.decode()
    token = re.search(r'name="confirm" value="([^"]+)"', page)
    assert response.status_code == (200 if "data-pgf" in page else 422)
    return page, token[1] if token else ""


def confirm(client: Client, token: str, path: str = "") -> Any:
    return client.post(path or address("workflow_import_new"), {"confirm": token})


def test_a_document_without_a_name_is_told_what_to_add(client: Client) -> None:
    page, token = preview(client, {"steps": [{"slug": "fetch"}]})
    assert token == ""
    assert "The workflow_slug is missing: it names the flow" in page
    assert "None" not in page


def test_what_confirms_an_import_stands_above_all_that_it_changes(client: Client) -> None:
    page, token = preview(client, NEW)
    assert page.index(token) < page.index('id="pgf-stage"')


def test_a_new_flow_is_drawn_before_it_is_stored(client: Client) -> None:
    page, token = preview(client, NEW)
    assert "makes the new flow new_one" in page
    assert page.count("pgf-node pgf-single pgf-completed") == 2
    with pytest.raises(LookupError):
        drafts.load("new_one")
    response = confirm(client, token)
    assert response["Location"] == address("workflow_edit", "new_one")
    assert [step["slug"] for step in drafts.load("new_one").document["steps"]] == ["fetch", "pay"]
    assert LogEntry.objects.get().object_id == "new_one"


def test_back_leads_to_the_document_as_it_was_written(client: Client) -> None:
    path, text = address("workflow_import_new"), json.dumps(NEW, indent=3)
    page = client.post(path, {"text": text}).content.decode()
    kept = re.search(r'<input type="hidden" name="text" value="([^"]*)"', page)
    assert kept
    assert unescape(kept[1]) == text
    back = client.post(path, {"back": "", "text": text})
    assert back.status_code == 200
    assert f">{escape(text)}</textarea>" in back.content.decode()


def test_changes_are_drawn_and_listed_and_can_be_undone(client: Client, flow: str) -> None:
    page, token = preview(client, CHANGED)
    for look, slug in {"completed": "extra", "failed": "report", "retrying": "double"}.items():
        assert re.search(rf'class="pgf-node pgf-\w+ pgf-{look}"[^>]*id="pgf-step-{slug}"', page)
    assert "timeout" in page
    assert drafts.load(flow).version == 0
    confirm(client, token)
    draft = drafts.load(flow)
    assert draft.can_undo
    assert [step["slug"] for step in draft.document["steps"]] == ["fetch", "double", "extra"]


def test_a_file_is_read(client: Client) -> None:
    file = SimpleUploadedFile("flow.json", b"\xef\xbb\xbf" + json.dumps(NEW).encode())
    response = client.post(address("workflow_import_new"), {"file": file, "text": ""})
    assert "makes the new flow" in response.content.decode()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"\xff\xfe\x00", "not UTF-8 text"), (b" " * (1024 * 1024 + 1), "larger than 1024 KiB")],
)
def test_a_file_that_cannot_be_read_is_refused(
    client: Client, content: bytes, complaint: str
) -> None:
    file = SimpleUploadedFile("flow.json", content)
    response = client.post(address("workflow_import_new"), {"file": file})
    assert response.status_code == 422
    assert complaint in response.content.decode()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"workflow_slug": "x",\n "steps": [}', "Line 2, column 12"),
        ("", "no text"),
        ("[]", "is a JSON object"),
        ('{"workflow_slug": "x", "steps": [{"slug": "<script>alert(1)</script>"}]}', "Line 1"),
        ('{"workflow_slug": "x", "workflow_slug": "y", "steps": []}', "Line 1, column 24"),
        (json.dumps({**NEW, "steps": [{"slug": "a", "depends_on": ["b"]}]}), "&quot;b&quot;"),
    ],
)
def test_a_bad_document_is_refused_with_its_place(
    client: Client, text: str, complaint: str
) -> None:
    page, token = preview(client, text)
    assert complaint in page
    assert "<script>alert" not in page
    assert not token


def test_what_is_exported_is_imported_as_the_same(client: Client, flow: str) -> None:
    text = client.get(address("workflow_export_json", flow)).content.decode()
    page, token = preview(client, text)
    assert "nothing to import" in page
    assert not token


def test_a_token_is_for_one_user_one_version_and_not_made_up(
    client: Client, log_in: LogIn, flow: str
) -> None:
    _, token = preview(client, CHANGED)
    assert confirm(log_in("editor"), token).status_code == 403
    assert confirm(client, token[:-3] + "xyz").status_code == 422
    assert confirm(client, "").status_code == 422
    draft = drafts.load(flow)
    drafts.edit(flow, draft.version, "set_flow", {"description": "meanwhile"}, user="ada")
    response = confirm(client, token)
    assert response.status_code == 409
    assert "changed since the preview" in response.content.decode()
    assert len(drafts.load(flow).document["steps"]) == 3


def test_what_was_given_is_given_back_with_what_is_wrong_beside_it(
    client: Client, flow: str
) -> None:
    file = SimpleUploadedFile("flow.json", b"\xff\xfe\xfa")
    values = {"text": '{"workflow_slug": "typed"}', "file": file}
    page = client.post(address("workflow_import_new"), values).content.decode()
    assert "typed" in page
    assert re.search(r'id="pgf-file-error" role="alert">The file is not UTF-8', page)
    _, token = preview(client, CHANGED)
    drafts.edit(flow, drafts.load(flow).version, "delete_step", {"step": "report"}, user="ada")
    response = confirm(client, token)
    assert response.status_code == 409
    assert "&quot;slug&quot;: &quot;extra&quot;" in response.content.decode()


def test_those_who_may_only_add_do_not_import_into_flows(log_in: LogIn, flow: str) -> None:
    client = log_in("adder", "view_workflow", "add_workflow")
    page, token = preview(client, CHANGED)
    assert "extra" in page
    assert not token
    assert preview(client, NEW)[1]


def test_a_token_does_not_outlive_the_permission(log_in: LogIn, flow: str) -> None:
    client = log_in("editor")
    _, token = preview(client, CHANGED)
    log_in("editor")
    from django.contrib.auth.models import User

    User.objects.get(username="editor").user_permissions.clear()
    assert confirm(client, token).status_code == 404
    assert drafts.load(flow).version == 0


@pytest.fixture
def edited(flow: str) -> str:
    """Give a flow that was edited twice and published between."""
    draft = drafts.load(flow)
    edit = drafts.edit(flow, draft.version, "add_step", {"slug": "extra"}, user="ada")
    drafts.publish(flow, edit.draft.version, user="ada")
    draft = drafts.load(flow)
    drafts.edit(flow, draft.version, "update_step", {"step": "extra", "timeout": 7}, user="kurt")
    return flow


def test_the_history_says_who_did_what(client: Client, edited: str) -> None:
    page = client.get(address("workflow_history", edited)).content.decode()
    assert "ada" in page
    assert "kurt" in page
    assert "published as v2" in page
    assert page.count("Restore the state after") == 2


def test_a_difference_is_drawn(client: Client, edited: str) -> None:
    page = client.get(address("workflow_diff", edited, 1)).content.decode()
    assert re.search(r'class="pgf-node pgf-single pgf-completed"[^>]*id="pgf-step-extra"', page)
    assert page.count("pgf-waiting") == 3
    page = client.get(address("workflow_diff", edited, 2)).content.decode()
    assert re.search(r'class="pgf-node pgf-single pgf-retrying"[^>]*id="pgf-step-extra"', page)
    assert re.search(r'<td data-label="After">\s*<bdi>7</bdi></td>', page)
    assert "history begins here" in client.get(address("workflow_diff", edited, 0)).content.decode()
    assert client.get(address("workflow_diff", edited, 99)).status_code == 404


def test_an_earlier_state_is_restored_from_the_history(client: Client, edited: str) -> None:
    version = drafts.load(edited).version
    data = {"op": "restore", "seq": "0", "version": version}
    response = client.post(address("workflow_op", edited), data)
    assert response.status_code == 302
    assert len(drafts.load(edited).document["steps"]) == 3


def test_a_flow_that_was_never_edited_has_no_history(client: Client, flow: str) -> None:
    page = client.get(address("workflow_history", flow)).content.decode()
    assert "Nobody has edited this flow" in page


def test_forty_thousand_problems_are_told_on_a_small_page(client: Client) -> None:
    keys = {f"unknown_key_number_{n}": n for n in range(40_000)}
    text = json.dumps({"workflow_slug": "numbers", "steps": [{"slug": "a"}], **keys})
    assert 2**20 < len(text) < 2**21
    text = text[: text.rindex(",", 0, 2**20)] + "}"
    count = len(json.loads(text)) - 2
    page, token = preview(client, text)
    assert (token, len(page) < 256 * 1024) == ("", True)
    assert page.count("there is no key") == 50
    assert f"And {count - 50} more." in page
    assert "too long to stand here" in page


def test_a_document_with_a_problem_is_given_back_to_be_mended(client: Client) -> None:
    text = json.dumps({"workflow_slug": "numbers", "nonsense": "<x>" * 5000, "steps": []})
    page, _token = preview(client, text)
    assert "&lt;x&gt;" * 5000 in page
    assert "too long to stand here" not in page


MENDABLE = {
    "name": "new_one",
    "nodes": [{"id": "fetch", "timeout": "60s"}, {"id": "pay", "needs": "fetch"}],
}


def find_repair(page: str) -> str:
    token = re.search(r'name="repair" value="([^"]+)"', page)
    return token[1] if token else ""


def test_a_document_is_repaired_before_it_is_imported(client: Client) -> None:
    page, token = preview(client, MENDABLE)
    assert token == ""
    assert "7 mistakes can be mended" in page
    for change in ("/nodes becomes /steps.", "/timeout becomes 60.", "becomes [&#x27;fetch"):
        assert change in page
    response = client.post(address("workflow_import_new"), {"repair": find_repair(page)})
    page = response.content.decode()
    assert response.status_code == 200
    assert "makes the new flow new_one" in page
    confirm(client, page.split('name="confirm" value="')[1].split('"')[0])
    assert drafts.load("new_one").document["steps"] == [
        {"slug": "fetch", "timeout": 60},
        {"slug": "pay", "depends_on": ["fetch"]},
    ]


def test_what_a_repair_leaves_is_told_beside_the_repaired_text(client: Client) -> None:
    page, _ = preview(client, {**MENDABLE, "colour": "red", "queue": "GPU"})
    assert "2 problems are left for you then." in page
    response = client.post(address("workflow_import_new"), {"repair": find_repair(page)})
    page = response.content.decode()
    assert response.status_code == 422
    assert "there is no key &quot;colour&quot;" in page
    assert "&quot;timeout&quot;: 60" in page
    assert find_repair(page) == ""


def test_no_repair_is_offered_where_none_is_certain(client: Client) -> None:
    for document in ({"steps": [{"slug": "fetch"}]}, {**NEW, "colour": "red"}, "[", NEW):
        page, _ = preview(client, document)
        assert (find_repair(page), "Repair" in page) == ("", False)


def test_a_repair_is_for_the_user_to_whom_it_was_offered(client: Client, log_in: LogIn) -> None:
    page, _ = preview(client, MENDABLE)
    token = find_repair(page)
    path = address("workflow_import_new")
    assert log_in("editor").post(path, {"repair": token}).status_code == 403
    response = client.post(path, {"repair": f"{token[:-3]}xyz"})
    assert response.status_code == 422
    assert "too old, or not ours" in response.content.decode()
    assert client.post(path, {"confirm": token}).status_code == 422


def test_a_repair_into_a_flow_goes_on_into_that_flow(client: Client, flow: str) -> None:
    path = address("workflow_import", flow)
    page, _ = preview(client, MENDABLE, path)
    page = client.post(path, {"repair": find_repair(page)}).content.decode()
    assert "changes the draft of numbers" in page


def test_a_large_repair_is_offered_on_a_small_page(client: Client) -> None:
    steps = [{"slug": f"s_{n}", "timeout": "5s", "base_delay": "1s"} for n in range(1_500)]
    page, _ = preview(client, {"workflow_slug": "large", "steps": steps})
    assert "3000 mistakes can be mended" in page
    assert page.count("becomes 5.") == 25
    assert len(page) < 256 * 1024
    response = client.post(address("workflow_import_new"), {"repair": find_repair(page)})
    assert "makes the new flow large" in response.content.decode()
