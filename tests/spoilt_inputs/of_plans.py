"""Commands that tell what a preset costs, and how far it is."""

from spoilt_command import MODEL, A, Command

COMMANDS = {
    "watch": Command(
        "watch {root}/tiny.yaml --results {root}",
        (
            "iso/training.csv",
            f"iso/nll/shards/{A}/000000.npz",
            "iso/checkpoints/lock",
            "logs/iso/train.log",
            MODEL,
        ),
        (0, 1, 2),
    ),
    "bill": Command(
        "bill {root}/tiny.yaml --results {root} --teraflops 1 --csv {root}/new/bill.csv",
        (
            "iso/training.csv",
            "iso/training.csv.json",
            f"iso/nll/shards/{A}/000000.npz",
            "iso/nll/jobs/0.json",
            "iso/nll/jobs/0.json.json",
        ),
        (0, 2),
        out="new/bill.csv",
    ),
}
