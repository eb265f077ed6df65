import json
import time

import numpy as np
import pandas as pd
import pytest

from gud import summary, tables
from gud.errors import InputError
from gud.points import paired_difference, read_likelihood
from gud.provenance import read_record, write_record
from gud.settings import point_name

METHOD = {"method": "tsit5", "probes": 2, "coordinates": "standardised", "batch_size": 2}
METRIC = "FD, random features"


def settings(experiment, parameters, prior):
    return {"experiment": experiment, "prior": prior, "parameters": parameters, "seed": 0}


def likelihood(root, a, bits, *, r=0, **options):
    return likelihood_at(root, {"a": float(a), "r": float(r)}, bits, **options)


def likelihood_at(
    root,
    parameters,
    bits,
    *,
    index=None,
    experiment="scan",
    prior="isotropic",
    evaluations=(90, 96),
):
    bits = np.array(bits, dtype=np.float64)
    path = root / experiment / "nll" / f"{point_name(parameters)}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    index = np.arange(len(bits)) if index is None else np.array(index)
    np.savez(path, bits_per_dim=bits, index=index, evaluations=np.array(evaluations))
    likelihood = METHOD | {"images": len(bits)}
    write_record(
        path,
        settings=settings(experiment, parameters, prior) | {"likelihood": likelihood},
        device="gpu",
        started=time.time(),
    )
    return path


