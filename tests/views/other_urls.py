"""Two admins at other paths: Django's own site, and a site of another name."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from pgflow_django.admin import WorkflowAdmin, WorkflowRunAdmin
from pgflow_django.models import Workflow, WorkflowRun

office = admin.AdminSite(name="office")
office.register(Workflow, WorkflowAdmin)
office.register(WorkflowRun, WorkflowRunAdmin)

urlpatterns = [
    path("back/stage/", admin.site.urls),
    path("office/", office.urls),
]
