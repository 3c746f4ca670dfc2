from django.db import migrations

from pgflow_django import operations


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0017_rerun_keys"),
    ]

    operations = [
        operations.InstallFunctions("0018"),
    ]
