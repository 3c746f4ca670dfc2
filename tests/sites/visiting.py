"""Looks at every page of one admin, and uses its forms as a browser does."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.signals import got_request_exception
from django.http import HttpResponse
from django.test import Client, override_settings
from django.utils.translation import get_language_bidi

from pgflow_django import drafts
from pgflow_django.models import WorkflowRun
from pgflow_django.views.urls import FLOW_PAGES, RUN_PAGES
from tests.sites.markup import Form, machine_view, read_forms
from tests.sites.sample import LARGE

#: As which numbers and words are written where a site says nothing of them.
PLAIN = {"USE_THOUSAND_SEPARATOR": False, "LANGUAGE_CODE": "en-us"}
#: Flows whose pages are looked at: with a draft, without one, never published.
_FLOWS = ("numbers", "broken", "drawn")
#: Runs of which every page is looked at; of the others their own.
_LOOKED_AT = ("completed", "failed")
#: Pages that some of them do not have.
_NOT_OF = {"diff": ("broken", "drawn"), "run": ("drawn",), "delete": ("drawn",)}
_QUERIES = {
    "workflow": ("", "?q=first", "?last=completed", "?on=1", "?origin=api", "?o=-2"),
    "workflowrun": ("", "?q=key", "?state=active", "?flow=numbers", "?o=-2"),
    "workflowworker": ("",),
    "edit/": ("?view=list", "?view=list&step=each", "?step=first"),
    "canvas/": ("?view=list&step=first",),
    "panel/": ("?step=first", "?step=each"),
    "run/": ("?mode=json", "?mode=form", "?from=sample&mode=json"),
    "live/": ("?step=first",),
    "step/": ("?step=each", "?step=first"),
}
_LINK = re.compile(r'(?:href|action|hx-get|hx-post|data-[a-z]+-url)="(/[^"]*)"')
_DOCUMENT = {
    "workflow_slug": "x",
    "timeout": 3600,
    "steps": [{"slug": "site_list", "timeout": 7200}],
}


class Visitor:
    """Somebody who may do everything in the admin at ``root``; ``complaints`` is what he met."""

    def __init__(self, root: str, runs: dict[str, UUID]) -> None:
        self.root = root
        self.runs = runs
        self.complaints: list[str] = []
        self._raised: list[str] = []
        self._client = Client(raise_request_exception=False)
        users = get_user_model().objects
        name = f"boss{root.count('/')}@example.org"
        user = users.filter(**{get_user_model().USERNAME_FIELD: name}).first()
        self._client.force_login(user or users.create_superuser(name))

    def look(self) -> list[str]:
        """Look at all, do all, and give the complaints."""
        got_request_exception.connect(self._note)
        try:
            for path in self.addresses():
                self._compare(path)
            self._use_editor()
            self._start_and_import()
            self._end()
        finally:
            got_request_exception.disconnect(self._note)
        return self.complaints

    def addresses(self) -> Iterator[str]:
        """Every page that is there to be looked at, from the tables of addresses."""
        flows, runs = self._at("workflow"), self._at("workflowrun")
        yield from (self.root, self._at(""))
        for model in ("workflow", "workflowrun", "workflowworker"):
            yield from (self._at(model) + query for query in _QUERIES[model])
        for page in FLOW_PAGES:
            if "GET" not in page.methods:
                continue
            for slug in _FLOWS if "<slug" in page.route else ("",):
                if slug in _NOT_OF.get(page.name, ()):
                    continue
                route = re.sub("<slug:slug>", slug, page.route).replace("<int:seq>", "1501")
                yield from _with_queries(flows + route)
        for state, run in self.runs.items():
            for page in RUN_PAGES:
                if page.name == "output" and state != "completed":
                    continue  # a step that failed gave nothing
                if "GET" in page.methods and (state in _LOOKED_AT or page.name == "change"):
                    route = page.route.replace("<uuid:run_id>", str(run))
                    route = route.replace("<slug:step>", "first").replace("<int:index>", "0")
                    yield from _with_queries(runs + route.replace("<str:which>", "input"))

    def _at(self, model: str, rest: str = "") -> str:
        return f"{self.root}pgflow_django/{f'{model}/' if model else ''}{rest}"

    # Asking

    def _note(self, request: Any = None, **_: Any) -> None:
        import traceback

        self._raised.append(traceback.format_exc())

    def _ask(self, path: str, data: Any = None, *, wanted: int = 200, htmx: bool = False) -> str:
        response = self._send(path, data, htmx=htmx)
        # A log without lines has nothing to give.
        fine = {200, 204, 302} if wanted == 200 else {wanted}
        if response.status_code not in fine:
            self._complain(f"{path} {data or ''} answered {response.status_code}")
        return _text_of(response)

    def _send(self, path: str, data: Any, *, htmx: bool) -> Any:
        headers = {"HX-Request": "true"} if htmx else {}
        if data is None:
            return self._client.get(path, headers=headers)
        return self._client.post(path, data, headers=headers)

    def _complain(self, what: str) -> None:
        raised, self._raised = self._raised, []
        self.complaints.append("\n".join([what, *raised]))

    def _compare(
        self, path: str, data: Any = None, *, wanted: int = 200, htmx: bool = False
    ) -> None:
        """Ask, which changes nothing, here and in a plain site: programs read the same of both."""
        here = self._ask(path, data, wanted=wanted, htmx=htmx)
        self._check_frame(path, here)
        if not settings.USE_THOUSAND_SEPARATOR:
            return
        with _plain():
            there = self._ask(path, data, wanted=wanted, htmx=htmx)
        mine, theirs = Counter(machine_view(here)), Counter(machine_view(there))
        for piece in (mine - theirs) | (theirs - mine):
            self.complaints.append(f"{path}: {piece[:300]} in one of them only")

    def _check_frame(self, path: str, text: str) -> None:
        if "<html" not in text:
            return
        if ('dir="rtl"' in text) != get_language_bidi():
            self.complaints.append(f"{path}: the direction is not that of the language")
        for link in set(re.findall(r'(?:href|src)="(/static/[^"#?]+)', text)):
            name = link.removeprefix("/static/")
            if "Manifest" in settings.STORAGES["staticfiles"]["BACKEND"]:
                if not (settings.STATIC_ROOT / name).is_file():
                    self.complaints.append(f"{path}: there is no file {link}")
                elif not re.search(r"\.[0-9a-f]{12}\.\w+$", name):
                    self.complaints.append(f"{path}: {link} has no hash")
        for link in set(
            re.findall(r'(?:href|action|hx-get|hx-post|data-[a-z]+-url)="(/[^"]*)"', text)
        ):
            if link != "/" and not link.startswith((self.root, "/static/")):
                self.complaints.append(f"{path}: {link} leads out of this admin")

    # Doing

    def _form(self, path: str, wish: str, data: Any = None) -> Form:
        """The form of a page that has these words in its attributes or fields."""
        for form in read_forms(self._ask(path, data)):
            if wish in {*form.attributes.values(), *form.fields, *form.fields.get("op", ())}:
                return form
        self._complain(f"{path} has no form {wish}")
        return Form({})

    def _use_editor(self) -> None:
        flow = self._at("workflow", "numbers/")
        before = drafts.load("numbers").document
        self._save(flow, "pgf-flow-form", "", {"description": "Changed"})
        before["description"] = "Changed"
        self._expect(before)
        self._save(flow, "pgf-step-form", "?step=first", {"queue": "gpu"})
        before["steps"][0]["queue"] = "gpu"
        self._expect(before)
        version = str(drafts.load("numbers").version)
        step = {"op": "add_step", "slug": "more", "view": "diagram"}
        self._compare(f"{flow}op/", {**step, "version": "1"}, wanted=409, htmx=True)
        wrong = {**step, "slug": "no name", "version": version}
        self._compare(f"{flow}op/", wrong, wanted=422, htmx=True)
        self._compare(f"{flow}validate/", {"version": version}, htmx=True)
        self._ask(f"{flow}presence/", {"version": version}, htmx=True)
        self._ask(f"{flow}op/", {**step, "version": version}, htmx=True)
        undo = self._form(f"{flow}edit/", "undo")
        self._ask(f"{flow}op/", undo.fields, htmx=True)
        self._expect(before)
        publish = self._form(f"{flow}edit/", f"{flow}publish/")
        self._ask(f"{flow}publish/", publish.fields)

    def _save(self, flow: str, name: str, query: str, values: dict[str, str]) -> None:
        form = self._form(f"{flow}edit/{query}", name)
        op = form.attributes.get("data-op", "")
        data = {**form.fields, **values, "op": op}
        self._ask(f"{flow}op/", data, htmx=True)

    def _expect(self, document: dict[str, Any]) -> None:
        found = drafts.load("numbers").document
        if found != document:
            self._complain(f"the draft is {json.dumps(found)}, not {json.dumps(document)}")

    def _start_and_import(self) -> None:
        flow, known = self._at("workflow", "numbers/"), WorkflowRun.objects.count()
        for mode in ("form", "json"):
            form = self._form(f"{flow}run/?mode={mode}", "token")
            self._ask(f"{flow}run/?mode={mode}", form.fields, wanted=302)
        if WorkflowRun.objects.count() != known + 2:
            self._complain("two forms did not start two runs")
        newest = WorkflowRun.objects.order_by("-id").first()
        if newest is not None and newest.input.get("count") != LARGE:
            self._complain(f"a form started a run with {newest.input}")
        page, text = (
            self._at("workflow", "import/"),
            json.dumps({"workflow_slug": "x", **_DOCUMENT}),
        )
        self._compare(page, {"text": text})
        confirm = self._form(page, "confirm", {"text": text})
        self._ask(page, confirm.fields, wanted=302)
        if drafts.load("x").document["timeout"] != 3600:
            self._complain("an import has lost its timeout")
        self._ask(self._at("workflow", "new/"), {"name": "empty"}, wanted=302)

    def _end(self) -> None:
        """What is done to runs and flows at their end, with its trace in the admin's log."""
        runs, flows = self._at("workflowrun"), self._at("workflow")
        for name, act in (("queued", "cancel"), ("failed", "retry")):
            self._ask(f"{runs}{self.runs[name]}/{act}/", {}, wanted=302)
            self._ask(f"{runs}{self.runs[name]}/change/")  # which says that it is done
            self._compare(f"{runs}{self.runs[name]}/history/")
        chosen = {"_selected_action": ["numbers", "delayed"], "index": "0"}
        for action in ("export", "switch_off", "switch_on"):
            self._ask(flows, {**chosen, "action": action})
        delayed = {"_selected_action": ["retrying"], "action": "delete_selected", "index": "0"}
        self._ask(flows, delayed)
        self._ask(f"{runs}{self.runs['failed']}/cancel/", {}, wanted=302)
        self._ask(f"{flows}broken/delete/", {"post": "yes"}, wanted=302)
        self._ask(flows)
        self._compare(flows)


def _with_queries(path: str) -> Iterator[str]:
    yield path
    last = f"{path.rstrip('/').rpartition('/')[2]}/"
    yield from (path + query for query in _QUERIES.get(last, ()))


@contextmanager
def _plain() -> Iterator[None]:
    with override_settings(**PLAIN):
        yield


def _text_of(response: HttpResponse) -> str:
    content = getattr(response, "content", b"")
    return bytes(content).decode(errors="replace")
