"""A real run as an RO-Crate, checked against the profile by its own validator."""

import json
import subprocess
import sys
import zipfile

import pytest
from commands import gud
from rocrate.rocrate import ROCrate
from rocrate.vocabs import RO_CRATE
from rocrate_validator import services
from rocrate_validator.models import ValidationSettings

from gud.audit.crate import settings_of
from gud.audit.root import artefacts, below
from gud.provenance import read_record, record_path, sha256

pytestmark = pytest.mark.slow
POINT = "results/tiny/a_scan_isotropic/nll/a%3D1_r%3D0.npz"


@pytest.fixture(scope="module")
def crate(finished, tmp_path_factory):
    """The folder of the crate of the run."""
    folder = tmp_path_factory.mktemp("crates") / "tiny"
    results = finished.folder / "results/tiny"
    preset = finished.presets / "tiny.yaml"
    assert gud("crate", preset, "--results", results, "--out", folder) == 0
    return folder


def issues(folder, without=None):
    """What the validator finds, the context of RO-Crate taken from the library: it asks no net.

    Args:
        without: beginning of the names of entities that are left out.
    """
    metadata = json.loads((folder / "ro-crate-metadata.json").read_text())
    url, own = metadata["@context"]
    assert url == "https://w3id.org/ro/crate/1.1/context" == RO_CRATE["@id"]
    kept = [e for e in metadata["@graph"] if not (without and e["@id"].startswith(without))]
    inlined = {"@context": [RO_CRATE["@context"], own], "@graph": kept}
    settings = ValidationSettings(
        rocrate_uri=str(folder),
        profile_identifier="provenance-run-crate",
        offline=True,
        cache_path=folder.parent / "cache",
        metadata_dict=inlined,
    )
    return [issue.message for issue in services.validate(settings).get_issues()]


def test_the_validator_accepts_the_crate_and_refuses_one_without_what_was_done(crate):
    assert issues(crate) == []
    missing = issues(crate, without="#made")
    assert any("must be referred to from an action via instrument" in text for text in missing)


def test_each_artefact_is_there_with_its_sha256_and_made_by_one_action(finished, crate):
    loaded, results = ROCrate(crate), finished.folder / "results/tiny"
    made = [
        result.id
        for action in loaded.get_by_type("CreateAction")
        if action.id != "#run"
        for result in [action["result"]]
        for result in (result if isinstance(result, list) else [result])
    ]
    files = {entity.id: entity for entity in loaded.data_entities if "sha256" in entity}
    assert sorted(made) == sorted(files)
    for entity in files.values():
        source = results / entity.source.relative_to(crate / "results/tiny")
        assert entity["sha256"] == sha256(entity.source) == sha256(source)
    recorded = {below(p, results) for p in artefacts(results) if record_path(p).is_file()}
    there = {below(entity.source, crate / "results/tiny") for entity in files.values()}
    assert recorded <= there


def test_an_action_names_the_inputs_the_settings_and_the_code_of_the_record(finished, crate):
    loaded = ROCrate(crate)
    action = next(
        a
        for a in loaded.get_by_type("CreateAction")
        if a.id != "#run" and loaded.get(POINT) == a["result"]
    )
    record = read_record(finished.folder / "results/tiny/a_scan_isotropic/nll/a=1_r=0.npz")
    assert action["description"] == record["command"]
    assert record["code"]["gud_sha256"] in action["instrument"]["softwareVersion"]
    values = {e["name"]: e["value"] for e in action["object"] if e.type == "PropertyValue"}
    assert values["parameters.a"] == 1.0 and values["seed"] == record["seed"]
    assert values["likelihood.rtol"] == record["settings"]["likelihood"]["rtol"]
    named = {entity.id for entity in action["object"]}
    assert {"results/tiny/a_scan_isotropic/model.safetensors"} < named
    needs = {e["name"]: e["version"] for e in action["instrument"]["softwareRequirements"]}
    assert needs == record["packages"]


def test_the_artefacts_of_a_crate_can_be_verified_where_it_is(crate):
    command = [sys.executable, "-m", "gud", "audit", "results/tiny/figures/figure3.pdf"]
    done = subprocess.run(command, cwd=crate, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_number_of_points_is_a_setting_like_any_other_and_points_are_those_of_a_job():
    assert list(settings_of({"settings": {"points": 17}})) == [("points", 17)]
    job = {"a=1": {"steps": 5}, "a=2": {"steps": 5}}
    assert list(settings_of({"settings": {"points": job}})) == [("steps", 5)] * 2


def test_a_crate_is_a_zip_file_too_and_never_of_an_artefact_that_was_changed(
    copy, tmp_path, capsys
):
    preset, results = copy.presets / "tiny.yaml", copy.folder / "results/tiny"
    words = ("crate", preset, "--results", results, "--out")
    # A figure that was drawn by hand, into another folder too.
    outs = ("--out", results / "figures/figure3.pdf", "--out", copy.folder / "figure3.png")
    source = results / "tables/figure3.csv"
    assert gud("figure", "figure3", "--preset", preset, *outs, source) == 0
    assert gud(*words, tmp_path / "tiny.zip") == 0
    with zipfile.ZipFile(tmp_path / "tiny.zip") as archive:
        assert {"Snakefile", "ro-crate-metadata.json"} < set(archive.namelist())
    assert gud(*words, tmp_path / "tiny.zip") == 2
    assert "exists" in capsys.readouterr().err
    (results / "tables/figure3.csv").write_text("a\n1\n")
    assert gud(*words, tmp_path / "other") == 2
    assert "figure3.csv cannot be put into a crate: it is CHANGED" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "tiny.zip"]
