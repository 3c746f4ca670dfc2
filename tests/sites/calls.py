"""Every command of ours: its help, its call without arguments, and calls that have work to do."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management import ManagementUtility, get_commands

from tests.commands.calling import nothing_to_read

#: Exit statuses of the calls without arguments, as the docs say: 2 where something is needed.
_BARE = {
    "agentguide": 0,
    "agenttoken": 2,
    "cancelrun": 2,
    "checkflow": 2,
    "completestep": 2,
    "explainrun": 2,
    "exportflow": 2,
    "flowschema": 0,
    "generateflow": 2,
    "importflow": 2,
    "listflows": 0,
    "listfunctions": 0,
    "listruns": 0,
    "listworkers": 0,
    "mcp": 2,
    "pauserun": 2,
    "pgflow_doctor": 0,
    "pruneruns": 2,
    "publishflow": 2,
    "rerun": 2,
    "resumerun": 2,
    "retryrun": 2,
    "runflow": 2,
    "showflow": 2,
    "showrun": 2,
    "simulateflow": 2,
    "skipstep": 2,
}


def complaints(runs: dict[str, UUID], folder: Path) -> list[str]:
    """Call them all; what is wrong with their answers."""
    ours = {name for name, app in get_commands().items() if app == "pgflow_django"}
    found = [] if ours == _BARE.keys() else [f"not all commands are called: {ours ^ _BARE.keys()}"]
    for name, status in _BARE.items():
        found += _call(name, "--help")
        found += _call(name, wanted=status)
    for words in _with_work(runs, folder):
        found += _call(*words)
    return found


def _with_work(runs: dict[str, UUID], folder: Path) -> list[list[str]]:
    document, drawing = str(folder / "numbers.json"), str(folder / "numbers.svg")
    given = '{"count": 2500}'
    (user,) = get_user_model().objects.all()[:1]
    return [
        ["agenttoken", "create", user.get_username(), "--name", "bot", "--expires-in", "90d"],
        *(["agenttoken", "list", *more] for more in ([], ["--json"])),
        *(["listflows", *more] for more in ([], ["--json"], ["--search", "site_list"])),
        *(["listruns", *more] for more in (["--json"], ["--flow", "numbers", "--limit", "1"])),
        ["listworkers", "--json"],
        ["mcp", "--user", user.get_username()],
        ["pgflow_doctor", "--json"],
        *(["showflow", "numbers", *more] for more in ([], ["--json"])),
        *(
            [name, str(run), *more]
            for name in ("showrun", "explainrun")
            for run in runs.values()
            for more in ([], ["--json"])
        ),
        *(["simulateflow", "numbers", "--input", given, *more] for more in ([], ["--json"])),
        ["exportflow", "numbers", "--output", document],
        ["exportflow", "numbers", "--format", "python"],
        ["checkflow", document, "--json"],
        ["importflow", document, "--replace"],
        ["runflow", "numbers", "--input", given, "--json"],
        ["runflow", "numbers", "--input", given, "--diagram", drawing],
        ["publishflow", "drawn"],
        ["pauserun", str(runs["paused"])],
        ["rerun", str(runs["paused"])],
        ["cancelrun", str(runs["paused"])],
        ["retryrun", str(runs["paused"]), "--here"],
        ["pruneruns", "--older-than", "1h", "--dry-run"],
        ["pruneruns", "--older-than", "0s", "--json"],
    ]


def _call(*words: str, wanted: int = 0) -> list[str]:
    out, err, status = StringIO(), StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err), nothing_to_read():
        try:
            ManagementUtility(["manage.py", *words]).execute()
        except SystemExit as error:
            status = int(error.code or 0)
    said = f"{out.getvalue()}{err.getvalue()}"
    if status != wanted or "Traceback" in err.getvalue():
        return [f"{' '.join(words)} ended with {status}, not {wanted}: {said}"]
    if "--json" in words:
        json.loads(out.getvalue())
    return []
