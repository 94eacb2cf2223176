"""Tests of training on streams: the next window gets the state without gradients, also after a resume."""

import math

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from support.machine import needs_bf16
from transformers import Trainer, TrainerCallback, TrainingArguments

import hf_rnn
from hf_rnn import RNNConfig, RNNForCausalLM
from hf_rnn.tasks.language_modeling import LanguageModeling
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.bptt_windows import BPTTWindows
from hf_rnn.training.arguments import RNNTrainingArguments
from hf_rnn.training.bptt_trainer import LanguageModelTrainer, TruncatedBPTT
from hf_rnn.utils.errors import UserError

END, V = 3, 40


class StreamTrainer(TruncatedBPTT, Trainer):
    pass


class StopAt(TrainerCallback):
    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            control.should_save = control.should_training_stop = True


def make(**fields) -> RNNForCausalLM:
    torch.manual_seed(0)
    config = {"embedding_size": 8, "hidden_size": 8, "num_hidden_layers": 2, "hidden_dropout": 0.2, **fields}
    return RNNForCausalLM(RNNConfig(vocab_size=V, eos_token_id=END, **config))


def documents(count: int = 60) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(4, V, (11,), generator=generator).tolist() for _ in range(count)]


def trainer(folder, model=None, epochs=2, callbacks=None, both_ways=False, **arguments) -> StreamTrainer:
    streams = BPTTWindows(documents(), 4, 10, END, shuffle=True, vary=True, both_ways=both_ways)
    args = TrainingArguments(
        str(folder),
        num_train_epochs=epochs,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        learning_rate=0.01,
        seed=0,
        **arguments,
    )
    return StreamTrainer(model or make(), args, train_dataset=streams, eval_dataset=streams, callbacks=callbacks)


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("step", [7, 18, 25])
@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path, step, both_ways):
    fields = {"bidirectional": both_ways, "independent_directions": both_ways}
    whole = trainer(tmp_path / "whole", make(**fields), both_ways=both_ways)
    whole.train()
    assert whole.state.global_step == 36
    trainer(tmp_path / "cut", make(**fields), callbacks=[StopAt(step)], both_ways=both_ways).train()
    resumed = trainer(tmp_path / "cut", make(**fields), both_ways=both_ways)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 36
    for (name, a), b in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_the_loss_of_an_evaluation_is_that_of_the_whole_text(tmp_path):
    model = make()
    streams = BPTTWindows(documents(), 1, 10, END, words=500)
    metrics = trainer(tmp_path, model).evaluate(streams)
    text = torch.tensor([[token for row in documents() for token in [*row, END]]])
    with torch.no_grad():
        nats = F.cross_entropy(model.eval()(text).logits[0, :-1], text[0, 1:], reduction="sum").item()
    tokens = text.shape[1] - 1
    assert metrics["eval_loss"] == pytest.approx(nats / tokens, rel=1e-5)
    assert metrics["eval_perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-4)
    # The first token is not predicted, so its share of the words does not count.
    words = 500 * tokens / (tokens + 1)
    assert metrics["eval_word_perplexity"] == pytest.approx(math.exp(nats / words), rel=1e-4)


def test_each_window_starts_where_the_last_one_ended_and_an_epoch_anew(tmp_path):
    run = trainer(tmp_path)
    given, ended, read = [], [], []

    def before(model, arguments, options):
        given.append(options["past_key_values"])
        read.append(options["input_ids"])

    def after(model, arguments, options, outputs):
        ended.append(outputs.past_key_values)

    run.model.register_forward_pre_hook(before, with_kwargs=True)
    run.model.register_forward_hook(after, with_kwargs=True)
    run.train()
    assert [state is None for state in given] == ([True] + [False] * 17) * 2
    epochs = [torch.cat(read[start : start + 18], dim=1) for start in (0, 18)]
    assert not torch.equal(*epochs), "each epoch has its own order"
    for state, last in zip(given[1:], ended, strict=False):
        if state is not None:
            assert torch.equal(state.state[0], last.state[0])
            assert not state.state[0].requires_grad


@needs_bf16
def test_bf16_carries_its_state(tmp_path):
    run = trainer(tmp_path, epochs=1, bf16=True)
    run.train()
    assert run.state.global_step == 18


@pytest.mark.parametrize("order", ["group_by_length", "sequential"])
def test_rows_that_are_pieces_of_a_text_can_stay_in_order(tmp_path, order):
    task = LanguageModeling(DataArguments())
    rows = Dataset.from_dict({"text": [f"w{i} w{i + 1}" for i in range(40)]})
    tokenizer = hf_rnn.train_tokenizer(rows["text"], kind="word", min_frequency=1, show_progress=False)
    encoded = task.encode(rows, tokenizer)
    args = RNNTrainingArguments(
        tmp_path, per_device_train_batch_size=1, train_sampling_strategy=order, load_best_model_at_end=False, window=10
    )
    model = RNNForCausalLM(RNNConfig(vocab_size=len(tokenizer), embedding_size=4, hidden_size=4))
    streams = LanguageModelTrainer(
        model, args, task, tokenizer, train_dataset=encoded, eval_dataset=encoded
    ).train_dataset
    read = torch.cat([streams[i]["shift_labels"] for i in range(len(streams))], dim=1)[0]
    text = [token for row in encoded["input_ids"] for token in [*row, tokenizer.eos_token_id]][1:]
    assert (read.tolist() == text) == (order == "sequential")


def test_streams_of_other_processes_and_several_devices_are_refused(tmp_path, monkeypatch):
    args = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    streams = BPTTWindows(documents(), 4, 10, END, rank=1, world_size=2)
    with pytest.raises(UserError, match="are for 2 processes, and this run has 1: pass TextStreams"):
        StreamTrainer(make(), args, train_dataset=streams).train()
    monkeypatch.setattr(TrainingArguments, "n_gpu", 2)
    with pytest.raises(UserError, match="cannot carry the states of streams on 2 GPUs: write accelerate launch"):
        StreamTrainer(make(), args, train_dataset=streams)


def test_rows_that_are_no_streams_are_refused(tmp_path):
    args = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    with pytest.raises(UserError, match="train_dataset is a list, and TruncatedBPTT reads streams: pass TextStreams"):
        StreamTrainer(make(), args, train_dataset=[{"input_ids": [1, 2, 3]}] * 20).train()
