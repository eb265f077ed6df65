"""The headline numbers of a preset."""

import numpy as np
from commands import gud, write_preset
from presets import tiny_preset
from table_artefacts import BITS, METRIC, likelihood, quality

from gud.report import summary, tables


def test_summary_gives_best_point_spread_and_figures(tmp_path, points):
    table = tmp_path / "t.csv"
    made = tables.tabulate([*points, quality(tmp_path, 0.5, 2.25)])
    made.to_csv(table, index=False)
    out = tmp_path / "summary.md"
    figure = "results/demo/figures/figure3.pdf"
    preset = write_preset(tmp_path / "p.yaml", tiny_preset() | {"stand_in": "patches"})
    assert gud("summary", "--preset", preset, "--out", out, table, figure) == 0
    text = out.read_text()
    spread, band = 0.5 / 3, made.set_index("a").nll_minus_best_band[0.5]
    best = np.mean([4.0, 5.0, 5.8])
    assert f"| a = 1, r = 0 | {best:.4f} ± " in text
    assert f"| {spread:.4f} ± {band:.4f} |" in text
    assert f"{METRIC}: 2.250 at a = 0.5, r = 0" in text
    assert figure in text and "Stand-in: patches" in text


def test_a_summary_may_have_figures_alone(tmp_path):
    preset, out = write_preset(tmp_path / "config/tiny.yaml"), tmp_path / "summary.md"
    assert gud("summary", "--preset", preset, "--out", out, "figure7.pdf") == 0
    assert "- figure7.pdf" in out.read_text()


def test_summary_of_a_table_without_quality_or_standard_point_leaves_cells_empty(tmp_path):
    table = tables.tabulate([likelihood(tmp_path, 0.5, BITS[0.5])])
    cells = [cell.strip() for cell in summary.summarise({"t": table}).splitlines()[6].split("|")]
    assert cells[1] == "scan" and cells[5:7] == ["-", "-"] and cells[8] == "-"
