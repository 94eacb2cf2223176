"""Tests of pretrained vectors: every file format, and untidy files."""

import bz2
import gzip
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.vector_files import (
    FEWER_ROWS,
    TABLE,
    WORDS,
    archive,
    binary,
    fasttext,
    lines,
    make_bert,
    make_model2vec,
    make_own,
    make_quantized,
    make_sharded,
    make_static,
)

import hf_rnn
from hf_rnn.text.vector_sources import open_vectors
from hf_rnn.utils.errors import UserError

FORMATS = {
    "glove.txt": lines().encode(),
    "no-newline.txt": lines().encode().rstrip(b"\n"),
    "header.vec": f"4 3\n{lines(end=' ' + chr(10))}".encode(),
    "header-and-mark.txt": b"\xef\xbb\xbf4 3\n" + lines().encode(),
    "mark.txt": b"\xef\xbb\xbf" + lines().encode(),
    "windows.txt": lines(end="\r\n").encode(),
    "tabs.tsv.txt": lines("\t").encode(),
    "header-and-tabs.txt": b"4\t3\n" + lines("\t").encode(),
    "blanks.txt": b"\n".join([*lines("  ").encode().splitlines(), b"", b"  "]),
    "no-ending": lines().encode(),
    "one.txt.gz": gzip.compress(lines().encode(), mtime=0),
    "one.txt.bz2": bz2.compress(lines().encode()),
    "word2vec.bin": binary(),
    "no-newlines.bin": binary(end=b""),
    "word2vec.bin.gz": gzip.compress(binary(), mtime=0),
    "fasttext.bin": fasttext(),
    "fasttext-11.bin": fasttext(version=11),
    "labels.bin": fasttext(labels=["__label__bad"]),
    "one.zip": archive("some.txt", "__MACOSX/._some.txt"),
    "model2vec": make_model2vec,
    "quantized": make_quantized,
    "static": make_static,
    "bert": make_bert,
    "sharded": make_sharded,
    "own": make_own,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_vectors(name, tmp_path):
    make = FORMATS[name]
    if isinstance(make, bytes):
        (tmp_path / name).write_bytes(make)
    else:
        make(tmp_path / name)
    source = open_vectors(str(tmp_path / name))
    assert source.width == 3
    found = source.read(["bad", "好", "naïve", "good", "missing"])
    assert {word: vector.tolist() for word, vector in found.items()} == WORDS
    assert all(vector.dtype == np.float32 for vector in found.values())
    first = source.first_words(99)
    assert [word for word in first if word in WORDS] == list(WORDS) or name == "own"
    assert {*WORDS} <= {*first}
    assert not {"__label__bad", "##ness", "missing"} & {*first}
    assert source.first_words(2) == first[:2]
    assert not any(source.skipped.values())


def test_a_member_of_an_archive_and_the_only_file_of_a_folder(tmp_path):
    archive("a.50d.txt", "in/a.100d.txt")(tmp_path / "glove.zip")
    source = open_vectors(str(tmp_path / "glove.zip" / "in" / "a.100d.txt"))
    assert source.read(["bad"])["bad"].tolist() == WORDS["bad"]
    for wrong in ("glove.zip", "glove.zip/b.txt"):
        with pytest.raises(UserError, match=r"has a\.50d\.txt, in/a\.100d\.txt: name one, model\.vectors='.*a\.50d"):
            open_vectors(str(tmp_path / wrong))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "model.bin").write_bytes(fasttext())
    (tmp_path / "folder" / "README.md").write_text("about it")
    assert list(open_vectors(str(tmp_path / "folder")).read(["good"])) == ["good"]


@pytest.mark.parametrize(
    ("words", "first"),
    [({"1": [5, 6]}, "1 2"), ({"12": [1], "7": [2]}, "2 1"), ({"a": [float("1e-30")]}, ""), ({"*": [1, 2]}, "")],
)
def test_short_and_numeric_lines(words, first, tmp_path):
    (tmp_path / "v.txt").write_text(f"{first}\n".lstrip() + lines(words=words))
    found = open_vectors(str(tmp_path / "v.txt")).read(words)
    np.testing.assert_allclose([found[word] for word in words], list(words.values()), rtol=1e-6)


def test_binary_files_of_any_numbers_are_known_for_binary(tmp_path):
    """Check binary files whose bytes may also be letters, digits and line ends."""
    generator = np.random.default_rng(0)
    for number in range(300):
        table = generator.integers(0, 256, (3, 4 * int(generator.integers(1, 5))), dtype=np.uint8)
        width = table.shape[1] // 4
        table[:, 3::4] = 63
        if number % 3 == 0:
            table[0, 0] = 10
        data = f"3 {width}\n".encode() + b"".join(b"w%d " % i + row.tobytes() for i, row in enumerate(table))
        (tmp_path / "v.bin").write_bytes(data)
        source = open_vectors(str(tmp_path / "v.bin"))
        assert source.format == "word2vec binary", table[0].tobytes()
        assert source.read(["w2"])["w2"].tobytes() == table[2].tobytes()


