"""MLflow's pages: the address or the command that shows a sweep's runs."""

from __future__ import annotations

import shlex
import socket
from dataclasses import dataclass

from fpray.redaction import hidden
from fpray.tracking.view import KEY

PORT = 5000
"""MLflow's own."""


@dataclass(frozen=True)
class Pages:
    """The address of the list of a sweep's runs, and for a database the command that serves it first; no passwords."""

    address: str
    command: str | None = None

    def lines(self) -> list[str]:
        """What a user is to do, a line each."""
        if self.command is None:
            return [f"MLflow: {self.address}"]
        return [f"MLflow: {self.command}", f"  and then {self.address}"]


def pages(uri: str, experiment: str) -> Pages:
    """The pages of an experiment.

    The address asks for MLflow's view of training runs, which else shows pages for language models, and for the
    experiment's shared view.
    """
    uri, runs = hidden(uri), f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={KEY}"
    if uri.startswith(("http://", "https://")):
        return Pages(f"{uri.rstrip('/')}/{runs}")
    if uri.startswith(("databricks", "uc")):
        return Pages(uri)
    port = free_port()
    option = "" if port == PORT else f" --port {port}"
    return Pages(
        f"http://127.0.0.1:{port}/{runs}", f"python -m mlflow ui --backend-store-uri {shlex.quote(uri)}{option}"
    )


def free_port() -> int:
    """MLflow's port if nothing listens there, else the next one above it that is free."""
    for port in range(PORT, PORT + 100):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return PORT
