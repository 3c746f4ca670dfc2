"""What every page shares that htmx updates in part. Needs no htmx middleware in the host site."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _

from pgflow_django.exceptions import RunNotFound, WorkflowNotFound
from pgflow_django.models import Workflow

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

View = Callable[..., HttpResponse]

#: The status with which htmx asks no more where it did "every" few seconds (its docs: "Polling").
STOP_POLLING = 286


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx sent the request and wants a part of a page."""
    return request.headers.get("HX-Request") == "true"


def admin_page(admin: ModelAdmin[Any], view: View) -> View:
    """Wrap ``view(request, ...)`` as a page of the admin.

    Only staff may see it; answers are not stored by browsers and proxies. Where the session has
    ended nothing is lost without a word: the editor gets a 401, and keeps what was drawn; other
    pages that htmx updates go to the login, as a redirect would swap that into the page; who has
    sent a form is told that it was not taken.
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
        if not site.has_permission(request):
            if is_htmx(request):
                return _tell_htmx(request, admin)
            if request.method == "POST" and not request.user.is_authenticated:
                return _tell_sender(request, admin)
        return guarded(request, *args, **kwargs)

    return entrance


def _tell_htmx(request: HttpRequest, admin: ModelAdmin[Any]) -> HttpResponse:
    if admin.model is Workflow:  # somebody draws: to leave the page would lose it
        return HttpResponse(status=HTTPStatus.UNAUTHORIZED)
    login = _find_login(request, admin, request.headers.get("HX-Current-URL", ""))
    return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": login})


def _tell_sender(request: HttpRequest, admin: ModelAdmin[Any]) -> HttpResponse:
    """Lead to the login, and back to where the form was: its own address may take no other."""
    text = _("You were logged out: what you sent was not saved. Log in, and send it again.")
    messages.warning(request, text, fail_silently=True)
    return HttpResponseRedirect(_find_login(request, admin, request.headers.get("Referer", "")))


def _find_login(request: HttpRequest, admin: ModelAdmin[Any], back: str) -> str:
    """The address of the login that leads back to a page."""
    site = admin.admin_site.name
    path = find_path(request, back) or reverse("admin:index", current_app=site)
    return f"{reverse('admin:login', current_app=site)}?{urlencode({'next': path})}"


def find_path(request: HttpRequest, address: str) -> str:
    """The path and query of a page of this site, for a link; ``""`` where it is none."""
    try:
        here = urlsplit(address)
    except ValueError:
        return ""
    path = here.path + (f"?{here.query}" if here.query else "")
    hosts = {request.get_host()}
    is_ours = all(url_has_allowed_host_and_scheme(each, hosts) for each in (address, path))
    return path if is_ours else ""