def test_fasttext_makes_up_words_from_their_ngrams(tmp_path):
    """Compare the reader with hashes and rows of n-grams as fastText 0.9.2 computes them."""
    buckets = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    (tmp_path / "m.bin").write_bytes(fasttext({"ab": [1.0, 1.0, 1.0]}, buckets.tolist(), least=2, most=3))

    def row(ngram: bytes) -> int:
        value = 2166136261
        for byte in ngram:
            value = ((value ^ ((byte ^ 0x80) - 0x80) & 0xFFFFFFFF) * 16777619) % (1 << 32)
        return value % 50

    source = open_vectors(str(tmp_path / "m.bin"))
    known = [np.ones(3), *(buckets[row(n)] for n in (b"<a", b"<ab", b"ab", b"ab>", b"b>"))]
    np.testing.assert_allclose(source.read(["ab", "ü"])["ab"], np.mean(known, 0), atol=1e-6)
    ngrams = ("<ü", "<üb", "üb", "üb>", "b>")
    np.testing.assert_allclose(
        source.compose(["üb"])["üb"], np.mean([buckets[row(n.encode())] for n in ngrams], 0), atol=1e-6
    )
    (tmp_path / "whole.bin").write_bytes(fasttext({"ab": [1.0, 1.0, 1.0]}, buckets.tolist()))
    source = open_vectors(str(tmp_path / "whole.bin"))
    assert source.read(["ab"])["ab"].tolist() == [1, 1, 1]
    assert source.compose(["üb"]) == {}


def test_fasttext_of_pruned_ngrams_keeps_the_rows_that_are_left(tmp_path):
    data = fasttext({"ab": [1.0]}, [[5.0]] * 10, least=2, most=2, pruned=dict.fromkeys(range(10), 3))
    (tmp_path / "m.bin").write_bytes(data)
    source = open_vectors(str(tmp_path / "m.bin"))
    source.read([])
    assert source.compose(["zz"])["zz"].tolist() == [5]
    (tmp_path / "m.bin").write_bytes(fasttext({"ab": [1.0]}, [[5.0]] * 10, least=2, most=2, pruned={}))
    source = open_vectors(str(tmp_path / "m.bin"))
    assert source.read(["ab"])["ab"].tolist() == [1]
    assert source.compose(["zz"]) == {}


def test_the_first_words_of_a_table_are_those_that_begin_with_its_mark(tmp_path):
    for mark, kind in (("Ġ", "bpe"), ("▁", "unigram")):
        folder = tmp_path / kind
        tokenizer = hf_rnn.train_tokenizer(
            ["good bad café goodbad ▁ Ġ"] * 9, kind=kind, vocab_size=400, show_progress=False
        )
        model = hf_rnn.RNNForSequenceClassification(hf_rnn.RNNConfig(vocab_size=len(tokenizer), embedding_size=3))
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        words = open_vectors(str(folder)).first_words(999)
        begins = [token for token in tokenizer.get_vocab() if token.startswith(mark) and token != mark]
        assert sorted(words) == sorted(tokenizer.backend_tokenizer.decoder.decode([token]).strip() for token in begins)
        assert "good" in words
        assert "café" in words or kind == "unigram"


