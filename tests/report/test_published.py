"""The papers' numbers that ours stand beside."""

from presets import ROOT

from gud.config.preset import load_preset
from gud.figures.further.sde_and_ode import SdeAndOde
from gud.report.published import load_published

REFERENCE = ROOT / "docs" / "reference"


def test_the_numbers_of_psld_stand_beside_ours_with_what_they_were_measured_on():
    numbers = load_published(REFERENCE / "published.yaml").quantities
    psld = [number for number in numbers if number.paper == "PSLD"]
    of = {number.quantity: number for number in psld if number.listed}
    assert of["ODE, Gamma = 0.01"].value == 2.10 and of["SDE, Gamma = 0.02"].value == 2.21
    assert {number.samples for number in of.values()} == {50_000}
    assert {number.samples for number in psld if not number.listed} == {10_000}


def test_every_number_of_psld_is_measured_by_samples_that_a_preset_draws():
    numbers = load_published(REFERENCE / "published.yaml").quantities
    presets = [load_preset(ROOT / "config" / f"{name}.yaml") for name in ("psld", "psld_celeba")]
    drawn = [
        (name, one)
        for preset in presets
        for figure in preset.figures.named().values()
        if isinstance(figure, SdeAndOde)
        for name in figure.experiments
        for one in figure.samplings(preset.experiments[name]).values()
    ]
    for number in numbers:
        if number.paper != "PSLD":
            continue
        wanted = {key: number.where.get(f"sampler_{key}") for key in ("grid", "steps")}
        found = [
            one
            for name, one in drawn
            if name == number.experiment
            and one.method == number.where["sampler"]
            and one.images == number.samples == number.where["fid_images"]
            and all(value in (None, getattr(one, key)) for key, value in wanted.items())
            and number.where.get("sampler_tolerance") in (None, one.rtol)
        ]
        assert len(found) == 1, number.quantity
