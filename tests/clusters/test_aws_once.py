"""clusters/aws-once.yaml: nobody gets in but you, and no role may do more than it needs.

moto plays AWS, in this process.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from cfnlint.api import lint_file
from moto import mock_aws

from tests.clusters.moto import ADDRESS, BUCKET, REGION, ROOT, listed, stack

pytestmark = pytest.mark.long

ACCOUNT = "123456789012"
"""moto's."""


@pytest.fixture(scope="module", autouse=True)
def account() -> Iterator[None]:
    """An account in which the stack was made."""
    with mock_aws(), warnings.catch_warnings(action="ignore"):  # moto's CloudFormation has no key pairs
        boto3.client("cloudformation", REGION).create_stack(**stack("ssh-ed25519 AAAA"))
        yield


def statements(role: str) -> list[dict[str, Any]]:
    """All that a role may do."""
    iam = boto3.client("iam")
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policies = [iam.get_role_policy(RoleName=role, PolicyName=name) for name in names]
    allowed = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
    assert {statement["Effect"] for statement in allowed} == {"Allow"}
    return allowed


def resources(role: str, action: str) -> set[str]:
    """What a role may do something to."""
    allowed = [statement for statement in statements(role) if action in listed(statement["Action"])]
    return {resource for statement in allowed for resource in listed(statement["Resource"])}


def test_cfn_lint_has_nothing_to_say() -> None:
    assert lint_file(ROOT / "clusters/aws-once.yaml") == []


def test_nodes_are_open_to_each_other_and_to_one_address_by_ssh() -> None:
    groups = boto3.client("ec2", REGION).describe_security_groups()["SecurityGroups"]
    (group,) = [group for group in groups if group["GroupName"] != "default"]
    by_ssh, among = group["IpPermissions"]
    assert (by_ssh["IpProtocol"], by_ssh["FromPort"], by_ssh["ToPort"]) == ("tcp", 22, 22)
    assert [found["CidrIp"] for found in by_ssh["IpRanges"]] == [ADDRESS]
    assert by_ssh["UserIdGroupPairs"] == by_ssh["Ipv6Ranges"] == by_ssh["PrefixListIds"] == []
    assert [pair["GroupId"] for pair in among["UserIdGroupPairs"]] == [group["GroupId"]]
    assert among["IpRanges"] == among["Ipv6Ranges"] == among["PrefixListIds"] == []


@pytest.mark.parametrize("role", ["fpray-head", "fpray-worker"])
def test_roles_are_for_machines_and_one_bucket(role: str) -> None:
    iam = boto3.client("iam")
    assumed = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert (assumed["Action"], assumed["Principal"]) == ("sts:AssumeRole", {"Service": "ec2.amazonaws.com"})
    (profile,) = iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]
    assert profile["InstanceProfileName"] == role
    actions = {action for statement in statements(role) for action in listed(statement["Action"])}
    stored = [action for action in actions if action.startswith("s3:")]
    assert set().union(*(resources(role, action) for action in stored)) == {
        f"arn:aws:s3:::{BUCKET}",
        f"arn:aws:s3:::{BUCKET}/*",
    }
    assert not [action for action in actions if "*" in action]


def test_workers_may_use_the_bucket_and_nothing_else() -> None:
    actions = {action for statement in statements("fpray-worker") for action in listed(statement["Action"])}
    assert {action.partition(":")[0] for action in actions} == {"s3"}


def test_the_head_may_launch_and_end_nodes_of_its_cluster_alone() -> None:
    head = statements("fpray-head")
    everywhere = [statement["Action"] for statement in head if "*" in listed(statement["Resource"])]
    assert everywhere == ["ec2:DescribeInstances"]
    instances = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*"
    bound = {
        action: {key for operator in statement["Condition"].values() for key in operator}
        for statement in head
        if instances in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }
    assert bound == {
        "ec2:RunInstances": {"aws:RequestTag/ray-cluster-name"},
        "ec2:CreateTags": {"aws:ResourceTag/ray-cluster-name"},
        "ec2:TerminateInstances": {"aws:ResourceTag/ray-cluster-name"},
    }


def test_the_head_hands_on_the_workers_role_alone() -> None:
    assert resources("fpray-head", "iam:PassRole") == {f"arn:aws:iam::{ACCOUNT}:role/fpray-worker"}
    (service,) = resources("fpray-head", "iam:CreateServiceLinkedRole")
    assert service.endswith("/spot.amazonaws.com/*")
