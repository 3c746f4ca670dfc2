from django.db import migrations

from pgflow_django import operations


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0014_control"),
    ]

    operations = [
        operations.InstallFunctions("0015"),
    ]
