"""A real SLURM on hosts: its controller on the first, and every one a node with two processors and a GPU on paper."""

from __future__ import annotations

import re

from tests.hosts import Hosts
from tests.waiting import wait_for

# Without cgroups, which a machine may not let us mount; and a job that goes back into the queue is eligible after
# `cred_expire` seconds, by default two minutes.
SLURM = """\
ClusterName=test
SlurmctldHost={first}
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
NodeName={nodes} CPUs=2 RealMemory=2000 Gres=gpu:1
PartitionName=all Nodes={nodes} Default=YES MaxTime=INFINITE
"""
NODE = """
umask 077
mkdir -p /etc/slurm /etc/munge /var/lib/slurm/slurmctld /var/lib/slurm/slurmd /var/log/slurm /var/log/munge
mkdir -p /var/lib/munge
mkdir -m 755 -p /run/munge
cp {shared}/slurm.conf /etc/slurm
echo CgroupPlugin=cgroup/v1 > /etc/slurm/cgroup.conf
echo Name=gpu File=/dev/null > /etc/slurm/gres.conf
mount -t tmpfs tmpfs /sys/fs/cgroup
cp {shared}/munge.key /etc/munge
chown -R root: /etc/munge /var/lib/munge /var/log/munge /run/munge
munged
mount --bind {shared}/home ~
"""


class Slurm:
    """SLURM on hosts that share a home folder; it ends with them."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts, (first, *_) = hosts, hosts
        self.controller = hosts[first]
        (hosts.shared / "slurm.conf").write_text(SLURM.format(first=first, nodes=",".join(hosts)))
        self.run(f"head --bytes=1024 /dev/urandom > {hosts.shared}/munge.key; cp -r ~ {hosts.shared}/home")
        for host in hosts.values():
            host.run(NODE.format(shared=hosts.shared))
        self.run("slurmctld")
        for host in hosts.values():
            host.run("slurmd")
        wait_for(self.all_idle, pause=0.5)

    def run(self, command: str) -> str:
        """Run a command where the controller is; returns what it printed."""
        return self.controller.run(command).stdout

    def all_idle(self) -> bool:
        """Whether all nodes are up, and no job has any."""
        return self.run("sinfo --noheader --states=idle --format=%D").strip() == str(len(self.hosts))

    def submit(self, script: str) -> int:
        """Submit a job: `sbatch`'s arguments; returns its number."""
        return int(self.run(f"cd {self.hosts.shared} && sbatch --parsable {script}"))

    def job(self, number: int) -> dict[str, str]:
        """What SLURM knows of a job, such as its `JobState`, `Restarts` and `ExitCode`."""
        return dict(re.findall(r"(\w+)=(\S*)", self.run(f"scontrol show job {number}")))
