import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from commands import gud
from finished_results import results
from presets import ROOT, as_yaml

from gud.errors import InputError
from gud.provenance import read_record, record_path, write_record
from gud.report.comparison import MARKERS, as_markdown, compare
from gud.report.published import load_published

REFERENCE = ROOT / "docs" / "reference"
CIFAR10 = {"source": "cifar10", "archive": "cifar10"}
MEASURES = yaml.safe_load((REFERENCE / "published.yaml").read_text())["measures"]


@pytest.fixture
def published(tmp_path):
    row = {"place": "Figure 3", "data": "CIFAR-10", "settings": {"source": "cifar10"}}
    rows = [
        row | {"quantity": "lowest", "experiment": "scan", "point": None, "value": 3.17},
        row | {"quantity": "a = 1", "experiment": "scan", "point": {"a": 1, "r": 0}, "value": None},
        row | {"quantity": "elsewhere", "experiment": "other", "point": None, "value": None},
    ]
    path = tmp_path / "published.yaml"
    path.write_text(as_yaml({"measures": MEASURES, "quantities": rows}))
    return path


def rows_of(published, *paths):
    return compare(load_published(published), paths)[0].set_index("quantity")


def test_best_point_and_standard_diffusion_with_their_costs(published, tmp_path):
    rows = rows_of(published, results(tmp_path / "demo"))
    best, standard = rows.loc["lowest"], rows.loc["a = 1"]
    assert (best.other_data_bits_per_dim, best.other_data_point) == (2.2, "a=0.8_r=0")
    assert best.other_data_stderr == pytest.approx(0.2)
    assert (best.other_data_network_evaluations, best.other_data_images) == (60, 2)
    assert (best.other_data_training_steps, best.other_data_training_hours) == (300, 2)
    assert best.other_data_evaluation_hours == pytest.approx(3 * 90 / 3600)
    assert (standard.other_data_bits_per_dim, standard.other_data_point) == (2.5, "a=1_r=0")
    assert standard.other_data_evaluation_hours == pytest.approx(90 / 3600)
    assert rows.published_bits_per_dim.iloc[0] == 3.17
    assert rows.published_bits_per_dim.iloc[1:].isna().all()


def test_what_has_not_been_measured_is_empty(published, tmp_path):
    rows = rows_of(published, results(tmp_path / "demo"))
    ours = [name for name in rows if name.startswith(("paper_data_", "other_data_"))]
    assert rows.loc["elsewhere", ours].isna().all()
    assert rows.filter(like="paper_data_").isna().all(axis=None)


def test_the_records_of_the_data_and_not_names_tell_the_papers_data(published, tmp_path):
    misnamed = results(tmp_path / "paper"), results(tmp_path / "demo", data=CIFAR10)
    rows = rows_of(published, misnamed[0])
    assert rows.filter(like="paper_data_").isna().all(axis=None)
    rows = rows_of(published, misnamed[1])
    assert rows.loc["lowest", "paper_data_bits_per_dim"] == 2.2
    assert rows.filter(like="other_data_").isna().all(axis=None)
    best = rows_of(published, *misnamed).loc["lowest"]
    assert best.paper_data_bits_per_dim == best.other_data_bits_per_dim == 2.2


def test_data_of_another_size_are_not_the_papers(published, tmp_path):
    table = results(tmp_path / "small", data=CIFAR10 | {"size": 16})
    raw = yaml.safe_load(published.read_text())
    raw["quantities"][0]["settings"] = {"source": "cifar10", "size": 32}
    published.write_text(as_yaml(raw))
    assert rows_of(published, table).loc["lowest", "paper_data_bits_per_dim"] != 2.2


def test_two_tables_with_the_same_quantity_are_refused(published, tmp_path):
    with pytest.raises(InputError, match="scan a second time"):
        rows_of(published, results(tmp_path / "one"), results(tmp_path / "two"))


def test_two_tables_may_hold_the_same_points(published, tmp_path):
    table = results(tmp_path / "one")
    other = table.with_name("again.csv")
    points = sorted((tmp_path / "one/scan/nll").glob("*.npz"))
    assert gud("table", "--out", other, *points) == 0
    pd.testing.assert_frame_equal(rows_of(published, table, other), rows_of(published, table))


@pytest.mark.parametrize("change", ["removed", "edited", "of another training"])
def test_hours_of_a_history_that_is_not_the_models_are_empty(published, tmp_path, caplog, change):
    table = results(tmp_path / "demo")
    history = tmp_path / "demo" / "scan" / "training.csv"
    if change == "removed":
        history.unlink()
    elif change == "edited":
        history.write_text(history.read_text().replace("7200", "1"))
    else:
        record = read_record(history) | {"training_seconds": 1.0}
        record_path(history).write_text(json.dumps(record))
    best = rows_of(published, table).loc["lowest"]
    assert np.isnan(best.other_data_training_hours) and best.other_data_bits_per_dim == 2.2
    assert "left empty" in caplog.text and "training.csv" in caplog.text


@pytest.mark.parametrize("name", ["data/images.npz", "scan/model.safetensors"])
def test_what_was_made_anew_since_is_refused(published, tmp_path, name):
    table = results(tmp_path / "demo")
    path = tmp_path / "demo" / name
    path.write_bytes(b"another")
    write_record(path, settings=read_record(path)["settings"])
    with pytest.raises(InputError, match="made anew"):
        rows_of(published, table)


