"""Pages of the demo site: the landing page and the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.generic import TemplateView

urlpatterns = [
    path("", TemplateView.as_view(template_name="project/index.html"), name="index"),
    path("admin/", admin.site.urls),
]
