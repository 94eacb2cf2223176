import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer, TextStreamer

from hf_rnn import load_tokenizer, train_tokenizer
from hf_rnn.text.made_up_messages import made_up_messages
from hf_rnn.text.tokenization import KINDS, token_ids
from hf_rnn.utils.errors import UserError

TEXTS = [
    "I don't like this film.<br />It's bad!",
    "这部电影非常好看，我喜欢它。",
    "これはペンです。",
    "Straße naïve Ärger",
] * 5


def train(kind, texts=TEXTS, **options):
    return train_tokenizer(texts, kind, **{"vocab_size": 400, "show_progress": False, **options})


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_point_at_the_characters_that_a_token_stands_for(kind):
    tokenizer = train(kind)
    for text in TEXTS[:4]:
        encoded = tokenizer(text, return_offsets_mapping=True)
        covered = "".join(text[start:end] for start, end in encoded["offset_mapping"])
        if kind != "unigram":  # unigram marks the start of a word with a separate subword
            assert covered.replace(" ", "") == text.replace(" ", "")
        assert encoded["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_saving_and_loading_gives_the_same_ids(kind, tmp_path):
    tokenizer = train(kind, lowercase=True, strip_html=True)
    tokenizer.save_pretrained(tmp_path)
    for loaded in (load_tokenizer(str(tmp_path)), AutoTokenizer.from_pretrained(tmp_path)):
        assert loaded.is_fast
        assert loaded(TEXTS, TEXTS[::-1])["input_ids"] == tokenizer(TEXTS, TEXTS[::-1])["input_ids"]
        assert loaded.pad_token_id == 0
        assert loaded.model_input_names == ["input_ids", "attention_mask"]


def test_words_between_spaces_stay_as_they_are_and_the_unknown_word_is_the_unknown_token():
    tokenizer = train("whitespace", ["a @-@ b <unk> c's"], min_frequency=1)
    assert len(tokenizer) == 8
    assert tokenizer.tokenize("a @-@ b <unk> c's seen") == ["a", "@-@", "b", "<unk>", "c's", "<unk>"]
    assert tokenizer("<unk>")["input_ids"] == [tokenizer.unk_token_id] == [1]


@pytest.mark.slow
def test_wikitext_has_its_released_vocabulary(real_data):
    texts = Dataset.from_parquet(str(real_data / "wikitext2" / "train.parquet"))["text"]
    tokenizer = train("whitespace", texts, vocab_size=40000, min_frequency=1)
    # The data has 33,278 types with the unknown word and the end mark. The tokenizer adds two special tokens.
    assert len(tokenizer) == 33278 + 2


@pytest.mark.parametrize("kind", KINDS)
def test_case_and_tags_are_dropped_where_asked_for(kind):
    tokenizer = train(kind, lowercase=True, strip_html=True)
    assert tokenizer("FILM")["input_ids"] == tokenizer("film")["input_ids"]
    decoded = tokenizer.decode(tokenizer(TEXTS[0])["input_ids"])
    assert "<br" not in decoded
    assert "film" in decoded


@pytest.mark.parametrize("kind", KINDS)
def test_digits_are_one_where_asked_for(kind):
    tokenizer = train(kind, ["It rained in 1984.", "It rained in 2019."] * 5, normalize_digits=True)
    ids = tokenizer("It rained in 1984.")["input_ids"]
    assert ids == tokenizer("It rained in 2019.")["input_ids"] == tokenizer("It rained in 2١٣9.")["input_ids"]
    assert tokenizer.unk_token_id not in ids


def test_words_keep_apostrophes_and_unspaced_scripts_are_cut_into_characters():
    tokenizer = train("word")
    assert tokenizer.tokenize("I don't like 电影!") == ["I", "don't", "like", "电", "影", "!"]


def test_byte_level_pieces_have_no_unknown_characters():
    tokenizer = train("bpe", ["only plain english here"] * 5)
    text = "电影 🎬 Ärger"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids).strip() == text


@pytest.mark.parametrize("kind", ["word", "whitespace", "wordpiece"])
def test_further_words_are_entries_of_their_own_after_the_others(kind, tmp_path):
    texts = ["we met in Bonn", "we met in Ulm"] * 3
    without = train_tokenizer(texts, kind=kind, vocab_size=60, show_progress=False)
    words = ["Kiel", "Bonn", "New York", "kiel", "U.S.", "<s>", "", "Kiel", "1996"]
    tokenizer = train_tokenizer(
        texts, kind=kind, vocab_size=60, show_progress=False, normalize_digits=True, words=words
    )
    tokenizer.save_pretrained(tmp_path)
    tokenizer = load_tokenizer(str(tmp_path))
    entries = tokenizer.get_vocab()
    assert {word: entries[word] for word in without.get_vocab()} == without.get_vocab()
    added = ["Kiel", "kiel", *(["U.S."] if kind == "whitespace" else []), "0000"]
    assert sorted(entries, key=entries.get)[len(without) :] == added
    assert tokenizer.tokenize("we met in Kiel 2021") == ["we", "met", "in", "Kiel", "0000"]


def test_rare_words_are_left_out():
    tokenizer = train("word", ["often often rare"], min_frequency=2)
    assert tokenizer("rare")["input_ids"] == [tokenizer.unk_token_id]
    assert tokenizer("often")["input_ids"] != [tokenizer.unk_token_id]


