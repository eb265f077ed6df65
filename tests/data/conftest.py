import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from archive_site import Site
from download_site import served


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Silent."""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A served folder, and the commands `download` and `data` on files in it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield Site(folder, f"http://127.0.0.1:{server.server_port}", tmp_path)
    server.shutdown()
    server.server_close()


@pytest.fixture
def host(monkeypatch):
    with served(monkeypatch) as site:
        yield site


@pytest.fixture
def out(tmp_path):
    return tmp_path / "downloads" / "archive.tar.gz"
