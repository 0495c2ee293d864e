"""AWS, played by moto on a host from which nothing leads out, and Ray's own launcher and autoscaler against it.

moto gives its machines invented public addresses, so here `ssh` is a stub that reaches none: `ray up` gets as far as a
machine that doesn't answer. What would run there, `start_head` runs on the host.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.hosts import Host
from tests.hosts.host import environment
from tests.waiting import PATIENCE_SECONDS, wait_for

ROOT = Path(__file__).parents[2]
HOME = "/home/ray"
"""The home folder in Ray's containers, and on the host."""
ENDPOINT = "http://127.0.0.1:5055"
REGION = "us-west-2"
BUCKET = "sweeps"
ADDRESS = "203.0.113.7/32"
IMAGES = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
"""A parameter of AWS's that moto has."""
VALIDATED = ("MOTO_ENABLE_AMI_VALIDATION", "MOTO_ENABLE_KEYPAIR_VALIDATION", "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION")
"""What moto refuses if asked to, as AWS does."""

SERVER = """
import re, sys
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.server import main
for name in INSTANCE_TYPES.keys() - set(sys.argv.pop().split()):
    del INSTANCE_TYPES[name]
main()
"""
"""moto with the machine types that cluster.yaml names: Ray asks for all there are, and for 900 moto takes 20 s."""
ASKED = """
import boto3, json, sys
for line in sys.stdin:
    service, action, arguments = json.loads(line)
    print(json.dumps(getattr(boto3.Session().client(service), action)(**arguments), default=str), flush=True)
"""
"""Hands calls on to boto3: each is a line."""
FETCH = """
import sys
from urllib.request import Request, urlopen
_, address, sent = sys.argv
urlopen(Request(address, sent.encode() or None, {"Content-Type": "text/plain"}), timeout=10)
"""
HEADS_CONFIG = """
import os, shutil, yaml
from ray.autoscaler._private.commands import _bootstrap_config, _get_node_provider, _set_up_config_for_head_node
config = _bootstrap_config(yaml.safe_load(open("cluster.yaml")))
provider = _get_node_provider(config["provider"], config["cluster_name"])
config, file = _set_up_config_for_head_node(config, provider, no_restart=False)
for there, here in config["file_mounts"].items():
    if "ray_bootstrap" in there:
        shutil.copy(os.path.expanduser(here), os.path.expanduser(there))
"""
"""Writes what `ray up` copies to the head."""
SETTLED = """
import time
from ray._raylet import GcsClient
from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply
def versions():
    reply = GetClusterStatusReply()
    reply.ParseFromString(GcsClient("127.0.0.1:6379").get_cluster_status())
    state = reply.autoscaling_state
    return reply.cluster_resource_state.cluster_resource_state_version, state.last_seen_cluster_resource_state_version
for _ in range(2):
    now, _ = versions()
    while versions()[1] <= now:
        time.sleep(0.5)
"""
"""Ends when the autoscaler has twice done what it thinks right with the state of the cluster from now on."""
STUBBED = f'export HOME={HOME} PATH={HOME}/stub:"$PATH"'


