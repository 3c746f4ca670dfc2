"""What the pages load: small, pinned, and of our own or with its licence."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pgflow_django

STATIC = Path(pgflow_django.__file__).parent / "static" / "pgflow_django"
IDIOMORPH = "5811b9a7eda14878b7dab4378bf60432e1bb6f11fcfb970cc26540642650181e"


def test_the_script_is_at_most_12_kilobytes_on_the_wire() -> None:
    assert len(gzip.compress((STATIC / "dag.js").read_bytes(), 9)) <= 12 * 1024


def test_the_vendored_file_is_the_published_one_with_its_licence() -> None:
    vendored = STATIC / "vendor" / "idiomorph-ext-0.8.0.min.js"
    assert hashlib.sha256(vendored.read_bytes()).hexdigest() == IDIOMORPH
    assert "Zero-Clause BSD" in (STATIC / "vendor" / "idiomorph-LICENSE.txt").read_text()


def test_no_script_of_ours_writes_html_or_needs_eval() -> None:
    script = (STATIC / "dag.js").read_text()
    for word in (".innerHTML", ".outerHTML", "insertAdjacentHTML", "eval(", "new Function"):
        assert word not in script
