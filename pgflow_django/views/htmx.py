"""What every page shares that htmx updates in part. Needs no htmx middleware in the host site."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from pgflow_django.exceptions import RunNotFound, WorkflowNotFound

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

View = Callable[..., HttpResponse]


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx sent the request and wants a part of a page."""
    return request.headers.get("HX-Request") == "true"


def admin_page(admin: ModelAdmin[Any], view: View) -> View:
    """Wrap ``view(request, ...)`` as a page of the admin.

    Only staff may see it; answers are not stored by browsers and proxies. Where the session has
    ended, htmx is told to go to the login page: a redirect would swap that into the page.
    """
    site = admin.admin_site

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        request.current_app = site.name
        try:
            response = view(request, *args, **kwargs)
        except (WorkflowNotFound, RunNotFound) as error:  # it may be deleted at any moment
            raise Http404(str(error)) from error
        patch_vary_headers(response, ["HX-Request"])
        response.setdefault("Cache-Control", "no-store")
        return response

    guarded = site.admin_view(page)

    @wraps(view)
    def entrance(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if is_htmx(request) and not site.has_permission(request):
            return _send_to_login(request, admin)
        return guarded(request, *args, **kwargs)

    return entrance


def _send_to_login(request: HttpRequest, admin: ModelAdmin[Any]) -> HttpResponse:
    login = reverse("admin:login", current_app=admin.admin_site.name)
    if back := find_path(request, request.headers.get("HX-Current-URL", "")):
        login += "?" + urlencode({"next": back})
    return HttpResponse(status=204, headers={"HX-Redirect": login})


def find_path(request: HttpRequest, address: str) -> str:
    """The path and query of a page of this site, for a link; ``""`` where it is none."""
    try:
        here = urlsplit(address)
    except ValueError:
        return ""
    path = here.path + (f"?{here.query}" if here.query else "")
    return path if url_has_allowed_host_and_scheme(path, {request.get_host()}) else ""
