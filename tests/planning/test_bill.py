"""The bill against hand counts, closed forms and the planned jobs."""

import pandas as pd
import pytest
import torch
from bills import NAME, table_of, write
from columns import SIZE, exact
from commands import gud
from torch import nn

from gud.config.jobs import evaluations_of
from gud.config.preset import load_preset
from gud.config.sections.evaluation import StripSettings
from gud.diffusion.schedules.sequential import column_schedule
from gud.diffusion.solvers import odeint_along
from gud.diffusion.strips import generate_strips
from gud.evaluate.applications.extend import window_of
from gud.model import Model
from gud.networks.cost import count
from gud.planning.costs import by_network, network_cost, stand_in_statistics
from gud.planning.rates import measure, stated
from gud.planning.workload import LEAST_EVALUATIONS, solver_evaluations
from gud.randomness import ImageStreams


class TwoConvolutions(nn.Module):
    """3 -> 5 channels by 3 x 3, then 5 -> 3 by 1 x 1."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 3, 1)

    def forward(self, images, gamma):
        return self.second(self.first(images))


def test_the_network_of_a_process_is_counted_with_all_images_that_it_sees_and_predicts(tmp_path):
    def change(preset):
        psld = {"name": "psld", "Gamma": 0.01, "nu": 4.01, "kappa": 0.04, "clock": "snr"}
        chosen = {"process": psld | {"matching": "hybrid"}, "preconditioning": "none"}
        chosen["nll"] = {"settings": {"method": "tsit5", "coordinates": "components"}}
        preset["experiments"]["a_scan_matching"] |= chosen

    costs = by_network(load_preset(write(tmp_path / "tiny.yaml", change)), network_cost)
    one, two = costs["a_scan_isotropic"], costs["a_scan_matching"]
    # Three channels more into the first convolution of 3 x 3 and width 8, and out of the last.
    assert two.weights - one.weights == 2 * 9 * 3 * 8 + 3
    assert two.forward > one.forward


def test_operations_weights_and_activations_are_those_counted_by_hand():
    first, second = 2 * 64 * 5 * 3 * 9, 2 * 64 * 3 * 5
    cost = count(TwoConvolutions(), 3, 8, 64)
    assert cost.weights == 5 * 3 * 9 + 5 + 3 * 5 + 3
    assert cost.forward == first + second
    # To the weights of both and the input of the second; to the inputs of both.
    assert cost.train == cost.forward + first + 2 * second
    assert cost.backward == first + second
    assert cost.activations == 4 * 64 * (3 + 5)
    rates = stated(cost, 1e-6)
    assert rates.forward == pytest.approx(cost.forward / 1e6)
    assert rates.train == pytest.approx(cost.train / 1e6)


def test_the_activations_of_a_network_are_what_it_keeps_for_a_backward_pass(tmp_path):
    """And none of its weights, among which are those of dense layers."""
    experiment = load_preset(write(tmp_path / "tiny.yaml")).experiments[NAME]
    network = Model(experiment.model(), stand_in_statistics(experiment.basis, 8)).network
    weights = {tensor.untyped_storage().data_ptr() for tensor in network.parameters()}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.zeros(1, 3, 8, 8, requires_grad=True), torch.zeros(1, 64))
    held = sum(storage.nbytes() for place, storage in kept.items() if place not in weights)
    assert count(network, 3, 8, 64).activations == held


def test_rates_give_hours_in_closed_form(tmp_path, costs):
    preset = load_preset(write(tmp_path / "tiny.yaml"))
    table = table_of(preset, costs, adaptive=50)
    # 6 steps of 8 images; 2 points of 4 images; 1 point of 8 images in 2 steps.
    assert table.hours[NAME, "training"] == pytest.approx((48 * 0.5 + 6 * 0.25) / 3600)
    assert table.hours[NAME, "likelihood"] == pytest.approx(2 * 4 * 50 * (2.0 + 3.0) / 3600)
    assert table.hours[NAME, "sampling"] == pytest.approx(8 * 2 * 2.0 / 3600)
    assert pd.isna(table.hours[NAME, "quality"])
    # Shards of 2 images, three in the first of two jobs.
    longest = table.longest_job_hours / table.hours
    assert longest[NAME, "likelihood"] == pytest.approx(3 / 4)
    assert table.disk_bytes[NAME, "sampling"] == 2 * 8 * 3 * 8 * 8


def test_the_bill_of_a_terminal_sums_its_table_and_says_what_is_assumed(tmp_path, capsys):
    out = tmp_path / "bill.csv"
    options = ["--teraflops", "0.001", "--evaluations", "50", "--csv", str(out)]
    assert gud("bill", write(tmp_path / "tiny.yaml"), *options) == 0
    table, said = pd.read_csv(out), capsys.readouterr().out
    assert set(table.rate) == {"stated (0.001 teraflops)", "none"}
    assert f"total: {table.hours.sum():.4g} core-hours (1 a job), {table.jobs.sum()} jobs" in said
    assert "assumed: 50 evaluations on average, by --evaluations: a_scan_isotropic" in said
    assert len(table) == said[: said.index("total: ")].count("\n") - 2


def test_hours_grow_linearly_with_steps_images_and_evaluations(tmp_path, costs):
    def larger(preset):
        preset["defaults"]["training"]["steps"] *= 5
        preset["defaults"]["nll"]["settings"]["images"] *= 2
        preset["defaults"]["quality"]["sampling"]["images"] *= 3

    small, large = (
        load_preset(write(tmp_path / "tiny.yaml", change)) for change in (lambda _: None, larger)
    )
    grown = table_of(large, costs, adaptive=200).hours / table_of(small, costs).hours
    assert grown[NAME, "training"] == pytest.approx(5)
    assert grown[NAME, "likelihood"] == pytest.approx(2 * 2)
    assert grown[NAME, "sampling"] == pytest.approx(3)


def test_finer_steps_of_some_images_are_counted(tmp_path, costs):
    def settings(preset):
        return preset["experiments"]["ordering_scan"]["nll"]["settings"]

    with_finer = load_preset(write(tmp_path / "tiny.yaml"))
    without = load_preset(write(tmp_path / "tiny.yaml", lambda p: settings(p).pop("finer")))
    passes = [table_of(preset, costs).backward for preset in (with_finer, without)]
    of_all, of_some = 4 * 2, 2 * 4
    row = ("ordering_scan", "likelihood")
    assert passes[0][row] / passes[1][row] == pytest.approx((of_all + of_some) / of_all)


def test_jobs_are_those_planned(tmp_path, costs):
    preset = load_preset(write(tmp_path / "tiny.yaml"))
    table = table_of(preset, costs)
    stages = {"nll": "likelihood", "samples": "sampling"}
    checked = 0
    for name in preset.experiments:
        for evaluation in evaluations_of(preset, name):
            if evaluation.points:
                row = table.loc[name, stages[evaluation.name]]
                batches = getattr(preset.compute.job_batches, evaluation.name)
                assert evaluation.batches == batches
                assert row.jobs == len(evaluation.jobs())
                checked += 1
    assert checked == 5


def test_teraflops_are_the_operations_of_the_network_in_a_second(tmp_path, costs):
    cost, preset = costs[NAME], load_preset(write(tmp_path / "tiny.yaml"))
    hours = table_of(preset, costs, stated(cost, 0.001)).hours
    assert hours[NAME, "training"] == pytest.approx(48 * cost.train / 1e9 / 3600)
    assert hours[NAME, "sampling"] == pytest.approx(16 * cost.forward / 1e9 / 3600)
    passes = cost.forward + cost.backward
    assert hours[NAME, "likelihood"] == pytest.approx(8 * 100 * passes / 1e9 / 3600)


def test_an_ode_of_samples_takes_evaluations_by_its_tolerance_and_not_by_steps(tmp_path, costs):
    def by_ode(preset):
        preset["defaults"]["quality"]["sampling"]["method"] = "ode"

    preset = load_preset(write(tmp_path / "tiny.yaml", by_ode))
    for adaptive in (50, 70):
        row = table_of(preset, costs, adaptive=adaptive).loc[NAME, "sampling"]
        assert row.forward == adaptive * row.images
        assert row.assumed == f"{adaptive} evaluations on average, by --evaluations"


@pytest.mark.parametrize(("columns", "kinks"), [(1, 1), (2, 2), (4, 6)])
def test_a_piece_of_a_schedule_costs_at_least_what_is_added_for_a_kink(columns, kinks):
    schedule = column_schedule(torch.arange(columns), 0.7, -7.0, 4.0)
    assert len(schedule.kinks) == kinks

    def evaluations_of(**settings):
        settings |= {"rtol": 1e-4, "atol": 1e-4}
        _, counts = odeint_along(
            schedule,
            lambda state, y, rows: (torch.full_like(y[0], 1e-8),),
            (torch.ones(2),),
            0.0,
            1.0,
            **settings,
        )
        return int(counts.max())

    for method in ("tsit5", "dopri5"):
        assert evaluations_of(method=method) == LEAST_EVALUATIONS * (kinks + 1)
        counted = solver_evaluations(kinks, LEAST_EVALUATIONS, method, None)
        assert counted == LEAST_EVALUATIONS * (kinks + 1)
    fixed = evaluations_of(method="rk4", steps=7)
    assert solver_evaluations(kinks, 100, "rk4", 7) == fixed


@pytest.mark.parametrize(("windows", "rate"), [(1, 20.0), (4, 20.0), (3, 7.5)])
def test_strips_are_counted_as_they_evaluate_the_network(windows, rate):
    model, calls = exact(), 0
    values = {"strips": 1, "batch_size": 1, "windows": windows, "shift": 2, "time": None}
    strip = StripSettings(**values, residual=0.0, steps_per_unit=rate)
    window = window_of(model, {"b": 0.6}, strip)

    def denoiser(z, state):
        nonlocal calls
        calls += 1
        return model.eps(z, state)

    streams = [ImageStreams("cpu", 0, name, [0]) for name in ("prior", "steps", "appended")]
    z = streams[0].normal(model.state_shape)
    mean = torch.zeros(3, SIZE, SIZE)
    settings = {"windows": windows, "steps_per_unit": rate}
    generate_strips(denoiser, window, model.process, mean, z, *streams[1:], **settings)
    assert window.evaluations(windows, rate) == calls


def test_measured_rates_are_positive_and_make_the_hours(tmp_path, costs):
    preset = load_preset(write(tmp_path / "tiny.yaml"))
    rates = measure(preset.experiments[NAME], 8, torch.device("cpu"))
    assert min(rates.train, rates.step, rates.forward) > 0
    assert rates.backward >= 0
    hours = table_of(preset, costs, rates).hours
    assert hours[NAME, "training"] == pytest.approx((48 * rates.train + 6 * rates.step) / 3600)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--teraflops", "0"], "--teraflops 0: expected a positive number"),
        (["--teraflops", "nan"], "--teraflops nan: expected a positive number"),
        (["--evaluations", "0"], "--evaluations 0: expected at least 1"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options, sentence, tmp_path, capsys):
    preset = write(tmp_path / "tiny.yaml")
    assert gud("bill", preset, *options) == 2
    assert capsys.readouterr().err.strip() == f"error: {sentence}"
