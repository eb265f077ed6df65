"""What the benchmarks compute of what they measure."""

import math

import pandas as pd
import pytest
import torch
from likelihood_cost import Whole, ratios

from gud.diffusion.schedules.sequential import column_schedule


def test_a_solver_that_is_not_told_of_kinks_sees_the_same_path_without_them():
    path = column_schedule(torch.arange(8), 0.5, -5.0, 5.0)
    whole, times = Whole(path), torch.linspace(0, 1, 33, dtype=torch.float64)
    assert len(path.kinks) > 2 and len(whole.kinks) == 0
    assert len(list(whole.pieces(0.0, 1.0))) == 1
    for name in ("gamma", "d_gamma_dt"):
        assert torch.equal(getattr(whole, name)(times), getattr(path, name)(times))


def row(method, evaluations, error, probe_error, renewed_probe_error=math.nan):
    return {
        **{"group": "smooth", "experiment": "scan", "point": "a=1", "method": method},
        **{"evaluations": evaluations, "error": error, "probe_error": probe_error},
        **{"seconds": 2 * evaluations, "renewed_seconds": evaluations},
        "renewed_probe_error": renewed_probe_error,
    }


TABLE = pd.DataFrame(
    [
        row("paper", 100.0, 0.003, 0.04),
        row("published", 400.0, 0.0001, 0.04),
        row("adams 8", 9.0, 0.02, 0.05, 0.03),
        row("adams 16", 17.0, 0.002, 0.05, 0.041),
        row("adams 32", 33.0, 0.0005, 0.05, 0.02),
    ]
)


def test_a_ratio_is_of_the_fewest_steps_that_err_no_more_in_what_it_asks_for():
    found = ratios(TABLE).set_index("against").loc["paper"]
    assert found.evaluations == pytest.approx(17 / 100)
    assert found.seconds == pytest.approx(34 / 200)
    assert found.renewed_seconds == pytest.approx(33 / 200)
    assert found.total_evaluations == pytest.approx(9 / 100)


def test_what_no_number_of_steps_reaches_counts_as_infinite():
    found = ratios(TABLE).set_index("against").loc["published"]
    assert found.evaluations == found.renewed_seconds == math.inf
    assert found.total_evaluations == pytest.approx(9 / 400)
