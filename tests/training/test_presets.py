import json
import random
import subprocess
import sys

import pytest
import torch
import yaml
from datasets import Dataset
from safetensors.torch import load_file
from support import tiny_config
from support.tagging import sentences

import hf_rnn
from hf_rnn.models.configuration_rnn import RNNConfig
from hf_rnn.training.preset_facts import Facts
from hf_rnn.training.presets import RULES, rules_of
from hf_rnn.training.run_config import ModelArguments, parse_run
from hf_rnn.utils.errors import UserError

# Settings of a run that takes a second. The preset chooses all other settings.
QUICK = {"model.hidden_size": 8, "model.embedding_size": 8, "training.num_train_epochs": 1}


def rows(count: int, seed: int = 0) -> list[dict]:
    """Return rows of random words in which one word gives the label."""
    draw, found = random.Random(seed), []
    for _ in range(count):
        label = draw.choice(["food", "music", "sport"])
        words = [f"Filler{draw.randrange(30)}" for _ in range(8)] + [f"{label}{draw.randrange(4)}"]
        found.append({"text": " ".join(draw.sample(words, len(words))), "label": label})
    return found


def sections(folder, options: dict | None = None, preset: str = "default") -> dict:
    nested: dict = {"preset": preset, "report": {"baseline": False}}
    written = {**QUICK, "training.output_dir": str(folder), "training.disable_tqdm": True, **(options or {})}
    for key, value in written.items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = value
    return nested


def chosen(run) -> set[str]:
    return {rule.key for rule in rules_of(run)}


def parsed(**options):
    return parse_run({"preset": "default", **{name: dict(section) for name, section in options.items()}})[0]


def test_a_run_that_says_nothing_chooses_by_its_rows():
    code = "from hf_rnn.training.run_config import parse_run; print(parse_run([])[0].preset)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "default"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset") / "model"
    return folder, hf_rnn.train(sections(folder), data={"train": rows(300), "validation": rows(60, 1)})


def test_the_choices_are_printed_and_stand_in_the_run_and_in_the_model(run, tmp_path, capsys):
    folder, _ = run
    written = yaml.safe_load((folder / "run.yaml").read_text())
    assert written["preset"] == "none"
    assert written["tokenizer"]["kind"] == "word"
    assert written["tokenizer"]["lowercase"] is True
    assert written["model"]["bidirectional"] is True
    assert written["model"]["hidden_size"] == 8
    # The file also contains values that are the defaults of this release.
    assert written["tokenizer"]["strip_html"] is False
    assert written["model"]["wide_order"] == 3
    config = RNNConfig.from_pretrained(folder)
    assert config.bidirectional
    assert config.input_dropout > 0
    assert config.wide_ngrams > 0
    hf_rnn.train(sections(tmp_path / "again"), data={"train": rows(300), "validation": rows(60, 1)})
    told = capsys.readouterr().out
    assert "preset     default, for 300 rows of 9 words" in told
    assert "bidirectional True" in told
    assert "num_train_epochs" not in told.split("preset  ")[1].split("train  ")[0]


def test_the_file_of_the_run_gives_the_same_weights(run, tmp_path):
    written = yaml.safe_load((run[0] / "run.yaml").read_text())
    del written["data"]["path"]
    written["training"]["output_dir"] = str(tmp_path / "model")
    hf_rnn.train(written, data={"train": rows(300), "validation": rows(60, 1)})
    file = "model.safetensors"
    assert (tmp_path / "model" / file).read_bytes() == (run[0] / file).read_bytes()


def test_a_run_that_was_cut_goes_on_with_what_it_chose(tmp_path):
    steps = {"training.save_steps": 20, "training.eval_steps": 20, "training.save_strategy": "steps"}
    steps |= {"training.eval_strategy": "steps", "training.max_steps": 40}
    data = {"train": rows(300), "validation": rows(60, 1)}
    whole = {**steps, "training.save_total_limit": 5}
    hf_rnn.train(sections(tmp_path / "model", whole), data=data)
    weights = (tmp_path / "model" / "model.safetensors").read_bytes()
    assert (tmp_path / "model" / "checkpoint-20").is_dir()
    (tmp_path / "model" / "model.safetensors").unlink()
    for file in (tmp_path / "model" / "checkpoint-40").iterdir():
        file.unlink()
    (tmp_path / "model" / "checkpoint-40").rmdir()
    # Another preset would choose other settings for a new run.
    again = sections(tmp_path / "model", {**whole, "training.resume": True}, preset="best")
    hf_rnn.train(again, data=data)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == weights


