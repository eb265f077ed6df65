"""Downloads from a real server on the loopback interface that behaves well, badly or not at all."""

import subprocess
import sys
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from commands import gud
from download_site import CONTENT, DIGEST, part

from gud.data import download, transfer
from gud.errors import InputError
from gud.provenance import read_record


def test_a_download_is_the_served_file_with_a_record_of_its_url(host, out):
    argv = ["--url", host.url, "--sha256", DIGEST.upper(), "--out", str(out)]
    assert gud("download", *argv) == 0
    assert out.read_bytes() == CONTENT
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name, f"{out.name}.json"]
    record = read_record(out)
    assert record["settings"]["url"] == host.url
    assert record["sha256"] == DIGEST


def test_a_complete_file_is_not_asked_for_again(host, out):
    out.parent.mkdir()
    out.write_bytes(CONTENT)
    assert download.download(host.url, out, DIGEST) is False
    assert host.requests == []


def test_a_complete_file_that_was_not_yet_renamed_is_not_asked_for_again(host, out):
    out.parent.mkdir()
    part(out).write_bytes(CONTENT)
    download.download(host.url, out, DIGEST)
    assert out.read_bytes() == CONTENT
    assert host.requests == []
    assert not part(out).exists()


def test_a_wrong_file_under_the_name_is_replaced(host, out):
    out.parent.mkdir()
    out.write_bytes(b"something else")
    download.download(host.url, out, DIGEST)
    assert out.read_bytes() == CONTENT


def test_a_broken_connection_is_resumed_where_it_broke(host, out):
    host.cut_after = [200_000, 50_000]
    download.download(host.url, out, DIGEST)
    assert out.read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in host.requests[1:]]
    assert host.requests[0] is None
    assert len(starts) == 2
    assert 100_000 < starts[0] <= 200_000
    assert starts[0] <= starts[1] <= 250_000


def test_an_earlier_try_is_continued(host, out):
    out.parent.mkdir()
    part(out).write_bytes(CONTENT[:123_456])
    download.download(host.url, out, DIGEST)
    assert out.read_bytes() == CONTENT
    assert host.requests == ["bytes=123456-"]


def test_a_server_without_ranges_sends_the_file_from_its_start(host, out):
    host.ranges = False
    host.cut_after = [200_000]
    out.parent.mkdir()
    part(out).write_bytes(b"x" * 1000)
    download.download(host.url, out, DIGEST)
    assert out.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_discarded(host, out):
    out.parent.mkdir()
    part(out).write_bytes(b"x" * (len(CONTENT) + 10))
    download.download(host.url, out, DIGEST)
    assert out.read_bytes() == CONTENT
    assert host.requests[-1] is None


def test_a_connection_that_brings_nothing_is_given_up_and_keeps_what_came(host, out):
    host.cut_after = [200_000] + [0] * 20
    with pytest.raises(InputError, match=f"{host.url} broke off {transfer.ATTEMPTS} times"):
        download.download(host.url, out, DIGEST)
    kept = part(out).read_bytes()
    assert len(kept) > 100_000
    assert CONTENT.startswith(kept)
    assert not out.exists()
    host.cut_after = []
    download.download(host.url, out, DIGEST)
    assert host.requests[-1] == f"bytes={len(kept)}-"
    assert out.read_bytes() == CONTENT


def test_a_corrupted_file_does_not_stay_and_the_next_try_starts_afresh(host, out):
    host.content = CONTENT[:1000] + b"!" + CONTENT[1001:]
    with pytest.raises(InputError, match=f"{host.url} gave a file of sha256 .*, not {DIGEST}"):
        download.download(host.url, out, DIGEST)
    assert list(out.parent.iterdir()) == []
    host.content = CONTENT
    download.download(host.url, out, DIGEST)
    assert host.requests == [None, None]
    assert out.read_bytes() == CONTENT


def test_a_part_of_another_file_is_found_out_and_does_not_stay(host, out):
    out.parent.mkdir()
    part(out).write_bytes(b"x" * 1000)
    with pytest.raises(InputError, match="next try starts afresh"):
        download.download(host.url, out, DIGEST)
    assert list(out.parent.iterdir()) == []


def test_passing_server_errors_are_retried(host, out):
    host.statuses = [503, 500, 429]
    download.download(host.url, out, DIGEST)
    assert out.read_bytes() == CONTENT


@pytest.mark.parametrize("status, tries", [(404, 1), (503, transfer.ATTEMPTS + 1)])
def test_lasting_server_errors_name_url_status_and_remedy(host, out, status, tries):
    host.statuses = [status] * 20
    with pytest.raises(InputError, match=f"{host.url} answered {status} .*`url` in the preset"):
        download.download(host.url, out, DIGEST)
    assert len(host.requests) == tries
    assert not out.exists()


