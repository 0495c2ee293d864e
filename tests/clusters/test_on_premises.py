"""clusters/on-premises.yaml: what it says, and a whole life of its cluster on hosts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.clusters.nodes import nodes
from tests.clusters.sweeps import assert_complete, epochs_done, write_cluster_sweep
from tests.hosts import Host, Hosts, require
from tests.sweeps import records_in
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
FILE = ROOT / "clusters/on-premises.yaml"
EDITED: dict[str, dict[str, Any]] = {
    "provider": {"head_ip": "10.0.0.1", "worker_ips": ["10.0.0.2", "10.0.0.3"]},
    "auth": {"ssh_user": "somebody"},
}
ACTIVATE = ". ~/fpray/bin/activate"


def written(**edited: dict[str, Any]) -> dict[str, Any]:
    """The file with some values of its sections in place of what stands there."""
    config = yaml.safe_load(FILE.read_text())
    for section, values in edited.items():
        config[section] |= values
    return config


def check(config: dict[str, Any]) -> dict[str, Any]:
    """The config as `ray up` would use it, with Ray's defaults filled in."""
    prepared = prepare_config(config)
    validate_config(prepared)
    return prepared


def test_ray_accepts_the_edited_file() -> None:
    prepared = check(written(**EDITED))
    (workers,) = prepared["available_node_types"].values()
    assert workers["min_workers"] == workers["max_workers"] == 2


@pytest.mark.parametrize(("section", "key"), [(s, key) for s, values in EDITED.items() for key in values])
def test_ray_refuses_a_line_that_was_not_edited(section: str, key: str) -> None:
    left = {s: {k: v for k, v in values.items() if k != key} for s, values in EDITED.items()}
    with pytest.raises(ValidationError, match="EDIT.* is not of type") as refused:
        check(written(**left))
    assert list(refused.value.absolute_path) == [section, key]


def test_there_is_nothing_else_to_edit() -> None:
    assert FILE.read_text().count("EDIT") == len([k for values in EDITED.values() for k in values]) + 1


def test_every_node_has_the_ray_and_the_python_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (python,) = [c.split()[0].removeprefix("python") for c in written()["setup_commands"] if "-m venv" in c]
    assert python in SpecifierSet(project["requires-python"])
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]
    (installs,) = [command for command in written()["setup_commands"] if "pip install" in command]
    (ray,) = [Requirement(word) for word in installs.split() if word.startswith("ray==")]
    (wanted,) = [r for r in map(Requirement, project["dependencies"]) if r.name == "ray"]
    (version,) = ray.specifier
    assert version.version in wanted.specifier


