"""How the points of a table came about."""

import numpy as np
from commands import gud
from finished_results import METHOD, PHOTOGRAPHS, results
from presets import made_by

from gud.provenance import write_record
from gud.report.origins import origins


def test_origin_names_data_training_and_history(tmp_path):
    origin = origins(results(tmp_path / "demo"))["scan"]
    assert origin.data == PHOTOGRAPHS and origin.steps == 300
    assert origin.history == tmp_path / "demo" / "scan" / "training.csv"


def test_likelihoods_along_a_path_cost_the_training_of_the_model_that_it_was_searched_with(
    tmp_path,
):
    origin = origins(results(tmp_path / "demo"))["scan"]
    model, images = tmp_path / "demo/scan/model.safetensors", tmp_path / "demo/data/images.npz"
    path, point = tmp_path / "demo/free/path.safetensors", tmp_path / "demo/free/nll/s=1.npz"
    point.parent.mkdir(parents=True)
    path.write_bytes(b"path")
    write_record(path, inputs=[images, model], settings={"experiment": "free", "search": {}})
    np.savez(point, bits_per_dim=np.ones((2, 1)), index=np.arange(2), evaluations=np.array([60]))
    settings = {"experiment": "free", "parameters": {"s": 1.0}, "likelihood": METHOD}
    settings |= {"trained": made_by(group="free")}
    write_record(point, inputs=[path, images], settings=settings, seconds=90.0)
    table = tmp_path / "demo" / "tables" / "free.csv"
    assert gud("table", "--out", table, point) == 0
    assert origins(table) == {"free": origin}
