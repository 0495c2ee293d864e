"""Hosts are apart from each other and from this machine, and nothing of them stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.hosts import Hosts, require
from tests.hosts.hosts import CHECKOUT
from tests.waiting import wait_for

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    require()
    with Hosts("h0", "h1") as hosts:
        yield hosts


def test_hosts_reach_each_other_and_nothing_else(hosts: Hosts) -> None:
    assert hosts["h0"].run("ssh h1 hostname").stdout == "h1\n"
    assert hosts["h1"].run(f"ssh {hosts['h0'].address} hostname").stdout == "h0\n"
    for away in ("1.1.1.1", "169.254.169.254"):
        refused = hosts["h0"].run(f"python -c 'import socket; socket.create_connection((\"{away}\", 80))'", check=False)
        assert "Network is unreachable" in refused.stdout
    assert "default" not in hosts["h0"].run("ip route").stdout


def test_what_a_host_writes_is_its_own_but_for_the_shared_folder(hosts: Hosts) -> None:
    for folder in ("/etc", "/tmp", "/dev/shm", "/run", "~", sys.prefix, str(CHECKOUT)):
        hosts["h0"].run(f"echo mine > {folder}/fpray-hosts-test")
        assert not (Path(folder).expanduser() / "fpray-hosts-test").exists()
        assert hosts["h1"].run(f"cat {folder}/fpray-hosts-test", check=False).returncode == 1
    hosts["h0"].run(f"echo ours > {hosts.shared}/written")
    assert hosts["h1"].run(f"cat {hosts.shared}/written").stdout == "ours\n"
    assert (hosts.shared / "written").read_text() == "ours\n"


def test_the_checkout_and_the_virtual_environment_are_there_by_ssh_too(hosts: Hosts) -> None:
    asked = "python -c 'import fpray, sys; print(sys.prefix, fpray.__file__)'"
    expected = f"{sys.prefix} {CHECKOUT}/fpray/__init__.py\n"
    assert hosts["h0"].run(asked).stdout == expected
    assert hosts["h0"].run(f'ssh h1 "{asked}"').stdout == expected


def test_processes_are_the_hosts_own_and_a_command_that_takes_too_long_is_ended(hosts: Hosts) -> None:
    sleeping = hosts["h0"].popen("exec sleep 1000")
    wait_for(lambda: hosts["h0"].processes() == ["sleep 1000"], pause=0.2)
    assert hosts["h1"].processes() == []
    os.killpg(sleeping.pid, signal.SIGTERM)
    assert sleeping.wait() == -signal.SIGTERM
    with pytest.raises(AssertionError, match=r"(?s)longer than 0\.5 s.*begun"):
        hosts["h0"].run("echo begun; sleep 1000", timeout=0.5)
    with pytest.raises(AssertionError, match=r"(?s)exit code 3.*why"):
        hosts["h0"].run("echo why >&2; exit 3")
    wait_for(lambda: hosts["h0"].processes() == [], pause=0.2)


def test_a_host_is_killed_and_another_added(hosts: Hosts) -> None:
    added = hosts.add("h2")
    added.popen("sleep 1000")
    assert hosts["h0"].run("ssh h2 hostname").stdout == "h2\n"
    (inside,) = [p for p in psutil.Process(added.process_1).children(recursive=True) if p.name() == "cat"]
    added.kill()
    assert not inside.is_running()
    assert hosts["h0"].run("ssh -o ConnectTimeout=2 h2 hostname", check=False).returncode == 255


def test_nothing_stays_of_a_test_that_is_killed() -> None:
    require()
    script = """
        import os, signal
        from tests.hosts import Hosts
        with Hosts("h0") as hosts:
            hosts["h0"].popen("sleep 1000")
            print(hosts.key.parent, hosts["h0"].process_1, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, cwd=CHECKOUT
    )
    folder, process_1 = killed.stdout.split()
    wait_for(lambda: not psutil.pid_exists(int(process_1)))
    assert Path(folder).is_dir()
    with Hosts() as others:
        assert not Path(folder).exists()
        with Hosts():
            assert others.key.exists()  # its test still runs
