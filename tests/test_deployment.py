"""The files of docs/deploy could be used as they are."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parent.parent / "docs" / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_have_what_systemd_asks_for(unit: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.read_text())
    # What a deploy starts by hand is installed nowhere.
    is_started_by_hand = parser["Service"]["Type"] == "oneshot"
    assert set(parser.sections()) == {"Unit", "Service"} | (
        set() if is_started_by_hand else {"Install"}
    )
    assert parser["Service"]["ExecStart"].startswith("/")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong_with_units(unit: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    text = unit.read_text().replace("/srv/shop/.venv/bin/", "/bin/").replace("User=shop\n", "")
    for program in ("celery", "python", "gunicorn"):
        text = text.replace(f"/bin/{program}", "/bin/true")
    copy = tmp_path / unit.name
    copy.write_text(text)
    result = subprocess.run([analyze, "verify", copy], check=False, capture_output=True, text=True)
    about_us = [line for line in result.stderr.splitlines() if unit.name in line]
    assert not [line for line in about_us if "Unknown" in line or "Failed" in line], about_us


def test_the_compose_file_is_sound() -> None:
    compose = load("compose.yaml")
    services = compose["services"]
    assert {"db", "migrate", "web", "worker"} == set(services)
    for name, service in services.items():
        assert ("image" in service) != ("build" in service), name
        for other in service.get("depends_on", {}):
            assert other in services
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"]
    assert "celery -A project worker" in services["worker"]["command"]


def test_the_image_has_what_compose_starts() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    instructions = [line.split()[0] for line in lines if line and not line.startswith("#")]
    known = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "CMD"}
    assert instructions[0] == "FROM"
    assert set(instructions) <= known
    assert "pip install" in next(line for line in lines if line.startswith("RUN"))
    programs = {service["command"].split()[0] for service in built_services()}
    # Python is the image's; celery comes with us, and of the third the file tells.
    assert programs == {"python", "gunicorn", "celery"}
    assert "gunicorn" in "".join(line for line in lines if line.startswith("#"))


def built_services() -> list[Any]:
    return [service for service in load("compose.yaml")["services"].values() if "build" in service]


def test_the_kubernetes_file_is_sound() -> None:
    deployment = load("kubernetes.yaml")
    assert deployment["kind"] == "Deployment"
    spec = deployment["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["args"][:4] == ["celery", "-A", "project", "worker"]


def load(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())