def test_a_file_without_a_published_checksum_is_taken_and_its_record_says_so(host, out):
    argv = ["--url", host.url, "--sha256", "unpublished", "--out", str(out)]
    host.cut_after = [200_000]
    assert gud("download", *argv) == 0
    assert out.read_bytes() == CONTENT
    record = read_record(out)
    assert record["verified"] is False
    assert record["sha256"] == DIGEST
    asked = len(host.requests)
    assert gud("download", *argv) == 0
    assert len(host.requests) == asked


def test_without_a_published_checksum_a_changed_file_is_fetched_again(host, out):
    argv = ["--url", host.url, "--sha256", "unpublished", "--out", str(out)]
    assert gud("download", *argv) == 0
    out.write_bytes(b"damaged")
    assert gud("download", *argv) == 0
    assert out.read_bytes() == CONTENT


def test_a_checked_download_is_recorded_as_verified(host, out):
    assert gud("download", "--url", host.url, "--sha256", DIGEST, "--out", str(out)) == 0
    assert read_record(out)["verified"] is True


def test_a_gzip_label_does_not_change_the_bytes(host, out):
    host.gzip_label = True
    download.download(host.url, out, DIGEST)
    assert out.read_bytes() == CONTENT


def test_without_network_one_sentence_names_the_url_and_the_remedy(host, out, capsys, monkeypatch):
    # A port that nobody listens on: bound once, then closed.
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}/archive.tar.gz"
    assert gud("download", "--url", url, "--sha256", DIGEST, "--out", str(out)) == 2
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


SECRETS = ("hidden", "Zm9v", "abc123")


@pytest.mark.parametrize("answer", ["file", "broken", "refused", "unreachable", "wrong"])
def test_credentials_reach_the_server_and_nothing_else(host, out, capfd, caplog, answer):
    caplog.set_level("DEBUG")
    credentials = b64encode(b"me:hidden").decode()
    host.allowed = f"Basic {credentials}"
    query = "access_token=Zm9v&part=1&X-Amz-Signature=abc123#frag"
    url = host.url.replace("//", "//me:hidden@") + "?" + query
    shown = f"{host.url}?access_token=...&part=1&X-Amz-Signature=..."
    digest, host.etag = DIGEST, '"one"'
    match answer:
        case "broken":
            host.cut_after, host.statuses = [200_000] + [0] * 20, [503]
        case "refused":
            host.allowed = "nobody"
        case "unreachable":
            url = url.replace("127.0.0.1", "127.0.0.1:1/")
            shown = shown.replace("127.0.0.1", "127.0.0.1:1/")
        case "wrong":
            digest = "0" * 64
    status = gud("download", "--url", url, "--sha256", digest, "--out", str(out))
    assert status == (0 if answer == "file" else 2)
    written = capfd.readouterr()
    files = [path for path in out.parent.rglob("*") if path.suffix == ".json"]
    texts = [written.out, written.err, caplog.text, *(path.read_text() for path in files)]
    assert not [secret for secret in SECRETS for text in texts if secret in text]
    assert shown in written.err or answer == "file"
    if answer == "file":
        assert read_record(out)["settings"]["url"] == shown


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1/file",
        "http://127.0.0.1:port/file",
        "http://127.0.0.1:99999/file",
        f"http://{'a' * 70}.invalid/file",
        "http://a..b/file",
        "http://*/file",
        "http:///",
        "http:file",
        "//127.0.0.1/file",
        "",
        " ",
        "file:///dev/zero",
        "file:///dev/null",
        "file:///tmp",
        "file://",
        "file://elsewhere/etc/hostname",
        "file:///no\0file",
        "data:text/plain,hello",
        "http://127.0.0.1:1/a\nb",
        "http://127.0.0.1:1/\ud800",
    ],
)
def test_a_url_that_leads_nowhere_is_one_sentence(out, capsys, url, monkeypatch):
    monkeypatch.setattr(transfer, "BACKOFF", 0.0)
    assert gud("download", "--url", url, "--sha256", DIGEST, "--out", str(out)) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not out.exists()


def test_a_full_disk_is_one_sentence_that_names_the_file(host, out, tmp_path):
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from gud.cli import main\n"
        "sys.exit(main())"
    )
    argv = ["download", "--url", host.url, "--sha256", DIGEST, "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", program, *argv], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {part(out)} cannot be written")
    assert not out.exists()
