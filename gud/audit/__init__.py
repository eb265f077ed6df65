"""What can be held against the artefacts: their records, their mathematics, a second run.

`gud audit` follows one artefact to the data, `gud trace` tells how it came about, `gud verify`
checks every artefact of a preset.
"""
