"""What finished work took, by the files of a real training and a real job of its likelihood."""

import pandas as pd
import pytest
from bills import NAME, RATES, table_of, write
from commands import gud
from safetensors.torch import load_file

from gud.config.jobs import get_evaluation
from gud.config.paths import history_file
from gud.config.preset import load_preset
from gud.planning import bill
from gud.planning.finished import finished_shards, finished_training
from gud.planning.workload import LEAST_EVALUATIONS, planned

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """Results of a real training and a real job of its likelihood."""
    folder = tmp_path_factory.mktemp("finished")
    file = write(folder / "tiny.yaml")
    data, statistics = folder / "results/data/natural16.npz", folder / "pca.safetensors"
    model = folder / "results" / NAME / "model.safetensors"
    assert gud("dataset", "--preset", file, "--name", "natural16", "--out", data) == 0
    assert (
        gud("statistics", "--basis", "pca", "--mirrored", "--data", data, "--out", statistics) == 0
    )
    asked = ["--preset", file, "--experiment", NAME, "--data", data, "--device", "cpu"]
    assert gud("train", *asked, "--statistics", statistics, "--out", model) == 0
    preset = load_preset(file)
    jobs = get_evaluation(preset, NAME, "nll").jobs()
    job = next(iter(jobs))
    out = ["--model", model, "--out", folder / "results" / NAME / f"nll/jobs/{job}.json"]
    assert gud("evaluate", *asked, "--quantity", "nll", "--job", job, *out) == 0
    return folder


def test_finished_work_gives_its_own_rates_and_evaluations(worked, costs):
    preset = load_preset(worked / "tiny.yaml")
    results, experiment = worked / "results", preset.experiments[NAME]
    table = results / history_file(NAME)
    trained = finished_training(table, experiment)
    last = pd.read_csv(table).iloc[-1]
    assert trained.seconds == pytest.approx(last.seconds / (last.step * 8))
    evaluated = finished_shards(results, get_evaluation(preset, NAME, "nll"))
    assert evaluated.source == "results (6 images on cpu)"
    assert evaluated.evaluations >= LEAST_EVALUATIONS
    # With stated rates, the number of evaluations is still that of the finished jobs.
    table = table_of(preset, costs, results=results)
    passes = table.forward[NAME, "likelihood"]
    assert passes == round(8 * evaluated.evaluations)
    assert table.hours[NAME, "likelihood"] == pytest.approx(passes * (2.0 + 3.0) / 3600)
    works = list(planned(preset, costs, 100, results))
    rates = dict.fromkeys(preset.experiments, RATES)
    table = bill.bill(works, rates, "measured", measured=True)
    hours = table.set_index(["experiment", "stage"]).hours
    assert hours[NAME, "training"] == pytest.approx(48 * trained.seconds / 3600)
    assert hours[NAME, "likelihood"] == pytest.approx(8 * evaluated.seconds / 3600)
    assert hours["a_scan_matching", "training"] == pytest.approx((48 * 0.5 + 6 * 0.25) / 3600)


def test_finished_work_of_other_settings_is_no_rate(worked, costs, tmp_path):
    def other(preset):
        preset["defaults"]["network"]["width"] = 16
        preset["defaults"]["nll"]["settings"]["rtol"] = 0.01

    preset = load_preset(write(tmp_path / "tiny.yaml", other))
    works = planned(preset, costs, 100, worked / "results")
    assert not any(work.finished for work in works)


def test_the_disk_of_a_training_is_that_of_its_tensors(worked, costs):
    work = next(planned(load_preset(worked / "tiny.yaml"), costs, 100, worked / "results"))
    folder = worked / "results" / NAME
    checkpoints = sorted((folder / "checkpoints").glob("step-*.safetensors"))
    assert len(checkpoints) == 2
    model = load_file(folder / "model.safetensors")
    size = sum(tensor.nbytes for name, tensor in model.items() if name.startswith("network."))
    size += sum(tensor.nbytes for path in checkpoints for tensor in load_file(path).values())
    # The history and Adam's counts of steps are what is left out.
    assert work.disk_bytes <= size < 1.01 * work.disk_bytes
