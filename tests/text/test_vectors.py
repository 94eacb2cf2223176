"""Pretrained vectors: every format, untidy files, and what a vocabulary finds in them."""

import bz2
import gzip
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

import hf_rnn
from hf_rnn.text.vector_sources import open_vectors
from hf_rnn.text.vectors import find_vectors
from hf_rnn.utils.errors import UserError

WORDS = {"good": [1.0, 2.0, 3.0], "bad": [-1.0, 0.5, 0.25], "naïve": [0.0, -2.5, 4.0], "好": [7.0, 8.0, 9.0]}


def lines(separator=" ", end="\n", words=WORDS) -> str:
    return "".join(word + separator + separator.join(map(str, vector)) + end for word, vector in words.items())


def binary(end=b"\n", count=None, width=3) -> bytes:
    head = f"{len(WORDS) if count is None else count} {width}\n".encode()
    return head + b"".join(word.encode() + b" " + np.array(v, "<f4").tobytes() + end for word, v in WORDS.items())


def fasttext(
    words=WORDS, buckets=(), least=0, most=0, version=12, labels=(), quantized=False, pruned=None, model=2
) -> bytes:
    """A file as `FastText::saveModel` writes it: settings, dictionary, matrix."""
    width = len(next(iter(words.values())))
    settings = [793712314, version, width, 5, 5, 1, 5, 1, 2, model, len(buckets), least, most, 100]
    data = struct.pack("<14id", *settings, 1e-4)
    size = len(words) + len(labels)
    data += struct.pack("<3iqq", size, len(words), len(labels), 99, -1 if pruned is None else len(pruned))
    for word in words:
        data += word.encode() + b"\0" + struct.pack("<qb", 3, 0)
    for label in labels:
        data += label.encode() + b"\0" + struct.pack("<qb", 3, 1)
    for pair in (pruned or {}).items():
        data += struct.pack("<2i", *pair)
    rows = [*words.values(), *buckets]
    data += struct.pack("<?2q", quantized, len(rows), width)
    return data + np.array(rows, "<f4").tobytes() + b"\0 and the output matrix"


# A matrix without a row for each hashed n-gram.
FEWER_ROWS = fasttext(least=3, most=6, buckets=[[0.0] * 3]).replace(struct.pack("<2q", 5, 3), struct.pack("<2q", 4, 3))


def whole_words(vocabulary, unknown="[UNK]") -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


PIECES = ["[PAD]", "[UNK]", "good", "bad", "naïve", "好", "##ness"]
TABLE = [[0.0] * 3, [9.0] * 3, *WORDS.values(), [3.0, 2.0, 1.0]]


def make_model2vec(folder: Path):
    folder.mkdir()
    whole_words(PIECES).save(str(folder / "tokenizer.json"))
    save_file({"embeddings": torch.tensor(TABLE)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec"}))


def make_quantized(folder: Path):
    """Of model2vec: fewer rows than entries, and a weight of each entry."""
    folder.mkdir()
    whole_words(PIECES).save(str(folder / "tokenizer.json"))
    rows = torch.tensor(TABLE[::-1])
    tensors = {"embeddings": rows / 2, "weights": torch.full((7,), 2.0), "mapping": torch.arange(6, -1, -1)}
    save_file(tensors, folder / "model.safetensors")


def make_static(folder: Path):
    """Of sentence-transformers, in half precision."""
    inner = folder / "0_StaticEmbedding"
    inner.mkdir(parents=True)
    whole_words(PIECES).save(str(inner / "tokenizer.json"))
    save_file({"embedding.weight": torch.tensor(TABLE, dtype=torch.float16)}, inner / "model.safetensors")
    (folder / "modules.json").write_text("[]")


def make_bert(folder: Path, shard=None):
    fields = {"hidden_size": 3, "num_attention_heads": 1, "num_hidden_layers": 1, "intermediate_size": 4}
    model = BertForMaskedLM(BertConfig(vocab_size=10, **fields))
    model.get_input_embeddings().weight.data[:7] = torch.tensor(TABLE)
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=whole_words(PIECES), unk_token="[UNK]", pad_token="[PAD]")
    tokenizer.save_pretrained(folder)


def make_sharded(folder: Path):
    make_bert(folder, shard=200)
    assert len(list(folder.glob("model-*.safetensors"))) > 1


def make_own(folder: Path):
    """A model of this package."""
    tokenizer = hf_rnn.train_tokenizer([" ".join(WORDS)] * 2, kind="word", show_progress=False)
    model = hf_rnn.RNNForSequenceClassification(hf_rnn.RNNConfig(vocab_size=len(tokenizer), embedding_size=3))
    for word, vector in WORDS.items():
        model.model.embed_tokens.weight.data[tokenizer.get_vocab()[word]] = torch.tensor(vector)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def archive(*names):
    def make(file: Path):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, lines())

    return make


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
    assert not any(source.skipped.values())


