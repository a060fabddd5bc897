"""Files as they come: byte-order marks, line ends, BEIR's and MS MARCO's columns; faults by file and line."""

import gzip
import locale

import numpy as np
import pytest

from rranker.metrics import evaluate, read_qrels, read_run, write_qrels, write_run

BOM = b"\xef\xbb\xbf"
QRELS = b"q1 0 a 1\nq1 0 b 1\nq2 0 a 1\n"
RUN = b"q1 Q0 a 1 2 t\nq1 Q0 b 2 1.5 t\nq2 Q0 a 1 1 t\n"
JUDGED = {"q1": {"a": 1, "b": 1}, "q2": {"a": 1}}
SCORED = {"q1": {"a": 2.0, "b": 1.5}, "q2": {"a": 1.0}}


def put(folder, data, name="file"):
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r", b"\r\r\n", b"\n\r"])
@pytest.mark.parametrize("mark", [b"", BOM])
def test_marks_and_line_ends(tmp_path, mark, ends, pack):
    qrels = put(tmp_path, pack(mark + QRELS.replace(b"\n", ends)), "qrels")
    run = put(tmp_path, pack(mark + RUN.replace(b"\n", ends)), "run")
    assert read_qrels(qrels) == JUDGED
    assert read_run(run) == SCORED
    result = evaluate(qrels, run, ["AP", "NumQ"])
    assert dict(result) == {"AP": 1.0, "NumQ": 2.0}
    assert result.not_retrieved == result.not_judged == ()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16(tmp_path, encoding):
    text = RUN.decode() if encoding == "utf-16" else "\ufeff" + RUN.decode()
    assert read_run(put(tmp_path, text.encode(encoding))) == SCORED


def test_joined_files_have_marks_in_the_middle(tmp_path):
    assert read_qrels(put(tmp_path, BOM + QRELS + BOM + b"q3 0 c 2\n")) == JUDGED | {"q3": {"c": 2}}


def test_a_file_of_carriage_returns_is_read_in_linear_time(tmp_path):
    rows = 200_000
    run = read_run(put(tmp_path, b"".join(b"q Q0 d%d 1 1 t\r" % i for i in range(rows))))
    assert len(run["q"]) == rows


@pytest.mark.parametrize("gap", [b"\t", b" "])
@pytest.mark.parametrize("header", [b"query-id\tcorpus-id\tscore", b"qid\tdocno\tRelevance"])
def test_beir(tmp_path, header, gap):
    rows = b"q1\ta\t1\nq1\tb\t1\nq2\ta\t1\n"
    path = put(tmp_path, BOM + (header + b"\n" + rows).replace(b"\t", gap))
    assert read_qrels(path) == JUDGED
    assert evaluate(path, put(tmp_path, RUN, "run"), "AP")["AP"] == 1.0


def test_beir_with_scores_and_with_blanks_in_ids(tmp_path):
    head = b"query-id\tcorpus-id\tscore\n"
    assert read_run(put(tmp_path, head + b"q1\ta\t2\nq1\tb\t1.5\n\nq2\ta\t1e0\r\n")) == SCORED
    assert read_qrels(put(tmp_path, head + b"q 1\tdoc  a \t1.0\n")) == {"q 1": {"doc  a": 1}}
    assert read_qrels(put(tmp_path, head)) == {}


def test_ms_marco(tmp_path):
    run = put(tmp_path, b"q1\tb\t1\nq1\ta\t2\nq1\tc\t3\nq2\ta\t1\n", "run")
    assert read_run(run) == {"q1": {"b": -1.0, "a": -2.0, "c": -3.0}, "q2": {"a": -1.0}}
    qrels = put(tmp_path, b"q1\t0\ta\t1\nq2\t0\ta\t1\n")  # qrels.dev.small.tsv
    assert evaluate(qrels, run, "RR@10").per_query("RR@10") == {"q1": 0.5, "q2": 1.0}
    assert read_run(put(tmp_path, b"qid\tpid\trank\nq1\tb\t1\n")) == {"q1": {"b": -1.0}}


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"q Q0 a 1 1.5\0zz t\n", 1, "a NUL byte; the file must be UTF-8 text"),
        (RUN + RUN.decode().encode("utf-16-le"), 4, "a NUL byte"),
        (b"q Q0 a 1 1 t\rq Q0 b 2 x\xff t\r", 2, r"the score must be a number, not 'x\\xff'"),
        (b"q Q0 a 1 1 t\r\nq Q0 b 2 \xe2\x82 t\r\n", 2, r"not '\\xe2\\x82'"),
        (b"q Q0 a 1 1 t\nq Q0 b 2 \xe6\x97\xa5 t\n", 2, "not '日'"),
        (b"q Q0 a 1 0x1p3 t\n", 1, "the score must be a number, not '0x1p3'"),
        (b"q Q0 a 1 1,5 t\n", 1, "the score must be a number, not '1,5'"),
        (b"q Q0 a 1 nan t\n", 1, "the score must be a number"),
        (b"q Q0 a 1 " + b"9" * 999 + b"x t\n", 1, r"not '9{80}\.\.\.'"),
        (b"q a 1\nq b first\n", 2, "the third of three columns is a rank"),
        (b"q a 0.5\n", 1, "the third of three columns is a rank .* need a header line"),
        (b"q a 1\nq Q0 b 2 1 t\n", 2, r"3 columns \(query document rank\), this one has 6"),
        (b"q Q0 a 1 1 t\nq b 1\n", 2, "a run row has 6 columns .*, this one has 3"),
        (b"q Q0 a 1\n", 1, r"a run row has 6 columns .* or 3 \(query document rank\), this one has 4"),
        (
            b"query-id\tcorpus-id\tscore\nq\ta\t1\t2\n",
            2,
            r"3 columns \(query document score\), this one has 4",
        ),
        (b"query-id\tcorpus-id\tscore\nq\t\t1\n", 2, "no document id"),
        (b"query-id\tcorpus-id\tscore\n\ta\t1\n", 2, "no query id"),
    ],
)
def test_malformed_runs_are_named_by_file_and_line(tmp_path, data, line, message):
    with pytest.raises(ValueError, match=rf"my run, line {line}: .*{message}"):
        read_run(put(tmp_path, data, "my run"))


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"q a 1\n", 1, "a qrels row has 4 columns .* this one has 3; 3 need a header line, such as BEIR's"),
        (b"query-id corpus-id score\nq a 1.5\n", 2, "the relevance must be an integer, not '1.5'"),
        (b"q 0 a 1\nq 0 b 1e300\n", 2, "the relevance must be an integer"),
        (b"q 0 a \xff\xfe\n", 1, r"not '\\xff\\xfe'"),
    ],
)
def test_malformed_qrels_are_named_by_file_and_line(tmp_path, data, line, message):
    with pytest.raises(ValueError, match=rf"file, line {line}: .*{message}"):
        read_qrels(put(tmp_path, data))


