"""Artefacts to hand on, with the records of their ancestors."""

import json

from audits import statuses
from commands import gud

from gud.audit.trace import ancestry
from gud.provenance import write_record


def test_what_was_published_can_be_published_from_there(chain, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert gud("publish", "--out", first, chain["figure3.csv"]) == 0
    chain["model.safetensors"].unlink()
    chain["china.jpg"].unlink()
    assert gud("publish", "--out", second, first / "figure3.csv") == 0
    found = statuses(second / "figure3.csv")
    assert found.pop("figure3.csv") == "OK"
    assert found == dict.fromkeys([*chain][2:], "NOT SHIPPED")


def test_published_artefacts_of_the_same_bytes_are_all_listed(chain, tmp_path):
    twin = chain["figure3.csv"].with_name("twin.csv")
    twin.write_bytes(chain["figure3.csv"].read_bytes())
    write_record(twin, inputs=[chain["a=1_r=0.npz"]])
    assert gud("publish", "--out", tmp_path / "alone", chain["figure3.csv"], twin) == 0
    files = json.loads((tmp_path / "alone/records.json").read_text())["files"]
    assert files.keys() == {"figure3.csv", "twin.csv"}


def test_what_an_input_was_made_with_is_published_with_its_record_if_it_is_an_input_too(
    chain, tmp_path
):
    history = chain["model.safetensors"].with_name("training.csv")
    comparison = chain["figure3.csv"].with_name("comparison.csv")
    for file in (history, comparison):
        file.write_bytes(file.name.encode())
    write_record(history, inputs=[chain["data.npz"]], made_with=[chain["model.safetensors"]])
    write_record(comparison, inputs=[history, chain["figure3.csv"]])
    assert gud("publish", "--out", tmp_path / "published/alone", comparison) == 0
    found = statuses(tmp_path / "published/alone/comparison.csv")
    assert found.pop("comparison.csv") == "OK"
    assert set(found.values()) == {"NOT SHIPPED"} and "model.safetensors" in found
    traced = list(ancestry(tmp_path / "published/alone/comparison.csv"))
    assert {finding.status for finding in traced[1:]} == {"NOT SHIPPED"}
