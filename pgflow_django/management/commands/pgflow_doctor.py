"""``manage.py pgflow_doctor``: is the database fit to run flows, and what to do if not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand
from django.db import connections, router

from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.models import Workflow
from pgflow_django.storage.diagnosis import Finding, diagnose, repair
from pgflow_django.storage.trouble import database_errors

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Prints what was found about each part; exit status 1 where something is wrong."""

    help = (
        "Look whether the database is fit to run flows: connection, version, pgmq, migrations, "
        "functions, queues, workers. Exit status 0: all is well; 1: something is wrong, and what "
        "to do about it is printed."
    )
    # It has to run where the checks fail.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.epilog = "Example: manage.py pgflow_doctor --database default --json"
        parser.add_argument(
            "--database",
            metavar="ALIAS",
            choices=tuple(connections),
            help="the database to look at (default: the one that holds the flows)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object, no more")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="first put back what was removed by hand: pgmq, functions, queues",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Look, and perhaps repair."""
        using = options["database"] or router.db_for_write(Workflow)
        repaired, failure = self._repair(using) if options["repair"] else ([], "")
        findings = diagnose(using)
        is_well = not failure and not any(finding.trouble for finding in findings)
        if options["json"]:
            self._print_json(using, findings, repaired, failure, is_well=is_well)
        else:
            self._print(findings, repaired, failure)
        if not is_well:
            raise SystemExit(1)

    def _repair(self, using: str) -> tuple[list[str], str]:
        try:
            with database_errors(using):
                return repair(using), ""
        except DatabaseNotReady as error:
            return [], error.message

    def _print_json(
        self,
        using: str,
        findings: list[Finding],
        repaired: list[str],
        failure: str,
        *,
        is_well: bool,
    ) -> None:
        answer = {
            "database": using,
            "ok": is_well,
            "repaired": repaired,
            "repair_failed": failure or None,
            "findings": [
                {
                    "subject": finding.subject,
                    "ok": finding.trouble is None,
                    "found": finding.found,
                    "problem": finding.trouble.what if finding.trouble else None,
                    "mend": finding.trouble.fix if finding.trouble else None,
                }
                for finding in findings
            ],
        }
        self.stdout.write(json.dumps(answer, indent=2))

    def _print(self, findings: list[Finding], repaired: list[str], failure: str) -> None:
        for line in repaired:
            self.stdout.write(f"repaired    {line}")
        if failure:
            self.stdout.write(self.style.ERROR(f"not repaired: {failure}"))
        for finding in findings:
            if finding.trouble is None:
                verdict = self.style.SUCCESS("OK   ")
            else:
                verdict = self.style.ERROR("WRONG")
            self.stdout.write(f"{finding.subject:<12}{verdict}  {finding.found}")
            for line in finding.trouble or ():
                self.stdout.write(f"{'':<19}{line}")
