from django.db import migrations

from pgflow_django import operations


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0015_decisions"),
    ]

    operations = [
        operations.InstallFunctions("0016"),
    ]
