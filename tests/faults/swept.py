"""A sweep that runs in the tests' own process, with what is planned for its trials."""

from __future__ import annotations

import ray

from fpray.config import Sweep
from fpray.sweep.events import events
from fpray.sweep.run import run_sweep
from tests.faults.faulty import work


def swept(sweep: Sweep) -> tuple[int, str]:
    """Run a sweep on a Ray of two CPUs; returns its exit code and its lines."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        with events.console.capture() as captured:
            code = run_sweep(sweep, work=work)
    finally:
        ray.shutdown()
    return code, captured.get()
