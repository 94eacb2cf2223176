import functools
import json
import math
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support import files, tiny_config
from support.reviews import made_up_reviews
from transformers import PreTrainedTokenizerFast, pipeline

import hf_rnn
from hf_rnn.models.code_files import code_files
from hf_rnn.text.collation import RaggedCollator
from hf_rnn.utils.errors import UserError

WHOLE = {
    *code_files("RNNForSequenceClassification"),
    "README.md",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "run.yaml",
    "schema.json",
    "metrics.json",
    "training_curves.png",
    "calibration.png",
    "confusion_matrix.png",
    "errors.csv",
}


def test_a_run_leaves_a_whole_model_folder(tiny_run):
    assert files(tiny_run) == WHOLE
    metrics = json.loads((tiny_run / "metrics.json").read_text())
    assert 0 <= metrics["validation"]["accuracy"] <= 1
    assert {"precision/negative", "recall/positive", "matthews_correlation"} <= metrics["validation"].keys()
    assert metrics["run"]["epochs"] == 1
    assert json.loads((tiny_run / "config.json").read_text())["id2label"] == {"0": "negative", "1": "positive"}
    for name in ("training_curves.png", "confusion_matrix.png", "calibration.png"):
        with Image.open(tiny_run / name) as image:
            assert min(image.size) > 200


def test_the_folder_reproduces_itself(tiny_run, tmp_path):
    again = hf_rnn.train(["--config", str(tiny_run / "run.yaml"), "--training.output_dir", str(tmp_path / "again")])
    first = json.loads((tiny_run / "metrics.json").read_text())
    assert again["validation"] == first["validation"]
    weights, same = load_file(tiny_run / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_the_pipeline_answers_in_batches_with_all_labels_and_cut(tiny_run):
    classify = pipeline("text-classification", model=str(tiny_run))
    texts = ["the film was not good .", "", "the film was good . " * 40]
    assert {answer["label"] for answer in classify(texts, batch_size=3)} <= {"negative", "positive"}
    one_by_one, batched = classify(texts, top_k=None), classify(texts, top_k=None, batch_size=2)
    for a, b in zip(one_by_one, batched, strict=True):
        assert [x["label"] for x in a] == [x["label"] for x in b]
        assert [x["score"] for x in a] == pytest.approx([x["score"] for x in b], abs=1e-6)
    head = classify("the film was good . " * 4)
    assert classify(texts[2], truncation=True, max_length=20)[0]["score"] == pytest.approx(head[0]["score"], abs=1e-6)


def test_a_run_is_not_overwritten_unless_told_to(tiny_run, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_run, folder)
    before = {name: (folder / name).read_bytes() for name in files(folder)}
    config = tiny_config(tiny_run.parent / "reviews.csv", folder)
    with pytest.raises(UserError, match=r"already holds a run.*training\.overwrite=True"):
        hf_rnn.train(config)
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before
    config["training"]["overwrite"] = True
    config["training"]["seed"] = 9
    (folder / "notes.txt").write_text("mine")
    hf_rnn.train(config)
    assert files(folder) == {*WHOLE, "notes.txt"}
    assert (folder / "model.safetensors").read_bytes() != before["model.safetensors"]
    assert not (folder / ".replaced").exists()
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_run_that_is_to_be_replaced_survives_the_failure_of_the_other(tiny_run, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    shutil.copytree(tiny_run, folder)
    config = tiny_config(tiny_run.parent / "reviews.csv", folder, overwrite=True)
    with monkeypatch.context() as patch:
        patch.setattr(RaggedCollator, "__call__", lambda *_: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                hf_rnn.train(config)
            assert files(folder / ".replaced") == WHOLE - {"README.md"}  # the new run keeps the user's text of the card
    hf_rnn.train(config)
    assert files(folder) == WHOLE
    assert not (folder / ".replaced").exists()


def test_nothing_is_written_where_the_data_are_wrong(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + "a,1\n" * 20)
    with pytest.raises(UserError, match="a classifier needs two"):
        hf_rnn.train(tiny_config(tmp_path / "a.csv", tmp_path / "model"))
    assert not (tmp_path / "model").exists()


def test_the_output_folder_may_not_be_a_file(tiny_run, tmp_path):
    (tmp_path / "model").write_text("")
    with pytest.raises(UserError, match="is a file: name a folder"):
        hf_rnn.train(tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "model"))


def test_training_batches_by_tokens(tiny_run, tmp_path, monkeypatch):
    shapes = []
    forward = hf_rnn.RNNForSequenceClassification.forward

    @functools.wraps(forward)
    def spy(self, input_ids=None, **inputs):
        if self.training:
            shapes.append(tuple(input_ids.shape))
        return forward(self, input_ids, **inputs)

    monkeypatch.setattr(hf_rnn.RNNForSequenceClassification, "forward", spy)
    results = hf_rnn.train(tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "run", train_batch_tokens=300))
    assert sum(B for B, _ in shapes) == results["run"]["train_rows"]
    assert all(B * T <= 300 for B, T in shapes)
    assert len({B for B, _ in shapes}) > 2
    with pytest.raises(UserError, match=r"training.train_batch_tokens=0 must be 1 or greater"):
        hf_rnn.train(tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "none", train_batch_tokens=0))


