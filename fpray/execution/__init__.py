"""The execution: a Ray cluster, and the trials on it.

`connect` joins a cluster, or gives a Ray for this command alone. A `Cluster` knows what room its nodes have, node by
node, and how far it grows, and looks again while the sweep runs; `NodeChecks` find out on each node, when it is first
used, that trials have there what they need. `execute` runs what the schedule asks for in one Ray Tune run, as many
trials at a time as there is room for, each by Ray Train: in the Tune trial's own process with one worker, in a worker
group with several. What becomes of a trial is in its record, however its process ends; a process that hangs is ended
by a watchdog. A `RayWatch` finds out when Ray itself is lost.

The only package that knows Ray. Names are imported when they are first asked for: Ray starts beside the imports of
all else (`started_early`), and a trial's process imports only what it runs.
"""

from typing import TYPE_CHECKING

from fpray.lazily import attach

if TYPE_CHECKING:
    from fpray.execution.auto import batch_size_that_fits, compiling_pays
    from fpray.execution.cluster import Cluster
    from fpray.execution.connection import connect
    from fpray.execution.early import started_early
    from fpray.execution.executor import execute
    from fpray.execution.lost import RayWatch
    from fpray.execution.nodes import NodeChecks
    from fpray.execution.room import Node, Room

__getattr__ = attach(
    __name__,
    {
        "batch_size_that_fits": "auto",
        "compiling_pays": "auto",
        "Cluster": "cluster",
        "connect": "connection",
        "started_early": "early",
        "execute": "executor",
        "RayWatch": "lost",
        "NodeChecks": "nodes",
        "Node": "room",
        "Room": "room",
    },
)

__all__ = [
    "Cluster",
    "Node",
    "NodeChecks",
    "RayWatch",
    "Room",
    "batch_size_that_fits",
    "compiling_pays",
    "connect",
    "execute",
    "started_early",
]
