"""A proxy between fpray and an MLflow server: it loses, holds up or refuses the calls that a test chooses."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.faults.mlflow_server import Server

LOST, HANG, REFUSED = "lost", "hang", "refused"
Rule = Callable[[str], str | None]
"""Maps a call (`POST runs/create`) to its fate; None if it goes through."""


class Proxy(ThreadingHTTPServer):
    """Passes calls on to a server, unless `rule` decides otherwise.

    Calls that hang do so until `over` is set.
    """

    daemon_threads = True

    def __init__(self, server: Server) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.mlflow, self.over = server, threading.Event()
        self.rule: Rule = pass_on
        self.calls: list[str] = []
        self.uri = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Print nothing: the client has given up, or the server is away."""


def pass_on(call: str) -> str | None:
    return None


class _Call(BaseHTTPRequestHandler):
    server: Proxy

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline()
        self.close_connection = True
        if not self.raw_requestline or not self.parse_request():
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = f"{self.command} {self.path.partition('?')[0].partition('/mlflow')[2].lstrip('/')}"
        self.server.calls.append(call)
        fate = self.server.rule(call)
        if fate == HANG:
            self.server.over.wait()
        elif fate == REFUSED:
            self.send_error(503)
        else:
            answer, content = self._forward(body)
            if fate != LOST:
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.getheader("Content-Type", "application/json"))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

    def _forward(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.mlflow.port, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def log_message(self, *_: object) -> None:
        """Print nothing."""
