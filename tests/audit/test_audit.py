import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from audits import run, statuses
from forgeries import seal

from gud.audit import chain as audit
from gud.provenance import read_record, record_path, sha256, write_record


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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "not JSON",
        "[" * 100_000,
        '{"sha256": 3, "inputs": {}, "settings": {}, "code": {"gud_sha256": "0"}}',
        '{"sha256": "0", "inputs": [], "settings": {}, "code": {"gud_sha256": "0"}}',
        '{"sha256": "0", "inputs": {"a": 1}, "settings": {}, "code": {"gud_sha256": "0"}}',
        '{"sha256": "0", "inputs": {}, "settings": 1, "code": {"gud_sha256": "0"}}',
        '{"sha256": "0", "inputs": {}, "settings": {}, "code": "0"}',
        '{"sha256": "0", "inputs": {}, "settings": {}, "code": {}}',
        '{"sha256": "0", "inputs": {}, "settings": {}, "code": {"gud_sha256": 5}}',
        '{"sha256": "0", "inputs": {}, "settings": {}, "code": {"gud_sha256": "0", "git": 1}}',
        '{"sha256": "0", "inputs": {}, "settings": {}, "code": {"gud_sha256": "0"}, "seconds": ""}',
        '{"sha256": "0", "inputs": {}, "settings": {}, "code": {"gud_sha256": "0"}, "made_by": 1}',
        '{"sha256": "0", "inputs": {}, "settings": {}, "code": {"gud_sha256": "0"}, '
        '"made_by": [{"code": {}}]}',
    ],
)
def test_record_that_is_not_one_is_found(chain, capsys, text):
    record_path(chain["data.npz"]).write_text(text)
    status, out, err = run(capsys, chain["figure3.pdf"])
    assert status == 2
    assert statuses(chain["figure3.pdf"])["data.npz"] == "BAD RECORD"


def test_record_that_is_no_text_is_found(chain):
    record_path(chain["data.npz"]).write_bytes(b"\xff\xfe\x00")
    assert statuses(chain["data.npz"])["data.npz"] == "BAD RECORD"


@pytest.fixture(scope="module")
def long_chain(tmp_path_factory):
    """The last of 1,500 files, each made from the one before."""
    folder = tmp_path_factory.mktemp("long")
    files = [folder / f"{number}.csv" for number in range(1500)]
    for file in files:
        file.write_text(file.name)
    write_record(files[0])
    first = read_record(files[0])
    del first["record_sha256"]
    for before, file in pairwise(files):
        made = {"sha256": sha256(file), "inputs": {before.name: sha256(before)}}
        record_path(file).write_text(json.dumps(first | made))
    return files[-1]


def test_a_chain_of_any_length_is_followed(long_chain):
    assert sum(1 for _ in audit.audit(long_chain)) == 1500