def test_the_vocabulary_is_as_large_as_asked_for_and_training_streams():
    seen = []

    def stream():
        for i in range(2000):
            seen.append(i)
            yield f"word{i} word{i}"

    assert len(train("word", stream(), vocab_size=300)) == 300
    assert len(seen) == 2000


def test_pairs_are_joined_by_the_end_of_text():
    tokenizer = train("word")
    first, second = tokenizer("like")["input_ids"], tokenizer("film")["input_ids"]
    assert tokenizer("like", "film")["input_ids"] == [*first, tokenizer.eos_token_id, *second]


def test_training_twice_gives_the_same_tokenizer():
    assert train("bpe").get_vocab() == train("bpe").get_vocab()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "char"])
def test_what_is_written_joins_what_was_read(kind, capsys):
    tokenizer = train_tokenizer(["the film was good , really good ."] * 5, kind=kind, vocab_size=400, min_frequency=1)
    ids = tokenizer("the film was good , really good .")["input_ids"]
    cut = len(tokenizer("the film was")["input_ids"])
    assert "the film was" + tokenizer.decode(ids[cut:]) == "the film was good , really good ."
    streamer = TextStreamer(tokenizer, skip_prompt=True)
    for part in (ids[:cut], *([token] for token in ids[cut:])):
        streamer.put(torch.tensor(part))
    streamer.end()
    assert "the film was" + capsys.readouterr().out.strip("\n") == "the film was good , really good ."


@pytest.mark.parametrize("kind", KINDS)
def test_texts_can_be_decoded_in_parts_cut_anywhere(kind):
    # The texts are in Latin script, because bpe cuts characters of other scripts into bytes.
    texts = ["the film was wonderful, we say", "the best film of all, says the # man"]
    tokenizer = train_tokenizer(texts * 9, kind, vocab_size=330 if kind == "bpe" else 60, min_frequency=1)
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        whole = tokenizer.decode(ids)
        for cut in range(len(ids)):
            assert tokenizer.decode(ids[:cut]) + tokenizer.decode(ids[cut:]) == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kind": "words"},
            r"kind='words' is not one of bpe, unigram, word, wordpiece, whitespace, char: did you mean kind='word'",
        ),
        ({"kind": "bpe", "vocab_size": 100}, r"vocab_size=100 is too small for kind='bpe': write at least 260"),
        ({"kind": "word", "texts": ["", "  "]}, "no text to train a tokenizer from"),
        ({"kind": "bpe", "texts": []}, "no text to train a tokenizer from"),
        (
            {"kind": "bpe", "words": ["Kiel"]},
            r"kind='bpe' has no entries for words=\['Kiel'\]: write one of word, white",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        train(**arguments)


def test_a_tokenizer_without_padding_token_is_refused(tmp_path):
    tokenizer = train("word")
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no padding token"):
        load_tokenizer(str(tmp_path))


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    with pytest.raises(UserError, match="no tokenizer can be loaded"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_ids_alone_are_those_of_the_tokenizer(kind):
    tokenizer = train(kind, lowercase=True, strip_html=True)
    # A tokenizer from elsewhere may enable truncation and padding, which `token_ids` must ignore.
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    texts, pairs = [*TEXTS, "", "  ", "</s> <pad>"], ["second"] * (len(TEXTS) + 3)
    assert token_ids(tokenizer, texts) == tokenizer(texts)["input_ids"]
    assert token_ids(tokenizer, texts, pairs) == tokenizer(texts, pairs)["input_ids"]
    assert token_ids(tokenizer, texts[:1]) == tokenizer(texts[:1])["input_ids"]
    assert token_ids(tokenizer, texts[:1], pairs[:1]) == tokenizer(texts[:1], pairs[:1])["input_ids"]
    assert token_ids(tokenizer, []) == []


def test_a_vocabulary_of_word_pieces_keeps_to_its_size():
    syllables = "".join(chr(0xAC00 + 7 * i) for i in range(1500))
    tokenizer = train("wordpiece", [syllables[i : i + 5] for i in range(0, 1500, 5)] * 2, vocab_size=500)
    assert len(tokenizer) <= 500


def test_word_pieces_are_the_same_each_time_and_say_what_goes_on():
    texts = ["Anna Blackburn lives in New York.", "Boris Ivanov left Kiel.", "Clara Meier comes from Ulm."] * 9
    first, second = (train("wordpiece", texts, vocab_size=70) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    pieces = first.tokenize("Blackburnxy Kiel")
    assert pieces[0] == "<unk>" or pieces[1].startswith("##")
    assert "".join(piece.removeprefix("##") for piece in pieces).endswith("Kiel")


@pytest.mark.parametrize("kind", ["unigram", "wordpiece", "bpe", "word", "char"])
def test_the_same_texts_make_the_same_tokenizer(kind):
    texts = made_up_messages(400)["text"] + ["ab×cd÷ef §1 ¶2 ñ ø å é è ê ß µ ¿ ¡ Ж Щ Ы 评 论 情 感 ☕ ☂ ☃"] * 2
    made = [train_tokenizer(texts, kind, vocab_size=300, show_progress=False) for _ in range(4)]
    assert len({tokenizer.backend_tokenizer.to_str() for tokenizer in made}) == 1