def test_a_member_of_an_archive_and_the_only_file_of_a_folder(tmp_path):
    archive("a.50d.txt", "in/a.100d.txt")(tmp_path / "glove.zip")
    source = open_vectors(str(tmp_path / "glove.zip" / "in" / "a.100d.txt"))
    assert source.read(["bad"])["bad"].tolist() == WORDS["bad"]
    for wrong in ("glove.zip", "glove.zip/b.txt"):
        with pytest.raises(UserError, match=r"has a\.50d\.txt, in/a\.100d\.txt: name one, --model\.vectors .*a\.50d"):
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
    """Their bytes may be letters, digits and ends of lines too."""
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
    """Rows of n-grams and their hashes as fastText 0.9.2 gave them, which the reader was compared with."""
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
        ("v.txt", b"a 1 2\nb 1 2 3\n", r"line 2 of '.*v.txt' has 3 numbers \('b 1 2 3'\), and line 1 has 2"),
        ("v.txt", b"a 1 2\nb 1\n", "line 2 of .* has 1 numbers"),
        ("v.txt", b"2 300\na 1 2\nb 3 4\n", "line 2 of .* has 2 numbers .* the first line says a width of 300"),
        ("v.txt", b"3 2\na 1 2\nb 3 4\n", r"says 3 vectors, and 2 are there: fetch .* \(sed -i 1d FILE\)"),
        ("v.txt", b"1 2\na 1 2\nb 3 4\n", "says 1 vectors, and 2 are there"),
        ("v.txt", b"a 1 2\nb 3 x\n", "line 2 of .* has 'x' where a number should be"),
        ("v.txt", b"a 1 2\nb 3,5 4\n", "has '3,5' where a number should be"),
        ("v.txt", b"text,label\na,b\n", r"line 1 of .* is 'text,label', and not a word with numbers behind it"),
        ("v.txt", "a 1 2\nb 3 4\n".encode("utf-16"), r"is UTF-16: write it as UTF-8 \(iconv"),
        ("v.txt", b"\x80\x04\x95\0\0\0\0pickled", "is neither text .*of gensim's: vectors.save_word2vec_format"),
        ("v.txt.gz", gzip.compress(lines().encode() * 9, mtime=0)[:-20], "cannot be read: .* Fetch it again"),
        ("v.txt.gz", b"no archive", "cannot be read"),
        ("v.bin", binary(count=5), "says 5 vectors of width 3, and fewer are there"),
        ("v.bin", binary(count=3), "says 3 vectors of width 3, and more are there"),
        ("v.bin", binary(width=7), "says 4 vectors of width 7"),
        ("v.bin", binary(width=2), "says 4 vectors of width 2"),
        ("v.bin", fasttext()[:50], "model of fastText that was cut"),
        ("v.bin", fasttext()[:110], "model of fastText that was cut"),
        ("v.bin", fasttext()[:160], "model of fastText that was cut"),
        ("v.bin", fasttext()[:8] + struct.pack("<i", -3) + fasttext()[12:], "model of fastText that was cut"),
        ("v.bin", FEWER_ROWS, "says a width of 3 and 5 words and n-grams, and its matrix has 4 rows of 3"),
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
    with pytest.raises(UserError, match="holds no vectors that can be chosen"):
        open_vectors(str(tmp_path))
    (tmp_path / "a.txt").write_text(lines())
    (tmp_path / "b.txt").write_text(lines())
    with pytest.raises(UserError, match=r"it has a\.txt, b\.txt, of which one is to be named"):
        open_vectors(str(tmp_path))
    make_bert(tmp_path / "bert")
    (tmp_path / "bert" / "model.safetensors").rename(tmp_path / "bert" / "pytorch_model.bin")
    with pytest.raises(UserError, match="no safetensors file beside a pickle"):
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


# A vocabulary ---------------------------------------------------------------------------------------------------------


def found(tmp_path, texts, vectors: dict, data=None, seed=0, **tokenizer):
    """What a tokenizer of texts finds in vectors, with its vocabulary."""
    (tmp_path / "v.txt").write_bytes(lines(words=vectors).encode() if data is None else data)
    tokenizer = hf_rnn.train_tokenizer(texts, min_frequency=1, show_progress=False, **{"kind": "word", **tokenizer})
    ids = [id_ for row in tokenizer(texts)["input_ids"] for id_ in row]
    counts = np.bincount(ids, minlength=len(tokenizer))
    result = find_vectors(open_vectors(str(tmp_path / "v.txt")), "v.txt", tokenizer, texts, counts, seed)
    return result, {token: result.matrix[id_].tolist() for token, id_ in tokenizer.get_vocab().items()}


