from django.db import migrations

from pgflow_django import operations


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0018_waits_of_decided_tasks"),
    ]

    operations = [
        operations.InstallFunctions("0019"),
    ]
