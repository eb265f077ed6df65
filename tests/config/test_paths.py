"""What a job reads lies where another job writes it, and its line tells what it depends on."""

import json
import re

import pytest
from presets import ROOT, as_yaml, tiny_preset

from gud.audit.checks import kind_of
from gud.config import inputs, paths, triggers
from gud.config.figures import FigureSection
from gud.config.preset import load_preset
from gud.config.sections.bases import BASIS_NAME, basis_name
from gud.config.sections.data import Download, kept_as
from gud.diffusion.samplers import SAMPLERS
from gud.errors import InputError

PRESETS = {name: load_preset(ROOT / f"config/{name}.yaml") for name in ("demo", "paper")}


@pytest.fixture
def changed(tmp_path):
    """The test-sized preset, changed by a function."""

    def load(change=lambda preset: None):
        preset = tiny_preset()
        change(preset)
        file = tmp_path / "changed.yaml"
        file.write_text(as_yaml(preset))
        return load_preset(file)

    return load


def patterns() -> list[re.Pattern]:
    """What the rules of the workflow write, as regular expressions."""
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    written = set(re.findall(r'"<results>/\{preset\}/([^"]+)"', rules))
    names = {
        "basis": BASIS_NAME,
        "mirrored": "|-mirrored",
        "quick": "|-quick",
        "sampler": "|-[^/]+",
    }
    return [
        re.compile(
            re.sub(r"\\\{(\w+)\\\}", lambda m: f"({names.get(m[1], '[^/]+')})", re.escape(p))
        )
        for p in written
    ]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_file_that_a_job_reads_is_written_by_a_rule(preset):
    read = [*inputs.targets(preset, "summary"), *inputs.figures(preset, "summary")]
    read += [*inputs.targets(preset, "quick"), *inputs.galleries(preset, "")]
    for name, figure in preset.figures.named().items():
        read += inputs.sources(preset, name) if isinstance(figure, FigureSection) else []
    for name in preset.experiments:
        read += [inputs.data(preset, name), inputs.statistics(preset, name), paths.scale_file(name)]
        read += [*inputs.evaluated(preset, name, "nll"), paths.history_file(name)]
    rules = patterns()
    assert [file for file in read if not any(rule.fullmatch(file) for rule in rules)] == []


def test_the_jobs_of_a_point_cover_its_images(changed):
    preset = changed()
    files = inputs.jobs_of_point(preset, "a_scan_isotropic", "nll", "a=0.6_r=0")
    assert files and all(re.fullmatch(r"a_scan_isotropic/nll/jobs/\w{12}\.json", f) for f in files)
    with pytest.raises(InputError, match="a=7_r=0 is not in the grids of nll"):
        inputs.jobs_of_point(preset, "a_scan_isotropic", "nll", "a=7_r=0")


def lines(preset) -> dict[str, str]:
    """What determines the jobs of a preset, by job."""
    found = {f"data {name}": triggers.dataset(preset, name) for name in preset.data}
    for name in preset.experiments:
        found[f"train {name}"] = triggers.training(preset, name)
        found[f"scale {name}"] = triggers.scale(preset, name)
        found[f"nll {name}"] = triggers.point(preset, name, "nll", "a=1_r=0")
        found[f"samples {name}"] = triggers.point(preset, name, "samples", "a=1_r=0")
        found[f"quality {name}"] = triggers.quality(preset, name)
    found |= {f"figure {name}": triggers.figure(preset, name) for name in preset.figures.named()}
    return found | {"basis pca": triggers.basis_options(preset, "pca", "-mirrored")}


def put(*keys, value):
    def change(preset):
        for key in keys[:-1]:
            preset = preset.setdefault(key, {})
        preset[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "reruns"),
    [
        (put("defaults", "nll", "settings", "rtol", value=0.2), "nll .*"),
        (put("defaults", "nll", "settings", "images", value=2), "nll .*|scale .*"),
        (put("defaults", "quality", "sampling", "steps", value=3), "samples .*"),
        (put("defaults", "quality", "metric", "extractor_seed", value=1), "quality .*"),
        (put("defaults", "training", "learning_rate", value=0.1), "(train|nll|samples) .*"),
        (put("defaults", "training", "checkpoint_every", value=2), "train .*"),
        (put("data", "natural16", "stride", value=20), "data natural16"),
        (put("principal_components", "solver", value="full"), "basis pca"),
        (put("compute", "mem_mb", value=4000), "nothing"),
        (put("stand_in", value="others"), "figure .*"),
    ],
)
def test_a_changed_key_changes_the_lines_of_what_it_determines_and_no_other(
    changed, change, reruns
):
    before, after = lines(changed()), lines(changed(change))
    different = [job for job in before if before[job] != after[job]]
    expected = [job for job in before if re.fullmatch(reruns, job)]
    assert set(different) <= set(expected)
    assert different or reruns == "nothing"
    assert all(json.loads(after[job]) for job in after if job.startswith(("nll", "train")))


def test_names_of_bases_in_files_are_those_that_the_workflow_knows():
    for preset in PRESETS.values():
        for experiment in preset.experiments.values():
            assert re.fullmatch(BASIS_NAME, basis_name(experiment.basis))


def test_of_downloads_with_the_same_bytes_the_one_on_this_machine_is_taken():
    far, near = (
        Download(url=url, sha256="0" * 64) for url in ("https://x.org/a.gz", "file:///b/a.gz")
    )
    assert far.kept == near.kept
    assert kept_as([far, near], far.kept) == near
    assert kept_as([far], "other/a.gz") is None


@pytest.mark.parametrize("summary", ["quick", "summary"])
@pytest.mark.parametrize("name", sorted(path.stem for path in ROOT.glob("config/*.yaml")))
def test_whatever_a_preset_makes_is_of_a_kind_that_verification_knows(name, summary):
    preset = load_preset(ROOT / f"config/{name}.yaml")
    if summary == "quick" and not preset.quick:
        return
    assert [path for path in inputs.targets(preset, summary) if not kind_of(path)] == []


@pytest.mark.parametrize("method", SAMPLERS)
def test_the_audit_knows_the_gallery_of_every_sampler(method):
    known, named = kind_of(f"large/gallery-{method}/a=1_r=0.npz")
    assert (known.name, named["quantity"]) == ("samples", f"gallery-{method}")
