"""The command that draws a figure of a preset."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from matplotlib.figure import Figure

from gud.cli import File, NamedPreset, PictureFile, preset_option
from gud.config.figures import (
    FigureSection,
    Labels,
    figure_of,
    figure_sections,
    figure_settings,
    labels_of,
)
from gud.figures.drawing.style import style, write_figure

DRAWN = [name for name, made in figure_sections().items() if issubclass(made, FigureSection)]


@click.command()
@click.argument("figure", type=click.Choice(DRAWN))
@preset_option()
@click.option("--out", type=PictureFile(), multiple=True, required=True, help="File, .pdf or .png.")
@click.argument("sources", type=File, nargs=-1)
def main(
    figure: str, preset: NamedPreset, out: tuple[Path, ...], sources: tuple[Path, ...]
) -> None:
    """Draw a figure of a preset from SOURCES, the files that it shows."""
    section = figure_of(preset.preset, figure)
    draw(section, labels_of(preset.preset, section), sources, out)


@style()
def drawing(section: FigureSection, source: Any, labels: Labels) -> Figure:
    """A figure of what `section.read` returns, in the style of all."""
    return section.draw(source, labels)


def draw(
    section: FigureSection, labels: Labels, sources: Sequence[Path], out: Sequence[Path]
) -> None:
    """Draw and write a figure."""
    started, settings = time.time(), figure_settings(section, labels)
    figure = drawing(section, section.read(sources), labels)
    write_figure(figure, out, section.title, inputs=sources, settings=settings, started=started)
