"""The kinds of artefacts and what they are made from, as a drawing that needs no program."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape

WIDTH, HEIGHT = 132, 34
"""Of a box, in pixels."""
GAP, FALL = 18, 46
"""Between boxes of a layer, and between layers."""

Sources = Mapping[str, Collection[str]]
"""The kinds that each kind is made from."""


def layers_of(kinds: Collection[str], sources: Sources) -> list[list[str]]:
    """The kinds by the longest way from those that are made from none."""
    depth = dict.fromkeys(kinds, 0)
    for _ in kinds:
        for name in kinds:
            above = [depth[source] for source in sources.get(name, ()) if source != name]
            depth[name] = min(max(above, default=-1) + 1, len(kinds) - 1)
    found: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in sorted(kinds):
        found[depth[name]].append(name)
    return [layer for layer in found if layer]


def svg(counts: Mapping[str, int], sources: Sources) -> str:
    """A drawing of the kinds: a box for each with its count, an arrow to what is made from it."""
    layers = layers_of(counts, sources)
    most = max((len(layer) for layer in layers), default=0)
    width, height = most * (WIDTH + GAP), len(layers) * (HEIGHT + FALL)
    place = {
        name: ((number + 0.5) * width / len(layer), row * (HEIGHT + FALL) + HEIGHT / 2 + 4)
        for row, layer in enumerate(layers)
        for number, name in enumerate(layer)
    }
    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        'aria-label="What each kind of artefact is made from">',
        '<defs><marker id="tip" markerWidth="7" markerHeight="7" refX="6" refY="3" '
        'orient="auto"><path d="M0,0 L6,3 L0,6 z"/></marker></defs>',
    ]
    for name, (x, y) in place.items():
        for source in sorted(sources.get(name, ())):
            if source not in place or source == name:
                continue
            start, end = place[source], (x, y - HEIGHT / 2)
            middle = (start[1] + HEIGHT / 2 + end[1]) / 2
            parts.append(
                f'<path class="edge" marker-end="url(#tip)" d="M{start[0]:.0f},'
                f"{start[1] + HEIGHT / 2:.0f} C{start[0]:.0f},{middle:.0f} {x:.0f},"
                f'{middle:.0f} {x:.0f},{end[1]:.0f}"/>'
            )
    for name, (x, y) in place.items():
        parts.append(
            f'<rect x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}" '
            f'height="{HEIGHT}" rx="5"/><text x="{x:.0f}" y="{y - 2:.0f}">{escape(name)}</text>'
            f'<text class="count" x="{x:.0f}" y="{y + 11:.0f}">{counts[name]}</text>'
        )
    return "".join([*parts, "</svg>"])
