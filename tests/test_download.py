"""Downloads from a real server on the loopback interface that behaves well, badly or not at all."""

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from gud import download
from gud.errors import InputError
from gud.provenance import read_record

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
    requests: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr(download, "BACKOFF", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            site.requests.append(asked)
            if site.statuses:
                self.send_error(site.statuses.pop(0))
                return
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and site.ranges else 0
            total = len(site.content)
            if start and start >= total:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if site.gzip_label:
                self.send_header("Content-Encoding", "gzip")
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


@pytest.fixture
def out(tmp_path):
    return tmp_path / "downloads" / "archive.tar.gz"


def part(out):
    return out.with_name("archive.tar.gz.part")


def test_a_download_is_the_served_file_with_a_record_of_its_url(site, out):
    argv = ["--url", site.url, "--sha256", DIGEST.upper(), "--out", str(out)]
    assert download.main(argv) == 0
    assert out.read_bytes() == CONTENT
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name, f"{out.name}.json"]
    record = read_record(out)
    assert record["settings"]["url"] == site.url
    assert record["sha256"] == DIGEST


def test_a_complete_file_is_not_asked_for_again(site, out):
    out.parent.mkdir()
    out.write_bytes(CONTENT)
    assert download.download(site.url, out, DIGEST) is False
    assert site.requests == []


def test_a_complete_file_that_was_not_yet_renamed_is_not_asked_for_again(site, out):
    out.parent.mkdir()
    part(out).write_bytes(CONTENT)
    download.download(site.url, out, DIGEST)
    assert out.read_bytes() == CONTENT
    assert site.requests == []
    assert not part(out).exists()


def test_a_wrong_file_under_the_name_is_replaced(site, out):
    out.parent.mkdir()
    out.write_bytes(b"something else")
    download.download(site.url, out, DIGEST)
    assert out.read_bytes() == CONTENT


def test_a_broken_connection_is_resumed_where_it_broke(site, out):
    site.cut_after = [200_000, 50_000]
    download.download(site.url, out, DIGEST)
    assert out.read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in site.requests[1:]]
    assert site.requests[0] is None
    assert len(starts) == 2
    assert 100_000 < starts[0] <= 200_000
    assert starts[0] <= starts[1] <= 250_000


def test_an_earlier_try_is_continued(site, out):
    out.parent.mkdir()
    part(out).write_bytes(CONTENT[:123_456])
    download.download(site.url, out, DIGEST)
    assert out.read_bytes() == CONTENT
    assert site.requests == ["bytes=123456-"]


def test_a_server_without_ranges_sends_the_file_from_its_start(site, out):
    site.ranges = False
    site.cut_after = [200_000]
    out.parent.mkdir()
    part(out).write_bytes(b"x" * 1000)
    download.download(site.url, out, DIGEST)
    assert out.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_discarded(site, out):
    out.parent.mkdir()
    part(out).write_bytes(b"x" * (len(CONTENT) + 10))
    download.download(site.url, out, DIGEST)
    assert out.read_bytes() == CONTENT
    assert site.requests[-1] is None


def test_a_connection_that_brings_nothing_is_given_up_and_keeps_what_came(site, out):
    site.cut_after = [200_000] + [0] * 20
    with pytest.raises(InputError, match=f"{site.url} broke off {download.ATTEMPTS} times"):
        download.download(site.url, out, DIGEST)
    kept = part(out).read_bytes()
    assert len(kept) > 100_000
    assert CONTENT.startswith(kept)
    assert not out.exists()
    site.cut_after = []
    download.download(site.url, out, DIGEST)
    assert site.requests[-1] == f"bytes={len(kept)}-"
    assert out.read_bytes() == CONTENT


