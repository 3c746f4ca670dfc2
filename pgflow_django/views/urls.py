"""Every page inside the admin, in one table for each of its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.urls import URLPattern, path

from pgflow_django.views import workers
from pgflow_django.views.editor import edits, page
from pgflow_django.views.flows import export, history, imports, new
from pgflow_django.views.htmx import View, admin_page
from pgflow_django.views.runs import page as run
from pgflow_django.views.runs import start

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin


class Address(NamedTuple):
    """Where a page lies below the list of its model, the end of its URL's name, and its view."""

    route: str
    name: str
    view: View


_FLOW = "<slug:slug>"
_RUN = "<uuid:run_id>"

#: The first that matches counts. Below the list of flows:
FLOW_PAGES = [
    Address("new/", "new", new.new),
    Address(f"{_FLOW}/change/", "change", new.change),
    Address(f"{_FLOW}/delete/", "delete", new.delete),
    Address(f"{_FLOW}/export.json", "export_json", export.export_json),
    Address(f"{_FLOW}/export.py", "export_py", export.export_py),
    Address(f"{_FLOW}/diagram.svg", "diagram", export.diagram),
    Address("import/", "import_new", imports.import_flow),
    Address(f"{_FLOW}/import/", "import", imports.import_flow),
    Address(f"{_FLOW}/edit/", "edit", page.edit),
    Address(f"{_FLOW}/canvas/", "canvas", page.canvas),
    Address(f"{_FLOW}/panel/", "panel", page.panel),
    Address(f"{_FLOW}/op/", "op", edits.op),
    Address(f"{_FLOW}/validate/", "validate", edits.validate),
    Address(f"{_FLOW}/publish/", "publish", edits.publish),
    Address(f"{_FLOW}/presence/", "presence", edits.presence),
    Address(f"{_FLOW}/history/", "history", history.history),
    Address(f"{_FLOW}/history/<int:seq>/diff/", "diff", history.diff),
    Address(f"{_FLOW}/run/", "run", start.start),
]
#: Below the list of runs:
RUN_PAGES = [
    Address(f"{_RUN}/change/", "change", run.monitor),
    Address(f"{_RUN}/history/", "history", run.history),
    Address(f"{_RUN}/live/", "live", run.live),
    Address(f"{_RUN}/step/", "step", run.step_panel),
    Address(f"{_RUN}/cancel/", "cancel", run.cancel),
    Address(f"{_RUN}/retry/", "retry", run.retry),
    Address(f"{_RUN}/<str:which>.json", "payload", run.payload),
]
#: In place of the list of workers:
WORKER_PAGES = [Address("", "changelist", workers.workers)]


def urls_of(admin: ModelAdmin[Any], pages: list[Address]) -> list[URLPattern]:
    """The URLs of these pages for an admin, to be put before those that Django gives it."""
    prefix = f"{admin.opts.app_label}_{admin.opts.model_name}"
    return [
        path(page.route, admin_page(admin, page.view), name=f"{prefix}_{page.name}")
        for page in pages
    ]
