"""What Ray's idle processes import ahead: all that a trial needs; then they say that they are ready for one."""

import fpray.execution.actor  # noqa: F401
from fpray.execution.ray_internals import say_ready

say_ready()
