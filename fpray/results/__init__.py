"""The results: a sweep's folder seen from outside the command that runs it.

`find` finds a folder by a name, an address or a sweep file; `status_of` says how it stands, from its records and
without torch. `commands` has what `fpray` offers on sweeps that are there: `status`, `list`, `show`, `stop`, `delete`
and `optuna`. From Python `run` runs a sweep and `load` opens one: both give its `Results`, with records, a table,
fronts and picks.
"""

from typing import TYPE_CHECKING

from fpray.lazily import attach

if TYPE_CHECKING:
    from fpray.results.commands import delete, evaluate, list_, optuna, report, show, status, stop
    from fpray.results.finding import find, find_trial
    from fpray.results.results import Results, load, run
    from fpray.results.status import Status, status_of

__getattr__ = attach(
    __name__,
    {
        "delete": "commands",
        "evaluate": "commands",
        "list_": "commands",
        "optuna": "commands",
        "report": "commands",
        "show": "commands",
        "status": "commands",
        "stop": "commands",
        "find": "finding",
        "find_trial": "finding",
        "Results": "results",
        "load": "results",
        "run": "results",
        "Status": "status",
        "status_of": "status",
    },
)

__all__ = [
    "Results",
    "Status",
    "delete",
    "evaluate",
    "find",
    "find_trial",
    "list_",
    "load",
    "optuna",
    "report",
    "run",
    "show",
    "status",
    "status_of",
    "stop",
]
