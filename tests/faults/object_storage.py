"""An S3 API on this machine: moto's server, and a proxy before it that counts, holds up and freezes as a test says."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

KEPT, IGNORED, UNKNOWN = "kept", "ignored", "unknown"
"""What a store does with the conditions of a write."""
# S3 looks and writes in one step, moto in two: on a busy machine both of two conditional writes would be taken.
MOTO = """
import threading
from moto.s3.responses import S3Response
from moto.server import main

put, one_at_a_time = S3Response.put_object, threading.Lock()

def put_object(self):
    with one_at_a_time:
        return put(self)

S3Response.put_object = put_object
main()
"""


@contextmanager
def moto() -> Iterator[str]:
    """The address of an S3 API, with one bucket."""
    command = [sys.executable, "-c", MOTO, "-p", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        said = iter(server.stdout.readline, "")
        found = next(match for line in said if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
        threading.Thread(target=server.stdout.read, daemon=True).start()  # a full pipe would stop it
        post(f"{found[0]}/bucket", method="PUT")
        yield found[0]
    finally:
        server.kill()
        server.wait()


def post(address: str, content: bytes = b"", method: str = "POST") -> None:
    headers = {"Content-Type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(address, content, headers, method=method)).close()


@contextmanager
def new_connections() -> Iterator[None]:
    """Without what fsspec keeps of other tests, which had another environment."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()


def nothing(call: str) -> None:
    """Let a call go through."""


class Proxy(ThreadingHTTPServer):
    """Passes calls on to an S3 API, and knows each by its method and the last part of its key: `PUT record.json`.

    `asked` is called before a call is passed on, `answered` when it has been, before the answer goes back. What they
    raise breaks the connection.
    """

    daemon_threads = True

    def __init__(self, s3: str) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.s3, self.address = urlsplit(s3).netloc, f"http://127.0.0.1:{self.server_port}"
        self.asked: Callable[[str], None] = nothing
        self.answered: Callable[[str], None] = nothing
        self.conditions = KEPT
        self.calls: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Print nothing: the client has given up."""


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline()
        self.close_connection = True
        if not self.raw_requestline or not self.parse_request():
            return
        self.close_connection = False
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = self._name()
        self.server.calls.append(call)
        self.server.asked(call)
        status, headers, content = self._unknown() or self._forward(body)
        self.server.answered(call)
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _name(self) -> str:
        address = urlsplit(self.path)
        listing = self.command == "GET" and "list-type" in address.query
        return "LIST" if listing else f"{self.command} {address.path.rpartition('/')[2]}"

    def _conditional(self) -> bool:
        return self.command == "PUT" and ("If-Match" in self.headers or "If-None-Match" in self.headers)

    def _unknown(self) -> tuple[int, dict[str, str], bytes] | None:
        if self.server.conditions != UNKNOWN or not self._conditional():
            return None
        content = b"<Error><Code>NotImplemented</Code><Message>A header you provided is not known</Message></Error>"
        return 501, {"Content-Type": "application/xml", "Content-Length": str(len(content))}, content

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        left_out = {"connection", "host"} | ({"if-match", "if-none-match"} & self._ignored())
        headers = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
        connection = http.client.HTTPConnection(self.server.s3, timeout=60)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in ("connection", "server")}
        return answer.status, kept, content

    def _ignored(self) -> set[str]:
        ignores = self.server.conditions == IGNORED and self._conditional()
        return {"if-match", "if-none-match"} if ignores else set()

    def log_message(self, *_: object) -> None:
        """Print nothing."""
