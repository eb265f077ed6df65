"""Likelihood over the softness of wavelet levels and of columns (section 5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gud.config.claims import curve_faults, experiments_of, group_faults
from gud.config.figures import Labels
from gud.config.sections.section import Name
from gud.config.sections.validation import Fault
from gud.figures.drawing.sections import TableFigureSection

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from gud.config.preset import Preset


class Wavelets(TableFigureSection):
    """An experiment, of all training seeds, on a schedule with the parameters a and b."""

    experiments: list[Name]

    title = "NLL over the softness of levels and columns, sec. 5.3"
    caption = (
        "Likelihood over the softness of levels (a) and of columns (b) in the Haar basis "
        "(section 5.3)."
    )
    family = "wavelet_columns"
    all_seeds = True

    def claims(self, preset: Preset) -> Iterator[Fault]:
        made = experiments_of(self, preset)
        yield from group_faults(made)
        yield from curve_faults(made)

    def draw(self, source: pd.DataFrame, labels: Labels) -> Figure:
        """A heat map of the NLL over a and b; a point without an NLL is left blank.

        Of several networks it is the mean over seeds.
        """
        import seaborn
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

        from gud.figures.drawing.seeds import (
            lowest_note,
            lowest_of_each,
            mean_over_seeds,
            networks,
            seeds_note,
        )
        from gud.figures.drawing.style import COLUMN_WIDTH, NLL_LABEL, small_print
        from gud.report.parameters import is_standard

        rows = networks(source, self.experiments, "ab")
        points = mean_over_seeds(rows, "ab")
        grid = points.pivot(index="b", columns="a", values="nll_bits_per_dim").sort_index()
        figure = Figure(figsize=(COLUMN_WIDTH, 3.4), layout="constrained")
        axis = figure.subplots()
        seaborn.heatmap(
            grid,
            ax=axis,
            annot=True,
            fmt=".3f",
            annot_kws={"fontsize": 6},
            cmap="viridis",
            cbar_kws={"label": NLL_LABEL, "format": "%.3f"},
        )
        axis.invert_yaxis()
        axis.set(xlabel="inverse softness of levels $a$", ylabel="inverse softness of columns $b$")
        standard = points[is_standard(points)]
        frames = [
            (points.loc[[points.nll_bits_per_dim.idxmin()]], "white", "-"),
            (standard, "black", "-"),
            (lowest_of_each(rows), "white", ":"),
        ]
        for framed, color, line in frames:
            for point in framed.itertuples():
                corner = grid.columns.get_loc(point.a), grid.index.get_loc(point.b)
                frame = Rectangle(corner, 1, 1, fill=False, edgecolor=color, clip_on=False)
                frame.set(linewidth=1.5, linestyle=line)
                axis.add_patch(frame)
        sentences = [
            labels.data_note,
            seeds_note(rows, "Dotted frames"),
            "" if standard.empty else "Black frame: standard diffusion.",
            f"White frame: lowest NLL, {lowest_note(points, 'ab')}.",
        ]
        small_print(figure, " ".join(filter(None, sentences)), labels.stand_in_note)
        return figure
