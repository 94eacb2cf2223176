"""Load models in a separate process and print their outputs: `python load.py WAY`, with a list of models on stdin.

WAY is `package` (hf_rnn is imported) or `code` (hf_rnn is not installed, and the repository's code is trusted).
"""

import hashlib
import importlib.util
import json
import sys
import tempfile

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)

AUTO_CLASSES = {
    "RNNForCausalLM": AutoModelForCausalLM,
    "RNNForConditionalGeneration": AutoModelForSeq2SeqLM,
    "RNNForSequenceClassification": AutoModelForSequenceClassification,
    "RNNForTokenClassification": AutoModelForTokenClassification,
}
TEXTS = ["the film was not good .", "", "the price was awful , but the camera was far from bad . " * 5]


def look(path: str, options: dict) -> dict:
    (kind,) = AutoConfig.from_pretrained(path, **options).architectures
    auto_class = AUTO_CLASSES[kind]
    model = auto_class.from_pretrained(path, **options)
    tokenizer = AutoTokenizer.from_pretrained(path, **options)
    base = AutoModel.from_pretrained(path, **options)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    with torch.inference_mode():
        begin = {"decoder_input_ids": torch.full((len(TEXTS), 1), 2)} if kind == "RNNForConditionalGeneration" else {}
        logits = model(**batch, **begin).logits.float()
        states = base(**batch).last_hidden_state.float()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        options_here = {name: value for name, value in options.items() if name != "revision"}
        again = auto_class.from_pretrained(folder, **options_here).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in model.state_dict().items())
    if kind == "RNNForConditionalGeneration":
        answers = model.generate(**batch, max_new_tokens=5, num_beams=2).tolist()
    elif kind == "RNNForTokenClassification":
        tag = pipeline("token-classification", model=path, aggregation_strategy="first", **options)
        answers = [[entity["start"], entity["end"], float(entity["score"])] for entity in tag(TEXTS[0])]
    elif kind == "RNNForCausalLM":
        write = pipeline("text-generation", model=path, **options)
        answers = write(TEXTS[0], max_new_tokens=5, do_sample=False, return_tensors=True)[0]["generated_token_ids"]
    else:
        classify = pipeline("text-classification", model=path, **options)
        answers = [[row["score"], model.config.label2id[row["label"]]] for row in classify(TEXTS, batch_size=2)]
    return {
        "module": type(model).__module__.split(".")[0],
        "dtype": str(model.dtype),
        "weights": digest.hexdigest(),
        "logits": logits.tolist(),
        "states": float(states.abs().sum()),
        "answers": answers,
    }


def main() -> None:
    way, models = sys.argv[1], json.load(sys.stdin)
    torch.set_num_threads(1)
    if way == "code":
        assert importlib.util.find_spec("hf_rnn") is None, "hf_rnn is installed here"
    else:
        import hf_rnn  # noqa: F401
    trust = {"trust_remote_code": True} if way == "code" else {}
    print(json.dumps([look(path, {**options, **trust}) for path, options in models]))


if __name__ == "__main__":
    main()
