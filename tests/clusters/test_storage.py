"""The storage of a cluster of real hosts: what a node does not see or may not read is told with its name."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fpray.testing import make_tiny_clip
from tests.faults.small import write_sweep
from tests.hosts import Hosts, require
from tests.waiting import wait_for

pytestmark = pytest.mark.long
require()

ENDPOINT = "http://head:5055"
CONFIG = f"[default]\nregion = us-west-2\nendpoint_url = {ENDPOINT}\n"
CREDENTIALS = "[default]\naws_access_key_id = key\naws_secret_access_key = secret\n"
BUCKET = "import boto3; boto3.client('s3').create_bucket(Bucket='sweeps', CreateBucketConfiguration="
BUCKET += "{'LocationConstraint': 'us-west-2'})"


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """A head and two nodes, and on the head a store that speaks S3; the second node has no credentials for it."""
    with Hosts("head", "one", "two") as made:
        make_tiny_clip(made.shared)
        server = "exec python -c 'from moto.server import main; main()' -H 0.0.0.0 -p 5055"
        store = made["head"].popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for host in made.values():
            host.run(f"mkdir .aws; echo '{CONFIG}' > .aws/config")
        for name in ("head", "one"):
            made[name].run(f"echo '{CREDENTIALS}' > .aws/credentials")
        answers = f"python -c \"import urllib.request as r; r.urlopen('{ENDPOINT}/moto-api/data.json')\""
        assert wait_for(
            lambda: made["head"].run(answers, check=False).returncode == 0, lambda: store.poll() is None, pause=0.5
        )
        made["head"].run(f'python -c "{BUCKET}"')
        ray = "RAY_AUTH_MODE=disabled ray start --object-store-memory=100000000"
        made["head"].run(f"{ray} --head --port=6379 --num-cpus=0 --include-dashboard=false")
        for name in ("one", "two"):
            made[name].run(f"{ray} --address=head:6379 --num-cpus=1")
        yield made


def sweep(hosts: Hosts, storage: str) -> tuple[int, str]:
    """The exit code of a sweep with its records there, and what it said."""
    methods = {"zero_shot": {}, "full": {"trials": 2}}
    sections = {"storage": storage, "tracking": None, "methods": methods, "name": Path(storage).name}
    file = write_sweep(hosts.shared, f"local-dir:{hosts.shared}", **sections)
    command = f"RAY_AUTH_MODE=disabled python -m fpray.sweep {file} --address head:6379"
    done = hosts["head"].run(command, timeout=600, check=False)
    return done.returncode, done.stdout


def test_a_folder_of_the_heads_own_is_not_the_nodes(hosts: Hosts) -> None:
    code, said = sweep(hosts, "/home/fpray/own")
    assert code == 2
    assert "fpray: node " in said and ": doesn't see the storage folder '/home/fpray/own/own' that the command" in said


def test_credentials_are_each_nodes_own(hosts: Hosts) -> None:
    code, said = sweep(hosts, "s3://sweeps/lacking")
    assert code == 2
    assert "fpray: node two: can't read 's3://sweeps/lacking/lacking/nodes/command': unable to locate" in said
    assert "give this node the credentials, too" in said
    hosts["two"].run(f"echo '{CREDENTIALS}' > .aws/credentials")
    code, said = sweep(hosts, "s3://sweeps/whole")
    assert code == 0, said
    assert "[3/3]" in said
