"""Presets: all experiments and figures of one scale, in one YAML file of `config/`.

`load_preset` returns a preset checked, with its `defaults` section merged under every experiment
and an experiment for each training seed. But for a few optional keys (see `gud.config.sections`),
Python holds no default values: what is not in the file is an error, or is not made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gud.config.claims import claim_faults
from gud.config.figures import figures_model
from gud.config.reading import read_yaml
from gud.config.sections.bases import PrincipalBasis, PrincipalComponents
from gud.config.sections.data import Data, Download
from gud.config.sections.experiments import Experiment, experiment_faults, weights_faults
from gud.config.sections.section import Name, NonNegative, Positive, Section, Text
from gud.config.sections.validation import Fault, Keys, validate
from gud.config.seeds import expand_seeds, seed_faults
from gud.errors import InputError

if TYPE_CHECKING:
    from gud.config.figures import NamedFigures as Figures
else:
    Figures = figures_model()

FOLDERS = {"benchmarks", "data", "figures", "logs", "tables"}
"""Beside those of the experiments, among the results of a preset."""


class JobBatches(Section):
    """Batches of images that one job computes."""

    nll: Positive
    samples: Positive


class Compute(Section):
    """What one job of the workflow does and asks for; memory and time grow with each attempt."""

    gpu: NonNegative
    train_gpu: NonNegative
    """GPUs of one training, which share its batches."""
    threads: Positive
    mem_mb: Positive
    train_minutes: Positive
    evaluate_minutes: Positive
    tensorboard: bool
    """Whether trainings write event files, in the folder `tensorboard` beside the model."""
    job_batches: JobBatches


class Preset(Section):
    """All experiments and figures of one scale, e.g. `demo` or `paper`."""

    stand_in: Text
    seed: int
    quick: list[Name]
    """The figures of a first look."""
    compute: Compute
    downloads: dict[Name, Download]
    data: dict[Name, Data]
    principal_components: PrincipalComponents
    titles: dict[Name, Text]
    """What figures call the data sets."""
    experiments: dict[Name, Experiment]
    figures: Figures


def load_preset(path: str | Path) -> Preset:
    """Read and validate a preset file; `InputError` names the first wrong key in one sentence."""
    path = Path(path)
    raw = read_extended(path)
    defaults, own = raw.pop("defaults", {}), raw.get("experiments")
    if not isinstance(defaults, dict):
        raise InputError(f"{path}: defaults must be a mapping of settings, or be left out")
    if isinstance(own, dict):
        raw["experiments"] = {name: merge(defaults, values) for name, values in own.items()}
        for keys, what in seed_faults(raw["experiments"]):
            raise InputError(f"{path}: {'.'.join(written(defaults, own, keys))} {what}")
        raw = expand_seeds(raw)

    def in_file(keys: Keys) -> Keys:
        if keys[:1] == ("experiments",) and len(keys) > 2:
            keys = (keys[0], raw["experiments"][keys[1]].get("group", keys[1]), *keys[2:])
        return written(defaults, own, keys)

    def name(keys: Keys) -> str:
        return ".".join(in_file(keys))

    preset = validate(Preset, raw, str(path), name)
    for keys, what in faults(preset):
        merged = keys[:1] == ("experiments",) and in_file(keys)[:1] == ("defaults",)
        within = f" (in experiments.{keys[1]})" if merged else ""
        raise InputError(f"{path}: {name(keys)} {what}{within}")
    return preset


def read_extended(path: Path, extending: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What a preset's file says, over what it `keeps` of the preset beside it that it `extends`.

    What stands in for the paper's own, each file says itself: another's may not be true of it.

    Args:
        extending: files that extend this one.
    """
    raw = read_yaml(path)
    if "extends" not in raw:
        return raw
    base, keeps = raw.pop("extends"), raw.pop("keeps", {})
    file = path.parent / f"{base}.yaml"
    if not isinstance(base, str) or file.name != f"{base}.yaml" or not file.is_file():
        known = sorted(other.stem for other in path.parent.glob("*.yaml") if other != path)
        raise InputError(f"{path}: extends must name a preset beside it, {known}, not {base}")
    if file in (*extending, path):
        raise InputError(f"{path}: extends {base}, which extends it in turn")
    extended = read_extended(file, (*extending, path))
    extended = extended | _kept(extended, keeps, path)
    if "stand_in" not in raw:
        raise InputError(
            f"{path}: stand_in is missing; that of {base} is not inherited, as it may not be true "
            "of other settings"
        )
    return merge(extended, raw)


