"""The tour runs from its first cell to its last, and shows what it says."""

import json
import time

import matplotlib
import pytest
import torch
from presets import ROOT

TOUR = json.loads((ROOT / "docs/tour.ipynb").read_text())
CODE = [cell for cell in TOUR["cells"] if cell["cell_type"] == "code"]


def test_the_tour_is_kept_without_outputs():
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CODE)
    assert {cell["cell_type"] for cell in TOUR["cells"]} == {"code", "markdown"}


@pytest.mark.slow
def test_the_tour_runs_in_two_minutes_of_two_cores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    began, names = time.process_time(), {}
    for cell in CODE:
        source = "".join(cell["source"])
        exec(compile(source, f"docs/tour.ipynb, {cell['id']}", "exec"), names)
    assert time.process_time() - began < 2 * 120
    losses, bits, samples = names["losses"], names["bits"], names["samples"]
    assert losses[-100:].mean() < losses[:20].mean()
    # Uniform grey levels have 8 bits/dim; PNG takes about 5 of these images.
    assert all(3 < value.mean() < 6 for value in bits.values())
    # The paired error is smaller than that of either mean.
    assert names["difference"].std() < min(value.std() for value in bits.values())
    for drawn in samples.values():
        assert drawn.dtype == torch.uint8 and len(drawn) == 16
        assert drawn.double().std() > 20
    assert not torch.equal(*samples.values())
    assert list(tmp_path.iterdir()) == []
