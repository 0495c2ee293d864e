"""Several hosts on a network of their own, for the length of a test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import psutil

from tests.hosts.host import Host, environment
from tests.waiting import wait_for

CHECKOUT = Path(__file__).parents[2]
FOLDERS = "fpray-hosts-{process}-"
"""How the folders of hosts begin."""
SSH = """\
User root
IdentityFile {key}
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
"""


class Hosts(Mapping[str, Host]):
    """Hosts by their names; all of them, and all that runs on them, are gone after the `with` block.

    They are so too when the test's process is killed: the kernel ends what hung on it, network included. Only its
    folder stays, and is taken away by the next.

    Args:
        names: Of the first hosts; `add` makes more.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._hosts: dict[str, Host] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Hosts:
        _take_away_what_is_left()
        with self._exit:
            made = tempfile.mkdtemp(prefix=FOLDERS.format(process=os.getpid()))
            self._exit.callback(shutil.rmtree, made)
            self._folder = Path(made)
            self.shared = self._folder / "shared"
            self.shared.mkdir()
            self.key = self._folder / "key"
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
            (self._folder / "ssh_config").write_text(SSH.format(key=self.key))
            bins = [f"{sys.prefix}/bin", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
            self._environment = {
                "PATH": ":".join(bins),
                "PYTHONPATH": str(CHECKOUT),
                "LANG": "C.UTF-8",
                "RAY_worker_niceness": "0",  # as in tests/conftest.py
                "OMP_NUM_THREADS": "1",  # all hosts share the processors: threads of tiny layers wait for each other
            }
            (self._folder / "environment").write_text(environment(self._environment))
            (self._folder / "hosts").write_text("127.0.0.1 localhost\n")
            self._switch = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
            self._exit.callback(_end, self._switch)
            wait_for(lambda: _network(self._switch.pid) != _network(os.getpid()))
            self._in_network(self._switch.pid, "ip link add switch type bridge", "ip link set switch up")
            for name in self._names:
                self.add(name)
            self._exit = self._exit.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()
        self._hosts.clear()

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._hosts)

    def __len__(self) -> int:
        return len(self._hosts)

    def add(self, name: str) -> Host:
        """Make one more host; the others know its name. Returns when its sshd listens."""
        number = len(self._hosts) + 1
        address = f"10.77.0.{number}"
        with (self._folder / "hosts").open("a") as known:
            known.write(f"{address} {name}\n")
        (self._folder / name).mkdir()
        log = self._folder / f"{name}.log"
        spaces = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child"]
        boot = ["bash", str(Path(__file__).with_name("boot.sh")), name, str(self._folder), *_not_in_the_layer()]
        with log.open("wb") as said:
            root = subprocess.Popen(
                [*spaces, *boot],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # not for a terminal's Ctrl-C: the test ends its hosts itself
            )
        self._exit.callback(_end, root)
        wait_for(lambda: psutil.Process(root.pid).children(), lambda: root.poll() is None)
        process_1 = psutil.Process(root.pid).children()[0].pid
        here = f"port{number}"
        self._in_network(
            process_1,
            f"ip link add eth0 type veth peer name {here} netns {self._switch.pid}",
            f"ip address add {address}/24 dev eth0",
            "ip link set eth0 up",
            "ip link set lo up",
        )
        self._in_network(self._switch.pid, f"ip link set {here} master switch up")
        up = wait_for(lambda: "Server listening" in log.read_text(), lambda: root.poll() is None)
        assert up, f"{name} did not start:\n{log.read_text()}"
        self._hosts[name] = Host(name, address, root, process_1, self._environment)
        return self._hosts[name]

    def _in_network(self, process: int, *commands: str) -> None:
        for command in commands:
            subprocess.run(["nsenter", f"--target={process}", "--net", *command.split()], check=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that lives as long as its standard input."""
    assert process.stdin is not None
    process.stdin.close()
    process.wait()


def _network(process: int) -> str:
    return str(Path(f"/proc/{process}/ns/net").readlink())


def _not_in_the_layer() -> list[str]:
    """Folders that are needed on a host and lie on another file system than `/`, or where a host has its own."""
    root = Path("/").stat().st_dev
    needed = {Path(sys.prefix), Path(sys.base_prefix), CHECKOUT}
    return [str(f) for f in sorted(needed) if f.stat().st_dev != root or f.parts[1] in ("tmp", "run", "dev")]


def _take_away_what_is_left() -> None:
    """Remove the folders of test processes that are no more."""
    for folder in Path(tempfile.gettempdir()).glob(FOLDERS.format(process="*") + "*"):
        if not psutil.pid_exists(int(folder.name.split("-")[2])):
            shutil.rmtree(folder, ignore_errors=True)