def _kept(extended: dict[str, Any], keeps: Any, path: Path) -> dict[str, Any]:
    """The sections of a preset of which another keeps no more than the keys that it names.

    Args:
        path: of the other.
    """
    sections = keeps if isinstance(keeps, dict) else {"keeps": keeps}
    kept = {}
    for name, keys in sections.items():
        section = extended.get(name)
        if not isinstance(section, dict) or not isinstance(keys, list):
            raise InputError(
                f"{path}: keeps must give keys by section, as in {{figures: [figure3]}}, not "
                f"{name}: {keys}"
            )
        if unknown := [key for key in keys if key not in list(section)]:
            raise InputError(
                f"{path}: keeps.{name} names {unknown[0]}, which the extended preset does not "
                f"have, only {', '.join(map(str, section))}"
            )
        kept[name] = {key: section[key] for key in keys}
    return kept


def merge(defaults: Any, values: Any) -> Any:
    """`values` over `defaults`, section by section; another `name` replaces a whole section."""
    if not _merges(defaults, values):
        return values
    return defaults | {key: merge(defaults.get(key), value) for key, value in values.items()}


def _merges(defaults: Any, values: Any) -> bool:
    if not (isinstance(defaults, dict) and isinstance(values, dict)):
        return False
    return "name" not in values or values["name"] == defaults.get("name")


def written(defaults: Any, experiments: Any, keys: Keys) -> Keys:
    """Where the file has a key of a merged experiment: there, or under `defaults`."""
    if len(keys) < 3 or keys[0] != "experiments":
        return keys
    values = experiments.get(keys[1])
    for part in keys[2:]:
        if not _merges(defaults, values):
            return keys
        if part not in values:
            return ("defaults", *keys[2:]) if part in defaults else keys
        defaults, values = defaults.get(part), values[part]
    return keys


def faults(preset: Preset) -> Iterator[Fault]:
    """What does not go together, each found on the assumption that nothing before it was."""
    yield from _reference_faults(preset)
    for name, experiment in preset.experiments.items():
        data, gpus = preset.data[experiment.data], preset.compute.train_gpu
        for keys, what in experiment_faults(experiment, data, gpus):
            yield ("experiments", name, *keys), what
    for name in preset.experiments:
        for keys, what in weights_faults(name, preset.experiments):
            yield ("experiments", name, *keys), what
    yield from _component_faults(preset)
    for keys, what in claim_faults(preset):
        yield ("figures", *keys), what


def _component_faults(preset: Preset) -> Iterator[Fault]:
    """More principal components than the images of an experiment have pixels."""
    wanted = preset.principal_components.components or 1
    for name, experiment in preset.experiments.items():
        pixels = preset.data[experiment.data].image_size ** 2
        if isinstance(experiment.basis, PrincipalBasis) and wanted > pixels:
            yield (
                ("principal_components", "components"),
                f"= {wanted} is more than the {pixels} pixels of experiments.{name}",
            )


def _reference_faults(preset: Preset) -> Iterator[Fault]:
    """Names of what is not there."""
    references: list[tuple[Keys, str | None, Collection[str]]] = []
    figures = preset.figures.named()
    for name, figure in figures.items():
        for experiment in figure.shown():
            references.append((("figures", name), experiment, preset.experiments))
        references.append((("figures", name, "data"), getattr(figure, "data", None), preset.data))
    for number, name in enumerate(preset.quick):
        references.append((("quick", str(number)), name, figures))
    for name in preset.titles:
        references.append((("titles", name), name, preset.data))
    for name, data in preset.data.items():
        if name not in preset.titles:
            yield ("titles",), f"gives no title to data.{name}"
        for archive in data.archive_names:
            references.append((("data", name), archive, preset.downloads))
    for name, made in preset.experiments.items():
        where, weights = ("experiments", name), made.quality.metric.weights
        references.append(((*where, "data"), made.data, preset.data))
        references.append(((*where, "weights_of"), made.weights_of, preset.experiments))
        references.append(((*where, "quality", "metric", "weights"), weights, preset.downloads))
        if name in FOLDERS:
            yield where, f"must have another name: {', '.join(sorted(FOLDERS))} are folders"
    for keys, wanted, known in references:
        if wanted is not None and wanted not in known:
            yield keys, f"names {wanted}, which must be one of {sorted(known)}"
