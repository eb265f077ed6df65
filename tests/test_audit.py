import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gud import audit, download
from gud.provenance import read_record, record_path, sha256, write_record


@pytest.fixture
def chain(tmp_path):
    """figure <- table <- two points <- model <- data <- photograph, the last without a record."""
    files = {
        name: tmp_path / folder / name
        for folder, name in (
            ("figures", "figure3.pdf"),
            ("tables", "figure3.csv"),
            ("scan/nll", "a=0.4_r=0.npz"),
            ("scan/nll", "a=1_r=0.npz"),
            ("scan", "model.safetensors"),
            ("data", "data.npz"),
            ("site", "china.jpg"),
        )
    }
    photograph, data, model, *points, table, figure = reversed(files.values())
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(file.name.encode())
    write_record(data, inputs=[photograph])
    write_record(model, inputs=[data], seed=3, device="NVIDIA H200", started=0.0)
    for point in points:
        write_record(point, inputs=[model, data])
    write_record(table, inputs=points)
    write_record(figure, inputs=[table])
    return files


def run(capsys, file):
    status = audit.main([str(file)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def statuses(file):
    return {finding.path.name: finding.status for finding in audit.audit(file)}


def test_untouched_chain_is_as_recorded_to_its_last_leaf(chain, capsys):
    status, out, _ = run(capsys, chain["figure3.pdf"])
    assert status == 0
    assert statuses(chain["figure3.pdf"]) == dict.fromkeys(chain, "OK")
    assert "all 7 files are as recorded" in out
    assert "seed 3, NVIDIA H200" in out
    assert "warning" not in out


def test_each_artefact_is_listed_in_full_once_and_indented_by_its_distance(chain, capsys):
    lines = run(capsys, chain["figure3.pdf"])[1].splitlines()
    models = [line for line in lines if "model.safetensors" in line]
    assert len(models) == 2
    assert sum("code" in line for line in models) == 1 and "(above)" in models[1]
    assert [len(line) - len(line.lstrip()) for line in lines[:4]] == [0, 2, 4, 6]


@pytest.mark.parametrize(
    "name",
    [
        "figure3.pdf",
        "figure3.csv",
        "a=1_r=0.npz",
        "model.safetensors",
        "data.npz",
        "china.jpg",
    ],
)
def test_one_changed_byte_anywhere_is_found(chain, capsys, name):
    file = chain[name]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    status, out, err = run(capsys, chain["figure3.pdf"])
    assert status != 0 and "CHANGED" in err
    found = {name for name, status in statuses(chain["figure3.pdf"]).items() if status != "OK"}
    assert found == {name}
    assert any("CHANGED" in line and name in line for line in out.splitlines())


def test_an_input_made_anew_after_its_use_is_changed_though_its_own_record_fits(chain):
    chain["model.safetensors"].write_bytes(b"trained again")
    write_record(chain["model.safetensors"], inputs=[chain["data.npz"]])
    assert statuses(chain["figure3.pdf"])["model.safetensors"] == "CHANGED"
    assert statuses(chain["model.safetensors"])["model.safetensors"] == "OK"


@pytest.mark.parametrize("name", ["figure3.pdf", "model.safetensors", "data.npz"])
def test_missing_record_is_found(chain, capsys, name):
    record_path(chain[name]).unlink()
    status, _, err = run(capsys, chain["figure3.pdf"])
    assert status != 0 and "MISSING RECORD" in err
    assert statuses(chain["figure3.pdf"])[name] == "MISSING RECORD"


def test_missing_file_is_found(chain, capsys):
    chain["china.jpg"].unlink()
    status, _, err = run(capsys, chain["figure3.pdf"])
    assert status != 0 and "1 MISSING FILE" in err


def test_record_that_is_not_one_is_found(chain):
    record_path(chain["data.npz"]).write_text("{}")
    assert statuses(chain["figure3.pdf"])["data.npz"] == "BAD RECORD"


def test_other_code_versions_are_warned_of_but_do_not_fail(chain, capsys):
    record = read_record(chain["model.safetensors"])
    record["code"]["gud_sha256"] = "0123456789abcdef"
    record_path(chain["model.safetensors"]).write_text(json.dumps(record))
    status, out, _ = run(capsys, chain["figure3.pdf"])
    assert status == 0
    assert "model.safetensors, made by code 01234567; the present code is" in out
    assert "made by 2 versions of the code" in out


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
    assert download.main(["--url", url, "--sha256", "unpublished", "--out", str(archive)]) == 0
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
    assert download.main(arguments) == 0
    assert read_record(archive)["verified"] is True
    assert statuses(data) == {"data.npz": "OK", "train.parquet": "OK"}
    assert "UNVERIFIED" not in run(capsys, data)[1]