def quality(root, a, fid, *, r=0, experiment="scan", prior="isotropic", stderr=None, images=8):
    parameters = {"a": float(a), "r": float(r)}
    name = point_name(parameters)
    samples = root / experiment / "samples" / f"{name}.npz"
    path = root / experiment / "quality" / f"{name}.json"
    for folder in (samples.parent, path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    np.savez(samples, images=np.zeros((images, 3, 2, 2), dtype=np.uint8))
    sampling = {"method": "euler_maruyama", "steps": 50}
    write_record(
        samples,
        settings=settings(experiment, parameters, prior) | {"sampling": sampling},
        evaluations=51,
        started=0.0,
    )
    reference = root / "data.npz"
    np.savez(reference, train=np.zeros((2, 3, 2, 2), dtype=np.uint8))
    write_record(reference, settings={"source": "natural_patches"})
    measured = {
        "metric": METRIC,
        "fid": fid,
        "fid_stderr": stderr,
        "images": images,
        "reference": "train",
        "reference_images": 2,
        "extractor": "random",
        "seconds": 1.0,
        "device": "cpu",
    }
    path.write_text(json.dumps(measured))
    write_record(path, inputs=[samples, reference])
    return path


BITS = {0.5: [[4.0, 4.2], [5.0, 5.4], [6.0, 6.0]], 1.0: [[4.0, 4.0], [5.0, 5.0], [5.7, 5.9]]}


@pytest.fixture
def points(tmp_path):
    return [likelihood(tmp_path, a, bits) for a, bits in BITS.items()]


def test_mean_and_standard_errors_are_those_computed_by_hand(points):
    row = tables.tabulate(points).set_index("a").loc[0.5]
    # Image means 4.1, 5.2, 6.0.
    assert row.nll_bits_per_dim == pytest.approx((4.1 + 5.2 + 6.0) / 3)
    assert row.nll_stderr == pytest.approx(pd.Series([4.1, 5.2, 6.0]).sem())
    # Probe variances 0.02, 0.08, 0; each image mean has half of its own.
    assert row.nll_probe_stderr == pytest.approx(np.sqrt(0.01 + 0.04) / 3)
    assert (row.images, row.probes, row.network_evaluations) == (3, 2, 93)
    assert (row.method, row.coordinates, row.device) == ("tsit5", "standardised", "gpu")


def test_differences_are_paired_over_the_same_images(points):
    table = tables.tabulate(points).set_index("a")
    # Differences of the image means: 0.1, 0.2, 0.2.
    assert table.nll_minus_standard[0.5] == pytest.approx(0.5 / 3)
    assert table.nll_minus_standard_stderr[0.5] == pytest.approx(pd.Series([0.1, 0.2, 0.2]).sem())
    assert table.nll_minus_best[0.5] == pytest.approx(0.5 / 3)
    assert (table.nll_minus_standard[1.0], table.nll_minus_standard_stderr[1.0]) == (0, 0)
    assert table.nll_minus_standard_stderr[0.5] < table.nll_stderr[0.5] / 5


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


def test_one_image_or_one_probe_has_no_standard_error(tmp_path):
    row = tables.tabulate([likelihood(tmp_path, 1, [[4.0]])]).loc[0]
    assert np.isnan(row.nll_stderr) and np.isnan(row.nll_probe_stderr)
    assert np.isnan(row.nll_minus_standard_stderr) and row.nll_bits_per_dim == 4.0


def test_another_experiment_is_no_standard(tmp_path):
    paths = [
        likelihood(tmp_path, 1, BITS[1.0]),
        likelihood(tmp_path, 0.5, BITS[0.5], experiment="other", prior="variance_matching"),
    ]
    table = tables.tabulate(paths).set_index("experiment")
    assert np.isnan(table.nll_minus_standard["other"])
    assert table.whitened.to_dict() == {"other": True, "scan": False}


def test_rows_are_sorted_by_experiment_then_a_then_r(tmp_path):
    grid = [("z", 1, 0), ("b", 1.6, 0), ("b", 0.4, 0.25), ("b", 0.4, 0), ("b", 1, 1)]
    paths = [likelihood(tmp_path, a, BITS[1.0], r=r, experiment=name) for name, a, r in grid]
    table = tables.tabulate(paths)
    found = list(zip(table.experiment, table.a, table.r, strict=True))
    assert found == sorted(grid)


@pytest.mark.parametrize(
    ("standard", "other"),
    [({"b": 0.0}, {"b": 0.3}), ({"a": 0.0, "b": 0.0}, {"a": 0.0, "b": 0.7})],
    ids=["columns", "wavelet_columns"],
)
def test_every_family_is_compared_with_its_own_standard_diffusion(tmp_path, standard, other):
    paths = [likelihood_at(tmp_path, other, BITS[0.5]), likelihood_at(tmp_path, standard, BITS[1])]
    table = tables.tabulate(paths)
    names = list(standard)
    assert list(table.columns[2 : 3 + len(names)]) == [*names, "nll_bits_per_dim"]
    assert table[names].to_dict("records") == [standard, other]
    assert table.nll_minus_standard.tolist() == pytest.approx([0, 0.5 / 3])
    point = ", ".join(f"{name} = 0" for name in names)
    assert f" at {point} | " in summary.summarise({"t": table})


def test_wavelets_at_a_0_and_columns_at_b_0_of_another_experiment_are_no_standard(tmp_path):
    paths = [
        likelihood_at(tmp_path, {"a": 0.3, "b": 0.3}, BITS[0.5], experiment="wavelets"),
        likelihood_at(tmp_path, {"a": 0.0, "b": 0.3}, BITS[0.5], experiment="wavelets"),
        likelihood_at(tmp_path, {"b": 0.0}, BITS[1], experiment="columns"),
    ]
    table = tables.tabulate(paths).set_index("experiment")
    assert table.nll_minus_standard["wavelets"].isna().all()
    assert table.nll_minus_standard["columns"] == 0


def test_rows_of_several_families_leave_the_parameters_of_the_others_empty(tmp_path):
    points = {"x": {"a": 1.0, "r": 0.5}, "y": {"b": 0.3}, "z": {"a": 0.3, "b": 0.7}}
    paths = [
        likelihood_at(tmp_path, parameters, BITS[1], experiment=name)
        for name, parameters in points.items()
    ]
    table = tables.tabulate(paths)
    assert list(table.columns[:6]) == ["experiment", "whitened", "a", "b", "r", "nll_bits_per_dim"]
    for row in table.to_dict("records"):
        assert {k: row[k] for k in "abr" if not np.isnan(row[k])} == points[row["experiment"]]
    text = summary.summarise({"t": table})
    assert "| a = 1, r = 0.5 |" in text and "| b = 0.3 |" in text and "| a = 0.3, b = 0.7 |" in text


def test_parameters_of_no_schedule_family_are_refused(tmp_path):
    assert "no schedule family" in refused([likelihood_at(tmp_path, {"b": 0.1, "r": 0.0}, BITS[1])])


def test_a_row_exists_for_a_point_with_only_one_of_likelihood_and_quality(tmp_path, points):
    files = [quality(tmp_path, 1, 3.5, stderr=0.1), quality(tmp_path, 1.5, 2.5)]
    table = tables.tabulate(points, files).set_index("a")
    assert list(table.index) == [0.5, 1.0, 1.5]
    assert np.isnan(table.fid[0.5]) and np.isnan(table.nll_bits_per_dim[1.5])
    assert pd.isna(table.images[1.5]) and table.fid[1.5] == 2.5
    row = table.loc[1.0]
    assert (row.fid, row.fid_stderr, row.fid_metric, row.fid_extractor) == (
        3.5,
        0.1,
        METRIC,
        "random",
    )
    assert (row.fid_images, row.fid_reference, row.fid_reference_images) == (8, "train", 2)
    assert (row.sampler, row.sampler_steps, row.sampler_evaluations) == ("euler_maruyama", 50, 51)


def test_command_writes_the_same_numbers_and_a_record_of_every_input(tmp_path, points):
    measured = quality(tmp_path, 1, 3.5)
    out = tmp_path / "tables" / "t.csv"
    arguments = ["--nll", *points, "--quality", measured, "--out", out]
    assert tables.main([str(value) for value in arguments]) == 0
    pd.testing.assert_frame_equal(
        pd.read_csv(out), tables.tabulate(points, [measured]), check_dtype=False
    )
    assert len(read_record(out)["inputs"]) == 3
    assert ",3,2,93.0," in out.read_text()


def refused(*arguments):
    with pytest.raises(InputError) as caught:
        tables.tabulate(*arguments)
    return str(caught.value)


def test_missing_record_is_refused(points):
    points[0].with_name(f"{points[0].name}.json").unlink()
    assert "has no record" in refused(points)


def test_artefact_that_changed_after_its_record_is_refused(points):
    with open(points[0], "ab") as file:
        file.write(b"x")
    assert "has changed since" in refused(points)


def test_file_whose_name_is_another_point_is_refused(tmp_path, points):
    copy = points[0].with_name("a=0.6_r=0.npz")
    copy.write_bytes(points[0].read_bytes())
    copy.with_name(f"{copy.name}.json").write_text(
        points[0].with_name(f"{points[0].name}.json").read_text()
    )
    assert "is recorded as the point a=0.5_r=0" in refused([copy])


def test_a_point_given_twice_is_refused(points):
    assert "a second time" in refused([*points, points[0]])


def test_points_with_different_estimators_are_refused(tmp_path, points, monkeypatch):
    monkeypatch.setitem(METHOD, "coordinates", "components")
    assert "likelihood settings" in refused([*points, likelihood(tmp_path, 1.5, BITS[0.5])])


def test_qualities_on_different_numbers_of_images_are_refused(tmp_path):
    files = [quality(tmp_path, 1, 3.0), quality(tmp_path, 1.5, 3.0, images=9)]
    assert "quality settings" in refused([], files)


def test_bits_per_dim_of_a_wrong_shape_or_not_finite_is_refused(tmp_path):
    assert "must be (images, probes)" in refused([likelihood(tmp_path, 1, [4.0, 5.0])])
    assert "not finite" in refused([likelihood(tmp_path, 1.5, [[np.nan]])])


def test_an_empty_command_is_refused(tmp_path, capsys):
    assert tables.main(["--nll", "--quality", "--out", str(tmp_path / "t.csv")]) == 2
    assert "at least one point" in capsys.readouterr().err


def test_summary_gives_best_point_spread_and_figures(tmp_path, points):
    table = tmp_path / "t.csv"
    tables.tabulate(points, [quality(tmp_path, 0.5, 2.25)]).to_csv(table, index=False)
    out = tmp_path / "summary.md"
    figure = "results/demo/figures/figure3.pdf"
    arguments = ["--tables", table, "--figures", figure, "--stand-in", "patches", "--out", out]
    assert summary.main([str(value) for value in arguments]) == 0
    text = out.read_text()
    spread, error = 0.5 / 3, pd.Series([0.1, 0.2, 0.2]).sem()
    best = np.mean([4.0, 5.0, 5.8])
    assert f"| a = 1, r = 0 | {best:.4f} ± " in text
    assert f"| {spread:.4f} ± {error:.4f} |" in text
    assert f"{METRIC}: 2.250 at a = 0.5, r = 0" in text
    assert figure in text and "Stand-in: patches" in text


def test_summary_of_a_table_without_quality_or_standard_point_leaves_cells_empty(tmp_path):
    table = tables.tabulate([likelihood(tmp_path, 0.5, BITS[0.5])])
    cells = [cell.strip() for cell in summary.summarise({"t": table}).splitlines()[6].split("|")]
    assert cells[1] == "scan" and cells[5:7] == ["-", "-"] and cells[8] == "-"