def test_a_corrupted_file_does_not_stay_and_the_next_try_starts_afresh(site, out):
    site.content = CONTENT[:1000] + b"!" + CONTENT[1001:]
    with pytest.raises(InputError, match=f"{site.url} gave a file of sha256 .*, not {DIGEST}"):
        download.download(site.url, out, DIGEST)
    assert list(out.parent.iterdir()) == []
    site.content = CONTENT
    download.download(site.url, out, DIGEST)
    assert site.requests == [None, None]
    assert out.read_bytes() == CONTENT


def test_a_part_of_another_file_is_found_out_and_does_not_stay(site, out):
    out.parent.mkdir()
    part(out).write_bytes(b"x" * 1000)
    with pytest.raises(InputError, match="next try starts afresh"):
        download.download(site.url, out, DIGEST)
    assert list(out.parent.iterdir()) == []


def test_passing_server_errors_are_retried(site, out):
    site.statuses = [503, 500, 429]
    download.download(site.url, out, DIGEST)
    assert out.read_bytes() == CONTENT


@pytest.mark.parametrize("status, tries", [(404, 1), (503, download.ATTEMPTS + 1)])
def test_lasting_server_errors_name_url_status_and_remedy(site, out, status, tries):
    site.statuses = [status] * 20
    with pytest.raises(InputError, match=f"{site.url} answered {status} .*`url` in the preset"):
        download.download(site.url, out, DIGEST)
    assert len(site.requests) == tries
    assert not out.exists()


def test_a_file_without_a_published_checksum_is_taken_and_its_record_says_so(site, out):
    argv = ["--url", site.url, "--sha256", "unpublished", "--out", str(out)]
    site.cut_after = [200_000]
    assert download.main(argv) == 0
    assert out.read_bytes() == CONTENT
    record = read_record(out)
    assert record["verified"] is False
    assert record["sha256"] == DIGEST
    asked = len(site.requests)
    assert download.main(argv) == 0
    assert len(site.requests) == asked


def test_without_a_published_checksum_a_changed_file_is_fetched_again(site, out):
    argv = ["--url", site.url, "--sha256", "unpublished", "--out", str(out)]
    assert download.main(argv) == 0
    out.write_bytes(b"damaged")
    assert download.main(argv) == 0
    assert out.read_bytes() == CONTENT


def test_a_checked_download_is_recorded_as_verified(site, out):
    assert download.main(["--url", site.url, "--sha256", DIGEST, "--out", str(out)]) == 0
    assert read_record(out)["verified"] is True


def test_a_gzip_label_does_not_change_the_bytes(site, out):
    site.gzip_label = True
    download.download(site.url, out, DIGEST)
    assert out.read_bytes() == CONTENT


def test_without_network_one_sentence_names_the_url_and_the_remedy(site, out, capsys, monkeypatch):
    # A port that nobody listens on: bound once, then closed.
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}/archive.tar.gz"
    assert download.main(["--url", url, "--sha256", DIGEST, "--out", str(out)]) == 2
    (line,) = [li for li in capsys.readouterr().err.splitlines() if li.startswith("error: ")]
    assert url in line and "`url` in the preset" in line and "file://" in line
    assert not out.exists()


def test_a_file_url_is_copied(tmp_path, out):
    copy = tmp_path / "a copy.tar.gz"
    copy.write_bytes(CONTENT)
    download.download(copy.as_uri(), out, DIGEST)
    assert out.read_bytes() == CONTENT
    assert copy.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "url, digest, message",
    [
        ("file:///no/such/file", DIGEST, "file:///no/such/file cannot be read"),
        ("ftp://example.org/file", DIGEST, "must begin with https://"),
        ("downloads/file", DIGEST, "must begin with https://"),
        ("http://127.0.0.1/file", "abc", "64 hexadecimal digits or unpublished, not 'abc'"),
        ("http:///file", DIGEST, "http:///file cannot be reached"),
    ],
)
def test_a_wrong_url_or_checksum_is_named(out, url, digest, message):
    with pytest.raises(InputError, match=message):
        download.download(url, out, digest)
