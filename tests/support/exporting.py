"""Models with loud random weights, and the check that an exported graph has their logits on ragged batches."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

import hf_rnn
from hf_rnn.interchange.graphs import write_graph
from hf_rnn.interchange.parity import differences, made_up_rows
from hf_rnn.runtime.session import Session
from hf_rnn.training.ngrams import keys_of
from support.small_models import V

RECURRENT = ("LSTM", "GRU", "RNN")
TAGS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def loud(model: Any) -> Any:
    """Draw large weights and biases; with the default ones, an ignored mask would change logits by less than 1e-8."""
    for name, parameter in model.named_parameters():
        # Recurrent matrices of a larger norm would make the state of a ReLU explode.
        parameter.data.normal_(0, 0.2 if "weight_hh" in name else 0.6)
    return model.eval()


def classifier(**settings: Any) -> Any:
    sizes = {"vocab_size": V, "embedding_size": 8, "hidden_size": 6, "num_labels": 3, "pad_token_id": 0}
    model = loud(hf_rnn.RNNForSequenceClassification(hf_rnn.RNNConfig(**{**sizes, **settings})))
    if model.wide_path is not None:
        # The keys of some of all n-grams of one and two tokens.
        ids = range(V + model.config.num_rare_tokens)
        keys = np.unique(keys_of([np.array([one, other]) for one in ids for other in ids], 2)[0])
        model.wide_path.keys.copy_(torch.from_numpy(np.sort(keys[: len(model.wide_path.keys)])))
        model.wide_path.scale.uniform_(0.5, 2)
    return model


def tagger(**settings: Any) -> Any:
    labels = {"id2label": dict(enumerate(TAGS)), "label2id": {tag: i for i, tag in enumerate(TAGS)}}
    sizes = {"vocab_size": V, "embedding_size": 8, "hidden_size": 6, "pad_token_id": 0, "bidirectional": True}
    model = loud(hf_rnn.RNNForTokenClassification(hf_rnn.RNNConfig(**{**sizes, **labels, **settings})))
    if model.characters is not None:
        model.characters.learn_spelling(["", *(chr(65 + i) * (i % 30) for i in range(1, V))])
    return model


def operators(graph: Any) -> Counter:
    """Count the operators of a graph, those in the bodies of loops included."""
    found: Counter = Counter()
    for node in graph.node:
        found[node.op_type] += 1
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += operators(attribute.g)
    return found


def check_graph(model: Any, file: Path) -> None:
    """Check that the graph of a model has its logits, and one operator for each recurrent layer."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    settings = model.config.to_dict()
    write_graph(model, file)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert model.config.to_dict() == settings
    rows = made_up_rows(model.config.vocab_size + model.config.num_rare_tokens, 60)
    found = differences(model, Session(file).logits, rows)
    assert set(found) == {"none", "right", "left", "scattered"}
    # The states of a ReLU grow with the length of the text, and their differences too.
    assert max(found.values()) < (1e-4 if model.config.cell_type == "rnn_relu" else 1e-5), found
    counted = operators(onnx.load(str(file)).graph)
    stacks, kind = len(model.model.stacks), model.config.cell_type.partition("_")[0].upper()
    assert {name: counted[name] for name in RECURRENT if counted[name]} == {
        kind: stacks * model.config.num_hidden_layers
    }
    assert counted["Loop"] == 0
    assert counted["Scan"] == (2 if getattr(model, "crf", None) is not None else 0)