def test_words_are_tried_as_written_then_in_other_forms(tmp_path):
    vectors = {"Good": [1], "good": [2], "paris": [3], "Berlin": [4], "0000": [5], "##": [6], "USA": [7]}
    texts = ["Good good PARIS berlin 1984 42 USA usa"]
    result, by_word = found(tmp_path, texts, vectors)
    expected = {"Good": 1, "good": 2, "PARIS": 3, "berlin": 4, "1984": 5, "42": 6, "USA": 7}
    assert {word: by_word[word] for word in expected} == {word: [number] for word, number in expected.items()}
    assert result.report["ways"] == {
        "as written": 3,
        "in lower case": 1,
        "capitalised": 1,
        "with digits as 0": 1,
        "with digits as #": 1,
    }
    # `usa` is not there, for `Usa` is not `USA`.
    assert result.report["found"] == 7
    assert result.report["types"] == result.report["tokens"] == 7 / 8


def test_the_report_counts_types_and_running_tokens(tmp_path):
    texts = ["good good good bad", "so so unheard"]
    result, by_word = found(tmp_path, texts, {"good": [1, 2], "bad": [3, 4]}, vocab_size=7)
    assert "unheard" not in by_word
    report = result.report
    assert (report["source"], report["format"], report["width"], report["entries"]) == ("v.txt", "text", 2, 3)
    # Of good, so and bad; `unheard` is an unknown token.
    assert report["types"] == pytest.approx(2 / 3)
    assert report["tokens"] == pytest.approx(4 / 7)
    line = result.summary()
    assert "v.txt (text, width 2): found for 66.7% of 3 entries of the vocabulary, 57.1% of the running tokens" in line
    assert json.loads(json.dumps(report)) == report


def test_rare_tokens_of_a_wide_path_have_no_vectors_and_count_as_running_tokens_without_one(tmp_path):
    file = tmp_path / "v.txt"
    file.write_bytes(lines(words={"good": [1, 2], "fine": [3, 4]}).encode())
    texts = ["good good good bad bad fine"]
    tokenizer = hf_rnn.train_tokenizer(texts, kind="word", min_frequency=1, show_progress=False)
    assert tokenizer.convert_tokens_to_ids("fine") == len(tokenizer) - 1
    counts = np.bincount(tokenizer(texts[0])["input_ids"], minlength=len(tokenizer))
    result = find_vectors(open_vectors(str(file)), "v.txt", tokenizer, texts, counts, 0, V=len(tokenizer) - 1)
    assert result.matrix.shape == (len(tokenizer) - 1, 2)
    assert (result.report["entries"], result.report["found"], result.report["tokens"]) == (2, 1, 0.5)


def test_the_rest_starts_with_the_mean_and_spread_of_those_found(tmp_path):
    texts = [" ".join(f"w{i}" for i in range(4000))]
    generator = np.random.default_rng(1)
    vectors = {f"w{i}": generator.normal([5, -1], [2, 0.1]).tolist() for i in range(2000)}
    result, by_word = found(tmp_path, texts, vectors)
    known = np.array(list(vectors.values()))
    rest = np.array([by_word[f"w{i}"] for i in range(2000, 4000)])
    np.testing.assert_allclose(rest.mean(0), known.mean(0), atol=0.2)
    np.testing.assert_allclose(rest.std(0), known.std(0), rtol=0.1)
    np.testing.assert_allclose(by_word["w7"], vectors["w7"], rtol=1e-6)
    assert by_word["<pad>"] == [0, 0]
    assert by_word["<unk>"] != [0, 0]
    again, other = (found(tmp_path, texts, vectors, seed=seed)[0] for seed in (0, 1))
    assert np.array_equal(again.matrix, result.matrix)
    assert not np.array_equal(other.matrix, result.matrix)


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece"])
def test_a_piece_has_the_mean_of_the_words_it_is_a_part_of(kind, tmp_path):
    vectors = {"low": [1.0, 0.0], "lower": [0.0, 1.0], "lowest": [4.0, 4.0], "newer": [2.0, -2.0]}
    texts = ["low low low low lower lower newer newer newer lowest strange"] * 3
    result, _ = found(tmp_path, texts, vectors, kind=kind, vocab_size=280 if kind == "bpe" else 30)
    tokenizer = hf_rnn.train_tokenizer(
        texts, kind=kind, vocab_size=280 if kind == "bpe" else 30, min_frequency=1, show_progress=False
    )
    sums, weights = np.zeros((len(tokenizer), 2)), np.zeros(len(tokenizer))
    for word in texts[0].split():
        for piece in set(tokenizer(word)["input_ids"]):
            if word in vectors:
                sums[piece] += vectors[word]
                weights[piece] += 1
    seen = weights > 0
    assert seen.sum() > 3
    np.testing.assert_allclose(result.matrix[seen], sums[seen] / weights[seen, None], atol=1e-5)
    assert result.report["ways"]["mean of its words"] == seen.sum()