def test_ids_that_are_not_utf_8_are_kept_and_named(tmp_path):
    latin, other = b"q 0 caf\xe9 1\nq 0 b 0\n", b"q Q0 b 1 2 t\nq Q0 caf\xe9 2 1 t\n"
    qrels, run = put(tmp_path, latin), put(tmp_path, other, "run")
    assert evaluate(qrels, run, "RR")["RR"] == 0.5
    assert evaluate(read_qrels(qrels), read_run(run), "RR")["RR"] == 0.5
    write_run(tmp_path / "again", read_run(run))
    assert read_run(tmp_path / "again") == read_run(run)
    with pytest.raises(ValueError, match=r"document 'caf\\xe9' stands twice in the run .*run"):
        evaluate(qrels, put(tmp_path, other + b"q Q0 caf\xe9 3 0 t\n", "run"))


def test_scores_beyond_a_double_and_signs(tmp_path):
    shown = ["+3", "+.5", "1e400", "-1e400", "1e-400", "-1e-400", "5e-324", "Inf", "-infinity", "0e999"]
    shown += ["0." + "0" * 400 + "1e390", "1" + "0" * 400 + "e-399", "1e-99999999999999999999", "1E+2"]
    rows = "".join(f"q Q0 d{i} 0 {s} t\n" for i, s in enumerate(shown))
    assert list(read_run(put(tmp_path, rows.encode()))["q"].values()) == [float(s) for s in shown]
    for wrong in ("+-3", "++3", "--3", "1e", "e5", ".", "+", "- 1", "1_000", "infinit"):
        with pytest.raises(ValueError, match="must be a number"):
            read_run(put(tmp_path, f"q Q0 a 0 {wrong.replace(' ', chr(0xA0))} t\n".encode()))


def test_the_locale_does_not_move_the_point(tmp_path):
    path = put(tmp_path, b"q Q0 a 1 1.2345678901234567891 t\n")
    before = locale.setlocale(locale.LC_NUMERIC)
    try:
        locale.setlocale(locale.LC_NUMERIC, "de_DE.UTF-8")
    except locale.Error:
        pytest.skip("no German locale here")
    try:
        assert read_run(path) == {"q": {"a": 1.2345678901234567891}}
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)


def test_whole_levels_may_have_a_point(tmp_path):
    rows = b"q 0 a 1.0\nq 0 b +2\nq 0 c -1\nq 0 d 0.\n"
    assert read_qrels(put(tmp_path, rows)) == {"q": {"a": 1, "b": 2, "c": -1, "d": 0}}
    levels = {"q": {"a": 1.0, "b": np.float32(2), "c": np.int8(0), "d": True}}
    write_qrels(tmp_path / "out", levels)
    assert (tmp_path / "out").read_text() == "q 0 a 1\nq 0 b 2\nq 0 c 0\nq 0 d 1\n"
    for wrong in (1.5, float("nan"), "1"):
        with pytest.raises(TypeError, match="the relevance of document 'a' of query 'q' must be whole"):
            write_qrels(tmp_path / "out", {"q": {"a": wrong}})


def test_what_a_file_cannot_hold_is_refused(tmp_path):
    for wrong in ("", "a b", "a\0b", "a\ud800"):
        with pytest.raises(ValueError, match="cannot stand in a TREC file"):
            write_run(tmp_path / "x", {"q": {wrong: 1.0}})
    for wrong in ("#q", "\ufeffq"):
        with pytest.raises(ValueError, match="cannot stand in a TREC file"):
            write_qrels(tmp_path / "x", {wrong: {"d": 1}})
    with pytest.raises(TypeError, match="the score of document 'd' of query 'q' must be a number, not str"):
        write_run(tmp_path / "x", {"q": {"d": "1.0"}})
    assert not (tmp_path / "x").exists()


def test_errors_of_the_system_keep_their_kind(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError, match=r"cannot read the run file: .*file"):
        read_run(tmp_path / "file")
