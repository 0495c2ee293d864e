"""What lies between fpray and an MLflow server, and does to each call what a test says."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mlflow_server import Server

LOST, HANG, REFUSED = "lost", "hang", "refused"
Rule = Callable[[str], str | None]
"""Says of a call (`POST runs/create`) what becomes of it: None if it goes through."""


class Proxy(ThreadingHTTPServer):
    """Passes calls on to a server, if `rule` doesn't say otherwise."""

    daemon_threads = True

    def __init__(self, server: Server) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.server, self.over = server, threading.Event()
        self.rule: Rule = pass_on
        self.calls: list[str] = []
        self.uri = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """The client has given up, or the server is away."""


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
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server.port, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def log_message(self, *_: object) -> None:
        """Nothing."""
