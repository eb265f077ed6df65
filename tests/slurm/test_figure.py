"""Figure 3 through `snakemake --profile slurm`, on a real SLURM."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cluster import wait_for
from pipeline import FIGURE, MODEL, Pipeline, scan_preset

pytestmark = pytest.mark.cluster

GPU_RULES = {"train", "evaluate", "quality"}


@pytest.fixture(scope="module")
def figure(cluster, tmp_path_factory):
    """A finished run, the resources that SLURM gave to each rule, addresses it listened on."""
    pipeline = Pipeline(
        tmp_path_factory.mktemp("figure"), cluster, tiny=scan_preset(gpu=1, train_gpu=1)
    )
    pipeline.site = {"SBATCH_PARTITION": "cpu", "GUD_GPU_PARTITION": "gpu", "GUD_GPU_MODEL": "fake"}
    process = pipeline.start(FIGURE)
    wait_for(lambda: pipeline.job("rule_train_wildcards_tiny_a_scan_isotropic"), 300, "training")
    wait_for(lambda: pipeline.payload(MODEL.format("tiny")), 120, "training")
    addresses = cluster.listening()
    pipeline.ends(process)
    jobs = cluster.run("scontrol", "--oneliner", "show", "job").splitlines()
    jobs = [job for job in jobs if f"WorkDir={pipeline.folder} " in job]
    given = {re.search(r"Comment=rule_([a-z_]+?)_wildcards", job)[1]: job for job in jobs}
    return pipeline, given, addresses


def test_the_numbers_are_those_of_a_run_without_slurm(figure, undisturbed):
    pd.testing.assert_frame_equal(figure[0].numbers(), undisturbed.numbers(), check_exact=True)
    model = MODEL.format("tiny")
    assert figure[0].digest(model) == undisturbed.digest(model)


def test_rules_that_want_a_gpu_get_the_sites_and_no_others(figure):
    given = figure[1]
    assert {"train", "evaluate", "data", "fit_basis"} <= given.keys()
    for rule, job in given.items():
        assert ("TresPerJob=gres:gpu:fake:1" in job) == (rule in GPU_RULES), rule
        assert f"Partition={'gpu' if rule in GPU_RULES else 'cpu'} " in job, rule


def test_jobs_are_put_back_into_the_queue_when_they_are_preempted(figure):
    assert all("Requeue=1" in job for job in figure[1].values())


def test_the_cluster_listens_on_the_loopback_interface_alone(figure):
    assert set(figure[2]) == {"127.0.0.1"}


def test_a_training_on_two_gpus_is_that_on_one_up_to_rounding(cluster, undisturbed, tmp_path):
    preset, model = scan_preset(gpu=1, train_gpu=2), MODEL.format("tiny")
    pipeline = Pipeline(tmp_path / "run", cluster, tiny=preset)
    pipeline.take_data(undisturbed, "tiny")
    pipeline.ends(pipeline.start(model))
    assert "processes 2" in pipeline.log("tiny/logs/a_scan_isotropic/train")
    tables = (one.folder / Path(model).with_name("training.csv") for one in (pipeline, undisturbed))
    two, one = (pd.read_csv(table).loss for table in tables)
    assert len(one) > 10
    np.testing.assert_allclose(two, one, rtol=1e-3)
