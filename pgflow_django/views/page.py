"""A page of ours: who looks at what, what they may do with it, and where the others are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from pgflow_django.views import access

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    from pgflow_django.models import Workflow, WorkflowRun


@dataclass
class Page:
    """One request for a page, made by the table of URLs, which has asked for its permission.

    ``flow`` and ``run`` are what the address names, where it names one; a flow that was never
    published is what stands in for it (see ``access.stand_in``).
    """

    request: HttpRequest
    admin: ModelAdmin[Any]
    _flow: Workflow | None = None
    _run: WorkflowRun | None = None
    #: What the table of URLs has asked already, and was told yes.
    granted: str = ""
    #: With what was asked about, so that no other object gets its ``id``, and its answer.
    _answers: dict[tuple[str, int], tuple[bool, Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Remember what was asked."""
        subject = self._flow or self._run
        self._answers[self.granted, id(subject)] = (True, subject)

    @property
    def flow(self) -> Workflow:
        """The flow that the address names."""
        assert self._flow is not None  # noqa: S101 - the table of URLs says which pages have one
        return self._flow

    @property
    def run(self) -> WorkflowRun:
        """The run that the address names."""
        assert self._run is not None  # noqa: S101 - as above
        return self._run

    @property
    def slug(self) -> str:
        """The slug of the flow."""
        return cast("str", self.flow.workflow_slug)

    def may(self, action: str, obj: Any = None) -> bool:
        """Whether the user may do this, see ``access.can``; asked once for each object."""
        key = (action, id(obj))
        if key not in self._answers:
            self._answers[key] = (access.can(self.admin, self.request, action, obj), obj)
        return self._answers[key][0]

    def link(self, name: str, *args: Any) -> str:
        """The address of a page by the end of its name: ``workflow_edit``."""
        return find_address(self.admin, name, *args)

    def context(self, title: str, **more: Any) -> dict[str, Any]:
        """The variables that every page of ours has, whatever it shows."""
        return {
            **self.admin.admin_site.each_context(self.request),
            "title": title,
            "opts": self.admin.opts,
            **frame_options(),
            **more,
        }


def frame_options() -> dict[str, Any]:
    """Variables for the admin's own templates.

    Django's sidebar is left out: drawings and tables need the width, and the breadcrumbs lead
    everywhere. Under Unfold the sidebar is the only menu, and can be folded: it stays.
    """
    return {} if apps.is_installed("unfold") else {"is_nav_sidebar_enabled": False}


def find_address(admin: ModelAdmin[Any], name: str, *args: Any) -> str:
    """The address of a page by the end of its name: ``workflow_edit``, ``workflowrun_change``."""
    return reverse(f"admin:pgflow_django_{name}", args=args, current_app=admin.admin_site.name)


def find_copy_form(admin: ModelAdmin[Any], slug: str) -> str:
    """The address of the page that asks for the name of a copy of a flow."""
    return f"{find_address(admin, 'workflow_new')}?{urlencode({'from': slug})}"


def find_comparison(admin: ModelAdmin[Any], slug: str, before: int, after: int | str) -> str:
    """The address of the page that shows what changed in a flow from one version to another."""
    query = urlencode({"from": before, "to": after})
    return f"{find_address(admin, 'workflow_compare', slug)}?{query}"


def give_file(content: str | bytes, name: str, content_type: str) -> HttpResponse:
    """Return a file that browsers store and never show as a page of the site."""
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