def test_the_file_of_a_run_of_an_older_release_is_taken_as_it_is(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("task: text_classification\nmodel:\n  hidden_size: 16\n")
    assert parse_run(["--config", str(file)])[0].preset == "none"
    other = file.rename(tmp_path / "mine.yaml")
    assert parse_run(["--config", str(other), "--preset", "fast"])[0].preset == "fast"


def test_a_preset_that_is_none_is_named():
    with pytest.raises(UserError, match=r"preset='quick'.*fast"):
        parse_run({"preset": "quick"})


def test_every_choice_is_of_a_key_that_a_run_has():
    for task, rules in RULES.items():
        keys = {f"{section}.{key}" for section, values in _all_keys().items() for key in values}
        assert {rule.key for rule in rules} <= keys, task
        assert all(rule.why.endswith(".") for rule in rules)


def _all_keys() -> dict:
    run = parse_run({"preset": "none"})[0]
    return {section: vars(getattr(run, section)) for section in ("tokenizer", "model", "training")}


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"tokenizer": {"kind": "bpe"}}, "tokenizer.rare_tokens"),
        ({"tokenizer": {"path": "somewhere"}}, "tokenizer.lowercase"),
        ({"model": {"wide_ngrams": 0}}, "tokenizer.rare_tokens"),
        ({"model": {"backprop_length": 100}}, "model.bidirectional"),
        ({"training": {"max_steps": 10}}, "training.num_train_epochs"),
        ({"training": {"averaging": "swa"}}, "training.averaging_decay"),
        ({"training": {"averaging": None}}, "training.averaging_decay"),
        ({"training": {"train_batch_tokens": 4000}}, "training.per_device_train_batch_size"),
        ({"model": {"hidden_size": 64}}, "model.hidden_size"),
        (
            {"training": {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}},
            "training.early_stopping_patience",
        ),
    ],
)
def test_what_somebody_wrote_leaves_no_choice(options, key):
    assert key in chosen(parsed())
    assert key not in chosen(parsed(**options))


def test_for_a_stream_or_another_task_nothing_is_chosen():
    tagger = parse_run({"task": "token_classification", "model": {"pretrained": "runs/imdb_lm"}})[0]
    assert not chosen(tagger)
    assert not chosen(parsed(data={"streaming": True}, training={"max_steps": 5}))
    assert not chosen(parse_run({"preset": "default", "task": "language_modeling"})[0])
    assert not chosen(parse_run({"preset": "none"})[0])


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ({"task": "language_modeling"}, "none for the task language_modeling"),
        (
            {"task": "token_classification", "model": {"pretrained": "runs/imdb_lm"}},
            "none for the task token_classification with model.pretrained",
        ),
        ({"data": {"streaming": True}}, "the rows of data.streaming"),
    ],
)
def test_a_preset_that_has_no_rules_is_an_error_where_somebody_wrote_it(section, why, tmp_path):
    run = {"preset": "best", "training": {"output_dir": str(tmp_path / "model"), "max_steps": 2}, **section}
    with pytest.raises(UserError, match=f"preset='best' chooses settings by rules, and .*{why}"):
        hf_rnn.train(run)