def test_early_stopping_ends_training(tiny_run, tmp_path):
    results = hf_rnn.train(
        tiny_config(
            tiny_run.parent / "reviews.csv",
            tmp_path / "model",
            num_train_epochs=30,
            learning_rate=0.0,
            early_stopping_patience=2,
        )
    )
    assert results["run"]["epochs"] == 3


def test_the_best_model_is_kept_not_the_last(tiny_run, tmp_path):
    config = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "model", num_train_epochs=6, learning_rate=0.02)
    results = hf_rnn.train(config)
    state = json.loads(next((tmp_path / "model").glob("checkpoint-*/trainer_state.json")).read_text())
    accuracies = [row["eval_accuracy"] for row in state["log_history"] if "eval_accuracy" in row]
    assert results["validation"]["accuracy"] == pytest.approx(max(accuracies))


@pytest.mark.parametrize(
    ("chosen", "metric", "greater_is_better"),
    [({}, "accuracy", True), ({"metric_for_best_model": "loss"}, "loss", False)],
)
def test_the_best_model_is_best_by_the_metric_of_the_task_or_the_one_chosen(
    tiny_run, tmp_path, monkeypatch, chosen, metric, greater_is_better
):
    seen = []
    train = hf_rnn.training.run.RNNTrainer.train
    monkeypatch.setattr(
        hf_rnn.training.run.RNNTrainer, "train", lambda self, **kwargs: seen.append(self.args) or train(self, **kwargs)
    )
    hf_rnn.train(tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "model", **chosen))
    assert seen[0].metric_for_best_model == metric
    assert seen[0].greater_is_better == greater_is_better


