"""What the Docker files promise: checked as text, because no Docker engine is needed to break them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegauge import config
from tidegauge.receiver.ways import is_way

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
COLLECTOR: dict[str, Any] = yaml.safe_load((ROOT / "deploy/collector/config.yaml").read_text())
EXAMPLE = [line.partition("=")[::2] for line in (ROOT / ".env.example").read_text().splitlines() if "=" in line and line[0] != "#"]
LONG_RUNNING = sorted(set(SERVICES) - {"migrate"})


def instructions(path: str) -> list[tuple[str, str]]:
    """(instruction, arguments) of a Dockerfile."""
    text = re.sub(r"^#.*\n", "", (ROOT / path).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def test_the_stack_is_whole() -> None:
    assert set(SERVICES) == {"timescaledb", "elasticsearch", "redis", "migrate", "tidegauge", "collector"}


def test_ports_are_published_on_loopback_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("path", ["docker-compose.yml", "Dockerfile", "deploy/collector/config.yaml", "deploy/timescaledb/reader.sh"])
def test_no_secret_has_a_value_in_the_files(path: str) -> None:
    """Passwords and tokens are references: to a required variable, to the environment or to psql's quoting."""
    values = re.findall(r"(?i)(?:password|token|requirepass)\w*'?\s*[:=]?\s+(\S+)", _uncommented(path)) + re.findall(
        r"://\w*:([^@\s]+)@", _uncommented(path)
    )
    reference = re.compile(r"\$|:'|READER_PASSWORD$|PASSWORD$|%s|LOGIN$")
    assert [value for value in values if not reference.search(value)] == []


def _uncommented(path: str) -> str:
    return re.sub(r"^\s*#.*\n", "", (ROOT / path).read_text(), flags=re.MULTILINE)


def test_every_variable_is_required_and_stands_in_the_example() -> None:
    text = _uncommented("docker-compose.yml")
    names = re.findall(r"(?<!\$)\$\{(\w+)", text)
    assert re.findall(r"(?<!\$)\$\{(\w+)(?!\w*:\?)", text) == []
    assert set(names) == {name for name, _ in EXAMPLE}
    assert [value for _, value in EXAMPLE if value] == []


def test_names_in_env_are_none_of_tidegauges() -> None:
    """Tidegauge reads a .env of its working directory: the stack's secrets must not become settings of `make run`."""
    settings = {name for name, _, _ in config.variables()} | set(config.ALIASES)
    assert [name for name, _ in EXAMPLE if name in settings or name.startswith(config.PREFIX)] == []


