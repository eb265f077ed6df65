"""Likelihood over the softness of wavelet levels and of columns (section 5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gud.config.claims import curve_faults, experiments_of
from gud.config.figures import Labels, TableFigureSection
from gud.config.sections.section import Name
from gud.config.sections.validation import Fault

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from gud.config.preset import Preset


class Wavelets(TableFigureSection):
    """An experiment on a schedule with the parameters a and b."""

    experiment: Name

    title = "NLL over the softness of levels and columns, sec. 5.3"
    caption = (
        "Likelihood over the softness of levels (a) and of columns (b) in the Haar basis "
        "(section 5.3)."
    )
    family = "wavelet_columns"

    def claims(self, preset: Preset) -> Iterator[Fault]:
        return curve_faults(experiments_of(self, preset))

    def draw(self, source: pd.DataFrame, labels: Labels) -> Figure:
        """A heat map of the NLL over a and b; a point without an NLL is left blank."""
        import seaborn
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

        from gud.figures.drawing.notes import evaluated_rows, highest_note
        from gud.figures.drawing.style import COLUMN_WIDTH, NLL_LABEL, small_print
        from gud.report.parameters import is_standard

        points = evaluated_rows(source, self.experiment, "ab")
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
        lowest = points.loc[points.nll_bits_per_dim.idxmin()]
        standard = [(row, "black") for _, row in points[is_standard(points)].iterrows()]
        for row, color in [(lowest, "white"), *standard]:
            corner = grid.columns.get_loc(row.a), grid.index.get_loc(row.b)
            frame = Rectangle(
                corner, 1, 1, fill=False, edgecolor=color, linewidth=1.5, clip_on=False
            )
            axis.add_patch(frame)
        small_print(
            figure,
            f"{labels.data_note}{' Black frame: standard diffusion.' if standard else ''} "
            f"White frame: lowest NLL, {lowest.nll_bits_per_dim:.3f} bits/dim at "
            f"$a = {lowest.a:g}$, $b = {lowest.b:g}${highest_note(points)}.",
            labels.stand_in_note,
        )
        return figure
