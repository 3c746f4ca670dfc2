"""Every page inside the admin, in one table for each of its models: where, what for, for whom."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path

from pgflow_django.models import Workflow
from pgflow_django.views import access, workers
from pgflow_django.views.agents import connect, tokens
from pgflow_django.views.editor import edits, handing_in, page
from pgflow_django.views.flows import describing, export, history, imports, new, review
from pgflow_django.views.htmx import admin_page
from pgflow_django.views.page import Page
from pgflow_django.views.runs import (
    acting,
    data,
    deciding,
    live,
    log,
    simulate,
    start,
    task,
    trial,
    why,
)
from pgflow_django.views.runs import page as run

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

_LOOK = ("GET", "HEAD")
_FORM = (*_LOOK, "POST")
_CHANGE = ("POST",)


class Address(NamedTuple):
    """A page below the list of its model: its route, the end of its URL's name, and its view.

    ``asks`` is the action of ``access.can`` that the user must be allowed, with the flow or run
    that the route names; ``methods`` are those of HTTP.
    """

    route: str
    name: str
    view: Callable[..., HttpResponse]
    asks: str
    methods: tuple[str, ...] = _LOOK
    #: Whether the route has the flow as Django's own pages write it.
    is_quoted: bool = False


_FLOW = "<slug:slug>"
_RUN = "<uuid:run_id>"

#: The first that matches counts. Below the list of flows:
FLOW_PAGES = [
    Address("new/", "new", new.new, "add", _FORM),
    Address("connect/", "connect", connect.connect, "view"),
    Address("describe/", "describe_new", describing.describe_new, "describe", _FORM),
    Address(f"{_FLOW}/change/", "change", new.change, "view", is_quoted=True),
    Address(f"{_FLOW}/delete/", "delete", new.delete, "delete", _FORM, is_quoted=True),
    Address(f"{_FLOW}/export.json", "export_json", export.export_json, "view"),
    Address(f"{_FLOW}/export.py", "export_py", export.export_py, "view"),
    Address(f"{_FLOW}/diagram.svg", "diagram", export.diagram, "view"),
    Address("import/", "import_new", imports.import_new, "add", _FORM),
    Address(f"{_FLOW}/import/", "import", imports.import_flow, "import", _FORM),
    Address(f"{_FLOW}/describe/", "describe", describing.describe_flow, "describe", _FORM),
    Address(f"{_FLOW}/edit/", "edit", page.edit, "view"),
    Address(f"{_FLOW}/find/", "find", page.find, "view"),
    Address(f"{_FLOW}/canvas/", "canvas", page.canvas, "view"),
    Address(f"{_FLOW}/trial/", "trial", page.trial, "view"),
    Address(f"{_FLOW}/panel/", "panel", page.panel, "view", _FORM),
    Address(f"{_FLOW}/op/", "op", edits.op, "change", _CHANGE),
    Address(f"{_FLOW}/validate/", "validate", edits.validate, "view", _CHANGE),
    Address(f"{_FLOW}/publish/", "publish", edits.publish, "publish", _CHANGE),
    Address(f"{_FLOW}/hand-in/", "hand_in", handing_in.hand_in, "change", _CHANGE),
    Address(f"{_FLOW}/return/", "return", handing_in.send_back, "publish", _CHANGE),
    Address(f"{_FLOW}/review/", "review", review.review, "view"),
    Address(f"{_FLOW}/review/publish/", "approve", review.approve, "publish", _CHANGE),
    Address(f"{_FLOW}/review/return/", "review_return", review.send_back, "publish", _CHANGE),
    Address(f"{_FLOW}/presence/", "presence", edits.presence, "change", _CHANGE),
    Address(f"{_FLOW}/history/", "history", history.history, "view"),
    Address(f"{_FLOW}/history/<int:seq>/diff/", "diff", history.diff, "view"),
    Address(f"{_FLOW}/diff/", "compare", history.compare, "view"),
    Address(f"{_FLOW}/run/", "run", start.start, "run", _FORM),
    Address(f"{_FLOW}/try/", "try", trial.trial, "run", _FORM),
    Address(f"{_FLOW}/simulate/", "simulate", simulate.simulate, "view", _FORM),
]
#: Below the list of runs:
RUN_PAGES = [
    Address(f"{_RUN}/change/", "change", run.monitor, "view_run"),
    Address(f"{_RUN}/history/", "history", run.history, "view_run"),
    Address(f"{_RUN}/find/", "find", run.find, "view_run"),
    Address(f"{_RUN}/live/", "live", live.live, "view_run"),
    Address(f"{_RUN}/details/", "details", live.details, "view_run"),
    Address(f"{_RUN}/step/", "step", run.step_panel, "view_run"),
    Address(f"{_RUN}/log/", "log", log.log, "view_run"),
    Address(f"{_RUN}/why/", "why", why.why, "view_run"),
    Address(f"{_RUN}/task/<slug:step>/<int:index>/", "task", task.task, "view_run"),
    Address(f"{_RUN}/cancel/", "cancel", acting.cancel, "cancel_run", _CHANGE),
    Address(f"{_RUN}/pause/", "pause", acting.pause, "pause_run", _CHANGE),
    Address(f"{_RUN}/resume/", "resume", acting.resume, "pause_run", _CHANGE),
    Address(f"{_RUN}/retry/", "retry", acting.retry, "retry_run", _CHANGE),
    Address(f"{_RUN}/step/<slug:step>/output.json", "output", data.output, "view_payload"),
    Address(f"{_RUN}/hurry/", "hurry", acting.hurry, "retry_run", _CHANGE),
    Address(f"{_RUN}/rerun/", "rerun", acting.rerun, "rerun", _CHANGE),
    Address(f"{_RUN}/decide/<slug:step>/", "decide", deciding.decide, "decide_run", _FORM),
    Address(f"{_RUN}/<str:which>.json", "payload", run.payload, "view_payload"),
]
#: In place of the list of workers:
WORKER_PAGES = [Address("", "changelist", workers.workers, "view_workers")]
#: Below the list of tokens of programs:
TOKEN_PAGES = [
    Address("add/", "add", tokens.add, "add_token", _FORM),
    Address("<int:token_id>/revoke/", "revoke", tokens.revoke, "revoke_token", _FORM),
]


def urls_of(admin: ModelAdmin[Any], addresses: list[Address]) -> list[URLPattern]:
    """The URLs of these pages for an admin, to be put before those that Django gives it."""
    prefix = f"{admin.opts.app_label}_{admin.opts.model_name}"
    return [
        path(
            address.route,
            admin_page(admin, _serve(admin, address)),
            name=f"{prefix}_{address.name}",
        )
        for address in addresses
    ]


def _serve(admin: ModelAdmin[Any], address: Address) -> Callable[..., HttpResponse]:
    """The view of a page, called with what its address names if the user may do what it asks."""

    @wraps(address.view)
    def serve(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if request.method not in address.methods:
            return HttpResponseNotAllowed(address.methods)
        flow = found = None
        if "slug" in kwargs:
            slug = kwargs.pop("slug")
            slug = unquote(slug) if address.is_quoted else slug
            flow = _find_flow(admin, request, address.asks, slug)
        elif "run_id" in kwargs:
            found = access.require_run(admin, request, address.asks, kwargs.pop("run_id"))
        elif "token_id" in kwargs:
            token_id = kwargs.pop("token_id")
            kwargs["token"] = access.require_token(admin, request, address.asks, token_id)
        elif address.asks == "add_token":
            access.require_new_token(admin, request)
        elif address.asks in {"add", "describe"}:
            access.require_new(admin, request, address.asks)
        elif not access.can(admin, request, address.asks):
            raise Http404
        page = Page(request, admin, flow, found, granted=address.asks)
        with access.showing_errors(admin, request, found) if found else nullcontext():
            return address.view(page, **kwargs)

    return serve


def _find_flow(admin: ModelAdmin[Any], request: HttpRequest, asks: str, slug: str) -> Workflow:
    if asks == "import":
        return access.require_import(admin, request, slug)
    return access.require(admin, request, asks, slug)
