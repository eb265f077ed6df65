"""A working directory in which the workflow runs on the preset `tiny`."""

import re
import shutil
import subprocess
import sys

import yaml
from presets import ROOT, tiny_preset


class Workspace:
    """A working directory with a folder of presets of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.presets = folder / "config"
        self.presets.mkdir()
        self.write(tiny_preset())

    def write(self, preset, name="tiny"):
        (self.presets / f"{name}.yaml").write_text(yaml.safe_dump(preset))

    def command(self, *arguments):
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--directory", str(self.folder), "--profile", str(ROOT / "profiles/default")),
            *("--cores", "2", *arguments),
            *("--config", f"presets={self.presets}", "preset=tiny"),
        ]

    def run(self, *arguments, succeeds=True):
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=1500
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
        copied = object.__new__(Workspace)
        copied.folder, copied.presets = folder, folder / "config"
        return copied
