"""Claims, and their verdicts on points of known truth."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from commands import gud, write_preset
from known_effects import IMAGES, found, likelihood, scans, table
from presets import ROOT, as_yaml

from gud.config.jobs import trained
from gud.config.preset import load_preset
from gud.errors import InputError
from gud.evaluate.points import read_likelihood
from gud.evaluate.uncertainty import standard_error
from gud.provenance import read_record, sha256, write_record
from gud.verdict import contrasts
from gud.verdict.claims import CLAIMS, load_claims
from gud.verdict.findings import judge
from gud.verdict.numbers import read_numbers
from gud.verdict.page import MARKERS, as_page, as_summary, as_table
from gud.verdict.run import verdicts


def test_the_claims_of_the_package_are_valid_and_of_both_papers():
    claims = load_claims()
    assert {claim.paper for claim in claims.values()} <= {"GUD", "PSLD"}
    assert claims["wavelets_lowest"].published == 3.17
    assert (claims["columns_b03"].published, claims["columns_b05"].published) == (3.90, 3.94)
    for claim in claims.values():
        if claim.published is not None and claim.statistic != "difference":
            assert claim.holds.lowest < claim.published < claim.holds.highest


@pytest.mark.parametrize(
    "change, said",
    [
        ({"statistic": "median"}, "prior_nll.statistic"),
        ({"minus": None}, "statistic difference takes minus"),
        ({"inside": {"a": [0.8, 1.2]}}, "statistic difference takes minus"),
        ({"holds": {}}, "holds must say"),
        ({"holds": {"above": 1, "below": 0}}, "holds must be a range"),
        ({"measure": "beauty"}, "prior_nll.measure"),
        ({"colour": "red"}, "prior_nll.colour is not a known key"),
        ({"rows": {"group": []}}, "prior_nll.rows.group"),
    ],
)
def test_a_wrong_claim_is_refused_in_one_sentence(tmp_path, change, said):
    raw = yaml.safe_load(CLAIMS.read_text())
    claim = raw["claims"]["prior_nll"] | change
    raw["claims"] = {"prior_nll": {key: value for key, value in claim.items() if value is not None}}
    (tmp_path / "claims.yaml").write_text(as_yaml(raw))
    with pytest.raises(InputError, match=said) as error:
        load_claims(tmp_path / "claims.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "lower, verdict", [("isotropic", "confirmed"), ("variance_matching", "refuted")]
)
def test_a_clear_difference_is_confirmed_or_refuted_by_its_sign(tmp_path, lower, verdict):
    row = found(scans(tmp_path, lower=lower)).loc["prior_nll"]
    assert row.verdict == verdict
    assert abs(row.effect) == pytest.approx(0.1, abs=0.005) and row.low < row.effect < row.high
    assert (row.seeds, row.points, row["data"], row.tables) == (3, 5, "natural16", "figure3")


def test_pairing_removes_what_images_and_seeds_share(tmp_path):
    """Each likelihood has an error of 0.5 / sqrt(60) = 0.065, and the seeds are 0.01 apart."""
    row = found(scans(tmp_path)).loc["prior_nll"]
    assert row.stderr_images < 0.002 and row.stderr_seeds < 0.002
    assert row.stderr == pytest.approx(np.hypot(row.stderr_images, row.stderr_seeds))


def test_no_difference_is_undecided_and_says_what_would_have_been_seen(tmp_path):
    row = found(scans(tmp_path, shift=0.0)).loc["prior_nll"]
    assert row.verdict == "undecided" and "would have been seen" in row.reason
    assert 0 < row.detectable < 0.02


def test_one_seed_decides_nothing_but_says_what_it_would(tmp_path):
    row = found(scans(tmp_path, seeds=(0,))).loc["prior_nll"]
    assert row.verdict == "undecided" and np.isnan(row.stderr_seeds)
    assert row.reason == "one training seed, for which it is confirmed"


def test_the_optimum_of_a_curve_is_placed_and_no_other_point_gains(tmp_path):
    rows = found(scans(tmp_path))
    assert rows.verdict[["optimum_a", "standard_nll"]].tolist() == ["confirmed"] * 2
    assert rows.loc["optimum_a", "at"] == "a = 1.0, r = 0.0"
    moved = {0.4: 0.0, 0.8: 0.1, 1.0: 0.2, 1.2: 0.3, 1.6: 0.4}
    rows = found(scans(tmp_path / "moved", curve=moved))
    assert rows.verdict[["optimum_a", "standard_nll"]].tolist() == ["refuted"] * 2
    assert rows.loc["standard_nll", "effect"] == pytest.approx(0.2, abs=0.01)
    assert rows.loc["standard_nll", "at"] == "a = 0.4, r = 0.0"
    assert (rows.loc["standard_nll", "searched"], rows.loc["optimum_a", "searched"]) == (4, 6)


def test_an_optimum_is_placed_only_by_points_on_both_sides_of_its_region(tmp_path):
    curve = {0.4: 0.2, 0.8: 0.05, 1.0: 0.0, 1.2: 0.05}
    row = found(scans(tmp_path, curve=curve)).loc["optimum_a"]
    assert (row.verdict, row.reason) == ("no data", "it needs points of a above 1.2 and below 0.8")


def test_what_was_not_measured_is_no_data_with_a_reason_and_a_remedy(tmp_path):
    row = found(scans(tmp_path)).loc["wavelets_lowest"]
    assert row.verdict == "no data" and np.isnan(row.effect)
    assert row.reason == "no nll of group wavelets, data cifar10"
    assert "paper" in row.decided_by


def test_networks_of_different_data_are_not_compared(tmp_path):
    points = [
        likelihood(tmp_path, f"columns_b0{b}", 0, 1.0, 0.0, data=data)
        for b, data in ((3, "natural16"), (5, "tissue16"))
    ]
    row = found(table(tmp_path, "columns", points)).loc["columns_softer"]
    assert row.verdict == "no data" and "natural16, tissue16" in row.reason


def test_a_point_of_several_tables_counts_once(tmp_path):
    first = scans(tmp_path)
    second = first.with_name("prior_and_input.csv")
    shutil.copy(first, second)
    write_record(second, inputs=[first.parent / name for name in read_record(first)["inputs"]])
    assert (
        found(first, second).loc["prior_nll", "effect"] == found(first).loc["prior_nll", "effect"]
    )


def test_a_point_made_anew_since_is_refused(tmp_path):
    made = scans(tmp_path)
    likelihood(tmp_path, "a_scan_isotropic", 0, 1.0, 7.0)
    with pytest.raises(InputError, match="made anew"):
        verdicts([made], True)


def test_errors_over_images_are_those_of_the_tables(tmp_path):
    region = np.arange(IMAGES) // 4
    point = read_likelihood(likelihood(tmp_path, "scan", 0, 1.0, 0.0, region=region))
    deviations = contrasts.image_deviations(point.per_image, point.region)
    assert len(deviations) == 15
    expected = standard_error(point.per_image, point.region)
    assert np.sqrt((deviations**2).sum()) == pytest.approx(expected)
    assert contrasts.effective_freedom(point.region) == pytest.approx(14)


def test_the_command_writes_table_page_and_figure_and_their_records(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_preset(tmp_path / "config" / "tiny.yaml")
    made = scans(tmp_path / "results" / "tiny")
    assert gud("verdict", "tiny") == 0
    printed = capsys.readouterr().out
    outs = [tmp_path / f"verdict{end}" for end in (".csv", ".md", ".png", ".pdf")]
    page = tmp_path / "page.md"
    page.write_text("\n".join(["before", *MARKERS, "after"]))
    options = [word for path in outs for word in ("--out", path)]
    assert gud("verdict", "tiny", *options, "--markdown", page) == 0
    assert outs[1].read_text() == printed
    assert all(read_record(path)["inputs"] for path in outs)
    table = pd.read_csv(outs[0])
    assert page.read_text() == "\n".join(
        ["before", MARKERS[0], as_summary(table) + MARKERS[1], "after"]
    )
    assert gud("verdict", "tiny", made) == 0 and capsys.readouterr().out == printed
    assert "1 of" not in printed and "Stand-in: test-sized run" in printed
    assert "| confirmed |" in printed and "natural16: figure3; 5 points, 3 seeds" in printed


def test_a_preset_that_has_made_nothing_is_told_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_preset(tmp_path / "config" / "tiny.yaml")
    assert gud("verdict", "tiny") == 2
    assert "make them first" in capsys.readouterr().err


def test_the_page_shows_the_parts_of_every_error(tmp_path):
    table = as_table(judge(load_claims(), read_numbers([scans(tmp_path)])), False)
    page = as_page(table, "tiny", "")
    assert "images 0.0" in page and "seeds 0.0" in page and "Stand-in" not in page
    assert page.count("\n| ") == len(table) + 4


PRESETS = {path.stem: load_preset(path) for path in sorted((ROOT / "config").glob("*.yaml"))}
STUDY = ROOT / "docs" / "study"


def test_every_group_that_a_claim_names_is_in_a_preset():
    groups = {one.group for preset in PRESETS.values() for one in preset.experiments.values()}
    for name, claim in load_claims().items():
        for rows in (claim.rows, claim.minus or {}):
            named = rows.get("group", [])
            assert set([named] if isinstance(named, str) else named) <= groups, name


def test_the_study_trains_every_network_from_three_seeds():
    seeds = {}
    for experiment in PRESETS["study"].experiments.values():
        seeds.setdefault(experiment.group, []).append(experiment.seed)
    assert all(sorted(found) == [0, 1, 2] for found in seeds.values())


def test_experiments_of_the_study_that_are_compared_differ_in_one_choice_alone():
    study = PRESETS["study"]
    made = {name: trained(study, name) for name in study.experiments}
    pairs = {
        ("basis_pca", "basis_pixel"): {"basis"},
        ("basis_pca", "basis_haar"): {"basis"},
        ("a_scan_isotropic", "a_scan_matching"): {"prior"},
        ("a_scan_isotropic", "a_scan_denoise_7"): {"schedule"},
        ("ordering_scan", "ordering_ncsnpp"): {"network"},
        ("ordering_ncsnpp", "ordering_mean_gamma"): {"network"},
        ("columns_b0", "columns_b03"): {"schedule"},
        ("wavelets", "wavelets_standard"): {"schedule"},
        ("steps_isotropic_8", "steps_matching_8"): {"prior"},
        ("steps_isotropic_8", "steps_isotropic_128"): set(),
        ("ou", "psld_001"): {"process"},
        ("psld_001", "psld_001_denoising"): {"process"},
        ("psld_001", "psld_001_sscs"): set(),
    }
    for (one, other), expected in pairs.items():
        first, second = made[one], made[other]
        models = first["model"], second["model"]
        assert {key for key in models[0] if models[0][key] != models[1][key]} == expected
        assert first["training"] == second["training"] and first["data"] == second["data"]


def test_the_readme_shows_the_verdicts_of_the_study():
    shown = (ROOT / "README.md").read_text().partition(MARKERS[0] + "\n")[2]
    assert shown.partition(MARKERS[1])[0] == as_summary(pd.read_csv(STUDY / "verdict.csv"))


def test_the_verdicts_of_the_study_are_of_the_claims_as_they_are():
    reference = STUDY / "verdict.csv"
    table, claims = pd.read_csv(reference), load_claims()
    made_from = {
        Path(path).name: digest for path, digest in read_record(reference)["inputs"].items()
    }
    for name in ("figure3.csv", "figure5.csv", "compared.csv", "prior_and_input.csv"):
        assert made_from[name] == sha256(reference.with_name(name))
    tested = table[table.effect.notna()]
    assert len(tested) and tested.stand_in.all()
    for _, row in tested.iterrows():
        claim = claims[row.claim]
        assert (row.holds, row.statistic) == (claim.holds.text, claim.statistic)


def test_the_effect_of_each_seed_is_that_of_its_networks_alone(tmp_path):
    row = found(scans(tmp_path)).loc["standard_nll"]
    alone = [
        found(scans(tmp_path / str(seed), seeds=(seed,))).loc["standard_nll"].effect
        for seed in range(3)
    ]
    assert [float(effect) for effect in row.effect_of_each_seed.split()] == pytest.approx(
        alone, rel=1e-3
    )
