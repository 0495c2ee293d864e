"""What shows a sweep's runs: without a password, in the view of training runs, on a port that is free."""

from __future__ import annotations

import socket

import pytest

from fpray.tracking import pages as module
from fpray.tracking.pages import free_port, pages

RUNS = "#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=fpray"


def test_a_server_has_an_address() -> None:
    assert pages("https://me:hush@host/mlflow/", "7").lines() == [f"MLflow: https://***@host/mlflow/{RUNS}"]


def test_a_database_is_served_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_port", lambda: 5003)
    command, address = pages("postgresql://me:hush@host/db?token=hush", "7").lines()
    assert command == "MLflow: python -m mlflow ui --backend-store-uri 'postgresql://***@host/db?token=***' --port 5003"
    assert address == f"  and then http://127.0.0.1:5003/{RUNS}"
    monkeypatch.setattr(module, "free_port", lambda: 5000)
    assert str(pages("sqlite:///a b.db", "7").command).endswith("--backend-store-uri 'sqlite:///a b.db'")


def test_a_port_that_is_taken_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(module, "PORT", taken.getsockname()[1])
        assert free_port() > taken.getsockname()[1]
