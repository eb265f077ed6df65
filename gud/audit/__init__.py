"""What the artefacts are checked against: their records, their mathematics, a second run.

`gud audit` follows one artefact to the data, `gud trace` shows how it was made, `gud verify`
checks every artefact of a preset.
"""
