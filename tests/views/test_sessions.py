"""Where a session has ended while somebody works: nothing is lost without a word."""

from __future__ import annotations

import pytest
from django.test import Client

from pgflow_django import drafts
from tests.views.conftest import LogIn, address, run_flow

pytestmark = pytest.mark.django_db

EDITOR = (
    "edit",
    "panel",
    "canvas",
    "op",
    "validate",
    "publish",
    "presence",
    "trial",
    "hand_in",
    "return",
)


@pytest.mark.parametrize("page", EDITOR)
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_editor_stays_where_it_is(flow: str, page: str, method: str) -> None:
    answer = getattr(Client(), method)(
        address(f"workflow_{page}", flow), headers={"HX-Request": "true"}
    )
    assert answer.status_code == 401
    assert answer.content == b""
    assert "HX-Redirect" not in answer


@pytest.mark.parametrize("name", ["live", "step", "change"])
def test_pages_that_are_only_looked_at_lead_to_the_login_and_back(flow: str, name: str) -> None:
    here = address("workflowrun_change", run_flow().pk)
    answer = Client().get(
        here.replace("change/", f"{name}/"),
        headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver{here}?tall=1"},
    )
    assert answer.status_code == 204
    assert answer["HX-Redirect"] == f"/admin/login/?next={here.replace('/', '%2F')}%3Ftall%3D1"


@pytest.mark.parametrize("page", ["op", "publish", "run", "import"])
def test_who_has_sent_a_form_is_told_that_it_was_not_taken(
    log_in: LogIn, flow: str, page: str
) -> None:
    log_in("boss")
    client, here = Client(), address("workflow_edit", flow)
    answer = client.post(
        address(f"workflow_{page}", flow), headers={"Referer": f"http://testserver{here}"}
    )
    assert answer.status_code == 302
    assert answer["Location"] == f"/admin/login/?next={here.replace('/', '%2F')}"
    login = client.get(answer["Location"]).content.decode()
    assert "You were logged out: what you sent was not saved." in login
    assert drafts.load(flow).version == 0


@pytest.mark.parametrize("referer", ["", "http://[", "//evil.example/", "http://evil.example/x"])
def test_the_way_back_is_never_out_of_the_site(flow: str, referer: str) -> None:
    answer = Client().post(address("workflow_op", flow), headers={"Referer": referer})
    assert answer["Location"] == "/admin/login/?next=%2Fadmin%2F"


@pytest.mark.parametrize(
    "back", ["http://evil.example//evil.example/x", "//evil.example", "http://["]
)
def test_the_login_never_leads_to_another_site(flow: str, back: str) -> None:
    polled = Client().get(
        address("workflowrun_live", run_flow().pk),
        headers={"HX-Request": "true", "HX-Current-URL": back},
    )
    assert polled["HX-Redirect"] == "/admin/login/?next=%2Fadmin%2F"
    sent = Client().post(address("workflow_op", flow), headers={"Referer": back})
    assert sent["Location"] == "/admin/login/?next=%2Fadmin%2F"
