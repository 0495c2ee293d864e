"""An object store on this machine, which fsspec reads over HTTP with many requests at a time."""

from __future__ import annotations

import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Range(BaseHTTPRequestHandler):
    """Serves byte ranges of the files in a folder; image requests meet at a barrier, if there is one."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def __init__(self, folder: Path, meeting: list[threading.Barrier], *args: Any) -> None:
        self.folder, self.meeting = folder, meeting
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:  # noqa: N802
        self.do_GET()

    def do_GET(self) -> None:  # noqa: N802
        file = self.folder / self.path.lstrip("/")
        content = file.read_bytes() if file.is_file() else b""
        status, span = (200 if file.is_file() else 404), self.headers.get("Range")
        if span is not None and status == 200:
            first, _, last = span.removeprefix("bytes=").partition("-")
            status, whole = 206, content
            content = content[int(first) : int(last) + 1 if last else None]
        if self.command == "GET" and status == 206 and self.meeting:
            try:
                self.meeting[0].wait()
            except threading.BrokenBarrierError:
                status, content = 500, b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{len(content) if status != 206 else len(whole)}"')
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{int(first) + len(content) - 1}/{len(whole)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


class Patient(ThreadingHTTPServer):
    """Keeps as many connections waiting as a batch of images opens at once; the default, 5, loses some."""

    request_queue_size = 512
    daemon_threads = True


class Server:
    """Serves a folder until it is stopped."""

    def __init__(self, folder: Path) -> None:
        self.meeting: list[threading.Barrier] = []
        self._http = Patient(("127.0.0.1", 0), partial(Range, folder, self.meeting))
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
