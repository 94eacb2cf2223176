"""Files and folders of pretrained vectors, in every format."""

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

import hf_rnn

WORDS = {"good": [1.0, 2.0, 3.0], "bad": [-1.0, 0.5, 0.25], "naïve": [0.0, -2.5, 4.0], "好": [7.0, 8.0, 9.0]}


def lines(separator=" ", end="\n", words=WORDS) -> str:
    return "".join(word + separator + separator.join(map(str, vector)) + end for word, vector in words.items())


def binary(end=b"\n", count=None, width=3) -> bytes:
    head = f"{len(WORDS) if count is None else count} {width}\n".encode()
    return head + b"".join(word.encode() + b" " + np.array(v, "<f4").tobytes() + end for word, v in WORDS.items())


def fasttext(
    words=WORDS, buckets=(), least=0, most=0, version=12, labels=(), quantized=False, pruned=None, model=2
) -> bytes:
    """Return a file as `FastText::saveModel` writes it: settings, dictionary and matrix."""
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


# The matrix of this file has too few rows for its words and hashed n-grams.
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
    """Write a model2vec folder with a mapping from entries to rows and a weight of each entry."""
    folder.mkdir()
    whole_words(PIECES).save(str(folder / "tokenizer.json"))
    rows = torch.tensor(TABLE[::-1])
    tensors = {"embeddings": rows / 2, "weights": torch.full((7,), 2.0), "mapping": torch.arange(6, -1, -1)}
    save_file(tensors, folder / "model.safetensors")


def make_static(folder: Path):
    """Write a static embedding of sentence-transformers in half precision."""
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
    """Write a model of this package."""
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
