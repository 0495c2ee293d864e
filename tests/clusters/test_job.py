"""A sweep as a Ray job: submitted again it goes on, stopped it ends its epochs; its log has a line an event."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.clusters.sweeps import EPOCHS, assert_complete, epochs_done, write_cluster_sweep
from tests.hosts import Host, Hosts, require
from tests.waiting import wait_for

pytestmark = pytest.mark.long
require()

COMMAND = "^python -m fpray.sweep"
"""The sweep's own process, not the shell's that Ray has started."""
ENVIRONMENT = "export RAY_AUTH_MODE=token RAY_JOB_STOP_WAIT_TIME_S=300;"


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """A head with room for trials, on which jobs have time to stop in."""
    with Hosts("head") as hosts:
        hosts["head"].run(
            f"{ENVIRONMENT} ray get-auth-token --generate > /dev/null; "
            "ray start --head --port=6379 --num-cpus=4 --object-store-memory=100000000"
        )
        yield hosts


def job(host: Host, command: str, check: bool = True) -> str:
    return host.run(f"{ENVIRONMENT} ray job {command}", timeout=300, check=check).stdout


def test_a_job_goes_on_when_it_is_submitted_again(hosts: Hosts) -> None:
    head, file = hosts["head"], write_cluster_sweep(hosts.shared)

    def runs() -> bool:
        return head.run(f"pgrep --full '{COMMAND}'", check=False).returncode == 0

    def submit(name: str) -> None:
        job(head, f"submit --no-wait --submission-id {name} -- python -m fpray.sweep {file}")
        assert wait_for(runs, pause=1)

    def status(name: str) -> str:
        """How a job has ended, of which nothing runs any more."""
        said: list[str] = []
        words = ("' succeeded", "' failed", "' was stopped")
        assert wait_for(
            lambda: said.append(job(head, f"status {name}")) or any(word in said[-1] for word in words), pause=5
        )
        return said[-1]

    submit("killed")
    assert wait_for(lambda: sum(epochs_done(hosts.shared).values()) >= 2, runs, pause=1)
    head.run(f"pkill --signal KILL --full '{COMMAND}'")
    assert "' failed" in status("killed")
    before = epochs_done(hosts.shared)
    submit("stopped")
    assert wait_for(lambda: sum(epochs_done(hosts.shared).values()) > sum(before.values()), runs, pause=1)
    job(head, "stop stopped", check=False)
    assert wait_for(lambda: not runs(), pause=1)
    assert "' was stopped" in status("stopped")
    said = job(head, "logs stopped")
    assert "stopping: trials end the epoch they are in" in said
    assert "the same command goes on from here" in said  # it came to its own end, and was not killed
    assert any(0 < epochs < EPOCHS for epochs in epochs_done(hosts.shared).values())
    submit("whole")
    assert wait_for(lambda: not runs(), pause=1)
    said = job(head, "logs whole")
    assert "' succeeded" in status("whole"), said
    assert_complete(hosts.shared)
    assert re.findall(r"^[\d-]+ [\d:]+ (\[\d/3\]) ", said, re.MULTILINE)[-1] == "[3/3]"
