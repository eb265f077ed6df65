"""Figures of the paper, each from the files that it takes as --source.

python -m gud.figures figure2 --settings JSON --source STATISTICS.safetensors --out F.pdf F.png
python -m gud.figures figure3 --settings JSON --source TABLE.csv --out F.pdf F.png
python -m gud.figures figure4 --settings JSON
    --source DATA.npz PCA.safetensors PIXEL.safetensors HAAR.safetensors --out F.pdf F.png
python -m gud.figures figure5 --settings JSON --source TABLE.csv --out F.pdf F.png
python -m gud.figures wavelets --settings JSON --source TABLE.csv --out F.pdf F.png
python -m gud.figures figure6 --settings JSON --out F.pdf F.png
python -m gud.figures figure7 --settings JSON --source STRIPS.npz --out F.pdf F.png
python -m gud.figures figure8 --settings JSON --source RECONSTRUCTIONS.npz --out F.pdf F.png
python -m gud.figures figure9 --settings JSON --source SAMPLES.npz ... --out F.pdf F.png
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from safetensors import SafetensorError
from torch import Tensor

from gud import data
from gud.errors import InputError, command_line
from gud.figure2 import Figure2, draw_figure2
from gud.figure3 import Figure3, draw_figure3
from gud.figure4 import Figure4, Images, draw_figure4
from gud.figure5 import Figure5, Wavelets, draw_plane
from gud.figure6 import Figure6, draw_figure6
from gud.figure7 import Figure7, draw_figure7, load_strips
from gud.figure8 import Figure8, draw_figure8, load_reconstructions
from gud.figure9 import Figure9, draw_figure9, load_samples
from gud.figure_style import Labels, write_figure
from gud.representation import Statistics
from gud.settings import validate


def load_table(path: Path) -> pd.DataFrame:
    """A table of `gud.tables`."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"table {path} cannot be read: {error}") from None
    needed = ("experiment", "nll_bits_per_dim", "nll_minus_standard_stderr")
    if missing := [name for name in needed if name not in table]:
        raise InputError(f"table {path} has no column {missing[0]}")
    return table


def load_statistics(path: Path) -> Statistics:
    """The statistics of a data set in a basis."""
    try:
        return Statistics.load(path)
    except (OSError, SafetensorError, TypeError) as error:
        raise InputError(f"statistics {path} cannot be read: {error}") from None


def load_variance(path: Path) -> Tensor:
    """The variances Sigma_i in the statistics of a data set."""
    return load_statistics(path).variance


def load_images(path: Path) -> Images:
    """Both splits of a data set."""
    return {"train": data.load(path, "train"), "test": data.load(path, "test")}


@dataclass(frozen=True)
class Target:
    """How a figure is made.

    Args:
        section: of its settings.
        sources: what reads each of the files given as --source, in their order.
        draw: takes what was read, then the settings.
        title: of the figure, for the metadata of its files.
        repeated: whether the one reader serves any number of files; `draw` takes a list of them.
    """

    section: type[Labels]
    sources: tuple[Callable[[Path], Any], ...]
    draw: Callable[..., Figure]
    title: str
    repeated: bool = False

    def read(self, paths: Sequence[Path], name: str) -> list[Any]:
        """What `draw` takes before the settings; `name` is the figure's."""
        if self.repeated and paths:
            (load,) = self.sources
            return [[load(path) for path in paths]]
        if len(paths) != len(self.sources):
            raise InputError(
                f"--source gives {len(paths)} files; {name} is drawn from "
                f"{'one or more' if self.repeated else len(self.sources)}"
            )
        return [load(path) for load, path in zip(self.sources, paths, strict=True)]


FIGURES: dict[str, Target] = {
    "figure2": Target(
        Figure2, (load_variance,), draw_figure2, "Figure 2: component-wise noising schedules"
    ),
    "figure3": Target(
        Figure3,
        (load_table,),
        draw_figure3,
        "Figure 3: likelihood and sample quality over softness",
    ),
    "figure4": Target(
        Figure4,
        (load_images, load_statistics, load_statistics, load_statistics),
        draw_figure4,
        "Figure 4: the forward process under four schedules",
    ),
    "figure5": Target(
        Figure5, (load_table,), draw_plane, "Figure 5: likelihood over softness and ordering"
    ),
    "figure6": Target(Figure6, (), draw_figure6, "Figure 6: column-wise schedules"),
    "figure7": Target(
        Figure7,
        (load_strips,),
        draw_figure7,
        "Figure 7: image extension by column-wise generation",
    ),
    "figure8": Target(
        Figure8,
        (load_reconstructions,),
        draw_figure8,
        "Figure 8: reconstruction of partly noised images",
    ),
    "figure9": Target(
        Figure9,
        (load_samples,),
        draw_figure9,
        "Figure 9: samples over softness by ODE and SDE",
        repeated=True,
    ),
    "wavelets": Target(
        Wavelets,
        (load_table,),
        draw_plane,
        "NLL over the softness of levels and columns, sec. 5.3",
    ),
}


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figure", choices=FIGURES)
    parser.add_argument("--settings", type=json.loads, required=True, help="as JSON")
    parser.add_argument(
        "--source", type=Path, nargs="*", default=[], metavar="FILE", help="what the figure shows"
    )
    parser.add_argument("--out", type=Path, nargs="+", required=True, metavar="FILE")
    arguments = parser.parse_args(argv)
    started = time.time()
    target = FIGURES[arguments.figure]
    labels = validate(target.section, arguments.settings, f"settings of {arguments.figure}")
    loaded = target.read(arguments.source, arguments.figure)
    write_figure(
        target.draw(*loaded, labels),
        arguments.out,
        target.title,
        inputs=arguments.source,
        settings=arguments.settings,
        started=started,
    )


if __name__ == "__main__":
    sys.exit(main())
