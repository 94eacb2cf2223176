"""Tests on a CPU that a training step without logging, evaluation or saving has no wait for a GPU."""

import pytest
import torch
from datasets import Dataset
from support import tiny_config
from support.cudnn_contract import Waits, like_cudnn
from support.reviews import made_up_reviews
from transformers import TrainerCallback

import hf_rnn
from hf_rnn.text.bptt_windows import BPTTWindows, read_streams
from hf_rnn.training import arguments as training_arguments
from hf_rnn.training.arguments import RNNTrainingArguments
from hf_rnn.training.trainer import RNNTrainer

TEXTS = made_up_reviews(120)["text"]
TAGS = [["B-LOC" if word == "film" else "O" for word in text.split()] for text in TEXTS]
RUNS = {
    "classifier": {"model": {"bidirectional": True, "pooling": "concat"}},
    "objectives": {"training": {"averaging": "ema", "virtual_adversarial": 1.0, "adversarial": 1.0}},
    "smoothed": {"training": {"label_smoothing_factor": 0.1}},
    "tagger": {"task": "token_classification", "model": {"crf": True, "character_encoder": "lstm"}},
    "language model": {"task": "language_modeling", "training": {"window": 10, "per_device_train_batch_size": 4}},
    "sampled softmax": {
        "task": "language_modeling",
        "model": {"sampled_softmax": 10, "weight_dropout": 0.1},
        "training": {"window": 10, "per_device_train_batch_size": 4},
    },
    "translator": {"task": "translation", "model": {"num_hidden_layers": 2}},
}


class Watch(TrainerCallback):
    """Callback that counts waits from the end of one step to the end of another, with the reading of batches."""

    def __init__(self, first: int, last: int):
        self.first, self.last = first, last
        self.waits = Waits()

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.first:
            self.waits.__enter__()
        if state.global_step == self.last:
            self.waits.__exit__(None, None, None)
            control.should_training_stop = True


def rows_of(task: str | None) -> list[dict]:
    if task == "token_classification":
        return [{"tokens": text.split(), "ner_tags": tags} for text, tags in zip(TEXTS, TAGS, strict=True)]
    if task == "translation":
        return [{"source": text, "target": text} for text in TEXTS]
    labels = made_up_reviews(120)["label"]
    return [{"text": text, "label": ("bad", "good")[label]} for text, label in zip(TEXTS, labels, strict=True)]


@pytest.mark.parametrize("kind", RUNS)
def test_a_step_asks_nothing(kind, tmp_path, monkeypatch):
    settings, watch, start = RUNS[kind], Watch(2, 5), RNNTrainer.__init__

    def with_watch(self, *args, callbacks=None, **kwargs):
        start(self, *args, callbacks=[*(callbacks or []), watch], **kwargs)

    monkeypatch.setattr(RNNTrainer, "__init__", with_watch)
    once = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False, "logging_strategy": "no"}
    config = tiny_config("", tmp_path / "model", per_device_train_batch_size=8, max_steps=5, **once)
    sections = {name: {**config[name], **settings.get(name, {})} for name in ("tokenizer", "model", "training")}
    if "task" in settings:
        sections["task"] = settings["task"]
    with like_cudnn():
        hf_rnn.train(sections, data=Dataset.from_list(rows_of(settings.get("task"))))
    assert not watch.waits.found


def test_streams_are_read_with_one_question_at_the_end():
    model = hf_rnn.RNNForCausalLM(hf_rnn.RNNConfig(vocab_size=30, embedding_size=4, hidden_size=4))
    streams = BPTTWindows([torch.randint(3, 30, (50,)).tolist()], 2, 5, 1)
    expected = read_streams(model, streams)
    waits = Waits()

    def batches():
        with waits:
            yield from streams

    with like_cudnn():
        assert read_streams(model, batches()) == expected
    # The only counted operation for each window counts its labels, which are still on the host.
    assert sum(waits.found.values()) == len(streams)


def test_batches_are_copied_to_a_gpu_while_it_computes(tmp_path, monkeypatch):
    def arguments(**settings) -> RNNTrainingArguments:
        return RNNTrainingArguments(str(tmp_path), use_cpu=True, **settings)

    assert not arguments().accelerator_config.non_blocking
    assert not arguments().dataloader_pin_memory
    monkeypatch.setattr(training_arguments, "_trains_on_cuda", lambda use_cpu: True)
    for given in (None, {"even_batches": True}, '{"even_batches": true}'):
        assert arguments(accelerator_config=given).accelerator_config.non_blocking
    assert not arguments(accelerator_config={"non_blocking": False}).accelerator_config.non_blocking
    # Without pinned memory, a copy cannot overlap with computation.
    assert not arguments(dataloader_pin_memory=False).accelerator_config.non_blocking
