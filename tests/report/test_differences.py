"""Differences of likelihoods in tables: paired over images, grouped by regions."""

import numpy as np
import pandas as pd
import pytest
from commands import gud, write_preset
from presets import tiny_preset
from table_artefacts import BITS, likelihood, likelihood_at

from gud.audit.verify import judge, running
from gud.cli import NamedPreset
from gud.config.preset import load_preset
from gud.errors import InputError
from gud.evaluate.points import paired_difference, read_likelihood
from gud.provenance import read_record
from gud.report import tables


def test_differences_are_paired_over_the_same_images(points):
    table = tables.tabulate(points).set_index("a")
    # Differences of the image means: 0.1, 0.2, 0.2.
    assert table.nll_minus_standard[0.5] == pytest.approx(0.5 / 3)
    assert table.nll_minus_standard_stderr[0.5] == pytest.approx(pd.Series([0.1, 0.2, 0.2]).sem())
    assert table.nll_minus_best[0.5] == pytest.approx(0.5 / 3)
    assert (table.nll_minus_standard[1.0], table.nll_minus_standard_stderr[1.0]) == (0, 0)
    assert table.nll_minus_standard_stderr[0.5] < table.nll_stderr[0.5] / 5


def test_images_of_one_region_count_as_one_in_every_error(tmp_path):
    random = np.random.default_rng(0)
    bits = {a: 4 + random.normal(size=(10, 1)) + random.normal(size=(10, 1)) / 50 for a in (0.5, 1)}
    single = [likelihood(tmp_path, a, b, experiment="single") for a, b in bits.items()]
    region = np.arange(10).repeat(3)
    grouped = [
        likelihood(tmp_path, a, b.repeat(3, 0), experiment="grouped", region=region)
        for a, b in bits.items()
    ]
    table = tables.tabulate(single + grouped)
    same = ["nll_stderr", "nll_minus_best_stderr", "nll_minus_standard_band", "nll_minus_best_band"]
    found = {name: rows[same].to_numpy() for name, rows in table.groupby("experiment")}
    np.testing.assert_allclose(found["grouped"], found["single"])
    assert (found["single"][0] > 0).all()
    assert table.nll_errors_cover.unique().tolist() == [
        "30 images in 10 regions, probes; not training seeds",
        "10 images, probes; not training seeds",
    ]
    assert table.regions.tolist() == [10] * 4


def test_bands_are_wider_than_single_errors_by_a_factor_that_all_points_share(tmp_path):
    random = np.random.default_rng(1)
    paths = [likelihood(tmp_path, a, random.normal(4, 1, (40, 1))) for a in (0.4, 0.8, 1, 1.2, 1.6)]
    table = tables.tabulate(paths)
    errors = table[["nll_minus_standard_stderr", "nll_minus_best_stderr"]].to_numpy()
    bands = table[["nll_minus_standard_band", "nll_minus_best_band"]].to_numpy()
    factors = bands[errors > 0] / errors[errors > 0]
    np.testing.assert_allclose(factors, factors[0])
    # 10 pairs of 5 independent points: the studentised range of 5 at 95 %, over sqrt(2), is 2.86.
    assert factors[0] == pytest.approx(2.86, abs=0.2)


def test_difference_is_empty_without_the_standard_point(tmp_path):
    table = tables.tabulate([likelihood(tmp_path, 0.5, BITS[0.5])])
    assert table[["nll_minus_standard", "nll_minus_standard_stderr"]].isna().all(axis=None)
    assert table.nll_minus_best[0] == 0


def test_difference_is_empty_between_different_images(tmp_path):
    standard = likelihood(tmp_path, 1, BITS[1.0])
    other = likelihood(tmp_path, 0.5, BITS[0.5], index=[0, 1, 7])
    table = tables.tabulate([standard, other]).set_index("a")
    assert np.isnan(table.nll_minus_standard[0.5]) and table.nll_minus_standard[1.0] == 0
    assert np.isnan(paired_difference(*map(read_likelihood, (standard, other)))).all()


def test_another_experiment_is_no_standard(tmp_path):
    paths = [
        likelihood(tmp_path, 1, BITS[1.0]),
        likelihood(tmp_path, 0.5, BITS[0.5], experiment="other", prior="variance_matching"),
    ]
    table = tables.tabulate(paths).set_index("experiment")
    assert np.isnan(table.nll_minus_standard["other"])
    assert table.whitened.to_dict() == {"other": True, "scan": False}


def crossed(tmp_path, **changes):
    """The NLL of every prior and network_space, of two seeds: 4 + 0.5 [matching] + [whitened]."""
    shift = {("isotropic", "image"): 0.0, ("variance_matching", "image"): 0.5}
    shift |= {("isotropic", "whitened"): 1.0, ("variance_matching", "whitened"): 1.5}
    files = []
    for (prior, space), more in shift.items():
        for seed in (0, 1):
            name = f"{prior}_{space}_{seed}"
            bits = [[image + more + 10 * seed] for image in (3.0, 4.0, 6.0)]
            made = {"prior": prior, "network_space": space, "seed": seed, "group": name[:-2]}
            options = made | changes.get(name, {})
            files.append(likelihood(tmp_path, 1, bits, experiment=name, **options))
    return tables.tabulate(files).set_index("experiment")


