"""The figure of priors against what networks see, from a table of known effects."""

import numpy as np
import pandas as pd
import pytest
from figure_tables import LABELS, STAND_IN, drawn, section, texts
from matplotlib.figure import Figure

from gud.errors import InputError
from gud.figures.drawing.draw import draw
from gud.figures.drawing.seeds import paired
from gud.figures.drawing.style import logarithmic

A = (0.4, 1.0, 1.6)
SEEDS = (0, 1, 2)
NOISE = {0: -0.02, 1: 0.0, 2: 0.05}
PRIOR, INPUT = 0.03, -0.3
IMAGES = 0.04
NAMES = [f"{prior}_{seen}" for prior in ("iso", "match") for seen in ("image", "whitened")]


def row(prior, seen, seed, a):
    """NLL = 4 + PRIOR + INPUT + a / 10; INPUT depends on the seed by NOISE."""
    name, matching, whitened = f"{prior}_{seen}", prior == "match", seen == "whitened"
    effect = INPUT + NOISE[seed]
    nll = 4 + PRIOR * matching + effect * whitened + a / 10
    return {
        "experiment": name if seed == 0 else f"{name}_seed{seed}",
        "group": name,
        "seed": seed,
        "whitened": matching,
        "network_space": seen,
        "preconditioning": "gaussian",
        "gamma_noise": "common",
        "a": a,
        "r": 0.0,
        "nll_bits_per_dim": nll,
        "nll_stderr": 0.2,
        "nll_minus_standard_stderr": 0.01,
        "nll_minus_other_prior": PRIOR if matching else -PRIOR,
        "nll_minus_other_prior_stderr": IMAGES,
        "nll_minus_other_network_space": effect if whitened else -effect,
        "nll_minus_other_network_space_stderr": IMAGES,
        "fid": 10 * nll,
        "fid_metric": "FD, random features",
    }


@pytest.fixture
def table():
    rows = [row(*name.split("_"), seed, a) for name in reversed(NAMES) for seed in SEEDS for a in A]
    return pd.DataFrame(rows)


def figure_of(table):
    return drawn("prior_and_input", table, experiments=sorted(table.experiment.unique()))


def bars(axis):
    """Values and half lengths of the error bars by label."""
    found = {}
    for container in axis.containers:
        segments = container.lines[2][0].get_segments()
        halves = [(segment[1][1] - segment[0][1]) / 2 for segment in segments]
        values = np.asarray(container.lines[0].get_ydata(), dtype=float)
        found[container.get_label()] = (values, np.array(halves, dtype=float))
    return found


def test_curves_are_means_over_seeds_with_their_standard_error(table):
    left = figure_of(table).axes[0]
    curves = bars(left)
    assert len(curves) == 4
    values, halves = curves["variance-matching prior, sees whitened images"]
    expected = 4 + PRIOR + INPUT + np.mean(list(NOISE.values())) + np.array(A) / 10
    np.testing.assert_allclose(values, expected)
    np.testing.assert_allclose(halves, pd.Series(NOISE).sem())
    values, halves = curves["isotropic prior, sees images"]
    np.testing.assert_allclose(values, 4 + np.array(A) / 10)
    np.testing.assert_allclose(halves, 0, atol=1e-12)


def test_differences_have_their_sign_and_the_error_of_seeds_and_images(table):
    right = figure_of(table).axes[2]
    effects = bars(right)
    assert len(effects) == 4
    spread = pd.Series(NOISE).sem()
    for label, (values, halves) in effects.items():
        prior = label.startswith("variance-matching $-$")
        expected = PRIOR if prior else INPUT + np.mean(list(NOISE.values()))
        np.testing.assert_allclose(values, expected)
        np.testing.assert_allclose(halves, IMAGES if prior else np.hypot(IMAGES, spread))


def test_one_seed_leaves_the_error_of_the_images(table):
    rows = table[(table.seed == 0) & (table.a == 1) & (table.group == "match_image")]
    differences = rows.nll_minus_other_prior, rows.nll_minus_other_prior_stderr
    assert paired(*differences) == (PRIOR, IMAGES)


def test_a_network_without_preconditioning_is_a_curve_of_its_own(table):
    alone = table[(table.group == "iso_image") & (table.seed == 0)]
    alone = alone.assign(experiment="bare", group="bare", preconditioning="none")
    alone = alone.assign(nll_minus_other_prior=np.nan, nll_minus_other_network_space=np.nan)
    both = pd.concat([table, alone])
    figure = figure_of(both)
    assert len(bars(figure.axes[0])) == 5 and len(bars(figure.axes[2])) == 4
    assert any(name.endswith("no preconditioning") for name in bars(figure.axes[0]))


def test_networks_that_differ_by_more_than_the_seed_are_no_group(table):
    mixed = table.assign(whitened=table.whitened ^ (table.seed == 1))
    with pytest.raises(InputError, match="differ by more than the seed"):
        figure_of(mixed)


def test_a_table_without_anything_to_compare_is_refused(table):
    one = table[table.group == "iso_image"].assign(
        nll_minus_other_prior=np.nan, nll_minus_other_network_space=np.nan
    )
    with pytest.raises(InputError, match="differ in prior or network_space alone"):
        figure_of(one)


def test_the_file_says_data_seeds_and_stand_in(table, tmp_path):
    table.to_csv(tmp_path / "t.csv", index=False)
    figure = section("prior_and_input", experiments=sorted(table.experiment.unique()))
    draw(figure, LABELS, [tmp_path / "t.csv"], [tmp_path / "f.png"])
    said = texts(figure_of(table))
    for words in ("patches", "seeds 0, 1, 2", STAND_IN, "same range of log SNR"):
        assert words in said
    assert (tmp_path / "f.png").stat().st_size > 10_000


def test_logarithmic_scales_have_plain_numbers_within_one_decade_and_over_several():
    for ends in ((3.1, 7.4), (4.0, 120.0)):
        axis = Figure().subplots()
        logarithmic(axis)
        axis.plot([0, 1], ends)
        axis.figure.canvas.draw()
        labels = [label.get_text() for label in axis.get_yticklabels(which="both")]
        shown = [float(text) for text in labels if text]
        assert sum(ends[0] <= value <= ends[1] for value in shown) >= 2
