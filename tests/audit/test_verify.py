"""What `gud verify` finds in a real run, as it is and after somebody has tampered with it."""

import json
import shutil
from contextlib import ExitStack, contextmanager

import numpy as np
import pandas as pd
import pytest
from commands import gud
from forgeries import FORGERIES, MODEL, POINT, A, B, rewrite, seal
from presets import tiny_preset, whole_preset

from gud.audit.checks import KINDS, kind_of
from gud.audit.root import artefacts, below
from gud.audit.verify import judge, running
from gud.cli import NamedPreset
from gud.config.preset import load_preset
from gud.provenance import read_record, record_path

pytestmark = pytest.mark.slow

ABSENT = {"inpainted", "classifier", "guided", "guided shares"}
"""Kinds of artefacts that the run makes none of."""


@pytest.fixture(scope="module")
def altered(finished, tmp_path_factory):
    """A copy in which every test restores what it has altered."""
    return finished.copy(tmp_path_factory.mktemp("altered") / "copy")


@pytest.fixture(scope="module")
def run(altered):
    with running(altered.named(), altered.folder / "results/tiny") as run:
        yield run


@contextmanager
def restored(*paths):
    """Give files and their records back their content afterwards."""
    files = [file for path in paths for file in (path, record_path(path)) if file.exists()]
    before = {file: file.read_bytes() for file in files}
    try:
        yield
    finally:
        for file, content in before.items():
            file.write_bytes(content)


def failing(verdict):
    return " ".join(check.statement for check in verdict.checks if not check.holds)


def test_every_artefact_of_a_run_passes_and_all_are_of_a_known_kind(verdicts):
    assert [str(verdict) for verdict in verdicts if verdict.status != "pass"] == []
    assert {kind.name for kind in KINDS} - {verdict.kind for verdict in verdicts} == ABSENT
    assert sum(len(verdict.checks) for verdict in verdicts) > 5 * len(verdicts)


@pytest.mark.parametrize(
    "path",
    [
        "scan/nll/shards/a=1_r=0/000064.npz",
        "scan/strips/shards/b=0.5/000000.npz",
        "scan/sampler_cost/shards/a=1_r=0_exponential_ode3_active_25_clean/000000.npz",
    ],
)
def test_shards_of_whatever_is_computed_are_known_by_where_they_lie(path):
    kind, names = kind_of(path)
    assert kind.name == "shard" and path.endswith(f"{names['start']}.npz")


def alone(run, folder, name):
    """A folder of results that holds one artefact of the run and its record."""
    for file in (run.results / name, record_path(run.results / name)):
        copied = folder / file.relative_to(run.results)
        copied.parent.mkdir(exist_ok=True)
        shutil.copy(file, copied)
    return "verify", run.named.file, "--results", folder


def test_the_exit_status_of_what_passes_is_0(run, tmp_path, capsys):
    assert gud(*alone(run, tmp_path, "data/natural16.npz"), "--all") == 0
    passed, count = capsys.readouterr().out.splitlines()
    assert passed.startswith("pass   data/natural16.npz")
    assert count == "1 artefacts: 1 pass, 0 stale, 0 fail"


