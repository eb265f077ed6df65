"""The tour runs from its first cell to its last, and shows what it says."""

import json
import time

import matplotlib
import pytest
import torch
from presets import ROOT

import gud

TOUR = json.loads((ROOT / "docs/tour.ipynb").read_text())
QUICK = {"method": "adams", "steps": 8, "coordinates": "standardised"}
CODE = [cell for cell in TOUR["cells"] if cell["cell_type"] == "code"]


def test_the_tour_is_kept_without_outputs():
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CODE)
    assert {cell["cell_type"] for cell in TOUR["cells"]} == {"code", "markdown"}


@pytest.mark.slow
def test_with_two_fifths_of_its_training_the_tour_takes_less_than_a_minute_of_two_cores(
    tmp_path, monkeypatch
):
    """With all of it two minutes, as it says, or less."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    began, names = time.process_time(), {}
    steps = " steps=500,"
    assert sum("".join(cell["source"]).count(steps) for cell in CODE) == 1
    for cell in CODE:
        source = "".join(cell["source"]).replace(steps, " steps=200,")
        exec(compile(source, f"docs/tour.ipynb, {cell['id']}", "exec"), names)
    assert time.process_time() - began < 2 * 60
    bits, samples = names["bits"], names["samples"]
    before = gud.image_bits(
        names["model"], names["schedules"][1.0], names["images"], probes=1, **QUICK
    )[0].mean(1)
    learnt = before - bits[1.0]
    assert learnt.mean() > 5 * learnt.std() / len(learnt) ** 0.5
    # Uniform grey levels have 8 bits/dim; PNG takes about 5 of these images.
    assert all(3 < value.mean() < 6 for value in bits.values())
    # The paired error is smaller than that of either mean.
    assert names["difference"].std() < min(value.std() for value in bits.values())
    for drawn in samples.values():
        assert drawn.dtype == torch.uint8 and len(drawn) == 16
        assert drawn.double().std() > 20
    assert not torch.equal(*samples.values())
    assert list(tmp_path.iterdir()) == []
