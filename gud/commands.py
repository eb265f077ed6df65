"""What `gud` can do: what people call, the steps that the workflow calls, and pictures.

Every command is a function of the room that does its work, imported when it is called.
"""

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "For people": {
        "audit": ("gud.audit.chain", "Follow an artefact to everything it was made from."),
        "trace": ("gud.audit.trace", "Show where an artefact or a row of a table comes from."),
        "verify": ("gud.audit.verify", "Check every artefact of a preset."),
        "publish": ("gud.audit.publish", "Copy artefacts with the records of their ancestors."),
        "crate": ("gud.audit.crate", "Write a preset with its provenance as an RO-Crate."),
        "compare": ("gud.audit.reproduce", "Compare two runs of a preset, artefact by artefact."),
        "report": ("gud.webpage.report", "Write one page of a preset, with all its checks."),
        "watch": ("gud.planning.watch", "Show how far a preset has got, from its files alone."),
        "bill": ("gud.planning.bill", "Estimate what a preset will cost before it runs."),
        "evaluate-to": (
            "gud.evaluate.requests.run",
            "Evaluate likelihoods to a requested error.",
        ),
        "verdict": ("gud.verdict.run", "Put the papers' claims to the test on what was measured."),
    },
    "Steps of the workflow": {
        "download": ("gud.data.download", "Fetch a file and check its sha256."),
        "dataset": ("gud.data.datasets", "Make a data set of 8-bit images."),
        "centre": (
            "gud.figures.pictures.centring",
            "Compute the mean image and check the dequantisation.",
        ),
        "statistics": ("gud.data.statistics", "Fit mean, basis and variances."),
        "spectrum": ("gud.figures.pictures.spectrum", "Show variances and components of a basis."),
        "train": ("gud.training.run", "Train the network of an experiment."),
        "search": ("gud.evaluate.search", "Find a custom path on training images."),
        "evaluate": ("gud.evaluate.run", "Compute likelihoods or samples in shards."),
        "join": ("gud.evaluate.join", "Join the shards of one point."),
        "quality": ("gud.evaluate.quality.measure", "Measure the quality of samples."),
        "scale": ("gud.evaluate.scale", "Measure how many bits Gaussians, PNG and WebP need."),
        "extend": (
            "gud.evaluate.applications.extend",
            "Draw image strips of any length (Figure 7).",
        ),
        "reconstruct": (
            "gud.evaluate.applications.reconstruct",
            "Reconstruct noised images (Figure 8).",
        ),
        "guide": (
            "gud.evaluate.applications.guide",
            "Draw samples of each class, and judge them.",
        ),
        "inpaint": (
            "gud.evaluate.applications.inpaint",
            "Complete images from a given part.",
        ),
        "table": ("gud.report.tables", "Write the table behind a figure."),
        "figure": ("gud.figures.drawing.draw", "Draw a figure."),
        "comparison": ("gud.report.comparison", "Put the papers' numbers beside ours."),
        "summary": ("gud.report.summary", "Write the headline numbers of a preset."),
    },
    "Pictures of an experiment": {
        "course": ("gud.figures.pictures.course", "Show the course of its training."),
        "likelihoods": ("gud.figures.pictures.likelihoods", "Show its likelihoods image by image."),
        "steps": ("gud.figures.pictures.steps", "Show where their ODE takes its steps."),
        "samples": ("gud.figures.pictures.samples", "Show its first samples."),
    },
}
"""Sections of the help, with the module that holds each command as `main`, and its help."""
