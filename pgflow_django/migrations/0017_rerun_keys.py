from django.db import migrations

from pgflow_django import operations


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0016_plan_of_retry_now"),
    ]

    operations = [
        operations.InstallFunctions("0017"),
    ]
