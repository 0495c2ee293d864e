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


@pytest.mark.long
def test_a_sweep_on_machines_of_ones_own(hosts: Hosts, wheel: Path) -> None:
    laptop, head, *workers = hosts.values()
    shutil.copytree(wheel, hosts.shared / "dist")
    config = written(
        provider={"head_ip": head.address, "worker_ips": [worker.address for worker in workers]},
        auth={"ssh_user": "root", "ssh_private_key": str(hosts.key)},
    )
    (hosts.shared / "on-premises.yaml").write_text(yaml.safe_dump(config))
    sweep = write_cluster_sweep(hosts.shared, tracking={"uri": "http://127.0.0.1:5000"})
    for host in (head, *workers):
        with_dependencies(host)
    begun = time.monotonic()

    def told(what: str) -> None:
        print(f"{what} after {time.monotonic() - begun:.0f} s")

    def on_laptop(command: str) -> str:
        said = laptop.run(f"cd {hosts.shared} && {command}", timeout=900).stdout
        told(command)
        return said

    def alive() -> int:
        return nodes(head, f"{head.address}:6379", f"{ACTIVATE} &&").alive

    on_laptop("ray get-auth-token --generate > ~/token && chmod 600 ~/.ray/auth_token")
    on_laptop("ray up -y on-premises.yaml")
    wait_for(lambda: alive() == 3, pause=2)
    told("all nodes there")
    on_laptop(f"ray rsync-up on-premises.yaml {sweep.name} {sweep.name}")
    job = f"ray job submit --submission-id mine -- fpray sweep ~/{sweep.name}"
    said: list[str] = []
    submitted = threading.Thread(
        target=lambda: said.append(on_laptop(f"ray exec on-premises.yaml '{ACTIVATE} && {job}'")), daemon=True
    )
    submitted.start()

    # Another host joins by hand, and one of the first two is killed with a trial on it.
    added = with_dependencies(hosts.add("h4"))
    laptop.run(f"cd {hosts.shared} && scp -r ~/.ray dist h4: && ssh h4 mv dist fpray-wheel")
    setup = "\n".join(config["setup_commands"])
    added.run(f"set -e\n{setup}")
    added.popen(f"{ACTIVATE} && ray start --address={head.address}:6379 --block")
    wait_for(lambda: alive() == 4, pause=2)
    told("h4 added")
    assert wait_for(lambda: sum(n > 0 for n in epochs_done(hosts.shared).values()) == 2, submitted.is_alive, pause=1), (
        said
    )
    workers[1].kill()
    told("h3 killed")
    submitted.join()
    (printed,) = said
    assert "is tried again from epoch" in printed
    assert "MLflow: http://127.0.0.1:5000" in printed
    assert "Job 'mine' succeeded" in printed
    assert_complete(hosts.shared)
    attempts = [record.attempt for record in records_in(hosts.shared / "storage/small").values()]
    assert sorted(attempts) == [1, 1, 2]
    assert added.run("grep -l -d skip fpray /tmp/ray/session_latest/logs/*", check=False).returncode == 0

    # MLflow is there, on the machine that one sits at.
    forwarding = laptop.popen(f"cd {hosts.shared} && ray exec --port-forward 5000 on-premises.yaml 'sleep 1000'")
    ask = 'python -c \'import mlflow; print(*[run.info.status for run in mlflow.MlflowClient("http://127.0.0.1:5000")'
    ask += '.search_runs(["1"])])\''
    wait_for(lambda: laptop.run(ask, check=False).stdout.strip() == "FINISHED FINISHED FINISHED FINISHED", pause=2)
    told("MLflow's runs seen")
    os.killpg(forwarding.pid, signal.SIGKILL)

    on_laptop("ray down -y on-premises.yaml")
    added.run(f"{ACTIVATE} && ray stop")  # as it was started: by hand
    wait_for(lambda: not any(host.processes() for host in (head, workers[0], added)), pause=1)
    told("nothing left")
