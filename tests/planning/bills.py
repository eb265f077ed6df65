"""Small presets and their bills by known rates."""

from pathlib import Path

from presets import as_yaml, tiny_preset

from gud.planning import bill
from gud.planning.rates import Rates
from gud.planning.workload import planned

NAME = "a_scan_isotropic"
RATES = Rates(train=0.5, step=0.25, forward=2.0, backward=3.0)


def write(path, change=lambda preset: None):
    preset = tiny_preset()
    change(preset)
    path.write_text(as_yaml(preset))
    return path


def table_of(preset, costs, rates=None, adaptive=100, results=Path("nowhere")):
    """The table of a bill by experiment and stage."""
    rates = dict.fromkeys(costs, rates or RATES)
    works = list(planned(preset, costs, adaptive, results))
    return bill.bill(works, rates, "stated", measured=False).set_index(["experiment", "stage"])
