"""Text files of data sets: byte-order marks, line ends, gzip; BEIR's and MS MARCO's texts; faults by file and line."""

import gzip

import pytest

from rranker import candidates
from rranker.data import read_texts
from rranker.data.records import csv_rows, json_file, json_lines
from rranker.files import parsed_lines, read_bytes, text_lines

BOM = b"\xef\xbb\xbf"
CORPUS = b"""{"_id": "d1", "title": "Emma", "text": "A novel\xe2\x80\xa8of 1815.", "metadata": {}}
{"_id": 2, "text": "x"}
"""
TEXTS = {"d1": "Emma A novel\u2028of 1815.", "2": "x"}


def put(folder, data, name="file"):
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", BOM])
def test_marks_line_ends_and_gzip(tmp_path, mark, ends, pack):
    corpus = put(tmp_path, pack(mark + CORPUS.replace(b"\n", ends)))
    assert read_texts(corpus) == TEXTS  # a line separator within a text ends no line
    assert list(json_lines(corpus, lambda row: row["_id"])) == ["d1", 2]
    table = put(tmp_path, pack(mark + b"1\tone\n\n2\ttwo  words\n".replace(b"\n", ends)))
    assert read_texts(table) == {"1": "one", "2": "two  words"}
    assert list(text_lines(table)) == [(1, "1\tone"), (2, ""), (3, "2\ttwo  words")]
    rows = put(tmp_path, pack(mark + b'id,text\n1,"a, \x22\x22b\x22\x22"\n'.replace(b"\n", ends)))
    assert list(csv_rows(rows, dict)) == [{"id": "1", "text": 'a, "b"'}]
    whole = put(tmp_path, pack(mark + b'{"a":\n [1]}'.replace(b"\n", ends)))
    assert json_file(whole) == {"a": [1]}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_what_a_byte_order_mark_says(tmp_path, encoding):
    assert read_texts(put(tmp_path, CORPUS.decode().encode(encoding))) == TEXTS
    assert read_bytes(tmp_path / "file") == CORPUS
    assert read_bytes(put(tmp_path, gzip.compress(CORPUS.decode().encode(encoding)))) == CORPUS


def test_utf_16_without_its_mark_is_named(tmp_path):
    path = put(tmp_path, CORPUS.decode().encode("utf-16-le"))
    with pytest.raises(ValueError, match=r"file, line 1: (a NUL byte|not UTF-8)"):
        read_texts(path)
    path = put(tmp_path, "1\tone\n".encode("utf-16-le"))
    with pytest.raises(ValueError, match=r"file, line 1: a NUL byte; the text must be UTF-8"):
        read_texts(path)


def test_quoted_fields_keep_their_line_ends(tmp_path):
    rows = put(tmp_path, b'id,text\r\n1,"two\r\nlines"\r\n2,three\r\n')
    assert [row["text"] for row in csv_rows(rows, dict)] == ["two\r\nlines", "three"]


def test_what_beir_and_ms_marco_call_things(tmp_path):
    rows = b'{"id": "a", "contents": "c"}\n{"docid": 7, "title": null, "passage": "p"}\n{"qid": "q", "query": "?"}\n'
    assert read_texts(put(tmp_path, rows)) == {"a": "c", "7": "p", "q": "?"}
    with pytest.warns(UserWarning, match="whole floats"):
        assert read_texts(put(tmp_path, b'{"_id": 7.0, "text": "x"}\n')) == {"7": "x"}


@pytest.mark.parametrize("name", candidates.ID_NAMES)
def test_a_corpus_may_name_ids_as_candidates_may(tmp_path, name):
    row = f'{{"{name}": "d1", "text": "x"}}\n'.encode()
    assert read_texts(put(tmp_path, row)) == {"d1": "x"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (CORPUS + b'{"_id": "d3", "text": \n', "line 3: not JSON: Expecting value at column 23"),
        (b'{"_id": "a"}\n', "line 1: no text or contents .*; it has _id"),
        (b'{"_id": "a", "text": ' + b"[" * 100_000 + b"\n", "line 1: JSON that cannot be read: .*recursion"),
        (b'{"_id": ' + b"7" * 5000 + b"}\n", "line 1: Exceeds the limit"),
        (b'\n{"text": "a"}\n', "line 2: no _id or id .*; it has text"),
        (b'{"_id": true, "text": "a"}\n', "line 1: the id must be a string, .* not bool"),
        (b'{"_id": "a", "text": 5}\n', "line 1: text and title must be strings"),
        (b'{"_id": "7", "text": "a"}\n{"_id": 7, "text": "b"}\n', "line 2: the id '7' appears twice"),
        (b"1\tone\n2 two\n", "line 2: a row has 2 columns .* this one has 1"),
        (b"1\tone\r2\ttwo\tmore\r", "line 2: a row has 2 columns .* this one has 3"),
        (b"1\tone\n2\t\xff\n", "line 2: not UTF-8 text"),
        (b"\n" * 5000 + b"2\tcaf\xe9\n", "line 5001: not UTF-8 text"),
        (gzip.compress(b"1\tone\n" * 500, mtime=0)[:-9], "file is not a whole gzip file"),
        (b"\n", "file holds no texts"),
    ],
)
def test_unreadable_texts_are_named_by_file_and_line(tmp_path, data, message):
    with pytest.raises(ValueError, match=f"file.*{message}" if "line" in message else message):
        read_texts(put(tmp_path, data))


def test_other_readers_name_file_and_line(tmp_path):
    with pytest.raises(ValueError, match="file, line 2: not JSON: Expecting value at column 2"):
        json_file(put(tmp_path, b'{"a":\n }'))
    for data in (b"[" * 100_000, b"7" * 5000):
        with pytest.raises(ValueError, match="file, line 1: JSON that cannot be read"):
            json_file(put(tmp_path, data))
    with pytest.raises(ValueError, match="file, line 2: no 'title'") as caught:
        list(json_lines(put(tmp_path, b'{"title": 1}\n{}\n'), lambda row: row["title"]))
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(ValueError, match="line 1: a JSON object is needed, not list"):
        list(json_lines(put(tmp_path, b"[1]\n"), dict))
    with pytest.raises(ValueError, match="file, line 3: could not convert string to float: 'x'"):
        list(csv_rows(put(tmp_path, b"a\n1\nx\n"), lambda row: float(row["a"])))
    with pytest.raises(ValueError, match="file, line 3: invalid literal for int"):
        list(parsed_lines(put(tmp_path, b"head\n1\nx\n"), int, header=True))
    for reader in (read_texts, read_bytes, json_file):
        with pytest.raises(FileNotFoundError, match=r"cannot read the file: .*none"):
            reader(tmp_path / "none")


def test_a_field_that_csv_refuses_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"line 3.*field larger than field limit"):
        list(csv_rows(put(tmp_path, b"a,b\n1,2\n1," + b"x" * 200_000 + b"\n"), dict))