def test_command_writes_the_table_and_its_rows_into_a_page(published, tmp_path, capsys):
    table, out = results(tmp_path / "demo"), tmp_path / "demo" / "comparison.csv"
    page = tmp_path / "page.md"
    page.write_text("\n".join(["before", *MARKERS, "after"]))
    command = ["comparison", "--published", published, "--out", out, table]
    assert gud(*command, "--markdown", page) == 0
    once = page.read_text()
    before, _, rest = once.partition(MARKERS[0] + "\n")
    rows, _, after = rest.partition(MARKERS[1])
    assert (before, after) == ("before\n", "\nafter")
    assert rows == as_markdown(pd.read_csv(out), load_published(published))
    assert "| lowest (Figure 3) | 3.17 (CIFAR-10) |  | 2.20 ± 0.20 at a = 0.8, r = 0 |" in rows
    assert "| elsewhere (Figure 3) | plotted only |  |  |  |  |  |  |" in rows
    assert gud(*command, "--markdown", page) == 0 and page.read_text() == once
    inputs = {Path(name).name for name in read_record(out)["inputs"]}
    assert inputs == {"published.yaml", "scan.csv", "training.csv"}
    page.write_text("no markers")
    assert gud(*command, "--markdown", page) == 2
    assert MARKERS[0] in capsys.readouterr().err


def test_a_preset_without_tables_has_empty_rows(published, tmp_path):
    out = tmp_path / "comparison.csv"
    assert gud("comparison", "--published", published, "--out", out) == 0
    rows = pd.read_csv(out)
    assert len(rows) == 3
    assert rows.filter(regex="^(paper|other)_data_").isna().all(axis=None)


def test_points_whose_records_do_not_lead_to_a_model_are_refused(published, tmp_path):
    table = results(tmp_path / "demo")
    for point in (tmp_path / "demo" / "scan" / "nll").glob("*.json"):
        record = json.loads(point.read_text())
        record["inputs"] = {k: v for k, v in record["inputs"].items() if "model" not in k}
        point.write_text(json.dumps(record))
    with pytest.raises(InputError, match="safetensors"):
        rows_of(published, table)


def with_quality(table, fid, metric):
    """Results beside a table, with the quality of samples at a = 1 as well."""
    folder = table.parent.parent / "scan"
    data, name = table.parent.parent / "data/images.npz", "a=1_r=0"
    samples, quality = folder / f"samples/{name}.npz", folder / f"quality/{name}.json"
    for path in (samples, quality):
        path.parent.mkdir(exist_ok=True)
    np.savez(samples, images=np.zeros((8, 3, 2, 2), dtype=np.uint8))
    settings = read_record(folder / f"nll/{name}.npz")["settings"]
    drawn = {key: settings[key] for key in ("experiment", "trained", "parameters")}
    sampling = {"sampling": {"method": "ode", "steps": 50}}
    write_record(
        samples,
        inputs=[folder / "model.safetensors"],
        settings=drawn | sampling,
        evaluations=51,
        seconds=30.0,
    )
    measured = {"metric": metric, "fid": fid, "fid_stderr": None, "images": 8, "seconds": 6.0}
    measured |= {"reference": "train", "reference_images": 2, "extractor": "any", "device": "cpu"}
    quality.write_text(json.dumps(measured))
    write_record(quality, inputs=[samples, data])
    return quality


@pytest.mark.parametrize("also_likelihoods", [True, False])
@pytest.mark.parametrize(("metric", "known"), [("FID", True), ("FD, random features", False)])
def test_rows_of_another_measure_are_data_and_a_distance_of_other_features_is_no_fid(
    published, tmp_path, metric, known, also_likelihoods
):
    raw = yaml.safe_load(published.read_text())
    row = raw["quantities"][0] | {"measure": "fid", "value": 2.1, "samples": 50000}
    raw["quantities"] += [
        row | {"quantity": "of the ODE", "where": {"sampler": "ode"}, "paper": "PSLD"},
        row | {"quantity": "of the SDE", "where": {"sampler": "ancestral"}},
        row | {"quantity": "of nobody", "experiment": None},
    ]
    published.write_text(as_yaml(raw))
    table = results(tmp_path / "demo")
    points = sorted((tmp_path / "demo/scan/nll").glob("*.npz")) if also_likelihoods else []
    quality = with_quality(table, 3.25, metric)
    assert gud("table", "--out", table, *points, quality) == 0
    rows = rows_of(published, table)
    ode = rows.loc["of the ODE"]
    assert (ode.published_fid, ode.published_samples) == (2.1, 50000)
    assert rows.loc[["of the SDE", "of nobody"], "other_data_fid"].isna().all()
    assert ode.isna()["published_bits_per_dim"] and ode.isna()["other_data_bits_per_dim"]
    if not known:
        assert rows.other_data_fid.isna().all()
        return
    assert (ode.other_data_fid, ode.other_data_point) == (3.25, "a=1_r=0")
    assert (ode.other_data_images, ode.other_data_network_evaluations) == (8, 51)
    assert ode.other_data_evaluation_hours == pytest.approx(36 / 3600)
    page = as_markdown(rows.reset_index(), load_published(published))
    assert "| PSLD: of the ODE (Figure 3) | 2.10 (CIFAR-10, 50,000 samples) |  | 3.25 at a" in page


def test_a_row_of_no_measure_is_refused(published):
    raw = yaml.safe_load(published.read_text())
    raw["quantities"][0]["measure"] = "psnr"
    published.write_text(as_yaml(raw))
    with pytest.raises(InputError, match="psnr, which must be one of bits_per_dim, fid"):
        load_published(published)
