"""compose.yaml and the Dockerfile, as far as they can be checked without a Docker engine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from redis import Redis
from redis.exceptions import ConnectionError as NotThere
from ruamel.yaml import YAML
from taglane.model.duration import parse_duration
from taglane.runtime.health import Health
from taglane.runtime.pulse import Pulse
from taglane.runtime.sender import FAREWELL
from taglane.settings import load_settings
from taglane_scheduler.embedded import free_port

if TYPE_CHECKING:
    from taglane_scheduler.embedded import ServerBinary

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
TAGLANE = Path(sys.executable).with_name("taglane")

# What the Compose Specification allows, of which we use no more.
TOP_LEVEL = {"name", "services", "volumes", "x-health", "x-taglane", "x-worker"}
SERVICE: dict[str, type] = {
    "build": str,
    "command": list,
    "depends_on": dict,
    "entrypoint": list,
    "environment": dict,
    "healthcheck": dict,
    "image": str,
    "init": bool,
    "ports": list,
    "profiles": list,
    "restart": str,
    "stop_grace_period": str,
    "volumes": list,
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def taglane_commands() -> list[list[str]]:
    """Every `taglane` command line of the file, in services and in the comments that say what to type."""
    services = [service["command"][1:] for service in SERVICES.values() if service.get("command", [""])[0] == "taglane"]
    typed = [shlex.split(line) for line in re.findall(r"^#.*docker compose run --rm cli (.+)$", TEXT, re.MULTILINE)]
    return services + typed


def test_the_file_has_the_form_of_a_compose_file() -> None:
    assert COMPOSE.keys() <= TOP_LEVEL
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[a-zA-Z0-9._-]+", name)
        assert service.keys() <= SERVICE.keys()
        assert {key: SERVICE[key] for key in service} == {key: type(value) for key, value in service.items()}
        assert all(isinstance(word, str) for word in service.get("command", []) + service.get("entrypoint", []))
        assert all(isinstance(value, str) for value in service.get("environment", {}).values())


def test_what_services_refer_to_is_there() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert how["condition"] in CONDITIONS
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]
        for mount in service.get("volumes", []):
            assert mount.split(":")[0] in COMPOSE["volumes"]


def test_no_service_waits_for_one_that_a_profile_may_leave_out() -> None:
    for service in SERVICES.values():
        for other in service.get("depends_on", {}):
            assert not SERVICES[other].get("profiles")


def test_a_worker_holds_its_tenants_url_and_no_other() -> None:
    """The operator's password reaches server, scheduler, console, the shared pool's worker and the commands alone."""
    holders = {name for name, service in SERVICES.items() if "VALKEY_PASSWORD" in str(service.get("environment"))}
    assert {"valkey", "scheduler", "console", "worker-shared-small", "cli"} == holders
    for tenant in ("tenant_a", "tenant_b"):
        worker = SERVICES[f"worker-{tenant.replace('_', '-')}"]
        assert {"TAGLANE_URL", "TAGLANE_HEALTH"} == worker["environment"].keys()
        assert f"${{{tenant.upper()}_URL:-}}" == worker["environment"]["TAGLANE_URL"]
        assert ["taglane", "worker", "--tag", tenant, "-A", "shop.celery"] == worker["command"]


@pytest.mark.parametrize("name", ["scheduler", "worker-tenant-a", "worker-tenant-b"])
def test_a_healthcheck_asks_the_endpoint_of_its_process(name: str) -> None:
    """Its command fails until the process is ready, and when nobody answers; it needs nothing but Python."""
    service = SERVICES[name]
    endpoint, (kind, python, *command) = service["environment"]["TAGLANE_HEALTH"], service["healthcheck"]["test"]
    assert ("CMD", "python") == (kind, python)
    assert f"//{endpoint}/readyz" in command[-1]
    pulse = Pulse()
    health = Health("0", [pulse])
    here = [sys.executable, *(word.replace(endpoint, health.address) for word in command)]

    def fails() -> bool:
        return subprocess.run(here, capture_output=True, timeout=30, check=False).returncode != 0

    health.start()
    assert fails()
    pulse.answer()
    assert not fails()
    health.stop()
    assert fails()


def test_the_console_is_published_on_this_machine_alone() -> None:
    """It listens on all of its container's addresses; who is to reach it from elsewhere needs a proxy with TLS."""
    console = SERVICES["console"]
    assert ["taglane", "console", "--host", "0.0.0.0"] == console["command"]
    assert ["127.0.0.1:7077:7077"] == console["ports"]
    assert "//127.0.0.1:7077/readyz" in console["healthcheck"]["test"][-1]


def test_a_worker_is_left_the_time_that_it_takes_to_stop() -> None:
    """Its runs have TAGLANE_GRACE, and then it takes a farewell to hand back the others."""
    least = load_settings(url="redis://h").grace / 1000 + 2 * FAREWELL
    for name in ("worker-tenant-a", "worker-tenant-b"):
        assert "TAGLANE_GRACE" not in SERVICES[name]["environment"]
        assert parse_duration(SERVICES[name]["stop_grace_period"]) / 1000 > least


def test_the_files_top_says_how_each_variable_is_set() -> None:
    top = TEXT.partition("\nname:")[0]
    for variable in set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT.removeprefix(top))):
        assert f"{variable}=" in top


@pytest.mark.parametrize("command", taglane_commands(), ids=" ".join)
def test_every_command_is_one_of_taglanes(command: list[str]) -> None:
    """Its words up to the first value are a subcommand, whose help names every option that is used."""
    path = command[:2] if command[0] in {"tenant", "run", "user"} else command[:1]
    done = subprocess.run([TAGLANE, *path, "--help"], capture_output=True, text=True, timeout=60, check=False)

    assert 0 == done.returncode, done.stderr
    for option in (word for word in command if word.startswith("-")):
        assert re.search(rf"(^|[\s,]){option}\b", done.stdout)


def test_there_are_commands_to_check() -> None:
    named = {command[0] for command in taglane_commands()}
    assert {"scheduler", "console", "worker", "tenant", "user", "apply", "run"} == named


def test_the_server_takes_its_password_from_the_environment(binary: ServerBinary, tmp_path: Path) -> None:
    """The service's own shell script, on the server under test: a password, an append-only file, no eviction."""
    port = free_port()
    entrypoint = tmp_path / "docker-entrypoint.sh"
    entrypoint.write_text(f'#!/bin/sh\nshift; exec "{binary.path}" "$@" --port {port} --bind 127.0.0.1\n')
    entrypoint.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "VALKEY_PASSWORD": "a1b2", "LC_ALL": "C"}
    command = [word.replace("$$", "$") for word in SERVICES["valkey"]["command"]]

    with (
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as server,
        Redis(port=port, password="a1b2", decode_responses=True) as client,
    ):
        try:
            assert eventually(lambda: answers(client), message="the service's script started no server")
            settings = client.config_get("appendonly", "maxmemory-policy", "dir")
            assert {"appendonly": "yes", "maxmemory-policy": "noeviction", "dir": str(tmp_path)} == settings
            assert b"a1b2" not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
        finally:
            server.terminate()


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except NotThere:
        return False


def test_the_image_copies_what_is_there() -> None:
    for sources in re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source


def test_the_images_data_is_made_by_a_command_that_works(tmp_path: Path) -> None:
    match = re.search(r"python (-m shop\.seed) /srv/data", (ROOT / "Dockerfile").read_text())
    assert match
    shutil.copytree(ROOT / "tests/apps/shop", tmp_path / "shop")
    command = [sys.executable, *match[1].split(), "data"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "data/tenant_a/source.db").is_file()
