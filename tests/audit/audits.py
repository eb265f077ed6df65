"""Audits of a file: what the command says, and what each file on the way comes to."""

from commands import gud

from gud.audit.chain import audit


def run(capsys, file):
    status = gud("audit", file)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def statuses(file):
    return {finding.path.name: finding.status for finding in audit(file)}
