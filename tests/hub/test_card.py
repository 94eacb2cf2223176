import dataclasses
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from hf_rnn import RNNConfig, RNNTrainingArguments, __version__
from hf_rnn.hub import card_run
from hf_rnn.hub.card import render, render_folder
from hf_rnn.hub.card_merge import INVITATION, MARKER, merge

CONFIG = {"vocab_size": 100, "embedding_size": 4, "hidden_size": 3, "cell_type": "gru", "classifier_dropout": 0.5}
RUN = {
    "data": {"path": "reviews.csv", "max_length": 50},
    "tokenizer": {"kind": "word", "lowercase": True},
    "training": {"learning_rate": 0.01, "per_device_train_batch_size": 16},
    "card": {"language": "en", "license": "apache-2.0"},
}


def facts(labels=("bad", "good"), texts=("a dull film, not worth it", "a fine film, worth your time")) -> dict:
    scores = {"loss": 0.4, "accuracy": 0.75, "f1_macro": 0.7467, "matthews_correlation": 0.5}
    for label, (precision, recall, f1, support) in zip(labels, ((1, 0.5, 2 / 3, 4), (2 / 3, 1, 0.8, 4)), strict=True):
        values = {"precision": precision, "recall": recall, "f1": f1, "support": support}
        scores |= {f"{name}/{label}": value for name, value in values.items()}
    split = {"labels": dict.fromkeys(labels, 4), "tokens": {"5 %": 3, "half": 5, "95 %": 9, "longest": 61}}
    split |= {"rows": 8, "cut": 0.1, "empty": 0}
    return {
        "validation": scores,
        "run": {
            "epochs": 2.0,
            "train_seconds": 3.2,
            "world_size": 1,
            "date": "2026-11-23",
            "hardware": "a laptop, 2 cores",
            "versions": {"python": "3.11.7", "torch": "2.13.0"},
        },
        "data": {
            "title": "reviews",
            "hub_id": None,
            "revision": None,
            "splits": {"train": split, "validation": split},
            "examples": [{"label": label, "text": text} for label, text in zip(labels, texts, strict=True)],
        },
    }


def config(labels=("bad", "good")) -> RNNConfig:
    return RNNConfig(**CONFIG, problem_type="single_label_classification", id2label=dict(enumerate(labels)))


def test_the_whole_text_of_a_small_card():
    card = render("user/small", config(), RUN, facts(), ["confusion_matrix.png"])
    expected = (Path(__file__).parent / "small_card.md").read_text(encoding="utf-8")
    assert card == expected.replace("@VERSION@", __version__).rstrip("\n")


def test_a_batch_is_told_in_what_it_was_filled_by():
    run = {**RUN, "training": {**RUN["training"], "train_batch_tokens": 4096, "gradient_accumulation_steps": 2}}
    card = render("user/small", config(), run, facts(), [])
    assert "| tokens in a batch | 8192 |" in card
    assert "rows in a batch" not in card


@pytest.mark.parametrize(
    ("architecture", "read", "unread"),
    [
        ("RNNForSequenceClassification", ("| pooling", "classifier_dropout"), ("| tags", "output_dropout")),
        ("RNNForTokenClassification", ("| tags", "| characters", "classifier_dropout"), ("| pooling", "| decoder")),
        ("RNNForCausalLM", ("output_dropout",), ("| pooling", "| tags", "| characters", "classifier_dropout")),
    ],
)
def test_a_field_that_the_model_does_not_read_is_not_in_its_card(architecture, read, unread):
    settings = {"pooling": "attention", "crf": True, "character_encoder": "lstm", "output_dropout": 0.25}
    card = render("user/small", RNNConfig(**CONFIG, **settings, architectures=[architecture]), {}, {}, [])
    assert [words for words in read if words not in card] == []
    assert [words for words in unread if words in card] == []


def test_a_model_without_a_run_has_a_card_too(tmp_path):
    config().save_pretrained(tmp_path / "bare")
    card = render_folder(tmp_path / "bare")
    assert "A GRU of 501 parameters that labels a text bad or good." in card
    assert "bad, good" in card
    assert "## Training" not in card
    assert "## Evaluation" not in card


EVIL = [
    "<!-- hf_rnn: a push writes all that stands below anew. -->",
    "a\n---\nlicense: evil",
    "---",
    "{{ 7 * 7 }} {% for x in y %}",
    "<script>alert(1)</script>",
    "| a | b |\n|---|---|",
    "[click](https://evil.example) ![](https://evil.example/x.png) https://evil.example www.evil.example",
    '"); import os; os.system("evil") #',
    "```\n# escaped\n```",
    "'; rm -rf / #",
    "# heading",
    "\u202eright to left\u202c \x00\x1b[31mred",
    "key: [value, &anchor *alias",
]


@pytest.mark.parametrize("quoted", [True, False])
@pytest.mark.parametrize("evil", EVIL)
def test_a_users_text_and_labels_cannot_break_or_enter_the_card(evil, quoted):
    from markdown_it import MarkdownIt

    labels, texts = (evil, "good"), (f"{evil} and some words", "a fine film")
    run = {**RUN, "card": {"dataset": evil}}
    known, innocent = facts(labels, texts), facts()
    if not quoted:
        known["data"]["examples"] = innocent["data"]["examples"] = []
    card = render("user/small", config(labels), run, known, [])
    plain = render("user/small", config(), RUN, innocent, [])
    assert not set("\x00\x1b\u202e") & set(card)
    data = ModelCard(card).data.to_dict()
    assert data["library_name"] == "transformers"
    assert "license" not in data
    markdown = MarkdownIt().enable(["table", "strikethrough"])

    def shape(text: str) -> list[str]:
        return [token.type for token in markdown.parse(ModelCard(text).text) if token.type != "inline"]

    def inside(text: str) -> set[str]:
        tokens = [child for token in markdown.parse(ModelCard(text).text) for child in token.children or []]
        return {token.type for token in tokens} | {str(t.attrs["href"]) for t in tokens if t.type == "link_open"}

    assert shape(card) == shape(plain)
    assert inside(card) <= inside(plain) | {"text_special"}
    prose = "".join(t.content for t in markdown.parse(ModelCard(card).text) if t.type == "inline")
    assert "https://evil" not in prose, "GitHub's Markdown would make it a link"
    code = [token.content for token in markdown.parse(ModelCard(card).text) if token.type == "fence"]
    compile("\n".join(block for block in code if "pipeline" in block), "card", "exec")
    assert merge(card, f"# mine\n\n{MARKER}\n").endswith(ModelCard(card).text.partition(MARKER)[2].strip() + "\n")