def test_of_a_model_that_begins_with_another_one_sizes_and_tokenizer_are_taken_over(tmp_path):
    first = {"model.embedding_size": 12, "model.bidirectional": False, "training.max_steps": 2}
    lm = {**sections(tmp_path / "lm", first, preset="none"), "task": "language_modeling"}
    del lm["report"]
    hf_rnn.train(lm, data={"train": rows(300), "validation": rows(60, 1)})
    options = {"model.pretrained": str(tmp_path / "lm"), "training.max_steps": 4}
    run = sections(tmp_path / "model", options)
    del run["model"]["hidden_size"], run["model"]["embedding_size"]
    hf_rnn.train(run, data={"train": rows(300), "validation": rows(60, 1)})
    config = RNNConfig.from_pretrained(tmp_path / "model")
    assert (config.embedding_size, config.hidden_size, config.bidirectional) == (12, 8, False)
    assert config.pooling == "concat"
    assert config.input_dropout > 0
    assert config.wide_ngrams > 0
    vocabularies = [(tmp_path / name / "tokenizer.json").read_text() for name in ("lm", "model")]
    assert vocabularies[0] == vocabularies[1]


def test_a_kind_of_tokenizer_gives_a_fine_tuned_model_a_vocabulary_of_its_own():
    own = chosen(parsed(model={"pretrained": "runs/imdb_lm"}, tokenizer={"kind": "word"}))
    assert "tokenizer.lowercase" in own
    assert not {"tokenizer.rare_tokens", "tokenizer.vocab_size", "model.hidden_size"} & own
    assert not [key for key in chosen(parsed(model={"pretrained": "runs/imdb_lm"})) if key.startswith("tokenizer")]


def facts(preset: str = "default", rows: int = 10_000, words: float = 20, **more) -> Facts:
    return Facts(preset, rows, words, **more)


def test_small_data_sets_have_many_epochs_and_large_ones_few():
    few, many, most = facts(rows=30), facts(rows=22_500, words=296), facts(rows=10_000_000)
    assert few.batch == 8
    assert few.epochs >= 30
    assert many.epochs == 2
    assert most.batch == 256
    assert most.epochs == 1


def test_taggers_train_longer_and_average_over_the_last_tenth_of_all_their_steps():
    tagger, classifier = facts(tagged=True, written_batch=16), facts(written_batch=16)
    assert tagger.epochs >= 2 * classifier.epochs
    assert 1 / (1 - tagger.averaging_decay) == pytest.approx(tagger.epochs * tagger.steps_of_an_epoch / 10, rel=0.02)


def test_taggers_with_vectors_know_their_words_and_have_less_dropout():
    assert facts(tagged=True, has_vectors=True).dropout < facts(tagged=True).dropout
    tagger = facts(tagged=True, has_vectors=True, adds_words=True)
    values = {rule.key: rule.value(tagger) for rule in RULES["token_classification"]}
    assert values["tokenizer.vector_words"] > values["tokenizer.vocab_size"]
    tagger = {"preset": "default", "task": "token_classification"}
    added = {"tokenizer.vector_words", "training.embedding_lr_factor", "model.vectors_std"}
    assert not added & chosen(parse_run(tagger)[0])
    tagger["model"] = {"vectors": "glove.txt"}
    assert added <= chosen(parse_run(tagger)[0])
    for options in ({"tokenizer": {"kind": "bpe"}}, {"distil": {"max_megabytes": 2.0}}):
        assert added - chosen(parse_run(tagger | options)[0]) == added - {"model.vectors_std"}


def test_several_labels_have_more_epochs_and_an_epoch_chosen_without_thresholds():
    for count in (300, 40_000):
        several, one = (facts(rows=count, kind=kind) for kind in ("multi_label_classification", None))
        assert several.epochs > 1.9 * one.epochs
    values = {rule.key: rule.value(several) for rule in RULES["text_classification"]}
    assert values["training.metric_for_best_model"] == "average_precision"
    assert values["training.thresholds"] == "f1"
    # Class weights raise the scores of rare labels, and thresholds fit them again.
    assert "training.thresholds" in chosen(parsed(training={"class_weights": "balanced"}))


def test_one_epoch_or_two_have_less_dropout():
    twice, often = facts(rows=25_000, words=250), facts(rows=500)
    assert twice.epochs == 2
    assert 0 < twice.dropout < often.dropout < facts(tagged=True).dropout
    assert facts(rows=500, written_epochs=1).dropout == twice.dropout
    assert facts(rows=6400, written_steps=150).dropout == twice.dropout
    assert facts(rows=6400, written_steps=1000).dropout == often.dropout


