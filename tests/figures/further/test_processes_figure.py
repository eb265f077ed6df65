"""The comparison of processes, drawn from a table of known numbers."""

import numpy as np
import pandas as pd
import pytest
import yaml
from figure_tables import drawn, row, texts
from presets import ROOT, as_yaml

from gud.config.preset import load_preset
from gud.errors import InputError

MADE = {
    "ou": ("ou", np.nan, None),
    "cld": ("cld", 0.0, "hybrid"),
    "psld": ("psld", 0.02, "hybrid"),
    "dsm": ("psld", 0.02, "denoising"),
}


def table() -> pd.DataFrame:
    rows = []
    for name, (process, friction, matching) in MADE.items():
        for a in (1.6, 0.4, 1.0) if name != "dsm" else (1.0,):
            made = {"process": process, "Gamma": friction, "matching": matching}
            sampling = {"sampler": "euler_maruyama", "sampler_evaluations": 50, "fid_stderr": 0.1}
            rows.append(row(name, a, 0.0, 4.0 + a) | made | sampling)
    return pd.DataFrame(rows)


def test_curves_are_of_the_experiments_and_friction_is_scanned_at_standard_diffusion():
    figure = drawn("processes", table(), experiments=list(MADE))
    left, right = figure.axes
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert labels == ["OU", "CLD", r"PSLD, $\Gamma = 0.02$"]
    curve = left.containers[0].lines[0]
    np.testing.assert_allclose(curve.get_xydata(), [[0.4, 44], [1.0, 50], [1.6, 56]])
    hybrid, denoising = (container.lines[0].get_xydata() for container in right.containers)
    np.testing.assert_allclose(hybrid, [[0, 50], [1, 50]])
    np.testing.assert_allclose(denoising, [[1, 50]])
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["0", "0.02"]
    assert "50 network evaluations" in texts(figure)


def test_a_table_without_processes_is_refused():
    with pytest.raises(InputError, match="no column process"):
        drawn("processes", table().drop(columns="process"), experiments=list(MADE))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"steps": 7}}, "processes alone differ, but training differs"),
        ({"quality": {"sampling": {"steps": 7}}}, "but quality.sampling differs"),
        ({"quality": {"grids": []}}, "draws sample quality, but experiments.cld.quality.grids is"),
    ],
)
def test_a_comparison_of_more_than_processes_is_refused(change, message, tmp_path):
    preset = yaml.safe_load((ROOT / "config" / "demo_psld.yaml").read_text())
    preset["experiments"]["cld"] |= change
    spoilt = tmp_path / "spoilt.yaml"
    spoilt.write_text(as_yaml(preset))
    with pytest.raises(InputError, match=message):
        load_preset(spoilt)