class Cloud:
    """An AWS account after the commands at the top of clusters/aws-once.yaml, and cluster.yaml filled in for it.

    Args:
        host: where AWS is played; its home folder stands for the user's, and the head's.
        max_workers: what cluster.yaml says.
    """

    def __init__(self, host: Host, max_workers: int) -> None:
        self.host = host
        self._serve()
        self.outputs = self._deploy()
        self.filled = {
            "max_workers: EDIT": f"max_workers: {max_workers}",
            "sg-EDIT": self.outputs["SecurityGroupIds"],
            "ami-EDIT": self.outputs["ImageId"],
            "s3://EDIT": f"s3://{BUCKET}",
        }
        self.text = (ROOT / "cluster.yaml").read_text()
        for placeholder, value in self.filled.items():
            self.text = self.text.replace(placeholder, value)
        self.config: dict[str, Any] = yaml.safe_load(self.text)
        self._lay_out()
        self._guard()

    def call(self, service: str, action: str, **arguments: Any) -> Any:
        """AWS's reply to a call of boto3's, as the account's owner."""
        print(json.dumps([service, action, arguments]), file=self._asked.stdin, flush=True)
        return json.loads(self._asked.stdout.readline())

    def up(self, text: str) -> str:
        """What `ray up` prints for a cluster file, which it can't bring up: the head doesn't answer."""
        self.write("cluster.yaml", text)
        command = "AUTOSCALER_NODE_START_WAIT_S=3 ray up -y cluster.yaml"
        done = self.host.run(f"{STUBBED}\n{command}", timeout=300, check=False)
        assert done.returncode != 0
        return done.stdout

    def machines(self, node_type: str | None = None) -> list[dict[str, Any]]:
        """The machines of a node type that run, or all that were ever launched; with their disks."""
        reservations = self.call("ec2", "describe_instances")["Reservations"]
        machines = [machine for reservation in reservations for machine in reservation["Instances"]]
        if node_type is None:
            return machines
        alive = [machine for machine in machines if machine["State"]["Name"] in ("pending", "running")]
        return [machine for machine in alive if tags(machine)["ray-user-node-type"] == node_type]

    def start_head(self) -> None:
        """Start Ray as the head does: by the file's own command, in its container's environment and its role."""
        self.host.run(f"python -c {shlex.quote(HEADS_CONFIG)}", timeout=300)
        (head,) = self.machines("head")
        (start,) = [command for command in self.config["head_start_ray_commands"] if "ray start" in command]
        launcher = {
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": head["InstanceId"],
            "RAY_NODE_TYPE_NAME": "head",
            "RAY_OVERRIDE_RESOURCES": json.dumps(self.config["available_node_types"]["head"]["resources"]),
        }
        self.host.run(self.on_head(f"{environment(launcher)}{start}"))

    def on_head(self, command: str) -> str:
        """A command line as it runs in the head's container."""
        options = [*self.config["docker"]["run_options"], *self.config["docker"]["head_run_options"]]
        seen = re.findall(r"-e (\w+)=(\S+)", " ".join(options))
        return f"{STUBBED}\n{environment(dict(seen) | {'AWS_PROFILE': 'head'})}{command}"

    def settle(self) -> None:
        """Wait until the autoscaler has done what it wants, knowing what is so now."""
        self.host.run(self.on_head(f"python -c {shlex.quote(SETTLED)}"), timeout=PATIENCE_SECONDS)

    def fetch(self, address: str, sent: str = "") -> bool:
        """Whether an address answers on the host, and well; with what is sent to it."""
        return self.host.run(f"python -c {shlex.quote(FETCH)} {address} '{sent}'", check=False).returncode == 0

    def write(self, name: str, text: str) -> None:
        """Write a file on the host."""
        path = shlex.quote(name)
        self.host.run(f"mkdir -p $(dirname {path}) && printf %s {shlex.quote(text)} > {path}")

    def _serve(self) -> None:
        """Start moto, and let every command on the host ask it."""
        self.host.run(f"ln -s ~ {HOME}")
        profiles = ("default", "profile head")
        self.write(".aws/config", "".join(f"[{p}]\nregion = {REGION}\nendpoint_url = {ENDPOINT}\n" for p in profiles))
        self._know(default=("owner", "owner"))
        validated = environment(dict.fromkeys(VALIDATED, "true"))
        types = " ".join(re.findall(r"InstanceType: (\S+)", (ROOT / "cluster.yaml").read_text()))
        server = self.host.popen(
            f"{validated}exec python -c {shlex.quote(SERVER)} -p {ENDPOINT.rpartition(':')[2]} '{types}'",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert wait_for(lambda: self.fetch(f"{ENDPOINT}/moto-api/data.json"), lambda: server.poll() is None)
        self._asked = self.host.popen(
            f"exec python -c {shlex.quote(ASKED)}", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _know(self, **keys: tuple[str, str]) -> None:
        """Write AWS keys down on the host, by profile."""
        lines = [f"[{name}]\naws_access_key_id={key}\naws_secret_access_key={s}\n" for name, (key, s) in keys.items()]
        self.write(".aws/credentials", "".join(lines))

    def _deploy(self) -> dict[str, str]:
        """Make the stack, and what moto's CloudFormation can't: the key pair."""
        self.host.run("ssh-keygen -q -t ed25519 -N '' -f .ssh/fpray")
        public = self.host.run("cat .ssh/fpray.pub").stdout.strip()
        self.call("cloudformation", "create_stack", **stack(public))
        self.call("ec2", "import_key_pair", KeyName="fpray", PublicKeyMaterial=public)
        self.call("s3", "create_bucket", Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        (made,) = self.call("cloudformation", "describe_stacks", StackName="fpray")["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}

    def _guard(self) -> None:
        """Let moto ask who may do what: `default` may all, `head` what the head's role may.

        Of resources and conditions it knows those of S3 only, so the others are left out.
        """
        scaling, storing = (
            self.call("iam", "get_role_policy", RoleName="fpray-head", PolicyName=policy)["PolicyDocument"]["Statement"]
            for policy in ("scale-the-cluster", "use-the-bucket")
        )
        actions = [action for statement in scaling for action in listed(statement["Action"])]
        statements = {
            "default": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
            "head": [{"Effect": "Allow", "Action": actions, "Resource": "*"}, *storing],
        }
        keys = {}
        for user, allowed in statements.items():
            document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
            self.call("iam", "create_user", UserName=user)
            self.call("iam", "put_user_policy", UserName=user, PolicyName="may", PolicyDocument=document)
            key = self.call("iam", "create_access_key", UserName=user)["AccessKey"]
            keys[user] = (key["AccessKeyId"], key["SecretAccessKey"])
        self._know(**keys)
        assert self.fetch(f"{ENDPOINT}/moto-api/reset-auth", "0")

    def _lay_out(self) -> None:
        """What the user has on their machine before `ray up`, and the stub."""
        self.write("stub/ssh", '#!/bin/sh\necho "$@" >> "$0.log"\nexit 255\n')
        self.host.run("chmod +x stub/ssh; mkdir dist; touch dist/fpray-0-py3-none-any.whl; ln -s dist wheel")
        self.host.run(
            "mkdir -p .ray mlflow; RAY_AUTH_MODE=token ray get-auth-token --generate; chmod 600 .ray/auth_token"
        )
        self.write("cluster.yaml", self.text)


def stack(public_key: str) -> dict[str, Any]:
    """What CloudFormation is told by the commands at the top of clusters/aws-once.yaml."""
    given = {"Bucket": BUCKET, "Address": ADDRESS, "PublicKey": public_key}
    return {
        "StackName": "fpray",
        "TemplateBody": re.sub(r"/aws/service/deeplearning/\S+", IMAGES, (ROOT / "clusters/aws-once.yaml").read_text()),
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }


def listed(one_or_more: str | list[str]) -> list[str]:
    """What IAM lets stand alone or in a list."""
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def tags(tagged: Mapping[str, Sequence[Mapping[str, str]]]) -> dict[str, str]:
    """The tags of something of AWS's, as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tagged.get("Tags", [])}