def test_batches_of_long_texts_are_counted_in_tokens():
    assert facts(rows=25_000, words=270).batch_tokens == 16_384
    assert facts(rows=25_000, words=27).batch_tokens is None
    assert "training.train_batch_tokens" not in chosen(parsed(training={"per_device_train_batch_size": 8}))


def test_presets_differ_in_time():
    fast, default, best = (facts(preset, rows=25_000, words=270) for preset in ("fast", "default", "best"))
    assert fast.epochs <= default.epochs <= best.epochs
    value = {rule.key: rule.value for rule in RULES["text_classification"]}["model.hidden_size"]
    assert value(fast) < value(default) < value(best)


class _Texts:
    """Minimal task that gives the texts of its rows."""

    label_names = ("good", "bad")
    problem_type = None

    def texts(self, rows):
        return iter(rows["text"])


def facts_of(*texts: str, **options) -> Facts:
    return Facts.of(parsed(**options), _Texts(), Dataset.from_dict({"text": list(texts)}))


def test_facts_are_read_off_the_training_rows():
    chinese = facts_of("很好吃的饭", "不好吃")
    assert (chinese.words, chinese.unspaced_letters, chinese.repeated) == (4, 0, 2)
    english = facts_of("A film.<br />A good one", "x < y > z")
    assert (english.tags, english.unspaced_letters, english.rows) == (0.5, 0, 2)
    thai = facts_of("ดีมาก")
    assert thai.unspaced_letters == 1
    assert facts_of("one two three four", data={"max_length": 3}).words == 3
    assert facts_of("A a").repeated == 1
    assert facts_of("A a", tokenizer={"lowercase": False}).repeated == 0


def test_characters_are_counted_where_they_are_the_tokens():
    spelled = facts_of("abc d", tokenizer={"kind": "char"})
    assert (spelled.words, spelled.unspaced_letters) == (5, 1)


def test_what_somebody_wrote_about_steps_counts():
    few = facts_of(*["a text"] * 640, training={"per_device_train_batch_size": 64})
    assert few.steps_of_an_epoch == 10
    assert facts_of("a text", training={"max_steps": 50}).averaging_decay == 0.9
    assert facts(rows=6400, written_steps=1000).averaging_decay == 0.99
    assert facts(rows=6400, batches=8).steps_of_an_epoch >= 100


def test_a_batch_of_long_texts_has_a_limit_and_many_labels_have_fewer_ngrams():
    assert facts(rows=50_000, words=20_000).batch_tokens == 32_768
    value = {rule.key: rule.value for rule in RULES["text_classification"]}["model.wide_ngrams"]
    assert value(facts()) == 200_000
    assert value(facts(labels=1000)) == 20_000


def test_rare_words_of_a_command_line_go_with_the_ngrams_that_are_chosen(tmp_path):
    run = sections(tmp_path / "model", {"tokenizer.rare_tokens": 50, "tokenizer.vocab_size": 20})
    hf_rnn.train(run, data=rows(100))
    assert RNNConfig.from_pretrained(tmp_path / "model").num_rare_tokens > 0


def test_thirty_rows_of_four_classes_are_learnt(tmp_path):
    draw, names = random.Random(0), ["refund", "delivery", "invoice", "account"]
    made = [
        {"text": f"please help me with my {names[n % 4]} number {draw.randrange(9)}", "label": names[n % 4]}
        for n in range(30)
    ]
    test = [{"text": f"where is my {name}", "label": name} for name in names]
    run = {"preset": "default", "training": {"output_dir": str(tmp_path / "model"), "disable_tqdm": True}}
    results = hf_rnn.train(run, data={"train": made, "test": test})
    report = results["report"]["scores"]["test"]
    assert report["model"]["accuracy"] >= report["baseline"]["accuracy"]


def test_a_tagger_chooses_too(tmp_path):
    run = {"task": "token_classification", "preset": "default", "training": {"output_dir": str(tmp_path / "model")}}
    run["model"] = {"hidden_size": 8}
    run["training"] |= {"num_train_epochs": 1, "disable_tqdm": True}
    hf_rnn.train(run, data=sentences(60))
    config = RNNConfig.from_pretrained(tmp_path / "model")
    assert config.crf
    assert config.character_encoder == "lstm"
    assert config.bidirectional


