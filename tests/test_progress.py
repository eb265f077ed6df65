import logging
import re

from gud import progress as progress_module
from gud.progress import progress


def test_without_a_terminal_progress_writes_lines_to_the_log(monkeypatch, caplog):
    monkeypatch.setattr(progress_module, "LOG_SECONDS", 1e-9)
    with caplog.at_level(logging.INFO):
        bar = progress(range(4, 6), unit="step", label="tiny", total=6)
        for _ in bar:
            bar.set_postfix_str("loss 0.1234", refresh=False)
    line = re.compile(r"tiny: (\d)/6 steps, [\d.e+]+ step/s, 00:00 left, loss 0\.1234")
    matches = [line.fullmatch(message) for message in caplog.messages]
    assert all(matches)
    assert [match[1] for match in matches][-2:] == ["6", "6"]
    assert len(matches) == 3