def test_every_node_has_the_token_and_what_is_served_is_on_loopback() -> None:
    config = written()
    assert "~/.ray/auth_token" in config["file_mounts"]
    assert any("RAY_AUTH_MODE=token" in command for command in config["setup_commands"])
    commands = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    assert all(command.startswith(ACTIVATE) for command in commands)
    assert "--dashboard-host=127.0.0.1" in commands[1]
    assert "mlflow server --host 127.0.0.1 " in commands[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fpray's wheel, as `pip wheel` makes it, without asking a registry for its build tool."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    require("rsync")
    # Someone's laptop, a head, and two workers.
    with Hosts("h0", "h1", "h2", "h3") as hosts:
        yield hosts


def with_dependencies(host: Host) -> Host:
    """Let the virtual environment be there with all that fpray needs, but not fpray: no registry is within reach.

    The commands of the file make it once more, which leaves that in it, and install fpray.
    """
    packages = Path(sys.prefix, "lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages")
    host.run(
        f"""
        sed -i /PYTHONPATH/d ~/.bashrc
        python3.11 -m venv --without-pip ~/fpray
        echo {packages} > ~/fpray/lib/python3.11/site-packages/dependencies.pth
        for command in ray mlflow; do
          sed '1s,.*,#!/home/fpray/fpray/bin/python,' {sys.prefix}/bin/$command > ~/fpray/bin/$command
          chmod +x ~/fpray/bin/$command
        done
        """
    )
    return host


class Premises:
    """Machines of one's own, with a laptop to start from, and what is done there as the file's comments say."""

    def __init__(self, hosts: Hosts, wheel: Path) -> None:
        self.hosts, (self.laptop, self.head, *self.workers) = hosts, hosts.values()
        self._begun = time.monotonic()
        shutil.copytree(wheel, hosts.shared / "dist")
        self.config = written(
            provider={"head_ip": self.head.address, "worker_ips": [worker.address for worker in self.workers]},
            auth={"ssh_user": "root", "ssh_private_key": str(hosts.key)},
        )
        (hosts.shared / "on-premises.yaml").write_text(yaml.safe_dump(self.config))
        for host in (self.head, *self.workers):
            with_dependencies(host)

    def tell(self, what: str) -> None:
        print(f"{what} after {time.monotonic() - self._begun:.0f} s")

    def on_laptop(self, command: str) -> str:
        said = self.laptop.run(f"cd {self.hosts.shared} && {command}", timeout=900).stdout
        self.tell(command)
        return said

    def wait_for_nodes(self, count: int) -> None:
        address, activate = f"{self.head.address}:6379", f"{ACTIVATE} &&"
        wait_for(lambda: nodes(self.head, address, activate).alive == count, pause=5)
        self.tell(f"{count} nodes there")

    def add_by_hand(self, name: str) -> Host:
        """One more machine, set up by the file's commands."""
        added = with_dependencies(self.hosts.add(name))
        self.laptop.run(f"cd {self.hosts.shared} && scp -r ~/.ray dist {name}: && ssh {name} mv dist fpray-wheel")
        setup = "\n".join(self.config["setup_commands"])
        added.run(f"set -e\n{setup}")
        added.popen(f"{ACTIVATE} && ray start --address={self.head.address}:6379 --block")
        return added

    def see_mlflows_runs(self, statuses: list[str]) -> None:
        """Wait for the runs to be seen on the laptop, by the port that is forwarded."""
        forward = "ray exec --port-forward 5000 on-premises.yaml 'sleep 1000'"
        forwarding = self.laptop.popen(f"cd {self.hosts.shared} && {forward}")
        ask = "import mlflow; print(*[run.info.status for run in "
        ask += 'mlflow.MlflowClient("http://127.0.0.1:5000").search_runs(["1"])])'
        wait_for(lambda: self.laptop.run(f"python -c '{ask}'", check=False).stdout.split() == statuses, pause=5)
        os.killpg(forwarding.pid, signal.SIGKILL)
        self.tell("MLflow's runs seen")


@pytest.mark.long
def test_a_sweep_on_machines_of_ones_own(hosts: Hosts, wheel: Path) -> None:
    there = Premises(hosts, wheel)
    sweep = write_cluster_sweep(hosts.shared, tracking={"uri": "http://127.0.0.1:5000"})
    there.on_laptop("ray get-auth-token --generate > ~/token && chmod 600 ~/.ray/auth_token")
    there.on_laptop("ray up -y on-premises.yaml")
    there.wait_for_nodes(3)
    there.on_laptop(f"ray rsync-up on-premises.yaml {sweep.name} {sweep.name}")
    job = f"ray exec on-premises.yaml '{ACTIVATE} && ray job submit --submission-id mine -- fpray sweep ~/{sweep.name}'"
    said: list[str] = []
    submitted = threading.Thread(target=lambda: said.append(there.on_laptop(job)), daemon=True)
    submitted.start()

    # Another host joins by hand, and one of the first two is killed with a trial on it.
    added = there.add_by_hand("h4")
    there.wait_for_nodes(4)

    def both_have_begun() -> bool:
        return sum(epochs > 0 for epochs in epochs_done(hosts.shared).values()) == 2

    assert wait_for(both_have_begun, submitted.is_alive, pause=1), said
    there.workers[1].kill()
    there.tell("h3 killed")
    submitted.join()
    (printed,) = said
    assert "is tried again from epoch" in printed
    assert "MLflow: http://127.0.0.1:5000" in printed
    assert "Job 'mine' succeeded" in printed
    assert_complete(hosts.shared)
    attempts = [record.attempt for record in records_in(hosts.shared / "storage/small").values()]
    assert sorted(attempts) == [1, 1, 2]
    assert added.run("grep -l -d skip fpray /tmp/ray/session_latest/logs/*", check=False).returncode == 0
    there.see_mlflows_runs(["FINISHED"] * 4)  # on the machine that one sits at

    there.on_laptop("ray down -y on-premises.yaml")
    added.run(f"{ACTIVATE} && ray stop")  # as it was started: by hand
    left = (there.head, there.workers[0], added)
    wait_for(lambda: not any(host.processes() for host in left), pause=1)
    there.tell("nothing left")
