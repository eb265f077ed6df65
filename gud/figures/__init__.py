"""Every module here is a figure, or a table, of its own name: see `gud.config.figures`.

`gud.figures.drawing` is what they share, `gud.figures.pictures` shows data sets and bases.
"""
