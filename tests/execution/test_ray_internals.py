"""Ray's private parts are where fpray looks for them, and do what it takes them to do."""

from __future__ import annotations

import inspect
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import ray
from ray._private import ray_constants, worker
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller
from ray.tune.progress_reporter import TrialProgressCallback

from fpray.execution.ray_internals import on_loopback
from fpray.execution.tune_internals import QuietReporter, asked_before_ray_speaks, killed_for_memory
from tests.waiting import PATIENCE_SECONDS


def test_tunes_own_reporter_prints_by_the_method_that_is_silenced() -> None:
    assert "_print" in vars(TrialProgressCallback)
    assert QuietReporter._print is not TrialProgressCallback._print


def test_tune_keeps_processes_where_they_can_be_counted() -> None:
    cache = tune_controller._ObjectCache()
    assert cache.cache_object("cpu", 1) and not cache.cache_object("cpu", 2)
    cache.increase_max("cpu", 2)
    assert cache.cache_object("cpu", 2) and dict(cache._cached_objects) == {"cpu": [1, 2]}
    cache.increase_max("cpu", -2)
    assert list(cache.flush_cached_objects()) == [1, 2]
    source = inspect.getsource(tune_controller.TuneController)
    assert all(
        name in source for name in ("self._actor_cache = _ObjectCache(", "self._staged_trials", "choose_trial_to_run(")
    )
    assert "self._tune_controller = tune_controller" in inspect.getsource(tune_controller.TrialRunnerWrapper)


def test_loopback_is_a_constant_that_comes_back() -> None:
    before = ray_constants.ENABLE_RAY_CLUSTER
    with on_loopback():
        assert ray_constants.ENABLE_RAY_CLUSTER is False
    assert before is ray_constants.ENABLE_RAY_CLUSTER


def test_tune_hands_no_credentials_on() -> None:
    """In a process of its own: an executor that ran in this one may have had Tune hand nothing on at all."""
    program = """
from ray.tune.execution import class_cache
from fpray.execution.tune_internals import keep_credentials_from_logs
handed = set(class_cache.ENV_VARS_TO_PROPAGATE)
keep_credentials_from_logs()
print(bool(handed), [name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.stdout == "True []\n", done.stderr


def test_a_process_that_was_started_ahead_says_when_it_is_ready_and_is_taken_later(tmp_path: Path) -> None:
    """In a process of its own: it is a Ray's start that decides it."""
    program = """
import os, psutil, ray, time
from ray.tune.execution import class_cache
from fpray.execution.ray_internals import import_ahead, not_ready_yet
from fpray.execution.tune_internals import hand_no_environment_on

class Trial:
    def tell(self, module):
        import sys
        return os.getpid(), module in sys.modules

def idle():
    everyone = psutil.Process().children(recursive=True)
    return {p.pid for p in everyone if p.is_running() and p.cmdline()[:1] == ["ray::IDLE"]}

with import_ahead("ahead", 1):
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
at_first = not_ready_yet()
while not_ready_yet():
    time.sleep(0.1)
ready = idle()
by_itself = ray.get(class_cache._ActorClassCache().get(Trial).remote().tell.remote("wave"))
hand_no_environment_on()
time.sleep(4)  # by itself Ray would have ended it
now = ray.get(class_cache._ActorClassCache().get(Trial).remote().tell.remote("wave"))
print(at_first, by_itself[0] in ready, now[0] in ready, now[1])
"""
    (tmp_path / "ahead.py").write_text(
        "import time, wave\ntime.sleep(3)\nfrom fpray.execution.ray_internals import say_ready\nsay_ready()\n"
    )
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    call = [sys.executable, "-c", program]
    own = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(call, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=own)
    assert done.stdout == "1 False True True\n", done.stderr


def test_before_ray_speaks_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    with asked_before_ray_speaks(lambda: said.append(capsys.readouterr().out)):
        worker.print_to_stdstream({"lines": ["a node"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
        tune_controller.logger.error("a trial")
    assert len(said) == 2
    assert "a node" in said[1]
    assert "print_to_stdstream(" in inspect.getsource(worker.listen_error_messages)
    assert "logger.error(" in inspect.getsource(tune_controller.TuneController._trial_task_failure)
    tune_controller.logger.error("a trial")
    assert len(said) == 2


def test_a_kill_for_memory_is_a_death_for_tune(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself it raises, see what of it is written over."""
    told: list[str] = []
    died: list[Exception] = []
    manager = RayActorManager.__new__(RayActorManager)  # made in full it would start a Ray
    manager._failed_actor_ids = set()
    monkeypatch.setattr(manager, "_cleanup_actor", lambda tracked_actor: None)
    task = TrackedActorTask(tracked_actor=TrackedActor(1, on_error=lambda _, error: died.append(error)))
    killed = OutOfMemoryError("low on memory")
    with pytest.raises(RuntimeError, match="unexpected exception"):
        manager._actor_task_failed(tracked_actor_task=task, exception=killed)
    with killed_for_memory(lambda: told.append("killed")):
        manager._actor_task_failed(tracked_actor_task=task, exception=killed)
    assert told == ["killed"]
    assert [(type(error), str(error)) for error in died] == [(RayActorError, "low on memory")]
    assert not ray.is_initialized()


@pytest.mark.long
def test_servers_are_known_and_answer() -> None:
    program = """
import ray
from fpray.execution.ray_internals import answers, gcs_address, gcs_knows_this_node, raylet_address
from fpray.execution.ray_internals import servers_started_here
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
here = servers_started_here()
assert here.keys() == {"gcs_server", "raylet"}
assert {node["NodeManagerPort"] for node in ray.nodes()} == {int(raylet_address().split(":")[1])}
assert gcs_knows_this_node(60) is True
assert answers(raylet_address(), 60) and answers(gcs_address(ray.get_runtime_context().gcs_address), 60)
here["raylet"].kill()
here["raylet"].wait()
assert not answers(raylet_address(), 60)
here["gcs_server"].kill()
assert gcs_knows_this_node(1) is None
import os
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE_SECONDS)


@pytest.mark.long
def test_the_token_is_made_for_the_user_alone(tmp_path: Path) -> None:
    program = """
import os
os.environ["RAY_AUTH_MODE"] = "token"
from fpray.execution.ray_internals import make_token
make_token()
import ray
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
"""
    environment = os.environ | {"HOME": str(tmp_path)}
    del environment["RAY_AUTH_TOKEN"]
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)
    token = tmp_path / ".ray" / "auth_token"
    assert token.read_text().strip()
    assert stat.S_IMODE(token.stat().st_mode) & 0o077 == 0