def test_a_piece_that_is_in_no_word_that_was_found_is_looked_up_by_itself(tmp_path):
    result, by_word = found(tmp_path, ["很好吃"] * 9, {"好": [1, 2], "吃": [3, 4]}, kind="unigram", vocab_size=9)
    assert by_word["好"] == [1, 2] or by_word["好吃"]
    assert result.report["ways"] == {"as written": result.report["found"]}


@pytest.mark.parametrize("kind", ["word", "char", "whitespace", "bpe", "unigram", "wordpiece"])
@pytest.mark.parametrize("make", [make_model2vec, make_bert])
def test_tables_of_pieces_compose_what_they_do_not_have_whole(make, kind, tmp_path):
    make(tmp_path / "source")
    texts = ["goodness badness good Good bad zzz"] * 3
    tokenizer = hf_rnn.train_tokenizer(texts, kind=kind, min_frequency=1, vocab_size=320, show_progress=False)
    counts = np.ones(len(tokenizer), dtype=np.int64)
    if kind == "char":
        with pytest.raises(UserError, match="has none of the"):
            find_vectors(open_vectors(str(tmp_path / "source")), "source", tokenizer, texts, counts, 0)
        return
    result = find_vectors(open_vectors(str(tmp_path / "source")), "source", tokenizer, texts, counts, 0)
    for word, vector in {
        "goodness": [2, 2, 2],
        "badness": [1, 1.25, 0.625],
        "good": WORDS["good"],
        "Good": WORDS["good"],
    }.items():
        ids = tokenizer(f"so {word}")["input_ids"][-1:] if kind == "bpe" else tokenizer(word)["input_ids"]
        if len(ids) == 1 and kind in ("word", "whitespace"):
            assert result.matrix[ids[0]].tolist() == vector
    if kind in ("word", "whitespace"):
        assert result.report["ways"] == {"as written": 2, "in lower case": 1, "composed of parts": 2}


def test_the_same_tokenizer_has_the_rows_themselves(tmp_path):
    make_bert(tmp_path / "bert")
    tokenizer = hf_rnn.load_tokenizer(str(tmp_path / "bert"))
    source = open_vectors(str(tmp_path / "bert"))
    result = find_vectors(source, "bert", tokenizer, [], np.ones(len(tokenizer), dtype=np.int64), 0)
    assert result.matrix[2:].tolist() == TABLE[2:]
    assert result.matrix[0].tolist() == [0, 0, 0]
    assert result.report["ways"] == {"own row": 5}
    assert result.report["types"] == 1


@pytest.mark.parametrize("row", [[1e25, 1.0, 1.0, 2.0], [0.0] * 4])
def test_numbers_without_a_spread(row, tmp_path):
    with pytest.raises(UserError, match=r"have numbers up to .*: all are 0, or one is far too large"):
        found(tmp_path, ["good"], {"good": row})


@pytest.mark.parametrize("short", ["weights", "mapping"])
def test_tensors_that_do_not_fit_together(short, tmp_path):
    make_quantized(tmp_path / "q")
    tensors = {"embeddings": torch.tensor(TABLE), "weights": torch.ones(7), "mapping": torch.arange(7)}
    tensors[short] = torch.ones(3) if short == "weights" else torch.arange(1, 8)
    save_file(tensors, tmp_path / "q" / "model.safetensors")
    with pytest.raises(UserError, match="do not fit together: 7 vectors"):
        open_vectors(str(tmp_path / "q"))


def test_nothing_of_the_vocabulary_in_them(tmp_path):
    message = r"'v\.txt' has none of the 2 entries of the vocabulary: it has words such as 'eins', 'zwei'"
    with pytest.raises(UserError, match=message):
        found(tmp_path, ["one two"], {"eins": [1], "zwei": [2]})
    with pytest.raises(UserError, match=r"such as \(none\), 2 words that are not UTF-8 passed over"):
        found(tmp_path, ["één è"], {}, data="één 1\nè 2\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"1 vectors with NaN or infinity passed over"):
        found(tmp_path, ["one two"], {"one": [float("nan")]})