def test_tidegauge_accepts_its_environment() -> None:
    for name in ("migrate", "tidegauge"):
        environment = {key: re.sub(r"\$\{\w+:\?[^}]*\}", "f" * 48, value) for key, value in SERVICES[name]["environment"].items()}
        environment |= dict(re.findall(r"(TIDEGAUGE_\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))
        settings = config.load(environment, env_file=None)
        assert settings.database.url is not None
        assert not settings.api.listen.is_loopback
        assert settings.api.token is not None


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_services_have_health_checks_and_volumes(name: str) -> None:
    service = SERVICES[name]
    dockerfile = {"tidegauge": "Dockerfile", "collector": "deploy/collector/Dockerfile"}.get(name)
    assert "healthcheck" in service or (dockerfile and "HEALTHCHECK" in dict(instructions(dockerfile)))
    volumes = [volume.partition(":")[0] for volume in service["volumes"]]
    assert set(volumes) & set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned(name: str) -> None:
    image = SERVICES[name].get("image", "")
    if not image.endswith(":local"):
        assert re.fullmatch(r"[\w/.-]+:\d+\.\d+[\w.-]*", image)


def test_tidegauge_starts_after_its_migration_and_the_collector_after_tidegauge() -> None:
    waits = {name: {on: how["condition"] for on, how in SERVICES[name].get("depends_on", {}).items()} for name in SERVICES}
    assert waits["migrate"] == {"timescaledb": "service_healthy"}
    assert waits["tidegauge"]["migrate"] == "service_completed_successfully"
    assert waits["tidegauge"]["timescaledb"] == "service_healthy"
    assert waits["collector"] == {"tidegauge": "service_healthy"}


@pytest.mark.parametrize("path", ["Dockerfile", "deploy/collector/Dockerfile"])
def test_images_do_not_run_as_root(path: str) -> None:
    stages = instructions(path)
    last = stages[max(i for i, (name, _) in enumerate(stages) if name == "FROM") :]
    users = [arguments for name, arguments in last if name == "USER"]
    assert users
    assert users[-1].partition(":")[0] not in {"root", "0"}
    assert [arguments for name, arguments in last if name == "FROM" and (":" not in arguments or ":latest" in arguments)] == []


def test_image_installs_under_the_locks_hashes_and_checks_its_health() -> None:
    found = instructions("Dockerfile")
    installs = [arguments for name, arguments in found if name == "RUN" and "pip install" in arguments]
    assert all("--require-hashes" in part or "--no-deps" in part for line in installs for part in line.split("&&") if "pip install" in part)
    assert "/api/health/live" in dict(found)["HEALTHCHECK"]


def test_dockerignore_lets_in_what_the_image_copies() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        path
        for name, arguments in instructions("Dockerfile")
        if name == "COPY" and not arguments.startswith("--from")
        for path in arguments.split()[:-1]
    }
    assert copied == allowed
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_collector_retries_without_end_from_a_queue_on_disk() -> None:
    (exporter,) = COLLECTOR["exporters"].values()
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert exporter["sending_queue"]["storage"] in COLLECTOR["extensions"]
    assert exporter["sending_queue"]["storage"] in COLLECTOR["service"]["extensions"]
    directory = COLLECTOR["extensions"][exporter["sending_queue"]["storage"]]["directory"]
    assert any(volume.endswith(f":{directory}") for volume in SERVICES["collector"]["volumes"])
    assert set(COLLECTOR["service"]["pipelines"]) == {"traces", "metrics", "logs"}
    for pipeline in COLLECTOR["service"]["pipelines"].values():
        assert pipeline["exporters"] == list(COLLECTOR["exporters"])
        assert set(pipeline["receivers"]) <= set(COLLECTOR["receivers"])
        assert set(pipeline["processors"]) <= set(COLLECTOR["processors"])


def test_collector_is_given_what_its_configuration_asks_for() -> None:
    asked = set(re.findall(r"\$\{env:(\w+)\}", (ROOT / "deploy/collector/config.yaml").read_text()))
    assert asked == set(SERVICES["collector"]["environment"])


SHIPPERS = sorted(
    path.relative_to(ROOT).as_posix() for name in ("fluent-bit", "vector", "promtail") for path in (ROOT / "deploy" / name).iterdir()
)


@pytest.mark.parametrize("path", SHIPPERS)
def test_shippers_examples_send_where_logs_are_taken(path: str) -> None:
    """With what is commented out and indented as well: the token is a reference, and every path is one of ours."""
    text = (ROOT / path).read_text()
    examples = [yaml.safe_load(text), yaml.safe_load(re.sub(r"(?m)^( +)# ", r"\1", text))]
    for example in examples:
        assert isinstance(example, dict)
        assert _tokens(example)
        assert {value for value in _tokens(example) if "${TIDEGAUGE_TOKEN}" not in value} == set()
    paths = set(re.findall(r"(?:path: |\}|logs_uri: )(/(?:loki|elasticsearch|v1)[/\w]*)", text))
    assert paths
    assert {found for found in paths if not is_way(found, "POST") and found != "/v1/logs"} == set()
    assert "docs/ways-in.md" in text


def _tokens(example: Any) -> list[str]:
    """Values of keys that hold a password or token, and of header lines."""
    if isinstance(example, list):
        return [found for item in example for found in _tokens(item)]
    if not isinstance(example, dict):
        return []
    secret = ("password", "http_passwd", "bearer_token", "token", "header")
    here = [str(value) for key, value in example.items() if key in secret]
    return here + [found for value in example.values() for found in _tokens(value)]
