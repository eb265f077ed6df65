import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from gud import tables
from gud.comparison import MARKERS, compare, load_published, main, markdown, origins
from gud.errors import InputError
from gud.provenance import read_record, record_path, sha256, write_record
from gud.settings import point_name

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
METHOD = {"method": "tsit5", "probes": 1, "coordinates": "standardised"}
BITS = {0.4: [3.0, 3.2], 0.8: [2.0, 2.4], 1.0: [2.5, 2.5]}
CIFAR10 = {"source": "cifar10", "archive": "cifar10"}
PHOTOGRAPHS = {"source": "natural_patches", "size": 16, "stride": 6}


def results(root, data=PHOTOGRAPHS, experiment="scan", steps=300):
    """Data, a training of 2 hours, points of 90 seconds each and their table, with real records."""
    folder, images = root / experiment, root / "data" / "images.npz"
    (folder / "nll").mkdir(parents=True)
    images.parent.mkdir(exist_ok=True)
    images.write_bytes(json.dumps(data).encode())
    write_record(images, settings=data)
    model, history = folder / "model.safetensors", folder / "training.csv"
    model.write_bytes(b"weights")
    history.write_text("step,loss,images_per_second,seconds\n150,1,1,3600\n300,0.5,1,7200\n")
    training = {"experiment": experiment, "training": {"steps": steps}, "seed": 0}
    for artefact in (model, history):
        write_record(artefact, inputs=[images], settings=training, training_seconds=7200.0)
    points = []
    for a, bits in BITS.items():
        parameters = {"a": a, "r": 0.0}
        points.append(folder / "nll" / f"{point_name(parameters)}.npz")
        array = np.array(bits)[:, None]
        np.savez(points[-1], bits_per_dim=array, index=np.arange(2), evaluations=np.array([60]))
        settings = {"experiment": experiment, "prior": "isotropic", "parameters": parameters}
        write_record(
            points[-1],
            inputs=[model, images],
            settings=settings | {"likelihood": METHOD},
            seconds=90.0,
        )
    table = root / "tables" / f"{experiment}.csv"
    assert tables.main(["--nll", *map(str, points), "--out", str(table)]) == 0
    return table


@pytest.fixture
def published(tmp_path):
    row = {"place": "Figure 3", "data": "CIFAR-10", "settings": {"source": "cifar10"}}
    rows = [
        row | {"quantity": "lowest", "experiment": "scan", "point": None, "value": 3.17},
        row | {"quantity": "a = 1", "experiment": "scan", "point": {"a": 1, "r": 0}, "value": None},
        row | {"quantity": "elsewhere", "experiment": "other", "point": None, "value": None},
    ]
    path = tmp_path / "published.yaml"
    path.write_text(yaml.safe_dump({"quantities": rows}))
    return path


def rows_of(published, *paths):
    return compare(load_published(published), paths).set_index("quantity")


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
    published.write_text(yaml.safe_dump(raw))
    assert rows_of(published, table).loc["lowest", "paper_data_bits_per_dim"] != 2.2


def test_two_tables_with_the_same_quantity_are_refused(published, tmp_path):
    with pytest.raises(InputError, match="scan a second time"):
        rows_of(published, results(tmp_path / "one"), results(tmp_path / "two"))


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
    command = ["--published", str(published), "--tables", str(table), "--out", str(out)]
    assert main([*command, "--markdown", str(page)]) == 0
    once = page.read_text()
    before, _, rest = once.partition(MARKERS[0] + "\n")
    rows, _, after = rest.partition(MARKERS[1])
    assert (before, after) == ("before\n", "\nafter")
    assert rows == markdown(pd.read_csv(out))
    assert "| lowest (Figure 3) | 3.17 (CIFAR-10) |  | 2.20 ± 0.20 at a = 0.8, r = 0 |" in rows
    assert "| elsewhere (Figure 3) | plotted only |  |  |  |  |  |  |" in rows
    assert main([*command, "--markdown", str(page)]) == 0 and page.read_text() == once
    inputs = {Path(name).name for name in read_record(out)["inputs"]}
    assert inputs == {"published.yaml", "scan.csv", "training.csv"}
    page.write_text("no markers")
    assert main([*command, "--markdown", str(page)]) == 2
    assert MARKERS[0] in capsys.readouterr().err


def test_a_preset_without_tables_has_empty_rows(published, tmp_path):
    out = tmp_path / "comparison.csv"
    assert main(["--published", str(published), "--tables", "--out", str(out)]) == 0
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


def test_origin_names_data_training_and_history(tmp_path):
    origin = origins(results(tmp_path / "demo"))["scan"]
    assert origin.data == PHOTOGRAPHS and origin.steps == 300
    assert origin.history == tmp_path / "demo" / "scan" / "training.csv"


def test_the_readme_shows_the_reference_comparison():
    text = (ROOT / "README.md").read_text()
    shown = text.partition(MARKERS[0] + "\n")[2].partition(MARKERS[1])[0]
    assert shown == markdown(pd.read_csv(REFERENCE / "comparison.csv"))


def test_the_reference_comparison_is_of_the_reference_tables():
    record = read_record(REFERENCE / "comparison.csv")
    made_from = {Path(path).name: digest for path, digest in record["inputs"].items()}
    for name in ("published.yaml", "figure3.csv", "figure5.csv", "columns.csv", "wavelets.csv"):
        assert made_from[name] == sha256(REFERENCE / name)
    assert record["sha256"] == sha256(REFERENCE / "comparison.csv")
    rows = pd.read_csv(REFERENCE / "comparison.csv").set_index("place")
    columns = pd.read_csv(REFERENCE / "columns.csv").nll_bits_per_dim
    assert rows.loc["section 5.2", "other_data_bits_per_dim"].tolist() == columns.tolist()
    assert rows.loc["section 5.2", "published_bits_per_dim"].tolist() == [3.90, 3.94]
    assert rows.loc["section 5.3", "published_bits_per_dim"] == 3.17
