"""The bench of the host's time walks real steps, and its parts are parts of the whole."""

from __future__ import annotations

from bench import host


def test_every_part_takes_time_within_the_step(monkeypatch, capsys):
    monkeypatch.setattr(host, "QUERIES", 3)
    monkeypatch.setattr(host, "CANDIDATES", 5)
    monkeypatch.setattr(host, "tokenising", lambda: 0.001)
    monkeypatch.setattr("sys.argv", ["bench.host", "--repeat", "1"])
    host.main()
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.endswith("12 questions")  # none was asked in vain: the model says the same each time
    table = {name.strip(): float(step) for _, name, step, *_ in (row.split("|") for row in rows[2:9])}
    whole = table.pop("all of the step")
    assert set(table) | {"all of the step"} == set(host.PARTS)
    assert 0 < sum(table.values()) < whole