def test_merging_keeps_what_is_above_the_marker_and_what_is_not_ours():
    new = render("user/small", config(), RUN, facts(), [])
    assert ModelCard(merge(new, new)).text.strip() == ModelCard(new).text.strip()
    hand = "---\nlicense: mit\nbase_model: other\npipeline_tag: wrong\ntags: [mine]\n---\n# Title of mine\n\nWords.\n"
    merged = ModelCard(merge(new, hand))
    assert merged.text.lstrip().startswith("# Title of mine\n\nWords.\n" + MARKER)
    assert merged.data.to_dict()["base_model"] == "other"
    assert merged.data.to_dict()["pipeline_tag"] == "text-classification"
    assert merged.data.to_dict()["license"] == "apache-2.0"
    assert {"mine", "hf_rnn"} <= set(merged.data.to_dict()["tags"])
    untouched = f"# small\n\n{INVITATION}\n{MARKER}\nold"
    assert "Words." in merge(new, untouched, hand)
    assert "Words." in merge(new, hand, "# Others\n\nOther words.\n")


def test_another_model_takes_its_cell_s_tag_along_and_no_rows_of_the_old_one():
    before = render("user/small", config(), RUN, facts(), [])
    lstm = RNNConfig(**{**CONFIG, "cell_type": "lstm"}, problem_type="single_label_classification")
    silent = facts(("LABEL_0", "LABEL_1"))
    silent["data"]["examples"] = []
    merged = ModelCard(merge(render("user/small", lstm, RUN, silent, []), before)).data.to_dict()
    assert merged["tags"] == ["hf_rnn", "rnn", "lstm"]
    assert "widget" not in merged


def test_a_model_without_a_head_is_not_called_a_classifier(tmp_path):
    from hf_rnn import RNNModel

    RNNModel(config()).save_pretrained(tmp_path / "encoder")
    card = render_folder(tmp_path / "encoder")
    assert ModelCard(card).data.to_dict()["pipeline_tag"] == "feature-extraction"
    assert "text-classification" not in card
    assert "hf-rnn predict" not in card.partition("## Limits")[0]


def test_rows_are_not_quoted_where_nobody_wants_it(tmp_path):
    silent = facts()
    silent["data"]["examples"] = []
    card = render("user/small", config(), RUN, silent, [])
    assert "film" not in card
    assert "bad, good" in card


def test_metadata_is_plain_yaml():
    data = yaml.safe_load(render("user/small", config(), RUN, facts(), []).split("---")[1])
    result = data["model-index"][0]["results"][0]
    assert result["dataset"] == {"name": "reviews", "type": "reviews", "split": "validation"}
    assert {m["type"]: m["value"] for m in result["metrics"]}["accuracy"] == 0.75
    assert data["widget"][0] == {"text": "a dull film, not worth it", "example_title": "bad"}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([["a"], ["a", "b"], [], ["b"]] * 5, "any of 2 labels"),
        ([0.5, 1.25, 3.0, -1.0] * 5, "predicts a number for a text"),
        ([f"l{i % 30}" for i in range(90)], "gives a text one of 30 labels"),
    ],
)
def test_cards_of_other_kinds_of_labels(tmp_path, labels, words):
    import json

    import hf_rnn

    lines = [json.dumps({"text": f"a film of {i} words and more", "labels": label}) for i, label in enumerate(labels)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    settings = {"output_dir": str(tmp_path / "run"), "num_train_epochs": 1, "disable_tqdm": True}
    model = {"embedding_size": 4, "hidden_size": 4}
    hf_rnn.train({"data": {"path": str(tmp_path / "rows.jsonl")}, "model": model, "training": settings})
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert words in card
    assert "## Evaluation" in card
    assert "a film of" in card


def test_the_run_again_needs_a_copy_of_what_stood_in_a_folder_of_ours(tmp_path):
    (tmp_path / "lm").mkdir()
    run = {**RUN, "model": {"pretrained": str(tmp_path / "lm")}}
    assert "--data.path YOUR-COPY --model.pretrained YOUR-COPY" in render("me/model", config(), run, facts(), [])
    run = {**RUN, "model": {"pretrained": "somebody/lm"}}
    assert "--data.path YOUR-COPY --training.output_dir" in render("me/model", config(), run, facts(), [])


def test_the_template_is_the_file_at_the_top_of_the_project():
    top = Path(__file__).parents[2] / "model_card.md"
    packaged = Path(card_run.__file__).with_name("model_card.md")
    assert not packaged.is_symlink()
    assert packaged.read_bytes() == top.read_bytes(), "edit both: the package reads its own"


def test_settings_that_a_run_leaves_out_are_shown_with_the_defaults_of_training():
    defaults = {field.name: field.default for field in dataclasses.fields(RNNTrainingArguments)}
    named = card_run.DEFAULTS | card_run.OPTIONAL
    assert named == {name: defaults[name] for name in named}
