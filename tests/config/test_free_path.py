"""An experiment of schedule `free` evaluates what its search has found, and plans count that."""

from pathlib import Path

import pytest
from commands import gud
from presets import ROOT

from gud.config import inputs, triggers
from gud.config.images import images_needed
from gud.config.jobs import get_evaluation, search_job
from gud.config.preset import load_preset
from gud.errors import InputError
from gud.networks.cost import Cost
from gud.planning.workload import planned

COST = Cost(weights=1, forward=1, train=1, backward=1, activations=1)
FOUND, NETWORK = "free_path/path.safetensors", "ordering_scan/model.safetensors"


@pytest.fixture(scope="module")
def demo():
    return load_preset(ROOT / "config/demo.yaml")


def test_its_likelihoods_are_those_of_the_path_and_the_path_is_of_the_network(demo):
    assert inputs.model(demo, "free_path") == FOUND
    assert inputs.evaluated(demo, "free_path", "nll")[0] == FOUND
    assert get_evaluation(demo, "free_path", "nll").model == FOUND
    assert inputs.searched(demo, "free_path") == NETWORK == inputs.model(demo, "ordering_scan")


def test_figure_1_is_drawn_from_the_path_and_compares_it_with_the_grid(demo):
    assert inputs.sources(demo, "figure1") == [FOUND, "tables/figure1.csv"]
    assert triggers.references(demo, "figure1") == "--reference free_path=ordering_scan"
    likelihoods = inputs.likelihoods(demo, "figure1")
    grids = demo.experiments["ordering_scan"].nll.grids
    assert "free_path/nll/s=1.npz" in likelihoods and "ordering_scan/nll/a=1_r=0.npz" in likelihoods
    assert len(likelihoods) > 3 + len(grids)


def test_the_search_runs_again_for_its_settings_and_no_others(demo):
    def changed(**settings):
        experiment = demo.experiments["free_path"].model_copy(update=settings)
        experiments = demo.experiments | {"free_path": experiment}
        return triggers.search(demo.model_copy(update={"experiments": experiments}), "free_path")

    made = demo.experiments["free_path"]
    assert changed(title="other", nll=demo.experiments["wavelets"].nll) == changed()
    assert changed(search=made.search.model_copy(update={"steps": 3})) != changed()
    assert changed(schedule=made.schedule.model_copy(update={"knots": 3})) != changed()


def test_only_experiments_of_a_free_schedule_are_searched(demo):
    assert search_job(demo, "free_path").experiment == "free_path"
    with pytest.raises(InputError, match="ordering_scan has schedule soft_conditioning, whose"):
        search_job(demo, "ordering_scan")


def test_training_images_of_the_search_are_asked_of_the_data(demo):
    search = demo.experiments["free_path"].search
    needed = images_needed(demo, "natural16")["experiments.free_path.search"]
    assert needed == ("train", search.images + search.batch_size)


def test_the_bill_counts_the_search_and_no_training(demo):
    works = planned(demo, dict.fromkeys(demo.experiments, COST), 100, Path("nowhere"))
    stages = {work.stage: work for work in works if work.experiment == "free_path"}
    search = demo.experiments["free_path"].search
    assert stages.keys() == {"search", "likelihood"}
    assert stages["search"].backward == search.steps * search.batch_size
    passes = search.steps * search.batch_size + 2 * 2 * search.images * search.times
    assert stages["search"].forward == passes


def test_watch_shows_the_path_as_it_comes_about(tmp_path, capsys):
    assert gud("watch", ROOT / "config/demo.yaml", "--results", tmp_path) == 0
    assert "free_path path" in capsys.readouterr().out
    made = Path(tmp_path, FOUND)
    made.parent.mkdir()
    made.write_text("")
    gud("watch", ROOT / "config/demo.yaml", "--results", tmp_path)
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "free_path path" in line]
    assert "finished" in row and "1/1" in row