def test_experiments_that_one_choice_tells_apart_are_compared_image_by_image(tmp_path):
    table = crossed(tmp_path)
    for name, row in table.iterrows():
        matching, whitened = "matching" in name, "_whitened_" in name
        assert row.nll_minus_other_prior == pytest.approx(0.5 if matching else -0.5)
        assert row.nll_minus_other_network_space == pytest.approx(1.0 if whitened else -1.0)
        # The same shift for every image.
        assert row.nll_minus_other_prior_stderr == pytest.approx(0, abs=1e-12)
        assert np.isnan(row.nll_minus_other_preconditioning)
        assert (row.group, row.seed) == (name[:-2], int(name[-1]))
        assert row.network_space == ("whitened" if whitened else "image")


@pytest.mark.parametrize(
    "change", [{"seed": 2}, {"data": "tissue16"}, {"steps": 7}, {"gamma_noise": "common"}], ids=str
)
def test_experiments_that_differ_otherwise_too_are_not_compared(tmp_path, change):
    table = crossed(tmp_path, isotropic_image_0=change)
    row = table.loc["isotropic_image_0"]
    assert np.isnan(row.nll_minus_other_prior) and np.isnan(row.nll_minus_other_network_space)
    assert np.isnan(table.nll_minus_other_prior["variance_matching_image_0"])
    assert table.nll_minus_other_prior["variance_matching_image_1"] == pytest.approx(0.5)


def test_wavelets_at_a_0_and_columns_at_b_0_of_another_experiment_are_no_standard(tmp_path):
    paths = [
        likelihood_at(tmp_path, {"a": 0.3, "b": 0.3}, BITS[0.5], experiment="wavelets"),
        likelihood_at(tmp_path, {"a": 0.0, "b": 0.3}, BITS[0.5], experiment="wavelets"),
        likelihood_at(tmp_path, {"b": 0.0}, BITS[1], experiment="columns"),
    ]
    table = tables.tabulate(paths).set_index("experiment")
    assert table.nll_minus_standard["wavelets"].isna().all()
    assert table.nll_minus_standard["columns"] == 0


def of_experiments(root, **options):
    """Likelihoods of two experiments with bounds, at two points each."""
    random = np.random.default_rng(2)
    found = {}
    for name in ("base", "other"):
        for a in (0.5, 1.0):
            bits, bound = 4 + random.normal(size=(6, 2)), 5 + random.normal(size=(6, 4))
            more = {"group": name, "others": {"bound_bits_per_dim": bound}} | options
            path = likelihood(root, a, bits, experiment=name, **more)
            found[name, a] = path, bits.mean(1), bound.mean(1)
    return found


def paths_of(found):
    return [path for path, *_ in found.values()]


def test_differences_to_a_reference_are_paired_over_images_at_the_same_point(tmp_path):
    found = of_experiments(tmp_path)
    table = tables.tabulate(paths_of(found), references={"other": "base"})
    rows = table.set_index(["experiment", "a"])
    for a in (0.5, 1.0):
        (_, nll, bound), (_, nll_of_base, bound_of_base) = found["other", a], found["base", a]
        row = rows.loc["other", a]
        assert row.reference == "base"
        for name, difference in (("nll", nll - nll_of_base), ("bound", bound - bound_of_base)):
            assert row[f"{name}_minus_reference"] == pytest.approx(difference.mean())
            expected = pd.Series(difference).sem()
            assert row[f"{name}_minus_reference_stderr"] == pytest.approx(expected)
    of_base = rows.loc["base"][["reference", "nll_minus_reference", "bound_minus_reference"]]
    assert of_base.isna().all(axis=None)


def test_errors_of_differences_to_a_reference_take_regions_as_independent(tmp_path):
    single = of_experiments(tmp_path / "single")
    table = tables.tabulate(paths_of(single), references={"other": "base"})
    repeated = []
    for (name, a), (path, *_) in single.items():
        bits = read_likelihood(path).bits_per_dim.repeat(3, 0)
        more = {"group": name, "region": np.arange(6).repeat(3)}
        repeated.append(likelihood(tmp_path / "grouped", a, bits, experiment=name, **more))
    again = tables.tabulate(repeated, references={"other": "base"})
    column = "nll_minus_reference_stderr"
    np.testing.assert_allclose(again[column], table[column])


def test_a_reference_of_a_single_point_is_compared_with_all(tmp_path):
    standard = likelihood_at(tmp_path, {"b": 0.0}, BITS[1.0], experiment="standard", group="one")
    others = [
        likelihood_at(tmp_path, {"b": b}, BITS[0.5], experiment="columns", group="two")
        for b in (0.3, 0.5)
    ]
    table = tables.tabulate([standard, *others], references={"two": "one"})
    rows = table[table.experiment == "columns"]
    assert rows.nll_minus_reference.tolist() == pytest.approx([0.5 / 3] * 2)
    assert rows.bound_minus_reference.isna().all()


