"""Audits of what came from the network, with a checksum or without."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from audits import run, statuses
from commands import gud

from gud.provenance import read_record, sha256, write_record


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Silent."""


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """A file downloaded over HTTP without a checksum, a data set made from it, and its URL."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "train.parquet").write_bytes(b"photographs")
    handler = functools.partial(Quiet, directory=tmp_path / "site")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/train.parquet"
    archive, data = tmp_path / "downloads" / "train.parquet", tmp_path / "data.npz"
    assert gud("download", "--url", url, "--sha256", "unpublished", "--out", str(archive)) == 0
    data.write_bytes(b"images")
    write_record(data, inputs=[archive])
    yield archive, data, url
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_without_a_checksum_is_unverified_and_counted_but_no_failure(fetched, capsys):
    archive, data, _ = fetched
    assert read_record(archive)["verified"] is False
    status, out, _ = run(capsys, data)
    assert status == 0
    assert statuses(data) == {"data.npz": "OK", "train.parquet": "UNVERIFIED"}
    assert any(line.split()[0] == "UNVERIFIED" for line in out.splitlines())
    assert "all 2 files are as recorded, 1 of them UNVERIFIED" in out.splitlines()[-1]


def test_an_unverified_download_that_changed_is_changed(fetched, capsys):
    archive, data, _ = fetched
    archive.write_bytes(b"other photographs")
    assert run(capsys, data)[0] != 0
    assert statuses(data)["train.parquet"] == "CHANGED"


def test_a_download_is_verified_once_its_checksum_is_known(fetched, capsys):
    archive, data, url = fetched
    arguments = ["--url", url, "--out", str(archive), "--sha256", sha256(archive)]
    assert gud("download", *arguments) == 0
    assert read_record(archive)["verified"] is True
    assert statuses(data) == {"data.npz": "OK", "train.parquet": "OK"}
    assert "UNVERIFIED" not in run(capsys, data)[1]


def test_a_record_names_the_command_that_repeats_it_and_where_it_ran(fetched):
    archive, _, url = fetched
    record = read_record(archive)
    assert record["command"].startswith(f"gud download --url {url} --sha256 unpublished")
    assert (archive.parent / record["directory"]).samefile(".")
    assert {"data/download.py", "provenance/record.py"} <= record["sources"].keys()
