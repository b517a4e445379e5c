"""scripts/services: private servers that come and go. Tried with Redis, which starts at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.servers import FOLDER_VARIABLE, PORTS, SERVERS, Node, Services, Unavailable, free_ports, variable
from scripts.servers.command_line import parse
from scripts.servers.mysql import SETUP
from scripts.servers.redis import BUS, ask
from tests.stores import service_url

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, str(ROOT / "scripts" / "services")]

PRINT_ENVIRONMENT = [
    sys.executable,
    "-c",
    "import os; [print(f'{name}={value}') for name, value in os.environ.items()]",
]


@pytest.fixture
def services() -> Iterator[Services]:
    services = Services.in_new_folder()
    try:
        yield services
    finally:
        services.stop()


@pytest.fixture
def redis(services: Services) -> Services:
    try:
        services.start("redis")
    except Unavailable as reason:
        if "CI" in os.environ:
            raise
        pytest.skip(f"no Redis: {reason}")
    return services


def environment(**changes: str) -> dict[str, str]:
    unset = {FOLDER_VARIABLE, "CI", *(variable(name) for name in SERVERS)}
    return {name: value for name, value in os.environ.items() if name not in unset} | changes


def call(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment(**changes), capture_output=True, text=True, check=False
    )


def test_everything_after_two_dashes_is_the_command() -> None:
    parsed = parse(["run", "redis", "mysql", "--", "pytest", "-q", "--", "x"])

    assert parsed.names == ["redis", "mysql"]
    assert parsed.command == ["pytest", "-q", "--", "x"]


@pytest.mark.parametrize(
    "words",
    [
        "",
        "dance",
        "start oracle",
        "run redis",
        "run --",
        "start -- true",
        "restart",
        "kill",
        "kill redis 1",
        "kill redis-cluster 6",
    ],
)
def test_a_call_that_makes_no_sense_is_refused(words: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(words.split())


def test_ports_are_not_among_those_of_outgoing_connections() -> None:
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    ports = free_ports(6)

    assert len(set(ports)) == 6
    assert set(ports) <= set(PORTS)
    assert PORTS[-1] + BUS < lowest_outgoing


def test_a_killed_server_comes_back_with_its_port_and_data(redis: Services) -> None:
    url, [node] = redis.url("redis"), redis.nodes("redis")
    assert ask(node, "SET kept 1") == "+OK\r\n"

    redis.kill("redis")

    assert node.pid is None
    assert ask(node, "GET kept") == ""
    assert redis.start("redis") == url
    assert ask(node, "GET kept") == "$1\r\n1\r\n"


def test_a_restarted_server_is_another_process_with_the_same_data(redis: Services) -> None:
    [node] = redis.nodes("redis")
    ask(node, "SET kept 1")
    pid = node.pid

    redis.restart("redis")

    assert node.pid not in {pid, None}
    assert ask(node, "GET kept") == "$1\r\n1\r\n"


def test_starting_what_runs_changes_nothing(redis: Services) -> None:
    [node] = redis.nodes("redis")
    pid = node.pid

    redis.start("redis")

    assert node.pid == pid


def test_stopping_leaves_neither_process_nor_data(redis: Services) -> None:
    [node] = redis.nodes("redis")

    redis.stop()

    assert ask(node, "PING") == ""
    assert not redis.folder.exists()


def test_start_prints_variables_and_stop_is_for_another_process(redis: Services) -> None:
    own = {FOLDER_VARIABLE: str(redis.folder)}
    url = redis.url("redis")

    started = call("start", "redis", **own)
    stopped = call("stop", **own)

    assert started.stdout.splitlines() == [
        f"export {FOLDER_VARIABLE}={redis.folder}",
        f"export PERDURE_TEST_REDIS={url}",
    ]
    assert stopped.returncode == 0
    assert not redis.folder.exists()


@pytest.mark.usefixtures("redis")
def test_run_gives_the_command_its_servers_and_returns_its_exit_code() -> None:
    script = (
        "import os, sys; print(os.environ['PERDURE_TEST_REDIS'], os.environ['PERDURE_SERVICES_FOLDER']); sys.exit(3)"
    )

    done = call("run", "redis", "--", sys.executable, "-c", script)
    url, folder = done.stdout.split()

    assert done.returncode == 3
    assert url.startswith("redis://127.0.0.1:")
    assert not Path(folder).exists()


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_run_stops_its_servers_when_it_is_told_to_end(how: signal.Signals) -> None:
    script = "import os, time; print(os.environ['PERDURE_SERVICES_FOLDER'], flush=True); time.sleep(60)"
    command = [*COMMAND, "run", "redis", "--", sys.executable, "-c", script]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout
        folder = Path(running.stdout.readline().strip())
        [node] = Services(folder).nodes("redis")

        if how is signal.SIGINT:
            os.killpg(running.pid, how)  # as the terminal does it
        else:
            running.send_signal(how)
        running.wait()

    assert running.returncode != 0
    assert ask(node, "PING") == ""
    assert not folder.exists()


def test_a_server_that_was_there_before_is_left_running(redis: Services) -> None:
    [node] = redis.nodes("redis")

    done = call("run", "redis", "--", *PRINT_ENVIRONMENT, **{FOLDER_VARIABLE: str(redis.folder)})

    assert f"PERDURE_TEST_REDIS={redis.url('redis')}" in done.stdout.splitlines()
    assert node.pid is not None


def test_a_url_that_is_set_is_left_to_whoever_set_it() -> None:
    done = call("run", "redis", "--", *PRINT_ENVIRONMENT, PERDURE_TEST_REDIS="redis://elsewhere")

    assert "PERDURE_TEST_REDIS=redis://elsewhere" in done.stdout.splitlines()
    assert FOLDER_VARIABLE not in done.stdout


@pytest.mark.parametrize(
    ("name", "is_ci", "outcome"),
    [("redis", False, "skipped"), ("redis", True, "failed"), ("mysql", False, "skipped"), ("mysql", True, "skipped")],
)
def test_what_cannot_be_had_is_said_and_fails_in_ci_but_for_mysql(
    name: str, is_ci: bool, outcome: str, tmp_path: Path
) -> None:
    nowhere = {"PATH": str(tmp_path), "PERDURE_CACHE": str(tmp_path)} | ({"CI": "true"} if is_ci else {})

    done = call("run", name, "--", *PRINT_ENVIRONMENT, **nowhere)

    assert done.stderr.startswith(f"{outcome}: no {SERVERS[name].title}: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == (1 if outcome == "failed" else 0)
    assert ("PATH=" in done.stdout) == (outcome == "skipped")
    assert variable(name) not in done.stdout


def test_a_test_without_its_server_is_skipped_and_in_ci_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("redis", "mysql"):
        monkeypatch.delenv(variable(name), raising=False)

    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="PERDURE_TEST_REDIS is not set"):
        service_url("redis")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="PERDURE_TEST_REDIS is not set"):
        service_url("redis")
    with pytest.raises(pytest.skip.Exception, match="PERDURE_TEST_MYSQL is not set"):
        service_url("mysql")


def test_the_compose_file_has_the_same_servers_and_tells_their_urls() -> None:
    text = (ROOT / "compose.yaml").read_text()

    told = dict(re.findall(r"export (\w+)=(\S+)", text))
    published = re.findall(r'^  ([\w-]+):\n    image:.*?^    ports: \["127.0.0.1:(\d+)', text, re.MULTILINE | re.DOTALL)

    assert [name for name, _ in published] == list(SERVERS)
    assert told == {variable(name): SERVERS[name].url([Node(Path(), int(port))]) for name, port in published}


def test_the_compose_file_has_as_many_nodes_of_a_cluster_and_the_same_rights() -> None:
    text = (ROOT / "compose.yaml").read_text()

    first, last = map(int, re.findall(r"127.0.0.1:(\d+)-(\d+):\1-\2", text)[0])

    assert last - first + 1 == SERVERS["redis-cluster"].node_count
    assert [line for line in SETUP.splitlines() if line.startswith("grant")] == re.findall(
        r"^ +(grant .*)", text, re.MULTILINE
    )
