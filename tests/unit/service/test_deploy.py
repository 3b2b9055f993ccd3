"""The files of `deploy/`: what they say is what the service takes."""

from __future__ import annotations

import json
import re
import stat
import subprocess

import pytest

from probefusion.cli.main import build_parser
from probefusion.gallery.keys.master_key import read_master_key

KEYS = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "ports",
    "read_only",
    "restart",
    "secrets",
    "security_opt",
    "stop_grace_period",
    "tmpfs",
    "volumes",
}
"""Of a service, out of the Compose Specification."""


@pytest.fixture
def deploy(repository):
    folder = repository / "deploy"
    if not folder.is_dir():
        pytest.skip("no folder deploy")
    return folder


@pytest.fixture
def compose(deploy):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((deploy / "compose.yaml").read_text())


def test_services_wait_for_a_healthy_database_and_keep_secrets_in_files(compose, deploy) -> None:
    services = compose["services"]
    assert set(compose) == {"services", "volumes", "secrets"}
    for service in services.values():
        assert set(service) <= KEYS
        assert not any("password" in str(value).lower() for value in service.get("command", ()))
        for name in service["secrets"]:
            assert name in compose["secrets"]
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in compose["volumes"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    one = services["service"]
    assert one["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert "pg_isready" in services["database"]["healthcheck"]["test"][1]
    assert "ports" not in services["database"]
    assert one["ports"] == ["127.0.0.1:8470:8470"]
    assert one["read_only"]
    assert one["cap_drop"] == ["ALL"]
    assert (deploy / one["build"]["context"] / one["build"]["dockerfile"]).is_file()
    made = set(re.findall(r'\$folder/(\w+)"', (deploy / "secrets.sh").read_text()))
    assert {secret["file"] for secret in compose["secrets"].values()} == {
        f"secrets/{name}" for name in made
    }


def test_the_commands_are_ones_that_the_program_takes(compose, deploy) -> None:
    text = (deploy / "Containerfile").read_text()
    entry, plain = (
        json.loads(re.search(rf"^{word} (\[.*\])$", text, re.MULTILINE)[1])
        for word in ("ENTRYPOINT", "CMD")
    )
    assert entry[0] == "probefusion"
    assert re.search("^USER 10001$", text, re.MULTILINE)
    alone = build_parser().parse_args([*entry[1:], *plain])
    assert (alone.workers, alone.gallery) == (1, "/data/people.db")
    several = build_parser().parse_args([*entry[1:], *compose["services"]["service"]["command"]])
    assert several.workers == 2
    assert several.gallery == "postgresql://probefusion@database/people"
    assert several.keys == "/run/secrets/master_key"
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for name in copied.split():
            assert (deploy.parent / name).exists(), name
            ignored = (deploy / "Containerfile.dockerignore").read_text().splitlines()
            assert f"!{name}" in ignored


def test_secrets_are_made_once_and_can_be_read_by_their_owner_alone(deploy, tmp_path) -> None:
    folder = tmp_path / "secrets"
    command = ["sh", deploy / "secrets.sh", folder, str(tmp_path.stat().st_uid)]
    subprocess.run(command, check=True, capture_output=True)
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_master_key(folder / "master_key") is not None
    password = (folder / "database_password").read_text()
    assert re.fullmatch("[A-Za-z0-9_-]{32}", password)
    entry = f"database:5432:people:probefusion:{password}\n"
    assert (folder / "pgpass").read_text() == entry
    again = subprocess.run(command, capture_output=True, check=False)
    assert again.returncode != 0
    assert (folder / "database_password").read_text() == password
