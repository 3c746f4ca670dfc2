"""Every page and command in sites that are set up in other ways than ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.sites.table import SITES
from tests.storage.conftest import Query, scratch

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: Seconds after which a crawl, which takes about ten, hangs; there are busier machines.
_PATIENCE = 300
_PLACE = ("USER", "PASSWORD", "HOST", "PORT", "OPTIONS")


@pytest.mark.parametrize("name", SITES)
def test_a_site_works(
    name: str, server: Query, migrated_template: str, tmp_path: Path, django_db_setup: None
) -> None:
    template = "template1" if SITES[name].has_own_tables else migrated_template
    with scratch(server, template=template) as database:
        place: dict[str, Any] = {key: connection.settings_dict[key] for key in _PLACE}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "tests.sites.crawl"],
            cwd=ROOT,
            env={
                **os.environ,
                "SITE": name,
                "SITE_FOLDER": str(tmp_path),
                "SITE_DATABASE": json.dumps({**place, "NAME": database}),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
