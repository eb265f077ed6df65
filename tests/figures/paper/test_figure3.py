"""Figure 3: the numbers of its table, with their names and their errors."""

import numpy as np
import pytest
from figure_tables import drawn, texts

from gud.errors import InputError


def test_figure3_plots_the_numbers_of_the_table(scan):
    left, right = drawn("figure3", scan).axes
    for axis, column in ((left, "nll_bits_per_dim"), (right, "fid")):
        curves = {bars.get_label().split()[0]: bars for bars in axis.containers}
        for name, experiment in (("unwhitened", "white"), ("whitened", "matching")):
            points = scan[scan.experiment == experiment].sort_values("a")
            line = curves[name].lines[0]
            np.testing.assert_array_equal(line.get_xdata(), points.a)
            np.testing.assert_array_equal(line.get_ydata(), points[column])


def test_figure3_names_every_curve_by_its_own_prior_in_whichever_order_they_come(scan):
    names = [["white", "matching"], ["matching", "white"]]
    for experiments in names:
        for axis in drawn("figure3", scan, experiments=experiments).axes:
            curves = {bars.get_label(): bars.lines[0].get_ydata() for bars in axis.containers}
            column = "nll_bits_per_dim" if axis.get_ylabel()[:3] == "NLL" else "fid"
            for label, name in (("unwhitened (iso", "white"), ("whitened (variance", "matching")):
                (own,) = [values for key, values in curves.items() if key.startswith(label)]
                points = scan[scan.experiment == name].sort_values("a")
                np.testing.assert_array_equal(own, points[column])


def test_figure3_names_what_networks_see_where_that_differs_and_prints_it_where_not(scan):
    assert "Every network sees images with no preconditioning." in texts(drawn("figure3", scan))
    inputs = scan.assign(network_space=np.where(scan.whitened, "whitened", "image"))
    figure = drawn("figure3", inputs)
    found = [bars.get_label() for bars in figure.axes[0].containers]
    assert found == [
        "isotropic prior, sees images",
        "variance-matching prior, sees whitened images",
    ]
    common = drawn("figure3", scan.assign(gamma_noise="common"))
    assert "Both priors over the same range of log SNR." in texts(common)
    assert "Each prior over its own range" in texts(drawn("figure3", scan))


def test_figure3_refuses_two_curves_of_one_name_and_a_table_of_an_older_version(scan):
    alike = scan.assign(whitened=False)
    for table, words in (
        (alike, "tell white, matching apart"),
        (scan.drop(columns="seed"), "seed"),
    ):
        with pytest.raises(InputError, match=words):
            drawn("figure3", table)


def test_figure3_tells_seeds_of_one_experiment_apart(scan):
    two = scan.assign(whitened=False, seed=np.where(scan.whitened, 4, 0), group="white")
    figure = drawn("figure3", two)
    found = [bars.get_label() for bars in figure.axes[0].containers]
    assert [name[-6:] for name in found] == ["seed 0", "seed 4"]


def half_lengths(axis):
    segments = axis.containers[0].lines[2][0].get_segments()
    return [(segment[1][1] - segment[0][1]) / 2 for segment in segments]


def test_figure3_bars_are_the_paired_errors_and_the_shared_error_is_printed(scan):
    figure = drawn("figure3", scan)
    assert half_lengths(figure.axes[0]) == pytest.approx([0.012, 0, 0.012])
    assert "±0.050 (unwhitened), ±0.070 (whitened)" in texts(figure)


def test_figure3_bars_are_the_errors_over_images_where_there_is_no_pair(scan):
    scan.loc[scan.experiment == "white", "nll_minus_standard_stderr"] = np.nan
    figure = drawn("figure3", scan)
    assert half_lengths(figure.axes[0]) == pytest.approx([0.05] * 3)
    assert "Bars (unwhitened): standard error over the images" in texts(figure)
    assert "±0.050" not in texts(figure) and "±0.070 (whitened)" in texts(figure)


def test_figure3_prints_what_the_sampler_itself_does_to_variances(scan):
    assert "sampler" not in texts(drawn("figure3", scan))
    known = scan.assign(sampler="ode", sampler_variance_bias=np.linspace(-0.012, 0.03, len(scan)))
    assert (
        "The sampler alone (ode), given the exact score of Gaussian data, changes the variance "
        "of their components by -1.2% to +3.0% on average." in texts(drawn("figure3", known))
    )
    exact = known.assign(sampler_variance_bias=-4e-4)
    assert "by less than 0.1% on average." in texts(drawn("figure3", exact))


def test_figure3_marks_standard_diffusion_on_the_unwhitened_curve(scan):
    for axis in drawn("figure3", scan).axes:
        (ring,) = [line for line in axis.lines if line.get_label() == "standard diffusion"]
        assert list(ring.get_xdata()) == [1.0]
        assert ring.get_ydata()[0] == pytest.approx(4.2 if axis.get_ylabel()[:3] == "NLL" else 42)


def test_random_features_are_never_called_fid(scan):
    figure = drawn("figure3", scan)
    assert figure.axes[1].get_ylabel() == "FD, random features"
    assert "fid" not in texts(figure).lower()
    figure = drawn("figure3", scan.assign(fid_metric="FID"))
    assert figure.axes[1].get_ylabel() == "FID"


def test_figure3_refuses_two_metrics_or_an_absent_experiment(scan):
    mixed = scan.assign(fid_metric=["FID", *scan.fid_metric[1:]])
    for table, changes in ((mixed, {}), (scan, {"experiments": ["absent"]})):
        with pytest.raises(InputError):
            drawn("figure3", table, **changes)
