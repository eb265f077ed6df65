"""Which experiments a table compares image by image: what a preset may say of it."""

import pytest
from commands import write_preset
from presets import ROOT, tiny_preset

from gud.config import triggers
from gud.config.preset import load_preset
from gud.errors import InputError

SHOWN = ["a_scan_isotropic", "a_scan_matching"]


def compared(reference, shown=SHOWN, change=lambda experiments: None):
    table = {"compared": {"experiments": shown, "reference": reference}}
    preset = tiny_preset() | {"figures": table, "quick": []}
    change(preset["experiments"])
    return preset


@pytest.fixture
def load(tmp_path):
    return lambda *arguments, **options: load_preset(
        write_preset(tmp_path / "mine.yaml", compared(*arguments, **options))
    )


def test_the_command_of_a_table_names_its_references(load):
    preset = load({"a_scan_matching": "a_scan_isotropic"})
    expected = "--reference a_scan_matching=a_scan_isotropic"
    assert triggers.references(preset, "compared") == expected
    assert triggers.references(load({}), "compared") == ""


def test_references_name_experiments_of_any_seeds(load):
    def seeds(experiments):
        experiments["a_scan_matching"]["seeds"] = [3, 4]

    preset = load({"a_scan_matching": "a_scan_isotropic"}, change=seeds)
    assert "a_scan_matching_seed4" in preset.figures.compared.experiments
    assert triggers.references(preset, "compared").count("=") == 1


@pytest.mark.parametrize("name", ["study", "paper_claims"])
def test_presets_compare_with_experiments_of_their_own_table(name):
    preset = load_preset(ROOT / f"config/{name}.yaml")
    assert preset.figures.compared.references()


def put(name, **changes):
    return lambda experiments: experiments[name].update(changes)


@pytest.mark.parametrize(
    ("reference", "change", "sentence"),
    [
        ({"nowhere": SHOWN[0]}, None, "names nowhere, which must be one of"),
        ({SHOWN[1]: "ordering_scan"}, None, "names ordering_scan, which must be one of"),
        ({SHOWN[1]: SHOWN[1]}, None, "is not another experiment"),
        ({SHOWN[1]: 3}, None, "= 3 is not allowed"),
        (SHOWN, None, "is not allowed"),
        (
            {SHOWN[1]: SHOWN[0]},
            put(SHOWN[0], nll={"settings": {"images": 2}}),
            "its nll.settings.images is 2, that of a_scan_matching 4",
        ),
        (
            {SHOWN[1]: SHOWN[0]},
            put(SHOWN[0], nll={"grids": []}),
            "needs points in experiments.a_scan_isotropic.nll.grids",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_job(load, reference, change, sentence):
    with pytest.raises(InputError) as refused:
        load(reference, change=change or (lambda experiments: None))
    assert sentence in str(refused.value) and "figures.compared.reference" in str(refused.value)


def test_experiments_of_other_data_are_not_compared(tmp_path):
    def of_others(experiments):
        experiments["others"] = experiments["a_scan_matching"] | {"data": "others"}

    preset = compared({"others": SHOWN[0]}, ["others", SHOWN[0]], of_others)
    preset["data"]["others"] = preset["data"]["natural16"] | {"stride": 20}
    preset["titles"]["others"] = "others"
    for experiment in preset["experiments"].values():
        experiment["quality"] = {"grids": []}
    with pytest.raises(InputError, match='its data is "natural16", that of others "others"'):
        load_preset(write_preset(tmp_path / "mine.yaml", preset))
