"""Pages of the demo site: the landing page, the admin, and what programs call."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView, TemplateView

urlpatterns = [
    path("", TemplateView.as_view(template_name="project/index.html"), name="index"),
    # What browsers ask for where no page has named the icon: a picture or a file opened by itself.
    path("favicon.ico", RedirectView.as_view(url=static("project/icon.svg")), name="icon"),
    path("admin/", admin.site.urls),
    path("agents/", include("pgflow_django.agents.urls")),
]
