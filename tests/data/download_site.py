"""A server of one file that behaves well, badly or not at all."""

import hashlib
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from gud.data import transfer

CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """What the server serves, how, and the Range header of each request that it got."""

    content: bytes = CONTENT
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which the first, second ... answer breaks off; later ones are whole."""
    statuses: list[int] = field(default_factory=list)
    """Error statuses of the first, second ... answer; later ones are good."""
    gzip_label: bool = False
    etag: str | None = None
    modified: str | None = None
    length: bool = True
    """Whether answers say their length; without it they end where the connection does."""
    content_range: str | None = None
    """In place of the true one."""
    allowed: str | None = None
    """The Authorization header that is asked for."""
    requests: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def served(monkeypatch):
    """A server on the loopback interface."""
    monkeypatch.setattr(transfer, "BACKOFF", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            site.requests.append(asked)
            if site.statuses:
                self.send_error(site.statuses.pop(0))
                return
            if site.allowed and self.headers.get("Authorization") != site.allowed:
                self.send_error(401)
                return
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and site.ranges else 0
            if self.headers.get("If-Range", site.etag or site.modified) not in (
                site.etag,
                site.modified,
            ):
                start = 0
            total = len(site.content)
            if start and start >= total:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                true = f"bytes {start}-{total - 1}/{total}"
                self.send_header("Content-Range", site.content_range or true)
            if site.etag:
                self.send_header("ETag", site.etag)
            if site.modified:
                self.send_header("Last-Modified", site.modified)
            if site.gzip_label:
                self.send_header("Content-Encoding", "gzip")
            if site.length:
                self.send_header("Content-Length", str(total - start))
            self.end_headers()
            body = site.content[start:]
            self.wfile.write(body[: site.cut_after.pop(0)] if site.cut_after else body)

        def log_message(self, *_):
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/archive.tar.gz"
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


def part(out):
    return out.with_name("archive.tar.gz.part")
