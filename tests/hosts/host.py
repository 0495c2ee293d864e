"""One host: commands in it, and its sudden end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

HOME = Path("/home/fpray")
"""The home folder of root, which is the user on every host."""


@dataclass(frozen=True)
class Host:
    """One host of a test's. Its user is root, with a home folder of its own."""

    name: str
    address: str
    root: subprocess.Popen[bytes]
    """What holds the host's namespaces: `unshare`, which ends when process 1 does."""
    process_1: int
    """The process id of the host's process 1 as this machine counts."""
    environment: Mapping[str, str]

    def popen(self, command: str, **named: Any) -> subprocess.Popen[Any]:
        """Start a command line for bash in the host's home folder.

        It has a process group of its own; a signal is for the group (`os.killpg(process.pid, ...)`), since the process
        itself only waits for the one in the host. Named arguments are `subprocess.Popen`'s.
        """
        enter = ["nsenter", f"--target={self.process_1}", "--mount", "--pid", "--uts", "--ipc", "--net"]
        inside = ["bash", "-c", f"cd {HOME}\n{command}"]
        named = {"stdin": subprocess.DEVNULL, "env": self.environment, "start_new_session": True} | named
        return subprocess.Popen([*enter, *inside], **named)

    def run(self, command: str, timeout: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command line for bash to its end; its `stdout` has both of its outputs.

        Raises:
            AssertionError: if it takes longer than `timeout` seconds or, unless `check` is false, fails; with all that
                it printed.
        """
        # Not a pipe: a daemon that the command leaves behind may hold its end open.
        with tempfile.TemporaryFile() as printed:
            process = self.popen(command, stdout=printed, stderr=subprocess.STDOUT)
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{self.name}: {command}: longer than {timeout} s:\n{_all(printed)}") from None
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            said = _all(printed)
        assert code == 0 or not check, f"{self.name}: {command}: exit code {code}:\n{said}"
        return subprocess.CompletedProcess(command, code, stdout=said)

    def processes(self) -> list[str]:
        """The command lines of what runs on the host, without process 1, its sshd and this question."""
        booted = ("bash -c", "ps -e", "cat", "sshd")
        lines = [line.split(maxsplit=1) for line in self.run("ps -e -o pid=,args=").stdout.splitlines()]
        return [args for pid, args in lines if pid != "1" and not args.startswith(booted)]

    def kill(self) -> None:
        """End the host as a power cut does: all its processes at once. Returns when they are gone."""
        if self.root.poll() is None:
            os.kill(self.process_1, signal.SIGKILL)
        self.root.wait()
        if self.root.stdin:
            self.root.stdin.close()


def environment(seen: Mapping[str, str]) -> str:
    """Lines for bash that set an environment."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in seen.items())


def _all(printed: IO[bytes]) -> str:
    printed.seek(0)
    return printed.read().decode(errors="replace")
