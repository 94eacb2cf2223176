"""Tests that detect delimiters, quotes and encodings of files, and refuse ambiguous files."""

import csv
import gzip
import io
import random

import pytest

from hf_rnn.text import delimited, encodings
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.delimited import DelimitedFile
from hf_rnn.text.dialects import ExactReader
from hf_rnn.text.loading import load
from hf_rnn.utils.errors import UserError

ROWS = [["warm soup, really", "good"], ["old; bread", "bad"], ["tea | milk", "good"], ["fine\tcake", "bad"]] * 3


def rows_of(path, **settings) -> list[list]:
    """Return the values of a file's rows."""
    return [list(row.values()) for row in load(DataArguments(path=str(path), **settings))["train"]]


def write(path, rows, delimiter=",", header=("text", "label"), encoding="utf-8", newline="\n", **how):
    """Write a table with Python's csv module, and return its path."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=newline, **how)
    writer.writerows([*([header] if header else []), *rows])
    path.write_bytes(stream.getvalue().encode(encoding))
    return path


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(delimiter, newline, tmp_path):
    how = {"quoting": csv.QUOTE_ALL} if delimiter == "\t" else {}
    assert rows_of(write(tmp_path / "a.csv", ROWS, delimiter, newline=newline, **how)) == ROWS


@pytest.mark.parametrize("delimiter", [",", ";", "|", "^"])
def test_a_delimiter_can_be_named(delimiter, tmp_path):
    assert rows_of(write(tmp_path / "a.csv", ROWS, delimiter), delimiter=delimiter) == ROWS


def test_delimiters_that_fit_alike_are_asked_about(tmp_path):
    (tmp_path / "a.csv").write_text("one;two,three\nfour;five,six\n")
    with pytest.raises(UserError, match=r"separated by comma or semicolon: write data.delimiter='comma'"):
        rows_of(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.tsv", 'id\ttext\n1\t"warm soup\n2\told bread\n3\tbread"\n4\ttea\n',
         [["1", '"warm soup'], ["2", "old bread"], ["3", 'bread"'], ["4", "tea"]]),
        ("a.tsv", 'text\tlabel\na "b" c\t1\n"d"\t2\n', [['a "b" c', "1"], ['"d"', "2"]]),
        ("a.tsv", '"text"\t"label"\n"a ""b"" c"\t"1"\n"d"\t"2"\n', [['a "b" c', "1"], ["d", "2"]]),
        ("a.tsv", 'text\tlabel\n"two\nlines"\t1\nd\t2\n', [["two\nlines", "1"], ["d", "2"]]),
        ("a.csv", 'text,label\n5" disk,1\na "b" c,2\n', [['5" disk', "1"], ['a "b" c', "2"]]),
        ("a.csv", 'text,label\n"a \\"b\\" c, d",1\n"\\\\",2\n', [['a "b" c, d', "1"], ["\\", "2"]]),
        ("a.csv", 'text,label\n"a ""b"", c",1\n"C:\\",2\n', [['a "b", c', "1"], ["C:\\", "2"]]),
        ("a.csv", "text,label\r\na\u0085b,1\r\n\u2028,2\r\n", [["a\u0085b", "1"], ["\u2028", "2"]]),
        ("a.csv", "text,label\r\r\na,good\r\r\nb,bad\r\r\n", [["a", "good"], ["b", "bad"]]),
        ("a.csv", "text,label\ra,1\rb,2\r", [["a", "1"], ["b", "2"]]),
        ("a.csv", "text,label\n\na,1\n   \nb,2\n\n\n", [["a", "1"], ["b", "2"]]),
    ],
)  # fmt: skip
def test_quotes_and_line_ends(name, text, rows, tmp_path):
    (tmp_path / name).write_text(text, newline="")
    assert rows_of(tmp_path / name) == rows


def test_quotes_and_escapes_can_be_named(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n'a, b',1\n'it''s',2\n")
    assert rows_of(tmp_path / "a.csv", quotechar="'") == [["a, b", "1"], ["it's", "2"]]
    (tmp_path / "b.csv").write_text('text,label\n"open,1\n')
    assert rows_of(tmp_path / "b.csv", quotechar="none") == [['"open', "1"]]


def test_a_backslash_before_quotes_is_found_late_in_a_file(tmp_path):
    rows = "plain words of a text,1\n" * 20_000
    (tmp_path / "a.csv").write_text(f'text,label\n{rows}"late \\"quote\\", here",2\n')
    assert rows_of(tmp_path / "a.csv")[-1] == ['late "quote", here', "2"]


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("text,label\nfine,good\n", True),
        ("warm soup today\tgood\nold bread of before\tbad\nmore of the soup\tgood\n", False),
        ("0,warm soup\n1,old bread\n2,tea\n", False),
        ("0,1\nwarm soup,good\nold bread,bad\n", True),
        ("Nr,Stimmung\n1,gut\n2,gut\n3,schlecht\n", True),
        ("2024-01-01,warm soup\n2024-01-02,old bread\n", False),
        ("I liked this soup a lot\nI hated that old bread\n", False),
        ("评论,情感\n很好,好\n不好,坏\n", True),
        ("这个餐厅的汤非常好喝,好\n面包太硬了服务也不好,坏\n服务很好而且很快,好\n", False),
        ("id,text\ntext,text\n7,text\n", True),
        ("what is it?,question\nit is a lamp,answer\nwhere is it?,question\n", False),
        ("hello my friend,question\na,answer\nb,other\nc,question\nd,answer\ne,other\n", False),
        ("How was your soup today?,Stars\nit was warm,3\nit was cold,1\n", True),
    ],
)
def test_a_first_row_like_all_others_is_a_row(text, header, tmp_path):
    for name in ("a.csv", "a.tsv"):
        if "," not in text or name == "a.csv":
            (tmp_path / name).write_text(text, encoding="utf-8")
            assert (
                DelimitedFile(tmp_path / name, DataArguments(), {"text", "label", "id", "question"}).dialect.header
                is header
            )
    rows = rows_of(tmp_path / "a.csv")
    assert len(rows) == text.count("\n") - header


def test_a_header_that_is_not_plain_is_asked_about(tmp_path):
    rows = "a good day\tpos\na bad day\tneg\n" * 4
    (tmp_path / "a.tsv").write_text(f"such a long first row it was\tmixed\n{rows}")
    with pytest.raises(UserError, match=r"may be a header or a row.*data.header=True, or data.header=False"):
        rows_of(tmp_path / "a.tsv")
    assert len(rows_of(tmp_path / "a.tsv", header=False)) == 9
    assert len(rows_of(tmp_path / "a.tsv", header=True)) == 8


def test_columns_without_names_are_numbered(tmp_path):
    (tmp_path / "a.csv").write_text("1,x,a\n2,y,b\n3,x,c\n")
    assert load(DataArguments(path=str(tmp_path / "a.csv")))["train"].column_names == [
        "column_1",
        "column_2",
        "column_3",
    ]
    (tmp_path / "b.csv").write_text(",text,\n0,a,\n")
    assert load(DataArguments(path=str(tmp_path / "b.csv")))["train"].column_names == ["column_1", "text", "column_3"]


def test_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("text,text,label\na,b,1\n")
    with pytest.raises(UserError, match=r"several columns called 'text' \(text, text, label\)"):
        rows_of(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("text,id\nwarm soup, really good,1\n", 2, "3 fields, and the first row has 2: 'warm soup, really good,1'"),
        ("text,label\na,1\nb\nc,2\n", 3, "1 fields, and the first row has 2: 'b'"),
        ('text,label\n"two\nlines",1\nb,2,3\n', 4, "3 fields"),
        ('text,label\n"a"b,1\n', 2, "broken quotes: '\"a\"b,1'"),
        ('text,label\na,1\n"open,2\nb,3\n', 3, "broken quotes: '\"open,2'"),
        ("text\nwarm, really\n", 2, "2 fields, and the first row has 1"),
    ],
)
def test_malformed_rows_are_named_or_left_out(text, line, told, tmp_path, caplog):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError) as error:
        rows_of(tmp_path / "a.csv")
    assert f"'{tmp_path / 'a.csv'}' cannot be read as .csv: line {line} has" in str(error.value)
    assert told in str(error.value)
    (tmp_path / "b.csv").write_text(text + ("" if text.startswith("text\n") else "more,2\n"))
    if not text.startswith(("text\n", "text,id")):
        rows = rows_of(tmp_path / "b.csv", on_bad_rows="skip")
        assert rows[-1] == ["more", "2"]
        assert f"1 bad rows were left out (lines {line})" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_are_found(encoding, tmp_path):
    rows = [["süße Suppe", "gut"], ["评论", "坏"], ["😀", "gut"]]
    assert rows_of(write(tmp_path / "a.csv", rows, encoding=encoding)) == rows


@pytest.mark.parametrize(
    "text",
    [
        "Die Suppe war süß – für 5 €",
        "La soupe était déjà goûtée, c’est bon",
        "¡Qué sopa! La niña comió",
        "Brødet var gammelt på høsten",
        "The soup wasn’t “warm”…",
    ],
)
def test_western_european_files_are_read_and_said(text, tmp_path, caplog):
    assert rows_of(write(tmp_path / "a.csv", [[text, "x"]], ";", encoding="cp1252")) == [[text, "x"]]
    assert "is not UTF-8 and is read as cp1252" in caplog.text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("很好吃的汤", "gb18030"), ("Суп был вкусный", "cp1251"), ("příliš žluťoučký kůň", "cp1250"),
     ("スープはとても温かかった", "shift_jis"), ("çorba güzeldi, ılık ve şekerli", "cp1254"), ("η σούπα", "cp1253")],
)  # fmt: skip
def test_other_encodings_have_to_be_named(text, encoding, tmp_path):
    file = write(tmp_path / "a.csv", [[text, "x"]], encoding=encoding)
    with pytest.raises(UserError, match=r"is not utf-8 \(byte 0x[0-9a-f]{2}\): name its encoding"):
        rows_of(file)
    assert rows_of(file, encoding=encoding) == [[text, "x"]]


@pytest.mark.proof
@pytest.mark.slow
def test_a_byte_that_is_not_utf8_late_in_a_file_is_found(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,label\n" + b"plain words,1\n" * 900_000 + "süß,2\n".encode("cp1252"))
    assert rows_of(tmp_path / "a.csv")[-1] == ["süß", "2"]


@pytest.mark.parametrize("part", [64, 257, 1 << 20])
def test_the_fast_reader_reads_what_the_exact_one_reads(part, tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", part)
    texts = ['a "b" c', "two\nlines", "", " ", ',";', "é" * 40, '"', '""', "x" * 300, "\r\n", "\\", "0012"]
    rows = [[text, other] for text in texts for other in texts]
    file = write(tmp_path / "a.csv", rows, quoting=csv.QUOTE_MINIMAL, newline="\r\n")
    read = DelimitedFile(file, DataArguments(), {"text", "label"})
    records = ExactReader(read.dialect).records(file.read_bytes(), final=True)
    expected = [[field.decode() for field in record.fields] for record in records][1:]
    assert expected == rows
    got = [[value or "" for value in row.values()] for table in read for row in table.to_pylist()]
    assert got == rows


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.slow
def test_rows_are_the_same_however_a_file_is_cut_into_blocks(seed, tmp_path, monkeypatch):
    """Compare the reading in blocks with one reading of all bytes, for files with many irregularities."""
    draw, file = random.Random(seed), tmp_path / "a.csv"
    for _ in range(100):
        monkeypatch.setattr(delimited, "BLOCK", draw.choice([16, 64, 257, 1024]))
        monkeypatch.setattr(delimited, "BLOCKS", draw.choice([1, 2, 16]))
        monkeypatch.setattr(delimited, "PIECE", draw.choice([8, 100]))
        width, characters = draw.randint(1, 4), draw.choice(["ab ", 'ab",;\n', 'a"', 'é\u2028\ufeff\rx,\n"', '\\,"\n'])
        fields = [
            ["".join(draw.choices(characters, k=draw.choice([0, 1, 3, 60]))) for _ in range(width)] for _ in range(90)
        ]
        newline = draw.choice(["\n", "\r\n"])
        header = [f"column {number}" for number in range(width)]
        if draw.random() < 0.5:
            write(file, fields, header=header, newline=newline, quoting=draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        else:
            file.write_text(newline.join(",".join(row) for row in [header, *fields]), encoding="utf-8", newline="")
        written = {"delimiter": ",", "quotechar": '"', "escapechar": draw.choice(["none", "\\"]), "header": True}
        read = DelimitedFile(file, DataArguments(on_bad_rows="skip", encoding="utf-8", **written))
        records = list(ExactReader(read.dialect).records(file.read_bytes(), final=True))[1:]
        expected = [[field.decode() or None for field in record.fields or ()] for record in records]
        got = [list(row.values()) for table in read for row in table.to_pylist()]
        assert got == [row for row in expected if len(row) == width]


def test_arrow_reads_plain_files(tmp_path, monkeypatch):
    """Check that plain files do not need the exact reader, which is about a hundred times slower."""
    monkeypatch.setattr(DelimitedFile, "_exactly", None)
    assert (
        rows_of(write(tmp_path / "a.csv", [*ROWS, ['a "quoted" word', "two\nlines"]] * 500))[-1][0] == 'a "quoted" word'
    )


@pytest.mark.parametrize(
    "text",
    [
        "warm soup good\nbad bread tea\nfine rolls now\n",
        "neu\tgood soup\nneg\tbad bread\nneg\tfine tea\npos\tx y\npos\tz w\n",
    ],
)
def test_short_texts_are_not_taken_for_names(text, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=r"may be a header or a row, because 'warm|good soup"):
        rows_of(tmp_path / "a.csv")


def test_lines_for_excel_and_other_endings_are_told(tmp_path):
    (tmp_path / "a.csv").write_text("sep=;\ntext;label\na;b\n")
    with pytest.raises(UserError, match=r"begins with 'sep=;', which is for Excel and not a row: delete that line"):
        rows_of(tmp_path / "a.csv")
    (tmp_path / "a.tsv").write_text("text,label\na b,1\n")
    with pytest.raises(UserError, match=r"is a .tsv file, but its first row, 'text,label', has no tab"):
        rows_of(tmp_path / "a.tsv")
    assert rows_of(tmp_path / "a.tsv", delimiter="comma") == [["a b", "1"]]
    (tmp_path / "data.tsv.csv").write_text("text,label\na b,1\n")
    assert rows_of(tmp_path / "data.tsv.csv") == [["a b", "1"]]
    (tmp_path / "b.csv").write_bytes(gzip.compress(b"text\na\n"))
    with pytest.raises(UserError, match=r"is not text, but a compressed file, .gz: give it the ending .gz"):
        rows_of(tmp_path / "b.csv")


@pytest.mark.parametrize("part", [16, 1 << 20])
def test_a_mark_of_byte_order_within_a_file_is_a_character(part, tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", part)
    rows = [["\ufeff", "a"], ["\ufeffb", "\ufeff"]] * 20
    assert rows_of(write(tmp_path / "a.csv", rows)) == rows


@pytest.mark.parametrize("place", ["before", "behind"])
def test_one_wrong_byte_in_a_file_of_utf8_does_not_change_the_others(place, tmp_path):
    good, wrong = "it’s warm,1\n".encode() * 3, b"caf\xe9,2\n"
    (tmp_path / "a.csv").write_bytes(b"text,label\n" + (wrong + good if place == "before" else good + wrong))
    with pytest.raises(UserError, match=r"is not utf-8 \(byte 0xe9\)"):
        rows_of(tmp_path / "a.csv")


def test_a_wrong_byte_at_the_end_of_a_part(tmp_path, monkeypatch):
    monkeypatch.setattr(encodings, "PART", 16)
    (tmp_path / "a.csv").write_bytes(b"text,label\nabcd\xe9,1\nplain,2\n")
    assert rows_of(tmp_path / "a.csv") == [["abcdé", "1"], ["plain", "2"]]


@pytest.mark.parametrize("settings", [{"delimiter": ",", "quotechar": ","}, {"quotechar": '"', "escapechar": '"'}])
def test_characters_that_mean_two_things_are_refused(settings):
    with pytest.raises(UserError, match=r"must be different characters"):
        DataArguments(**settings)


@pytest.mark.parametrize(
    "settings", [{"delimiter": "::"}, {"delimiter": "§"}, {"quotechar": "ab"}, {"delimiter": "none"}]
)
def test_characters_that_are_none_are_refused(settings):
    with pytest.raises(UserError, match=r"must be one ASCII character|name it .txt"):
        DataArguments(**settings)


@pytest.mark.parametrize("form", ["ab{}", "x-{}", "user{}@mail.org", "A{}B", "№{}"])
def test_names_that_end_in_digits_are_a_header(form, tmp_path):
    rows = [[form.format(n), "the lamp was good", ("pos", "neg")[n % 2]] for n in range(40)]
    assert rows_of(write(tmp_path / "a.csv", rows, header=("key1", "utterance", "mood"))) == rows
    assert rows_of(write(tmp_path / "b.csv", rows, header=None)) == rows


@pytest.mark.parametrize("names", [("2020", "2021", "mood"), ("7", "8", "verdict"), ("x", "1.5", "outcome")])
def test_a_first_row_that_is_like_the_others_and_unlike_them_is_asked_about(names, tmp_path):
    rows = [[f"the lamp was good {n}", str(n), ("pos", "neg")[n % 2]] for n in range(40)]
    with pytest.raises(
        UserError, match=rf"{names[2]!r} does not occur again in its column. Write data.header=True, or"
    ):
        rows_of(write(tmp_path / "a.csv", rows, header=names))
    assert rows_of(tmp_path / "a.csv", header=True) == rows


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("title", ["Report", "Export 2024", "12"])
def test_a_title_above_the_header_is_told(title, delimiter, tmp_path):
    rows = [["id", "text", "label"], *([str(n), "the lamp was good", "ab"[n % 2]] for n in range(40))]
    with pytest.raises(
        UserError, match=rf"begins with {title!r}, a title above the names of the columns, id, text, label"
    ):
        rows_of(write(tmp_path / "a.csv", rows, delimiter, header=(title, "", "")), delimiter=delimiter)


def test_the_quote_is_not_taken_for_the_delimiter(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    assert rows_of(tmp_path / "a.csv", quotechar=",") == [["a,b"]]
