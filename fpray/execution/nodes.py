"""The nodes of a cluster, each checked by one task when it is first used."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fpray.config import Sweep
from fpray.errors import UserError, message_of
from fpray.execution.nodecheck import Expected, check_node, versions_here
from fpray.records import SweepFolder
from fpray.storage import read_if_there, remove_folder, write_whole

ANSWERS_WITHIN = 300.0
"""Seconds in which a node must say how it is; a large model may have to be downloaded there."""

GONE = (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError, ray.exceptions.WorkerCrashedError)
"""The errors of a task whose node has gone."""


class NodeChecks:
    """Checks nodes as they come. A node is never woken for it: those that are there are looked at."""

    def __init__(self, sweep: Sweep, folder: SweepFolder) -> None:
        most = max((sweep.resources_of(m) for m in sweep.methods), key=lambda r: (r.gpus, r.loaders))
        method = next(m for m in sweep.methods if sweep.resources_of(m) == most)
        self._folder = folder.path / "nodes"
        spaces = {name: settings.space() for name, settings in sweep.methods.items()}
        self._expected = Expected(
            versions_here(), sweep.trial_settings(method).packed(), sweep.model.each(), spaces, self._folder
        )
        self._task = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(check_node)
        self._names: dict[str, str] = {}
        self._asked: dict[str, tuple[Any, float]] = {}

    def __enter__(self) -> NodeChecks:
        remove_folder(self._folder)  # what a command that was killed has left
        write_whole(self._folder / "command", b"")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            remove_folder(self._folder)

    def look_at(self, nodes: Mapping[str, str]) -> None:
        """Ask every node that was not there before how it is.

        Args:
            nodes: the names of those that are there, by their ids.
        """
        for node_id, name in nodes.items():
            if node_id not in self._names:
                self._names[node_id] = name
                place = NodeAffinitySchedulingStrategy(node_id, soft=False)
                answer = self._task.options(scheduling_strategy=place).remote(self._expected, node_id)
                self._asked[node_id] = (answer, time.monotonic() + ANSWERS_WITHIN)

    def require(self, *, wait: bool) -> None:
        """See that no node has said that something is wrong with it.

        Args:
            wait: whether to wait for those that have not answered yet.

        Raises:
            UserError: if one has, or doesn't answer; with its name.
        """
        for node_id, (answer, until) in list(self._asked.items()):
            left = max(0.0, until - time.monotonic())
            ready, _ = ray.wait([answer], timeout=left if wait else 0)
            if ready or wait or not left:
                del self._asked[node_id]
                self._hear(node_id, answer if ready else None)

    def _hear(self, node_id: str, answer: Any) -> None:
        name = self._names[node_id]
        if answer is None:
            raise UserError(f"node {name} didn't say within {ANSWERS_WITHIN:g} s how it is; look at it, or take it out")
        try:
            problems = ray.get(answer)
        except GONE:
            return  # what becomes of its trials is another matter
        except ray.exceptions.RayError as error:
            missing = re.search(r"No module named '([^']+)'", str(error))
            why = f"has no {missing[1]}" if missing else f"can't run fpray ({message_of(error).splitlines()[-1]})"
            raise UserError(f"node {name} {why}; install there what the command's machine has") from None
        if not problems and read_if_there(self._folder / node_id) is None:
            problems = [
                f"writes into another folder '{self._folder.parent}' than the command's; name one that all nodes share"
            ]
        if problems:
            raise UserError(f"node {name}: {problems[0]}")
