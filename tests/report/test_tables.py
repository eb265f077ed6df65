"""The rows of tables, against numbers computed by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from commands import gud
from table_artefacts import BITS, METRIC, likelihood, likelihood_at, quality

from gud.errors import InputError
from gud.provenance import read_record, write_record
from gud.report import summary, tables


def test_mean_and_standard_errors_are_those_computed_by_hand(points):
    row = tables.tabulate(points).set_index("a").loc[0.5]
    # Image means 4.1, 5.2, 6.0.
    assert row.nll_bits_per_dim == pytest.approx((4.1 + 5.2 + 6.0) / 3)
    assert row.nll_stderr == pytest.approx(pd.Series([4.1, 5.2, 6.0]).sem())
    # Probe variances 0.02, 0.08, 0; each image mean has half of its own.
    assert row.nll_probe_stderr == pytest.approx(np.sqrt(0.01 + 0.04) / 3)
    assert (row.images, row.probes, row.network_evaluations) == (3, 2, 93)
    assert (row.method, row.coordinates, row.device) == ("tsit5", "standardised", "gpu")


def test_how_often_probes_took_new_signs_stands_beside_their_number(tmp_path):
    paths = [
        likelihood(tmp_path, 1.0, BITS[1.0], experiment=name, asked=asked)
        for name, asked in (("kept", {}), ("renewed", {"renewals": 24}))
    ]
    row = tables.tabulate(paths).set_index("experiment")
    assert row.renewals.to_dict() == {"kept": 0, "renewed": 24}


def test_one_image_or_one_probe_has_no_standard_error(tmp_path):
    row = tables.tabulate([likelihood(tmp_path, 1, [[4.0]])]).loc[0]
    assert np.isnan(row.nll_stderr) and np.isnan(row.nll_probe_stderr)
    assert np.isnan(row.nll_minus_standard_stderr) and row.nll_bits_per_dim == 4.0


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
    assert list(table.columns[10 : 11 + len(names)]) == [*names, "nll_bits_per_dim"]
    assert table[names].to_dict("records") == [standard, other]
    assert table.nll_minus_standard.tolist() == pytest.approx([0, 0.5 / 3])
    point = ", ".join(f"{name} = 0" for name in names)
    assert f" at {point} | " in summary.summarise({"t": table})


def test_rows_of_several_families_leave_the_parameters_of_the_others_empty(tmp_path):
    points = {"x": {"a": 1.0, "r": 0.5}, "y": {"b": 0.3}, "z": {"a": 0.3, "b": 0.7}}
    paths = [
        likelihood_at(tmp_path, parameters, BITS[1], experiment=name)
        for name, parameters in points.items()
    ]
    table = tables.tabulate(paths)
    assert list(table.columns[10:14]) == ["a", "b", "r", "nll_bits_per_dim"]
    for row in table.to_dict("records"):
        assert {k: row[k] for k in "abr" if not np.isnan(row[k])} == points[row["experiment"]]
    text = summary.summarise({"t": table})
    assert "| a = 1, r = 0.5 |" in text and "| b = 0.3 |" in text and "| a = 0.3, b = 0.7 |" in text


def test_a_difference_over_few_images_is_added_to_the_level_over_all(tmp_path):
    """Three images of the one point are the first of five of the others."""
    asked = {"stderr_of_difference": 0.1, "images": 8}
    level, change = np.array([4.0, 5.0, 3.5, 6.0, 4.5]), np.array([0.1, 0.4, 0.1])
    random = np.array([0.3, -0.2, 0.1, -0.4, 0.2])
    bits = {0.4: level + random, 1.0: level, 0.5: level[:3] + change, 1.5: level - 0.3}
    paths = [likelihood(tmp_path, a, values[:, None], asked=asked) for a, values in bits.items()]
    table = tables.tabulate(paths).set_index("a")
    assert table.images.to_dict() == {0.4: 5, 0.5: 3, 1.0: 5, 1.5: 5}
    assert table.nll_bits_per_dim.to_dict() == pytest.approx(
        {0.4: 4.6, 0.5: 4.8, 1.0: 4.6, 1.5: 4.3}
    )
    assert table.nll_minus_standard[0.5] == pytest.approx(0.2)
    assert table.nll_minus_best[0.5] == pytest.approx(0.5), "1.5 is the best"
    error = np.sqrt(((change - 0.2) ** 2).sum() / 9 * 5 / 4)
    assert table.nll_minus_standard_stderr[0.5] == pytest.approx(error)
    assert "3 images for the difference to the point of 5" in table.nll_errors_cover[0.5]


def test_points_of_unequal_images_that_no_request_made_are_not_compared(tmp_path):
    paths = [likelihood(tmp_path, a, [[4.0]] * n) for a, n in ((0.5, 3), (1.0, 5))]
    table = tables.tabulate(paths).set_index("a")
    assert np.isnan(table.nll_minus_standard[0.5]) and table.images[0.5] == 3


def test_a_row_exists_for_a_point_with_only_one_of_likelihood_and_quality(tmp_path, points):
    files = [quality(tmp_path, 1, 3.5, stderr=0.1), quality(tmp_path, 1.5, 2.5)]
    table = tables.tabulate([*points, *files]).set_index("a")
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


def scale(root, images, experiment="scan"):
    path = root / experiment / "scale.csv"
    pd.DataFrame(
        {"model": ["gaussian", "png"], "bits_per_dim": [4.91, 5.08], "stderr": [0.1, 0.2]}
    ).to_csv(path, index=False)
    write_record(path, settings={"experiment": experiment, "images": images})
    return path


def test_what_is_free_stands_beside_every_likelihood(tmp_path, points):
    table = tables.tabulate([*points, quality(tmp_path, 1, 3.0), scale(tmp_path, images=3)])
    assert table.scale_gaussian.tolist() == [4.91, 4.91]
    assert table.scale_png_stderr.tolist() == [0.2, 0.2]
    assert table.scale_webp.isna().all() and table.fid[1] == 3.0
    text = summary.summarise({"t.csv": table})
    assert (
        "scan: For scale, in bits/dim on the same images: Gaussian of full covariance 4.91, "
        "PNG 5.08.\n" in text
    )


def test_what_is_free_stands_beside_the_networks_of_all_seeds_and_is_said_once(tmp_path):
    made = [("scan", 0, "scan"), ("scan_seed1", 1, "scan"), ("other", 0, "other")]
    points = [
        likelihood(tmp_path, 1, BITS[1.0], experiment=name, seed=seed, group=group)
        for name, seed, group in made
    ]
    table = tables.tabulate([*points, scale(tmp_path, images=3)]).set_index("experiment")
    assert table.scale_gaussian.dropna().to_dict() == {"scan": 4.91, "scan_seed1": 4.91}
    assert summary.summarise({"t.csv": table.reset_index()}).count("For scale") == 1


def test_a_scale_of_other_images_is_refused(tmp_path, points):
    with pytest.raises(InputError, match="number of test images 64 must equal"):
        tables.tabulate([*points, scale(tmp_path, images=64)])


def test_points_may_differ_in_what_their_sampler_does_to_variances(tmp_path):
    paths = []
    for a, bias in ((0.5, -0.02), (1, 0.01)):
        path = quality(tmp_path, a, 3.0)
        measured = json.loads(path.read_text()) | {
            "sampler_variance_bias": bias,
            "sampler_variance_rms": abs(bias),
            "errors_cover": "8 samples, 2 train images; not training seeds",
        }
        inputs = [tmp_path / "scan/samples" / f"{path.stem}.npz", tmp_path / "data.npz"]
        path.write_text(json.dumps(measured))
        write_record(path, inputs=inputs)
        paths.append(path)
    table = tables.tabulate(paths)
    assert table.sampler_variance_bias.tolist() == [-0.02, 0.01]
    assert table.sampler_variance_rms.tolist() == [0.02, 0.01]
    assert set(table.fid_errors_cover) == {"8 samples, 2 train images; not training seeds"}


def test_command_writes_the_same_numbers_and_a_record_of_every_input(tmp_path, points):
    measured = quality(tmp_path, 1, 3.5)
    out = tmp_path / "tables" / "t.csv"
    assert gud("table", "--out", out, *points, measured) == 0
    pd.testing.assert_frame_equal(
        pd.read_csv(out), tables.tabulate([*points, measured]), check_dtype=False
    )
    assert len(read_record(out)["inputs"]) == 3
    assert ",3,2,0,93.0," in out.read_text()


def test_further_estimates_stand_beside_the_first_with_paired_errors(tmp_path):
    others = {
        "noised_bits_per_dim": np.array([[4.2, 4.4], [5.5, 5.5], [6.1, 6.3]]),
        "bound_bits_per_dim": np.array([[4.6], [5.4], [6.5]]),
    }
    path = likelihood(tmp_path, 0.5, BITS[0.5], others=others)
    row = tables.tabulate([path]).iloc[0]
    assert row.nll_noised_bits_per_dim == pytest.approx((4.3 + 5.5 + 6.2) / 3)
    assert row.nll_noised_stderr == pytest.approx(pd.Series([4.3, 5.5, 6.2]).sem())
    assert row.bound_minus_nll == pytest.approx((0.5 + 0.2 + 0.5) / 3)
    assert row.bound_minus_nll_stderr == pytest.approx(pd.Series([0.5, 0.2, 0.5]).sem())
    with pytest.raises(InputError, match=r"expected float of shape \(images = 3, bound\)"):
        others = {"bound_bits_per_dim": np.zeros((2, 1))}
        tables.tabulate([likelihood(tmp_path, 1.0, BITS[1.0], others=others)])