def test_the_exit_status_tells_of_failures_and_json_of_all_checks(run, tmp_path, capsys):
    line = alone(run, tmp_path, "tables/figure3.csv")
    assert gud(*line) == 2
    out = capsys.readouterr().out
    assert out.startswith("fail   tables/figure3.csv") and "MISSING FILE" in out
    assert out.endswith("1 artefacts: 0 pass, 0 stale, 1 fail\n")
    assert gud(*line, "--json") == 2
    (verdict,) = json.loads(capsys.readouterr().out)
    assert (verdict["path"], verdict["status"]) == ("tables/figure3.csv", "fail")
    assert [check["holds"] for check in verdict["checks"]].count(False) == out.count(
        "does not hold"
    )


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_one_flipped_bit_in_an_artefact_of_each_kind_is_found(run, kind):
    found = [
        path for path in artefacts(run.results) if kind_of(below(path, run.results))[0].name == kind
    ]
    if kind in ABSENT:
        assert found == []
        return
    path = found[0]
    with restored(path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert judge(path, run).status == "fail"


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forgery_whose_record_was_forged_along_is_found_by_what_it_is(run, forge):
    with ExitStack() as stack:
        for path in artefacts(run.results):
            stack.enter_context(restored(path))
        path = forge(run)
        seal(path)
        verdict = judge(path, run)
    assert verdict.status == "fail"
    assert FORGERIES[forge] in failing(verdict)


@pytest.mark.parametrize("file", [MODEL, "checkpoints/step-00000006.safetensors"])
def test_two_exchanged_files_of_weights_are_found(run, file):
    one, other = run.results / A / file, run.results / B / file
    with restored(one, other):
        content, record = one.read_bytes(), record_path(one)
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
        if record.exists():
            text = record.read_bytes()
            record.write_bytes(record_path(other).read_bytes())
            record_path(other).write_bytes(text)
        assert judge(one, run).status == judge(other, run).status == "fail"
        if file == MODEL:
            assert judge(run.results / A / POINT, run).status == "fail"


@pytest.mark.parametrize(
    "changes",
    [{"seed": 7}, {"device": "H200"}, {"inputs": {}, "records": {}}],
    ids=lambda changes: next(iter(changes)),
)
def test_an_edited_record_of_a_parent_is_found_and_named(run, changes):
    parent, child = run.results / A / MODEL, run.results / A / POINT
    with restored(parent):
        seal(parent, **changes)
        verdict = judge(child, run)
    assert verdict.status == "fail"
    assert any("CHANGED RECORD ../model.safetensors" in reason for reason in verdict.reasons)


def test_emptied_inputs_of_an_artefact_itself_are_found(run):
    for name in (f"{A}/{POINT}", "tables/figure3.csv", "figures/figure3.pdf", f"{A}/{MODEL}"):
        with restored(run.results / name):
            seal(run.results / name, inputs={}, records={}, parts={})
            assert judge(run.results / name, run).status == "fail", name


def test_a_deleted_parent_is_found_and_named(run):
    parent = run.results / A / MODEL
    with restored(parent):
        parent.unlink()
        verdict = judge(run.results / A / POINT, run)
        assert parent in artefacts(run.results)
        assert judge(parent, run).status == "fail"
    assert any("MISSING FILE ../model.safetensors" in reason for reason in verdict.reasons)


def test_a_shard_that_was_altered_before_it_was_joined_is_found(run):
    from gud.evaluate.shards import digest

    point = run.results / A / POINT
    (shard,) = run.results.glob(f"{A}/nll/shards/a=1_r=0/000002.npz")
    with restored(shard, point):
        rewrite(shard, bits_per_dim=lambda bits: bits - 0.1)
        assert judge(shard, run).status == "fail"
        # Its own digest forged along, and joined: the receipt of the job knows what it computed.
        with np.load(shard) as arrays:
            kept = {name: arrays[name] for name in arrays if name != "made"}
            made = json.loads(str(arrays["made"])) | {"sha256": digest(kept)}
        np.savez(shard, made=np.array(json.dumps(made)), **kept)
        words = ("--preset", run.named.file, "--experiment", A, "--quantity", "nll")
        files = (run.results / A / MODEL, run.results / "data/natural16.npz")
        assert gud("join", *words, "--point", "a=1_r=0", "--out", point, *files) == 0
        receipts = [path for path in (run.results / A / "nll/jobs").glob("*.json")]
        found = [judge(path, run) for path in receipts if ".json.json" not in path.name]
    assert any("CHANGED ../shards/a=1_r=0/000002.npz" in str(verdict) for verdict in found)


def test_a_preset_that_was_changed_afterwards_makes_stale_and_names_the_key(altered, run):
    preset = tiny_preset()
    preset["experiments"][A]["training"] = {"learning_rate": 0.002}
    altered.write(preset, "later")
    file = altered.presets / "later.yaml"
    with running(NamedPreset(file, load_preset(file)), run.results) as later:
        trained, point = (
            judge(run.results / A / MODEL, later),
            judge(run.results / A / POINT, later),
        )
        other = judge(run.results / B / MODEL, later)
    assert (trained.status, point.status, other.status) == ("stale", "stale", "pass")
    assert "training.learning_rate = 0.002, made with 0.001" in str(trained)


@pytest.mark.parametrize("made", ["tables/figure3.csv", f"{A}/nll.png"])
def test_a_value_of_a_that_the_preset_also_asks_for_now_makes_stale_and_is_named(
    altered, run, made
):
    preset = whole_preset()
    preset["defaults"]["nll"]["grids"][0]["a"].append(1.5)
    altered.write(preset, "grown")
    with running(altered.named("grown"), run.results) as grown:
        verdict = judge(run.results / made, grown)
    assert verdict.status == "stale"
    assert f"made without {A}/nll/a=1.5_r=0.npz" in str(verdict)


def test_code_that_matters_and_was_changed_makes_stale_and_is_named(run):
    path = run.results / A / MODEL
    sources = read_record(path)["sources"]
    with restored(path):
        seal(path, sources=sources | {"networks/ncsnpp.py": "0" * 32, "cli.py": "0" * 32})
        verdict = judge(path, run)
    assert verdict.status == "stale"
    assert "changed: networks/ncsnpp.py" in str(verdict)


def test_claims_that_were_changed_since_make_stale_and_are_named(run):
    path = run.results / "verdict.csv"
    claims = "project:gud/verdict/claims.yaml"
    with restored(path):
        seal(path, inputs=read_record(path)["inputs"] | {claims: "0" * 64})
        verdict = judge(path, run)
    assert verdict.status == "stale"
    assert "changed: verdict/claims.yaml" in str(verdict)


@pytest.mark.parametrize(("change", "status"), [(1 + 1e-8, "pass"), (1 + 1e-3, "fail")])
def test_a_verdict_may_differ_by_the_rounding_of_other_threads_and_by_no_more(run, change, status):
    path = run.results / "verdict.csv"
    with restored(path):
        table = pd.read_csv(path)
        column = table.select_dtypes("float").notna().sum().idxmax()
        table[column] *= change
        table.to_csv(path, index=False)
        seal(path)
        verdict = judge(path, run)
    assert verdict.status == status, str(verdict)
