"""Verdicts on distances of samples and on galleries."""

import numpy as np
import pytest
from known_effects import found, qualities, settings

from gud.config.sections.points import point_name
from gud.provenance import write_record
from gud.report.tables import tabulate
from gud.verdict import galleries
from gud.verdict.claims import load_claims
from gud.verdict.findings import judge
from gud.verdict.numbers import read_numbers


def test_distances_of_the_same_random_keys_are_paired_by_their_replicates(tmp_path):
    common = np.random.default_rng(0).normal(5, 1, 10)
    own = np.random.default_rng(1).normal(0, 0.01, 10)
    paths = [
        qualities(tmp_path, "a_scan_isotropic", common + 1 + own),
        qualities(tmp_path, "a_scan_matching", common, prior="variance_matching"),
    ]
    out = tmp_path / "tables" / "figure3.csv"
    out.parent.mkdir()
    tabulate(paths).to_csv(out, index=False)
    write_record(out, inputs=paths)
    claim = load_claims()["prior_fid"].model_copy(update={"relative": False})
    (finding,) = judge({"prior_fid": claim}, read_numbers([out]))
    assert finding.effect.value == pytest.approx(1 + own.mean())
    assert finding.effect.stderr == pytest.approx(own.std(ddof=1) / np.sqrt(10))


def test_relative_effects_are_logarithms_of_ratios(tmp_path):
    ratio = 1.5
    common = np.random.default_rng(0).normal(5, 1, 10)
    paths = [
        qualities(tmp_path, "a_scan_isotropic", ratio * common),
        qualities(tmp_path, "a_scan_matching", common, prior="variance_matching"),
    ]
    out = tmp_path / "figure3.csv"
    tabulate(paths).to_csv(out, index=False)
    write_record(out, inputs=paths)
    row = found(out).loc["prior_fid"]
    assert row.effect == pytest.approx(np.log(ratio)) and row.stderr == pytest.approx(0, abs=1e-12)
    assert row.unit == "ln of Frechet distance"


def gallery(root, method, a, images):
    _, made = settings("large", 0, {"a": a, "r": 0.0})
    path = root / "large" / f"gallery-{method}" / f"{point_name({'a': a, 'r': 0.0})}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=images)
    write_record(path, settings=made | {"sampling": {"method": method, "steps": 9}})
    return path


def test_sharpness_sees_edges_and_not_levels_and_changes_are_in_grey_levels(tmp_path):
    rng = np.random.default_rng(0)
    flat = np.full((2, 3, 16, 16), 90, dtype=np.uint8)
    edges = np.repeat(np.repeat(rng.integers(0, 255, (2, 3, 8, 8)), 2, 2), 2, 3).astype(np.uint8)
    assert (galleries.sharpness(edges) > galleries.sharpness(edges // 2) + 1).all()
    assert galleries.sharpness(flat) == pytest.approx(np.log(1 / 12))
    assert galleries.change(flat, flat + np.uint8(4)) == pytest.approx(4)


def test_a_gallery_that_sharpens_with_a_has_a_positive_slope(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 20, (6, 3, 8, 8)).repeat(2, 2).repeat(2, 3)
    paths = [
        gallery(tmp_path, method, a, (128 + noise * a**power).clip(0, 255).astype(np.uint8))
        for method, power in (("ode", 1), ("euler_maruyama", 3))
        for a in (0.7, 1.0, 1.3)
    ]
    rows = found(*paths)
    assert rows.loc["sharper_ode", "low"] > 0 and rows.loc["sharper_sde", "low"] > 0
    assert rows.loc["stable_ode", "high"] < 0 and rows.loc["stable_ode", "points"] == 2
    assert "one training seed, for which it is confirmed" in rows.loc["stable_ode", "reason"]