def test_a_reference_of_another_schedule_is_compared_at_its_best_point_of_each_estimate(tmp_path):
    found = of_experiments(tmp_path)
    base = {a: values for (name, a), values in found.items() if name == "base"}
    bits, bound = np.full((6, 2), 4.0), np.full((6, 4), 5.0)
    made = {"group": "path", "others": {"bound_bits_per_dim": bound}}
    path = likelihood_at(tmp_path, {"s": 1.0}, bits, experiment="path", **made)
    paths = [path, *(values[0] for values in base.values())]
    row = tables.tabulate(paths, references={"path": "base"}).set_index("experiment").loc["path"]
    for estimate, number, level in (("nll", 1, 4.0), ("bound", 2, 5.0)):
        best = min((values[number] for values in base.values()), key=np.mean)
        assert row[f"{estimate}_minus_reference"] == pytest.approx(level - best.mean())
        stderr = row[f"{estimate}_minus_reference_stderr"]
        assert stderr == pytest.approx(pd.Series(best).sem())


def test_references_are_of_the_same_training_seed_or_none(tmp_path):
    paths = [
        likelihood(tmp_path, 1, BITS[a], experiment=name, group=group, seed=seed)
        for name, group, seed, a in (
            ("base", "base", 0, 1.0),
            ("base_seed1", "base", 1, 0.5),
            ("other", "other", 1, 1.0),
            ("other_seed2", "other", 2, 1.0),
        )
    ]
    rows = tables.tabulate(paths, references={"other": "base"}).set_index("experiment")
    assert rows.reference["other"] == "base_seed1" and pd.isna(rows.reference["other_seed2"])
    assert rows.nll_minus_reference["other"] == pytest.approx(-0.5 / 3)


def test_tables_without_references_have_no_columns_of_them(points):
    assert not [name for name in tables.tabulate(points) if "reference" in name[:20]]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": "tissue16"}, "its data tissue16 must equal those of the reference, natural16"),
        ({"others": {}}, "likelihood settings"),
    ],
)
def test_what_was_not_evaluated_alike_has_no_difference(tmp_path, changes, sentence):
    base = of_experiments(tmp_path)["base", 1.0][0]
    other = likelihood(
        tmp_path,
        1,
        np.full((6, 2), 4.0),
        **{"experiment": "third", "group": "third", "others": {"bound_bits_per_dim": [[5.0]] * 6}}
        | changes,
    )
    with pytest.raises(InputError, match="third cannot be compared with base") as refused:
        tables.tabulate([base, other], references={"third": "base"})
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["scan"], "--reference scan: expected EXPERIMENT=REFERENCE"),
        (["=scan"], "expected EXPERIMENT=REFERENCE"),
        (["scan=", "scan=other"], "--reference scan=: expected"),
        (["scan=a", "scan=b"], "--reference scan=b: expected EXPERIMENT=REFERENCE, once"),
        (["scan=nowhere"], "reference nowhere has no likelihood in the table, which has those of"),
        (["nowhere=scan"], "reference nowhere has no likelihood"),
    ],
)
def test_spoilt_references_are_refused_by_the_command(tmp_path, points, capsys, words, sentence):
    given = [part for word in words for part in ("--reference", word)]
    assert gud("table", "--out", tmp_path / "t.csv", *given, *points) != 0
    assert sentence in capsys.readouterr().err and not (tmp_path / "t.csv").exists()


def test_the_record_of_a_table_tells_its_references(tmp_path):
    out = tmp_path / "t.csv"
    given = paths_of(of_experiments(tmp_path))
    assert gud("table", "--out", out, "--reference", "other=base", *given) == 0
    assert read_record(out)["settings"] == {"reference": {"other": "base"}}


@pytest.mark.parametrize(
    ("reference", "others"),
    [({"other": "base"}, set()), ({"base": "other"}, {"its settings are those of the preset"})],
    ids=str,
)
def test_a_table_is_verified_by_the_references_that_it_was_made_with(tmp_path, reference, others):
    out = tmp_path / "tables/compared.csv"
    given = paths_of(of_experiments(tmp_path))
    assert gud("table", "--out", out, "--reference", "other=base", *given) == 0
    preset = tiny_preset()
    preset["experiments"] = dict.fromkeys(
        ("base", "other"), preset["experiments"]["a_scan_matching"]
    )
    preset["experiments"]["other"]["nll"] = {"grids": [{"a": [1.0], "r": [0]}]}
    preset["figures"] = {"compared": {"experiments": ["base", "other"], "reference": reference}}
    file = write_preset(tmp_path / "mine.yaml", preset | {"quick": []})
    with running(NamedPreset(file, load_preset(file)), tmp_path) as run:
        verdict = judge(out, run)
    assert verdict.status == "stale", str(verdict)
    broken = {check.statement for check in verdict.checks if not check.holds}
    assert broken == {"it is made of what the preset asks for"} | others
