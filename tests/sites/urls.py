"""Two admins, each with all of ours: Django's own site at another path, and one of another name."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from pgflow_django.admin import WorkflowAdmin, WorkflowRunAdmin, WorkflowWorkerAdmin
from pgflow_django.models import Workflow, WorkflowRun, WorkflowWorker

office = admin.AdminSite(name="office")
office.register(Workflow, WorkflowAdmin)
office.register(WorkflowRun, WorkflowRunAdmin)
office.register(WorkflowWorker, WorkflowWorkerAdmin)

urlpatterns = [path("back/stage/", admin.site.urls), path("office/", office.urls)]