@pytest.mark.slow
@pytest.mark.parametrize("problem_type", ["regression", "multi_label_classification"])
@pytest.mark.parametrize("steps", [1, 4])
def test_accumulating_gradients_changes_nothing(tmp_path, problem_type, steps):
    reviews = made_up_reviews(80)
    rows = [
        {"text": text, "label": float(label) + 0.5 if problem_type == "regression" else [f"l{label}", "all"]}
        for text, label in zip(reviews["text"], reviews["label"], strict=True)
    ]
    rows[0]["label"] = rows[0]["label"] if problem_type == "regression" else ["l0"]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    losses = []
    for accumulation, size in ((1, 32), (steps, 32 // steps)):
        config = tiny_config(
            tmp_path / "a.jsonl",
            tmp_path / f"{accumulation}-{size}-{len(losses)}",
            gradient_accumulation_steps=accumulation,
            per_device_train_batch_size=size,
            train_sampling_strategy="sequential",
            optim="sgd",
        )
        # The 64 training rows make whole batches. The mean over their parts' means is then the mean over the rows.
        config["data"] |= {"problem_type": problem_type, "validation_size": 0.2}
        losses.append(hf_rnn.train(config)["validation"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_chinese_strings_in_a_csv_with_chinese_columns_work_with_defaults(tmp_path):
    good, bad = ["非常好看", "我很喜欢", "值得推荐", "十分精彩"], ["非常难看", "我不喜欢", "浪费时间", "十分无聊"]
    things = ["这部电影", "这本书", "这家餐厅", "这首歌", "这个手机", "这场演出"]
    lines = ["编号,评论,情感"]
    for i in range(240):
        words, label = (good, "好评") if i % 2 else (bad, "差评")
        lines.append(f"{i},{things[i % 6]}{words[i // 2 % 4]}，{words[i // 8 % 4]}。,{label}")
    (tmp_path / "评论.csv").write_text("\n".join(lines), encoding="utf-8")
    results = hf_rnn.train(
        {"data": {"path": str(tmp_path / "评论.csv")}, "training": {"output_dir": str(tmp_path / "model")}}
    )
    assert results["validation"]["accuracy"] == 1
    classify = pipeline("text-classification", model=str(tmp_path / "model"))
    assert [answer["label"] for answer in classify(["这首歌十分精彩。", "这家餐厅浪费时间。"])] == ["好评", "差评"]


def test_a_model_of_several_labels_answers_through_the_pipeline(tmp_path):
    rows = [{"text": t, "labels": ["all", "good"] if "good" in t else ["all"]} for t in ("a good film", "a film") * 60]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in [*rows[:-1], {"text": "", "labels": []}]))
    config = tiny_config(tmp_path / "a.jsonl", tmp_path / "model", num_train_epochs=25, learning_rate=0.05)
    hf_rnn.train(config)
    classify = pipeline("text-classification", model=str(tmp_path / "model"), top_k=None)
    good, plain = ({a["label"]: a["score"] for a in answers} for answers in classify(["a good film", "a film"]))
    # The first epoch with the best F1 is kept, so that scores may be close to 0.5. They need not sum to 1.
    assert min(good["good"], good["all"], plain["all"]) > 0.5 > plain["good"]
    assert good["good"] + good["all"] > 1.01


def test_an_existing_tokenizer_is_used(tiny_run, tmp_path):
    config = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "model")
    config["tokenizer"] = {"path": str(tiny_run)}
    hf_rnn.train(config)
    assert (tmp_path / "model" / "tokenizer.json").read_text() == (tiny_run / "tokenizer.json").read_text()


def test_a_tokenizer_of_another_kind_of_model_works_through_the_pipeline(tiny_run, tmp_path):
    backend = hf_rnn.load_tokenizer(str(tiny_run)).backend_tokenizer
    theirs = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    theirs.save_pretrained(tmp_path / "theirs")
    config = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "model")
    config["tokenizer"] = {"path": str(tmp_path / "theirs")}
    hf_rnn.train(config)
    assert pipeline("text-classification", model=str(tmp_path / "model"))("the film was good .")