def test_the_first_line_can_be_read_alone(long_chain):
    command = [sys.executable, "-m", "gud", "audit", str(long_chain)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("OK")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 128 + 13


def test_other_code_versions_are_warned_of_but_do_not_fail(chain, capsys, monkeypatch):
    monkeypatch.setattr(
        "gud.provenance.record.code_version", lambda: {"gud_sha256": "0123456789abcdef"}
    )
    write_record(chain["model.safetensors"], inputs=[chain["data.npz"]])
    monkeypatch.undo()
    write_record(chain["figure3.csv"], inputs=[chain["model.safetensors"]])
    status, out, _ = run(capsys, chain["figure3.csv"])
    assert status == 0
    assert "model.safetensors, made by code 01234567; the present code is" in out
    assert "made by 2 versions of the code" in out


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 4},
        {"settings": {"steps": 1}},
        {"device": "cpu"},
        {"packages": {"torch": "2.0"}},
        {"inputs": {}, "records": {}},
        {"command": "gud train --seed 3"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_edited_record_is_found_by_what_was_made_from_its_artefact(chain, changes):
    seal(chain["model.safetensors"], **changes)
    found = statuses(chain["figure3.pdf"])
    assert found.pop("model.safetensors") == "CHANGED RECORD"
    assert "CHANGED RECORD" not in found.values()


def test_an_edited_record_of_the_artefact_itself_is_found(chain):
    record = read_record(chain["figure3.pdf"]) | {"seed": 1}
    record_path(chain["figure3.pdf"]).write_text(json.dumps(record))
    assert statuses(chain["figure3.pdf"])["figure3.pdf"] == "CHANGED RECORD"


def test_work_done_again_to_the_same_bits_leaves_what_was_made_from_it_valid(chain):
    before = read_record(chain["model.safetensors"])
    write_record(chain["model.safetensors"], inputs=[chain["data.npz"]], seed=3, device="cpu")
    assert statuses(chain["figure3.pdf"])["model.safetensors"] == "CHANGED RECORD"
    device = "NVIDIA H200"
    write_record(chain["model.safetensors"], inputs=[chain["data.npz"]], seed=3, device=device)
    assert read_record(chain["model.safetensors"])["seconds"] != before["seconds"]
    assert set(statuses(chain["figure3.pdf"]).values()) == {"OK"}


def test_a_shard_that_is_a_single_array_is_found(tmp_path, capsys):
    shard = tmp_path / "scan/nll/shards/a=1_r=0/000000.npz"
    shard.parent.mkdir(parents=True)
    with open(shard, "wb") as file:
        np.save(file, np.zeros(3))
    status, _, err = run(capsys, shard)
    assert status == 2 and "1 BAD RECORD" in err


def test_a_record_of_the_earlier_form_is_followed_with_a_warning(chain, capsys):
    for name in ("figure3.pdf", "figure3.csv"):
        record = read_record(chain[name])
        for key in ("format", "records", "record_sha256"):
            del record[key]
        record_path(chain[name]).write_text(json.dumps(record))
    status, out, _ = run(capsys, chain["figure3.pdf"])
    assert status == 0
    assert "2 of the records, e.g. that of figure3.pdf, are of an earlier form" in out


def test_parts_may_be_deleted_and_companions_are_audited(tmp_path):
    point, shard, picture = (tmp_path / name for name in ("a.csv", "shard.npz", "a.png"))
    for file in (point, shard, picture):
        file.write_text(file.name)
    write_record(shard)
    write_record(point, parts=[shard], made_with=[picture])
    write_record(picture, made_with=[point])
    assert statuses(point) == {"a.csv": "OK", "shard.npz": "OK", "a.png": "OK"}
    picture.write_text("other")
    assert statuses(point)["a.png"] == "CHANGED"
    shard.unlink()
    assert statuses(point)["shard.npz"] == "NOT KEPT"


def test_a_loop_of_records_ends(chain):
    record = read_record(chain["data.npz"])
    record["inputs"] = {"../figures/figure3.pdf": sha256(chain["figure3.pdf"])}
    record_path(chain["data.npz"]).write_text(json.dumps(record))
    assert statuses(chain["figure3.pdf"])["data.npz"] == "CHANGED RECORD"


def test_a_file_of_a_package_is_found_wherever_the_results_lie(tmp_path):
    import skimage

    photograph = Path(skimage.__file__).parent / "data/astronaut.png"
    data = tmp_path / "deep/down/data.npz"
    data.parent.mkdir(parents=True)
    data.write_bytes(b"patches")
    write_record(data, inputs=[photograph])
    (name,) = read_record(data)["inputs"]
    assert re.fullmatch(r"package:scikit-image==[\d.]+/skimage/data/astronaut.png", name)
    (tmp_path / "deep").rename(tmp_path / "moved")
    found = statuses(tmp_path / "moved/down/data.npz")
    assert found == {"data.npz": "OK", "astronaut.png": "OK"}
