"""The execution: a Ray cluster, and the trials on it.

`connect` joins a cluster or starts a Ray for this command alone. A `Cluster` knows what room its nodes have, node by
node, and how far it grows, and looks again while the sweep runs; `NodeChecks` find out on each node, when it is first
used, that trials have there what they need. `execute` runs what the schedule asks for in one Ray Tune run, as many
trials at a time as there is room for, each by Ray Train: in the Tune trial's own process with one worker, in a worker
group with several. What becomes of a trial is in its record, however its process ends; a process that hangs is ended
by a watchdog. A `RayWatch` finds out when Ray itself is lost.

The only package that knows Ray.
"""

from fpray.execution.batchsize import batch_size_that_fits
from fpray.execution.cluster import Cluster, connect
from fpray.execution.executor import execute
from fpray.execution.lost import RayWatch
from fpray.execution.nodes import NodeChecks
from fpray.execution.room import Node, Room

__all__ = ["Cluster", "Node", "NodeChecks", "RayWatch", "Room", "batch_size_that_fits", "connect", "execute"]
