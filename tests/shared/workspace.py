"""A working directory in which the workflow runs on presets of its own."""

import re
import shutil
import subprocess
import sys

from presets import ROOT, as_yaml

from gud.cli import NamedPreset
from gud.config.preset import load_preset


class Workspace:
    """A working directory with a folder of presets.

    Args:
        preset: which one is made where the target names none.
    """

    def __init__(self, folder, preset=None):
        self.folder, self.presets, self.preset = folder, folder / "config", preset
        self.presets.mkdir(exist_ok=True)

    def write(self, preset, name="tiny"):
        (self.presets / f"{name}.yaml").write_text(as_yaml(preset))

    def named(self, name="tiny"):
        """A preset of it, as a command line names one."""
        file = self.presets / f"{name}.yaml"
        return NamedPreset(file, load_preset(file))

    def command(self, *arguments, preset=None):
        named = self.preset if preset is None else preset
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--directory", str(self.folder), "--profile", str(ROOT / "profiles/default")),
            *("--cores", "2", *arguments, "--config", f"presets={self.presets}"),
            *([] if named is None else [f"preset={named}"]),
        ]

    def run(self, *arguments, preset=None, succeeds=True):
        done = subprocess.run(
            self.command(*arguments, preset=preset), capture_output=True, text=True, timeout=1700
        )
        output = done.stdout + done.stderr
        assert (done.returncode == 0) == succeeds, output
        return output

    def planned(self, target):
        """Numbers of planned jobs by rule, from a dry run."""
        output = self.run("-n", target)
        table = re.search(r"^job +count\n[- ]+\n(.*?)^total", output, re.M | re.S)
        if table is None:
            assert "Nothing to be done" in output, output
            return {}
        return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", table[1], re.M)}

    def copy(self, folder):
        """A copy of the working directory that a test may change."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workspace(folder, self.preset)
