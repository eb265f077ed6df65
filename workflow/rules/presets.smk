import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from gud.config.images import check_finished_data
from gud.config.preset import load_preset
from gud.errors import InputError
from gud.provenance.places import CHECKOUT

FOLDER = Path(config.get("presets") or CHECKOUT / "config")
PRESET_FILES = {
    file.stem: file
    for file in sorted(FOLDER.glob("*.yaml"))
    if re.fullmatch(r"\w[\w .()+=@-]*", file.stem)
}
"""The presets of the folder `config/`, or of --config presets=FOLDER."""
PRESETS = {}
"""Those that have been asked for: a spoilt one stops no run of another."""


def read_preset(name):
    if name in PRESETS:
        return PRESETS[name]
    if name not in PRESET_FILES:
        raise WorkflowError(
            f"preset {name!r} is not in {FOLDER}, which has "
            f"{', '.join(PRESET_FILES) or 'none'}; a preset is called by letters, digits, "
            "spaces and _.()+=@-"
        )
    results = workflow.pathvars.items["results"]
    try:
        preset = load_preset(PRESET_FILES[name])
        check_finished_data(preset, Path(results, name, "data"))
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return PRESETS.setdefault(name, preset)


def read_asked_presets():
    """Read the presets that the command names: a wrong one ends it with its sentence alone."""
    if not PRESET_FILES:
        raise WorkflowError(f"there is no preset in {FOLDER}")
    if "preset" in config:
        read_preset(str(config["preset"]))
    results = f"{workflow.pathvars.items['results']}/"
    for word in sys.argv:
        of_file = word.startswith(results) and word.removeprefix(results).split("/")[0]
        demo = re.fullmatch(r"(demo(?:_psld)?)(?:_all)?", word)
        name = demo[1] if demo else of_file
        if name in PRESET_FILES:
            read_preset(name)


read_asked_presets()
