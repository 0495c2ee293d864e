"""cluster.yaml and clusters/aws-once.yaml: what Ray's own launcher and autoscaler make of them, with moto for AWS."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from fpray.config.file import check_sweep
from tests.clusters.moto import BUCKET, ROOT, Cloud, tags
from tests.hosts import Hosts, require
from tests.waiting import wait_for

pytestmark = pytest.mark.long

MOST = 2
"""max_workers."""
LOG = "/tmp/ray/session_latest/logs/monitor.log"
"""The autoscaler's."""
DEMAND = """
import ray
ray.init(address="auto")
ray.get([ray.remote(num_cpus=12, num_gpus=1)(lambda: None).remote() for _ in range(5)])
"""
ENDED = """
import json, os, sys
from ray.autoscaler._private.providers import _get_node_provider
config = json.load(open(os.path.expanduser("~/ray_bootstrap_config.yaml")))
provider = _get_node_provider(config["provider"], config["cluster_name"])
provider.non_terminated_nodes({})
provider.terminate_nodes(sys.argv[1:])
"""
STORED = """
import s3fs, sys
files = s3fs.S3FileSystem()
place = sys.argv[1] + "/folder/file"
files.pipe(place, b"small")
files.pipe(place, bytes(11 << 20), chunksize=5 << 20)
assert files.ls(sys.argv[1] + "/folder") == [place]
files.mv(place, place + "-moved")
assert len(files.cat(place + "-moved")) == 11 << 20
files.rm(place + "-moved")
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    require("flock", "setsid", "pgrep")
    with Hosts("head") as hosts:
        yield Cloud(hosts["head"], MOST)


@pytest.fixture(scope="module")
def launched(cloud: Cloud) -> Cloud:
    """After `ray up`."""
    cloud.up(cloud.text)
    return cloud


@pytest.fixture(scope="module")
def started(launched: Cloud) -> Cloud:
    """With Ray on the head."""
    launched.start_head()
    return launched


@pytest.fixture(scope="module")
def grown(started: Cloud) -> Iterator[Cloud]:
    """While five trials of a GPU each want to run."""
    demand = started.host.popen(started.on_head(f"exec python -c {shlex.quote(DEMAND)}"), stderr=subprocess.DEVNULL)
    assert wait_for(lambda: len(started.machines("gpu_worker")) >= MOST, lambda: demand.poll() is None, pause=1)
    yield started
    os.killpg(demand.pid, signal.SIGKILL)
    demand.wait()


def made(cloud: Cloud) -> dict[str, Any]:
    """All that costs, or lets someone in, by what AWS calls it."""
    asked = {
        "Reservations": ("ec2", "describe_instances"),
        "Volumes": ("ec2", "describe_volumes"),
        "SecurityGroups": ("ec2", "describe_security_groups"),
        "KeyPairs": ("ec2", "describe_key_pairs"),
        "Roles": ("iam", "list_roles"),
        "InstanceProfiles": ("iam", "list_instance_profiles"),
    }
    return {key: cloud.call(*call)[key] for key, call in asked.items()}


@pytest.mark.parametrize(
    ("placeholder", "said"),
    [
        ("max_workers: EDIT", "'EDIT' is not of type 'integer'"),
        ("sg-EDIT", "_get_vpc_id_of_sg"),
        ("ami-EDIT", "InvalidAMIID"),
    ],
)
def test_nothing_is_made_while_a_placeholder_stands(cloud: Cloud, placeholder: str, said: str) -> None:
    filled = cloud.filled[placeholder]
    before = made(cloud)
    assert before["Reservations"] == []
    assert said in cloud.up(cloud.text.replace(filled, placeholder))
    assert made(cloud) == before


def of_the_file(cloud: Cloud, machine: dict[str, Any]) -> None:
    """Assert what holds for every machine."""
    assert machine["ImageId"] == cloud.outputs["ImageId"]
    assert machine["KeyName"] == "fpray"
    assert [group["GroupId"] for group in machine["SecurityGroups"]] == [cloud.outputs["SecurityGroupIds"]]
    assert machine["MetadataOptions"]["HttpTokens"] == "required"
    assert tags(machine)["ray-cluster-name"] == tags(machine)["project"] == "fpray"
    (disk,) = machine["BlockDeviceMappings"]
    assert disk["Ebs"]["DeleteOnTermination"] is True
    (volume,) = cloud.call("ec2", "describe_volumes", VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
    assert volume["Encrypted"] is True
    assert (volume["Size"], volume["VolumeType"]) == (150, "gp3")
    assert tags(volume)["project"] == "fpray"


def profile(machine: dict[str, Any]) -> str:
    return machine["IamInstanceProfile"]["Arn"].rpartition("/")[2]


def test_up_launches_one_head_on_demand(launched: Cloud) -> None:
    (head,) = launched.machines()
    of_the_file(launched, head)
    assert (head["InstanceType"], profile(head)) == ("m6i.xlarge", "fpray-head")
    assert "InstanceLifecycle" not in head


def test_what_the_account_needed_was_there_before(launched: Cloud) -> None:
    """Ray makes no role, no security group open to the world, and no key of its own."""
    there = made(launched)
    assert sorted(role["RoleName"] for role in there["Roles"]) == ["fpray-head", "fpray-worker"]
    assert len(there["SecurityGroups"]) == 2  # AWS's own is there always
    assert [key["KeyName"] for key in there["KeyPairs"]] == ["fpray"]


def test_every_shipped_sweep_fits_on_a_gpu_node(started: Cloud) -> None:
    resolved = json.loads(started.host.run("cat ray_bootstrap_config.yaml").stdout)
    node = resolved["available_node_types"]["gpu_worker"]["resources"]
    assert (node["CPU"], node["GPU"]) == (16, 1)
    readme = re.findall(r"```yaml\n(name: .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    written = [file.read_text() for file in sorted((ROOT / "sweeps").glob("*.yaml"))]
    for text in [*readme, *written]:
        sweep = check_sweep(yaml.safe_load(text), "a sweep")
        assert sweep.resources.cpus <= node["CPU"], sweep.name
        assert sweep.resources.gpus <= node["GPU"], sweep.name


def test_trials_get_spot_nodes_with_the_workers_role_up_to_the_cap(grown: Cloud) -> None:
    grown.settle()
    workers = grown.machines("gpu_worker")
    assert len(workers) == MOST
    assert len(grown.machines()) == 1 + MOST  # nor was one launched and ended again
    for worker in workers:
        of_the_file(grown, worker)
        assert (worker["InstanceType"], profile(worker)) == ("g5.4xlarge", "fpray-worker")
        assert worker["InstanceLifecycle"] == "spot"


def test_the_autoscaler_sets_the_nodes_up(grown: Cloud) -> None:
    """Ray 2.60's fails at it, and says so in a log alone, where a file has worker_image and no image."""
    wanted = {worker["PrivateIpAddress"] for worker in grown.machines("gpu_worker")}

    def reached() -> set[str]:
        return set(re.findall(r"ubuntu@(\S+)", grown.host.run("cat stub/ssh.log").stdout))

    def failures() -> str:
        return grown.host.run(f"grep 'installation failed' {LOG}", check=False).stdout

    assert wait_for(lambda: wanted <= reached(), lambda: not failures(), pause=1), failures()


