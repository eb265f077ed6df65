"""A command that succeeds, what it reads, and its command line in many wrong forms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

A, B = "a=1_r=0", "b=0.5"
PRESET = "--preset {root}/tiny.yaml"
ISO = f"{PRESET} --experiment iso"
COLUMNS = f"{PRESET} --experiment columns --model {{root}}/columns/model.safetensors"
MODEL, DATA = "iso/model.safetensors", "data/natural16.npz"
GUIDE = "iso/classifiers/guide/model.safetensors"
POINT, SAMPLES = f"iso/nll/{A}.npz", f"iso/samples/{A}.npz"
QUALITY, TABLE = f"iso/quality/{A}.json", "tables/figure3.csv"
FREE, PATHS = "free/path.safetensors", "tables/figure1.csv"
FITTED = "data/natural16.fourier.safetensors"


def filled(word: str, root: Path) -> str:
    return word.format(root=root, digest=(root / "digest").read_text())


@dataclass(frozen=True)
class Command:
    """A command that succeeds.

    Args:
        words: of its command line; {root} is the folder of all artefacts.
        spoilt: the files that it reads, which are spoilt in turn.
        ends: statuses that a spoilt input may give.
        out: the file that it writes.
        judges: whether status 2 may also mean that it found what is wrong and has printed it.
    """

    words: str
    spoilt: tuple[str, ...]
    ends: tuple[int, ...] = (2,)
    out: str = ""
    judges: bool = False

    def line(self, root: Path) -> list[str]:
        return [filled(word, root) for word in self.words.split()]

    def spoilt_lines(self) -> dict[str, tuple[str, ...]]:
        """Spoilt command lines, by what is wrong with them."""
        words = self.words.split()
        options = [number for number, word in enumerate(words) if word.startswith("--")]
        found = {"an option of no name": (*words, "--unheard", "of")}
        for number in options:
            option, rest = words[number], (*words[:number], *words[number + 2 :])
            found[f"{option} without a value"] = (*rest, option)
            others = ["nonsense"]
            if option == "--sha256":
                others += ["", "0" * 64, "f" * 63, "published"]
            if option == "--out":
                found["no --out"] = rest
                others += ["", "x" * 5000, "\udcff", "-1", "{root}"]
            for other in others:
                line = (*words[: number + 1], other, *words[number + 2 :])
                found[f"{option} {other[:12]!a}"] = line
        return found
