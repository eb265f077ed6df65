"""Every module of `paper` and of `further` is a figure, or a table, of its own name.

See `gud.config.figures`. `drawing` is what they share, `pictures` shows data sets and bases.
"""