def test_pairs_and_values_choose_too(tmp_path):
    made = [{"text": f"word{n % 7} and word{n % 5}", "text_pair": "this", "score": n / 2} for n in range(80)]
    run = sections(tmp_path / "model")
    run["data"] = {"text_column": "text", "text_pair_column": "text_pair", "label_column": "score"}
    hf_rnn.train(run, data=made)
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_a_classifier_with_vectors_knows_their_words_and_trains_them_slowly(tmp_path, capsys):
    file = tmp_path / "vectors.txt"
    file.write_text("".join(f"{word}{n} {n / 30} 0.5 -0.5\n" for n in range(30) for word in ("filler", "unseen")))
    options = {"model.vectors": str(file), "tokenizer.vocab_size": 20}
    run = sections(tmp_path / "model", options)
    del run["model"]["embedding_size"]
    hf_rnn.train(run, data={"train": rows(300), "validation": rows(60, 1)})
    config = RNNConfig.from_pretrained(tmp_path / "model")
    assert (config.embedding_size, config.num_rare_tokens) == (3, 0)
    saved = yaml.safe_load((tmp_path / "model" / "run.yaml").read_text())
    assert "embedding_size" not in saved["model"]
    assert saved["training"]["embedding_lr_factor"] == 0.1
    out = capsys.readouterr().out
    assert "vector_words 50000" in out
    report = json.loads((tmp_path / "model" / "metrics.json").read_text())["run"]["vectors"]
    tokenizer = hf_rnn.load_tokenizer(str(tmp_path / "model"))
    weights = load_file(tmp_path / "model" / "model.safetensors")["model.embed_tokens.weight"]
    expected = report["scale"] * torch.tensor([7 / 30, 0.5, -0.5])
    torch.testing.assert_close(weights[tokenizer.get_vocab()["unseen7"]], expected)


def test_many_words_teach_an_embedding_more_than_vectors_know():
    few, many = (facts(rows=n, words=296, has_vectors=True, adds_words=True) for n in (300, 22_500))
    assert few.vector_words > 0
    assert many.vector_words == 0
    assert facts(rows=22_500, words=296, adds_words=True, frozen=True).vector_words > 0
    assert facts(rows=22_500, words=296, adds_words=True, tagged=True).vector_words > 0
    # A factor that the user wrote counts, not the number of words.
    assert facts(rows=22_500, words=296, adds_words=True, written_factor=0.1).vector_words > 0
    assert facts(rows=300, words=296, adds_words=True, written_factor=1.0).vector_words == 0
    slow, full = ({rule.key: rule.value(each) for rule in RULES["text_classification"]} for each in (few, many))
    assert full["tokenizer.rare_tokens"] > 0 == slow["tokenizer.rare_tokens"]
    assert full["training.embedding_lr_factor"] == 1 > slow["training.embedding_lr_factor"]


def test_rare_tokens_that_somebody_wrote_take_the_place_of_words_of_vectors():
    written = parsed(model={"vectors": "glove.txt"}, tokenizer={"rare_tokens": 9})
    assert "tokenizer.vector_words" not in chosen(written)
    without = parsed(model={"vectors": "glove.txt"}, tokenizer={"vector_words": 0})
    assert "tokenizer.rare_tokens" in chosen(without)
    assert "training.embedding_lr_factor" not in chosen(without)


def test_a_frozen_embedding_has_words_of_vectors_and_no_learning_rate():
    frozen = chosen(parsed(model={"vectors": "glove.txt"}, training={"freeze_vectors": True}))
    assert "tokenizer.vector_words" in frozen
    assert "training.embedding_lr_factor" not in frozen


def test_a_configuration_of_a_model_has_all_that_is_chosen():
    assert set(vars(ModelArguments())) >= {
        rule.key.partition(".")[2] for rules in RULES.values() for rule in rules if rule.key.startswith("model.")
    }


def test_settings_of_tests_stay_as_written(tmp_path):
    assert parse_run(tiny_config("x.csv", tmp_path))[0].preset == "none"