def test_what_is_passed_over_is_counted(tmp_path):
    untidy = [b"caf\xe9 1 2", b". . . 1 2", b"at me@home 3 4", b"good 1 2", b"good 5 6", b"bad nan 1", b"bad 3 4"]
    (tmp_path / "v.txt").write_bytes(b"first 0 0\n" + b"\n".join(untidy) + b"\nlast 1e39 -inf\nall 8 9\n")
    source = open_vectors(str(tmp_path / "v.txt"))
    found = source.read(["good", "bad", "café", "last", "all", "me@home", "at", "."])
    assert {word: vector.tolist() for word, vector in found.items()} == {"good": [1, 2], "bad": [3, 4], "all": [8, 9]}
    assert dict(source.skipped) == {
        "words that are not UTF-8": 1,
        "words with spaces": 2,
        "vectors of words that had one": 1,
        "vectors with NaN or infinity": 2,
    }
    table = {"good": [1.0, float("nan")], "bad": [1.0, 2.0]}
    for data in (
        fasttext(table),
        b"2 2\n" + b"".join(w.encode() + b" " + np.array(v, "<f4").tobytes() for w, v in table.items()),
    ):
        (tmp_path / "v.bin").write_bytes(data)
        source = open_vectors(str(tmp_path / "v.bin"))
        assert list(source.read(table)) == ["bad"]
        assert +source.skipped == {"vectors with NaN or infinity": 1}


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("v.txt", b"", "is empty"),
        ("v.txt", b"\n \n", "is empty"),
        ("v.txt", b"2 3\n", "has no vectors"),
        ("v.txt", b"0 3\n", "has no vectors"),
        ("v.txt", b"a 1 2\nb 1 2 3\n", r"line 2 of '.*v.txt' has 3 numbers \('b 1 2 3'\), but line 1 has 2"),
        ("v.txt", b"a 1 2\nb 1\n", "line 2 of .* has 1 numbers"),
        ("v.txt", b"2 300\na 1 2\nb 3 4\n", "line 2 of .* has 2 numbers .* the first line declares width 300"),
        ("v.txt", b"3 2\na 1 2\nb 3 4\n", r"declares 3 vectors, but the file has 2: fetch .* \(sed -i 1d FILE\)"),
        ("v.txt", b"1 2\na 1 2\nb 3 4\n", "declares 1 vectors, but the file has 2"),
        ("v.txt", b"a 1 2\nb 3 x\n", "line 2 of .* has 'x' instead of a number"),
        ("v.txt", b"a 1 2\nb 3,5 4\n", "has '3,5' instead of a number"),
        ("v.txt", b"text,label\na,b\n", r"line 1 of .* is 'text,label', and not a word followed by numbers"),
        ("v.txt", "a 1 2\nb 3 4\n".encode("utf-16"), r"is UTF-16: write it as UTF-8 \(iconv"),
        ("v.txt", b"\x80\x04\x95\0\0\0\0pickled", "is neither text .*with gensim: vectors.save_word2vec_format"),
        ("v.txt.gz", gzip.compress(lines().encode() * 9, mtime=0)[:-20], "cannot be read: .* Fetch it again"),
        ("v.txt.gz", b"no archive", "cannot be read"),
        ("v.bin", binary(count=5), "declares 5 vectors of width 3, but the file has fewer"),
        ("v.bin", binary(count=3), "declares 3 vectors of width 3, but the file has more"),
        ("v.bin", binary(width=7), "declares 4 vectors of width 7"),
        ("v.bin", binary(width=2), "declares 4 vectors of width 2"),
        ("v.bin", fasttext()[:50], "truncated or damaged model of fastText"),
        ("v.bin", fasttext()[:110], "truncated or damaged model of fastText"),
        ("v.bin", fasttext()[:160], "truncated or damaged model of fastText"),
        ("v.bin", fasttext()[:8] + struct.pack("<i", -3) + fasttext()[12:], "truncated or damaged model of fastText"),
        ("v.bin", FEWER_ROWS, "declares width 3 and 5 words and n-grams, but its matrix has 4 rows of 3"),
        ("v.bin", fasttext(quantized=True), "is a quantized model of fastText: name the .bin"),
        ("v.bin", fasttext(version=13), "has version 13 of fastText's format"),
        ("v.bin.gz", gzip.compress(fasttext(), mtime=0), r"compressed model of fastText.*\(gunzip\)"),
        ("v.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a pointer of Git LFS"),
    ],
)  # fmt: skip
def test_bad_files(name, data, message, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message):
        open_vectors(str(tmp_path / name)).read(["a", "b", "good"])


@pytest.mark.parametrize("name", ["", "nowhere.txt", "./nowhere", "glove.6B.zip", "/no/where"])
def test_a_source_that_is_not_there(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"model\.vectors='{name}': there is no such file or folder: name a file of"):
        open_vectors(name)


def test_folders_without_vectors(tmp_path):
    with pytest.raises(UserError, match="has no single file of vectors"):
        open_vectors(str(tmp_path))
    (tmp_path / "a.txt").write_text(lines())
    (tmp_path / "b.txt").write_text(lines())
    with pytest.raises(UserError, match=r"it has a\.txt, b\.txt; name one of them"):
        open_vectors(str(tmp_path))
    make_bert(tmp_path / "bert")
    (tmp_path / "bert" / "model.safetensors").rename(tmp_path / "bert" / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"no safetensors file with .* \(its pickle files are not read"):
        open_vectors(str(tmp_path / "bert"))
    (tmp_path / "bert" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"model\.safetensors' is damaged"):
        open_vectors(str(tmp_path / "bert"))
    make_bert(tmp_path / "other")
    (tmp_path / "other" / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="no fast tokenizer can be loaded"):
        open_vectors(str(tmp_path / "other"))
    (tmp_path / "other" / "config.json").write_text('{"model_type": "unheard-of"}')
    with pytest.raises(UserError, match=r"the input embeddings of .* cannot be found"):
        open_vectors(str(tmp_path / "other"))


@pytest.mark.parametrize("short", ["weights", "mapping"])
def test_tensors_that_do_not_fit_together(short, tmp_path):
    make_quantized(tmp_path / "q")
    tensors = {"embeddings": torch.tensor(TABLE), "weights": torch.ones(7), "mapping": torch.arange(7)}
    tensors[short] = torch.ones(3) if short == "weights" else torch.arange(1, 8)
    save_file(tensors, tmp_path / "q" / "model.safetensors")
    with pytest.raises(UserError, match="do not fit together: 7 vectors"):
        open_vectors(str(tmp_path / "q"))
