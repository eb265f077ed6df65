"""Samplers of one network: what is drawn for the figure, its table, and its curves."""

import numpy as np
import pandas as pd
import pytest
import yaml
from figure_tables import drawn, row, section, texts
from presets import ROOT, as_yaml
from table_artefacts import quality

from gud.config.preset import load_preset
from gud.diffusion.samplers import SAMPLERS
from gud.errors import InputError
from gud.report.tables import tabulate

STEPS = {"method": "euler_maruyama", "grid": "quadratic", "steps": [10, 50]}
SETTINGS = {
    "experiments": ["psld_001"],
    "grids": [{"a": [1.0], "r": [0]}],
    "draws": 256,
    "methods": [STEPS, {"method": "ode", "tolerances": [1e-2]}],
}


def test_what_an_experiment_draws_anyway_is_not_drawn_again():
    preset = load_preset(ROOT / "config" / "demo_psld.yaml")
    figure, experiment = preset.figures.samplers, preset.experiments["psld_001"]
    own = experiment.quality.sampling
    samplings = figure.samplings(experiment)
    assert samplings.pop("samples") == own
    assert figure.samples(experiment).keys() == samplings.keys()
    assert all(one != own and one.images == own.images for one in samplings.values())


def test_a_process_of_several_numbers_is_sampled_by_every_method():
    preset = load_preset(ROOT / "config" / "demo_psld.yaml")
    methods = [{"method": name, "steps": [10]} for name in SAMPLERS if name != "ode"]
    figure = section("samplers", **SETTINGS | {"methods": methods})
    of_two, of_one = (figure.samplings(preset.experiments[name]) for name in ("psld_001", "ou"))
    assert len(of_two) == len(SAMPLERS) - 1 and of_two.keys() == of_one.keys()


def test_a_table_has_a_row_for_each_sampler_of_a_point(tmp_path):
    own = quality(tmp_path, 1.0, 5.0)
    other = own.parents[1] / "quality-sscs-uniform-10-8" / own.name
    own.parent.rename(own.parents[1] / "kept")
    quality(tmp_path, 1.0, 7.0).parent.rename(other.parent)
    (own.parents[1] / "kept").rename(own.parent)
    table = tabulate([own, other]).set_index("samples")
    assert dict(table.fid) == {"samples": 5.0, "samples-sscs-uniform-10-8": 7.0}
    assert "samples" not in tabulate([own])


def test_each_method_and_grid_is_a_curve_over_its_network_evaluations():
    made = {"process": "psld", "Gamma": 0.01, "matching": "hybrid", "fid_stderr": 0.1}
    rows = [
        row("psld_001", 1.0, 0.0, fd / 10)
        | made
        | {"sampler": sampler, "sampler_grid": grid, "sampler_evaluations": evaluations}
        for sampler, grid, evaluations, fd in (
            ("euler_maruyama", "quadratic", 50, 4.0),
            ("ode", "uniform", 73, 3.0),
            ("euler_maruyama", "quadratic", 10, 9.0),
        )
    ]
    figure = drawn("samplers", pd.DataFrame(rows), **SETTINGS)
    (axis,) = figure.axes
    curves = [container.lines[0].get_xydata() for container in axis.containers]
    np.testing.assert_allclose(curves[0], [[10, 9], [50, 4]])
    np.testing.assert_allclose(curves[1], [[73, 3]])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["EM, quadratic steps", "ODE, adaptive steps"]
    assert axis.get_title() == r"PSLD, $\Gamma = 0.01$" and "256 samples" in texts(figure)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": [{"method": "ode", "steps": [10]}]}, "ode takes tolerances, every other"),
        ({"methods": [{"method": "quicsort", "steps": [10]}]}, "quicsort"),
        ({"grids": [{"a": [0.4, 1.0], "r": [0]}]}, "gives 2 points, but the figure shows one"),
        ({"draws": 5}, "draws = 5 does not serve psld_001: quality.metric.stderr_groups = 10"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, message, tmp_path):
    preset = yaml.safe_load((ROOT / "config" / "demo_psld.yaml").read_text())
    preset["figures"]["samplers"] |= change
    spoilt = tmp_path / "spoilt.yaml"
    spoilt.write_text(as_yaml(preset))
    with pytest.raises(InputError, match=message):
        load_preset(spoilt)
