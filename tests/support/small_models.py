"""A small model of each kind, with the calls that give its losses."""

import torch

import hf_rnn

V = 40


def config(**settings) -> hf_rnn.RNNConfig:
    return hf_rnn.RNNConfig(**{"vocab_size": V, "embedding_size": 8, "hidden_size": 8, "pad_token_id": 0, **settings})


def ids(B: int, T: int) -> torch.Tensor:
    return torch.randint(1, V, (B, T))


def mask(B: int, T: int) -> torch.Tensor:
    return (torch.arange(T) < torch.arange(T, T - B, -1)[:, None]).long()


def classifier(**settings):
    model = hf_rnn.RNNForSequenceClassification(config(num_labels=3, **settings))
    batch = {"input_ids": ids(4, 12), "labels": torch.zeros(4, dtype=torch.long)}
    return model, [lambda: model(**batch).loss, lambda: model(**batch, attention_mask=mask(4, 12)).loss]


def tagger(**settings):
    model = hf_rnn.RNNForTokenClassification(config(num_labels=5, **settings))
    batch = {"input_ids": ids(3, 9), "attention_mask": mask(3, 9), "labels": torch.zeros(3, 9, dtype=torch.long)}
    return model, [lambda: model(**batch).loss]


def language_model(**settings):
    model = hf_rnn.RNNForCausalLM(config(**settings))

    def two_windows():
        state, loss = None, 0.0
        for _ in range(2):
            batch = {"input_ids": ids(3, 7), "shift_labels": ids(3, 7), "past_key_values": state}
            if model.config.independent_directions:
                batch |= {"reversed_input_ids": ids(3, 7), "reversed_shift_labels": ids(3, 7)}
            out = model(**batch)
            state, loss = out.past_key_values.detach(), loss + out.loss
        return loss

    def masked():
        return model(input_ids=ids(3, 7), attention_mask=mask(3, 7), labels=ids(3, 7)).loss

    return model, [two_windows, masked]


def translator(**settings):
    marks = {"decoder_start_token_id": 1, "eos_token_id": 2}
    model = hf_rnn.RNNForConditionalGeneration(config(bidirectional=True, **marks, **settings))
    return model, [lambda: model(ids(3, 9), mask(3, 9), labels=ids(3, 6)).loss]