def test_the_heads_role_may_end_a_node_and_use_its_bucket_and_no_other(grown: Cloud) -> None:
    node = grown.machines("gpu_worker")[0]["InstanceId"]
    grown.host.run(grown.on_head(f"python -c {shlex.quote(ENDED)} {node}"))
    assert node not in {machine["InstanceId"] for machine in grown.machines("gpu_worker")}
    grown.call("s3", "create_bucket", Bucket="other", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    stored = grown.on_head(f"python -c {shlex.quote(STORED)}")
    grown.host.run(f"{stored} {BUCKET}")
    refused = grown.host.run(f"{stored} other", check=False)
    assert "PermissionError" in refused.stdout


def test_mlflow_is_served_on_loopback_with_its_artifacts_in_the_bucket_and_comes_back(started: Cloud) -> None:
    host = started.host
    (serve,) = [command for command in started.config["head_start_ray_commands"] if "mlflow" in command]
    logged = """
import mlflow, sys
mlflow.set_tracking_uri("http://127.0.0.1:5000")
with mlflow.start_run():
    mlflow.log_metric("seen", len(mlflow.search_runs()))
    mlflow.log_text("kept", "kept.txt")
"""

    def answers() -> bool:
        return started.fetch("http://127.0.0.1:5000/health")

    def is_kept_up() -> bool:
        return any(process.startswith("flock") for process in host.processes())

    for _ in range(2):  # the second time as by another `ray up`
        host.run(started.on_head(serve))
    assert wait_for(answers, is_kept_up, pause=1)
    elsewhere = host.run("python -c 'import socket; socket.create_connection((\"head\", 5000))'", check=False)
    assert "ConnectionRefusedError" in elsewhere.stdout
    host.run(f"python -c {shlex.quote(logged)}")
    keys = [found["Key"] for found in started.call("s3", "list_objects_v2", Bucket=BUCKET)["Contents"]]
    assert [key for key in keys if re.fullmatch(r"mlflow/.*/kept\.txt", key)]

    assert len([process for process in host.processes() if process.startswith("sh -c while")]) == 1
    host.run("kill -9 $(pgrep -f '[p]ython -m uvicorn')")
    assert wait_for(answers, is_kept_up, pause=1)
    host.run(f"python -c {shlex.quote(logged)}")
    assert host.run("ls mlflow").stdout.split() == ["lock", "log", "mlflow.db"]
