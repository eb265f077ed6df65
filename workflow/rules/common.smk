import inspect
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError

from gud.config import inputs, paths, triggers
from gud.config.sections.bases import BASIS_NAME
from gud.config.sections.data import kept_as
from gud.config.figures import FigureSection, figure_sections
from gud.cli import put_python_first
from gud.errors import InputError
from gud.provenance.places import CHECKOUT

put_python_first()


FIGURES = figure_sections()


wildcard_constraints:
    preset="|".join(map(re.escape, PRESET_FILES)),
    experiment=paths.NAME,
    data=paths.NAME,
    download=r"[0-9a-f]{16}",
    file=r"[^/]+",
    basis=BASIS_NAME,
    mirrored="|-mirrored",
    classifier="guide|judge",
    summary="summary|quick",
    quick="|-quick",
    figure="|".join(FIGURES),
    quantity=f"nll|samples({paths.SAMPLER})?|{paths.GALLERY}",
    sampler=f"|{paths.SAMPLER}",
    job=r"[0-9a-f]{12}",
    point=paths.POINT,


# What a rule asks of a preset is a function of `gud.config`, which takes the preset and, by their
# names, the wildcards that it needs.


def ask(question):
    """The answer to a question, as a function of a job's wildcards."""
    names = list(inspect.signature(question).parameters)[1:]

    def answer(wildcards):
        known = {name: getattr(wildcards, name) for name in names}
        try:
            return question(read_preset(wildcards.preset), **known)
        except InputError as error:
            raise WorkflowError(f"preset {wildcards.preset}: {error}") from None

    return answer


def files(question, folder="<results>/{preset}"):
    """The files in a folder that answer a question."""

    def found(wildcards):
        names = ask(question)(wildcards)
        names = [names] if isinstance(names, str) else names
        return [f"{folder.format(preset=wildcards.preset)}/{name}" for name in names]

    return found


def targets(preset, summary="summary"):
    """All that a preset makes, or its figures of a first look with summary="quick"."""
    wanted = SimpleNamespace(preset=str(preset), summary=summary)

    def made(wildcards):
        return files(inputs.targets)(wanted)

    return made


def compute(key, grows=False):
    """What a job asks for, by its key in the section `compute`; what grows does with attempts."""

    def amount(wildcards, attempt):
        asked = getattr(read_preset(wildcards.preset).compute, key)
        return asked * attempt if grows else asked

    return amount


def option(name):
    """The option of a command that takes the input of that name, if a job has it."""

    def words(wildcards, input):
        given = getattr(input, name)
        given = [given] if isinstance(given, str) else given
        return shlex.join([f"--{name}", *given]) if given else ""

    return words


def processes(wildcards, resources):
    return f"--processes {resources.gpu}" if resources.gpu > 1 else ""


def preset_file(wildcards):
    return from_here(Path(PRESET_FILES[wildcards.preset]))


def published_numbers(wildcards):
    return from_here(CHECKOUT / "docs/reference/published.yaml")


def from_here(file):
    """A path as commands and their records name it."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def get_download(wildcards):
    """The download that is kept under a name, from a preset that was asked for or, at last, any."""
    for names in (list(PRESETS), list(PRESET_FILES)):
        known = []
        for name in names:
            try:
                known += read_preset(name).downloads.values()
            except WorkflowError:
                continue
        if found := kept_as(known, "/".join(wildcards)):
            return found
    raise WorkflowError(f"no preset names the download {'/'.join(wildcards)}")


# Taking `output`, it is no reason to fetch again what is there: another URL of the same bytes.
def download_url(wildcards, output):
    return get_download(wildcards).url


def download_sha256(wildcards):
    return get_download(wildcards).sha256
