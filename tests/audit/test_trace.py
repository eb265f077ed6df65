"""Traces of artefacts and of rows of tables in a real run, published artefacts, and their root."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from commands import gud
from presets import ROOT

from gud.audit.chain import audit
from gud.audit.root import root_hash
from gud.provenance import read_record, sha256

pytestmark = pytest.mark.slow
ROW = ("a=1", "prior=isotropic")


@pytest.fixture
def here(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    return finished.folder / "results/tiny"


def test_a_row_is_traced_to_the_bytes_of_the_packages_that_ship_them(here, capsys):
    assert gud("trace", "figure3.csv", *ROW) == 0
    out = capsys.readouterr().out
    point = "results/tiny/a_scan_isotropic/nll/a=1_r=0.npz"
    assert out.startswith("experiment = a_scan_isotropic")
    assert point in out and "package:scikit-image==" in out
    files = [line.strip() for line in out.splitlines() if line.strip()[:1] != "|"]
    assert not [file for file in files if file.startswith("results/tiny/a_scan_matching")]
    record = read_record(here / "a_scan_isotropic/model.safetensors")
    assert record["sha256"] in out
    assert "gud train --preset config/tiny.yaml --experiment a_scan_isotropic" in " ".join(
        out.replace("|", " ").split()
    )


def test_the_figure_leads_to_the_same_row_and_json_holds_the_records(here, capsys):
    assert gud("trace", "figures/figure3.pdf", *ROW, "--preset", "tiny", "--json") == 0
    steps = json.loads(capsys.readouterr().out)
    paths = [step["path"] for step in steps]
    assert paths[0] == "results/tiny/tables/figure3.csv"
    assert len(paths) == len(set(paths))
    assert all(set(step["inputs"]) <= set(paths) for step in steps)
    model = next(step for step in steps if step["path"].endswith("isotropic/model.safetensors"))
    assert model["record"] == read_record(here / "a_scan_isotropic/model.safetensors")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["figure3.csv", "a=1"], "a=1 matches 2 rows"),
        (["figure3.csv", "a=7"], "a=7 matches 0 rows"),
        (["figure3.csv", "a=x"], "expected a number"),
        (["figure3.csv", "colour=red"], "is not COLUMN=VALUE"),
        (["nothing.csv"], "there is no file nothing.csv here or under"),
        (["figure6.pdf", "a=1"], "shows no table"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_cannot_be_traced_is_one_sentence(here, capsys, words, sentence):
    assert gud("trace", *words) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1


def test_published_artefacts_are_audited_where_nothing_else_is(here, tmp_path, capsys):
    published = tmp_path / "published"
    files = [here / "tables/figure3.csv", here / "figures/figure3.png"]
    assert gud("publish", "--out", published, *files) == 0
    root = capsys.readouterr().out.strip()
    assert (published / "root.sha256").read_text() == f"{root}\n"
    alone = tmp_path / "elsewhere/alone"
    shutil.copytree(published, alone)
    found = {finding.path.name: finding for finding in audit(alone / "figure3.png")}
    assert found["figure3.csv"].path == alone / "figure3.csv"
    assert found["model.safetensors"].status == "NOT SHIPPED"
    assert found["model.safetensors"].record["seed"] == 0
    assert found["astronaut.png"].status == "OK"
    assert {finding.status for finding in found.values()} <= {"OK", "NOT SHIPPED", "NOT KEPT"}
    assert root_hash(alone) == root
    text = (alone / "records.json").read_text()
    (alone / "records.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    found = {finding.path.name: finding.status for finding in audit(alone / "figure3.png")}
    assert "CHANGED RECORD" in found.values()
    assert root_hash(alone) != root


def test_the_root_of_a_preset_changes_with_any_file_and_any_record(copy, monkeypatch, capsys):
    monkeypatch.chdir(copy.folder)
    results = copy.folder / "results/tiny"
    assert gud("verify", "config/tiny.yaml", "--root") == 0
    before = capsys.readouterr().out.strip()
    assert root_hash(results) == before
    record = results / "tables/figure3.csv.json"
    text = record.read_text()
    record.write_text(text.replace('"device": "cpu"', '"device": "GPU"'))
    assert root_hash(results) != before
    record.write_text(text)
    assert root_hash(results) == before
    (results / "tables/figure3.csv").write_text("")
    assert root_hash(results) != before


@pytest.mark.parametrize("folder", ["reference", "study", "study_again", "study32"])
def test_the_reference_results_are_as_published(folder):
    folder = ROOT / "docs" / folder
    assert root_hash(folder) == (folder / "root.sha256").read_text().strip()
    for record in folder.glob("*.json"):
        artefact = record.with_suffix("")
        if artefact.is_file():
            statuses = {finding.status for finding in audit(artefact)}
            assert statuses <= {"OK", "NOT SHIPPED", "NOT KEPT"}, artefact


def test_a_published_record_that_is_none_is_refused_in_one_sentence(tmp_path, capsys):
    kept = ROOT / "docs/study"
    artefact = next(path.with_suffix("") for path in sorted(kept.glob("*.csv.json")))
    for path in (artefact, artefact.with_name(f"{artefact.name}.json")):
        shutil.copy(path, tmp_path)
    bundle = json.loads((kept / "records.json").read_text())
    bundle["records"][1]["inputs"] = "none"
    (tmp_path / "records.json").write_text(json.dumps(bundle))
    assert gud("audit", tmp_path / artefact.name) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path}/records.json" in err and "records.1.inputs" in err
    assert err.count("\n") == 1


def test_published_commands_name_no_path_of_a_machine():
    for path in (ROOT / "docs").glob("*/*.json"):
        words = json.loads(path.read_text()).get("command", "").split()
        assert not [word for word in words if word.startswith("/")], path


def test_what_was_published_cannot_be_verified_as_a_run_and_is_told_from_one(capsys):
    folder = ROOT / "docs/study"
    assert gud("verify", ROOT / "config/study.yaml", "--results", folder) == 2
    error = capsys.readouterr().err
    assert f"{folder} holds records.json, and so published artefacts" in error


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_a_root_that_was_signed_is_verified_and_another_is_refused(tmp_path):
    root = tmp_path / "root.sha256"
    root.write_text((ROOT / "docs/reference/root.sha256").read_text())
    key, signers = tmp_path / "key", tmp_path / "signers"

    def ssh(*words, **options):
        return subprocess.run(["ssh-keygen", *words], capture_output=True, text=True, **options)

    assert ssh("-t", "ed25519", "-N", "", "-f", str(key)).returncode == 0
    assert ssh("-Y", "sign", "-f", str(key), "-n", "gud", str(root)).returncode == 0
    signers.write_text(f"authors {key.with_suffix('.pub').read_text()}")
    check = ["-Y", "verify", "-f", str(signers), "-I", "authors", "-n", "gud"]
    check += ["-s", f"{root}.sig"]
    assert ssh(*check, input=root.read_text()).returncode == 0
    assert ssh(*check, input="0" * 64).returncode != 0


def test_two_runs_are_compared_but_for_what_a_clock_says(finished, copy, capsys):
    first, second = (one.folder / "results/tiny" for one in (finished, copy))
    curve = second / "a_scan_isotropic/training.csv"
    head, *rows = curve.read_text().splitlines()
    slower = [",".join([*row.split(",")[:2], "1.0", "9.0", *row.split(",")[4:]]) for row in rows]
    curve.write_text("\n".join([head, *slower]) + "\n")
    assert gud("compare", first, second) == 0
    out = capsys.readouterr().out
    models = len(list(first.glob("*/model.safetensors")))
    assert out.startswith("| artefact |")
    assert f"| model | {models} | the same | {models} | 0 | 0 | 0 | kept |" in out
    curve.write_text(curve.read_text().replace("9.0", "9.0").replace(rows[0].split(",")[1], "0.5"))
    (second / "figures/figure3.png").unlink()
    assert gud("compare", first, second) == 2
    out = capsys.readouterr().out
    assert "BROKEN   a_scan_isotropic/training.csv  loss (by" in out
    assert "BROKEN   figures/figure3.png  not made the second time" in out
    figures = len(list(first.glob("figures/*.p*[fg]")))
    there = figures - 1
    assert f"\n| figure | {figures} | the same | {there} | 0 | 1 | 0 | BROKEN |\n" in out
    curve.write_text("\n".join([head, *slower]) + "\n")
    assert gud("compare", first, second, "--part") == 0
    kept = f"| figure | {figures} | the same for {there}, none for 1 | {there} | 0 | 1 | 0 | kept |"
    assert kept in capsys.readouterr().out
    assert gud("compare", second, first, "--part") == 2
    assert "BROKEN   figures/figure3.png  not made the first time" in capsys.readouterr().out


def test_between_machines_what_has_the_same_inputs_is_promised_to_a_tolerance(
    finished, copy, capsys
):
    first, second = (one.folder / "results/tiny" for one in (finished, copy))
    path = "a_scan_isotropic/nll/a=1_r=0.npz"
    with np.load(first / path) as arrays:
        known = dict(arrays)

    def deviating(by, **changes):
        """The status and the outcome if another machine had found another likelihood."""
        np.savez(second / path, **known | {"bits_per_dim": known["bits_per_dim"] * (1 + by)})
        record = read_record(first / path) | {"sha256": sha256(second / path)} | changes
        (second / f"{path}.json").write_text(json.dumps(record))
        status = gud("compare", first, second)
        return status, capsys.readouterr().out

    status, out = deviating(1e-5, machine="another")
    assert (status, "differs  " in out) == (0, True)
    assert re.search(
        r"^\| likelihood \| .*the same for \d+, to 0.001 for 1 \|.* kept \|$", out, re.M
    )
    assert deviating(1e-2, machine="another")[0] == 2
    assert deviating(1e-5)[0] == 2
    others = dict.fromkeys(read_record(first / path)["inputs"], "0" * 64)
    status, out = deviating(1e-2, machine="another", inputs=others)
    assert (status, "none for 1" in out) == (0, True)