@pytest.mark.parametrize(
    ("problem_type", "metric", "greater_is_better"),
    [
        ("regression", "mae", False),
        ("regression", "pearson", True),
        ("single_label_classification", "eval_loss", False),
        ("single_label_classification", "f1_macro", True),
        ("multi_label_classification", "subset_accuracy", True),
    ],
)
def test_a_chosen_metric_has_its_own_direction(problem_type, metric, greater_is_better, tmp_path):
    task = hf_rnn.TextClassification(hf_rnn.DataArguments(label_names=["a", "b"]))
    task.problem_type = problem_type
    model = hf_rnn.RNNForSequenceClassification(hf_rnn.RNNConfig(vocab_size=300))
    tokenizer = hf_rnn.train_tokenizer(["a"], vocab_size=300, show_progress=False)
    args = hf_rnn.RNNTrainingArguments(output_dir=str(tmp_path), metric_for_best_model=metric)
    trainer = hf_rnn.RNNTrainer(model, args, task, tokenizer, train_dataset=[], eval_dataset=[], callbacks=None)
    assert trainer.args.greater_is_better == greater_is_better


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"metric_for_best_model": "f1"}, "metric_for_best_model='f1' is not one of accuracy, f1_macro"),
        ({"early_stopping_patience": 0}, "early_stopping_patience=0 must be 1 or greater"),
        (
            {
                "early_stopping_patience": 2,
                "eval_strategy": "no",
                "save_strategy": "no",
                "load_best_model_at_end": False,
            },
            "counts evaluations, and training.eval_strategy is no",
        ),
        ({"per_device_train_batch_size": 0}, "per_device_train_batch_size=0 must be 1 or greater"),
        ({"gradient_accumulation_steps": 0}, "gradient_accumulation_steps=0 must be 1 or greater"),
        ({"learning_rate": -1.0}, r"learning_rate=-1\.0 must be 0 or greater"),
        ({"data_seed": -1}, r"data_seed=-1 must be 0 or greater"),
        ({"max_steps": 0}, "max_steps=0 trains nothing"),
        ({"num_train_epochs": 0}, "num_train_epochs=0.* trains nothing"),
        ({"train_sampling_strategy": "sequental"}, "'sequental' is not one of .*: did you mean .*'sequential'"),
        ({"gradual_unfreezing": True}, r"without model\.pretrained they are untrained"),
    ],
)
def test_settings_of_the_best_model_are_checked_before_training(tiny_run, tmp_path, training, message):
    with pytest.raises(UserError, match=message):
        hf_rnn.train(tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "model", **training))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("section", "settings", "message"),
    [
        ("model", {"sampled_softmax": 100}, "model.sampled_softmax=100 has no use in the task text_classification"),
        ("model", {"character_hidden_size": 9}, "model.character_hidden_size=9 has no use in the task text_class"),
        ("training", {"window": 50}, "training.window=50 has no use in the task text_classification"),
        ("training", {"fsdp": "full_shard"}, "FSDP and DeepSpeed split models that are too large for one device"),
        ("tokenizer", {"path": "somewhere"}, "its settings are fixed: leave the other settings"),
    ],
)
def test_settings_that_nothing_reads_are_refused(tiny_run, tmp_path, section, settings, message):
    config = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "model")
    config[section] |= settings
    with pytest.raises(UserError, match=message):
        hf_rnn.train(config)


def test_digits_are_read_as_0_by_the_tokenizer_of_the_run(tiny_run, tmp_path):
    config = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "model", max_steps=1)
    config["data"]["normalize_digits"] = True
    hf_rnn.train(config)
    tokenizer = hf_rnn.load_tokenizer(str(tmp_path / "model"))
    assert tokenizer("In 1984")["input_ids"] == tokenizer("In 2019")["input_ids"]
    assert "digits read as 0" in (tmp_path / "model" / "README.md").read_text()
    config["tokenizer"], config["training"]["output_dir"] = {"path": str(tiny_run)}, str(tmp_path / "other")
    with pytest.raises(UserError, match=r"data\.normalize_digits=True needs a tokenizer that this run trains"):
        hf_rnn.train(config)


def test_labels_are_smoothed_for_one_label_a_text_alone(tmp_path):
    rows = [{"text": text, "label": float(i)} for i, text in enumerate(made_up_reviews(40)["text"])]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    config = tiny_config(tmp_path / "a.jsonl", tmp_path / "model", label_smoothing_factor=0.1)
    config["data"]["problem_type"] = "regression"
    with pytest.raises(
        UserError, match=r"label_smoothing_factor=0\.1 needs one label per text, and the problem type is regr"
    ):
        hf_rnn.train(config)


def test_one_batch_can_be_learnt_by_heart():
    model = hf_rnn.RNNForSequenceClassification(hf_rnn.RNNConfig(vocab_size=30, hidden_size=16, num_labels=4))
    input_ids, labels = torch.randint(1, 30, (8, 12)), torch.arange(8) % 4
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        loss = model(input_ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    assert math.isfinite(loss.item())
