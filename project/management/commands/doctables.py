"""`manage.py doctables`: write the docs' tables of options and operations, from the package's."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from project.option_tables import DOCS, TABLES, render_page


class Command(BaseCommand):
    """Writes the tables of options and of operations into the docs."""

    help = "Write the docs' tables of options, their columns and error codes, and of operations."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the pages that are not as they should be."""
        for page in TABLES:
            text = render_page(page)
            if text != (DOCS / page).read_text(encoding="utf-8"):
                (DOCS / page).write_text(text, encoding="utf-8")
                self.stdout.write(f"docs/{page}")
