"""Put transformers' test suite on the import path, and register what the suite looks up by name."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from fetch import suite

SUITE = suite()
TINY = SUITE / "tiny-models"

if not SUITE.is_dir():
    pytest.exit("transformers' suite is not here: run `make conformance`, which fetches it.", returncode=2)

sys.path.insert(0, str(SUITE))
os.environ["TRANSFORMERS_TINY_MODEL_PATH"] = str(TINY)
os.environ["HF_HUB_OFFLINE"] = "1"
torch.set_num_threads(1)

import pipeline_checks
from skips import may_skip
from transformers.models.auto import modeling_auto

import hf_rnn

# The suite prepares labels by the class names in these static tables, and `register` does not change the tables.
modeling_auto.MODEL_MAPPING_NAMES["hf_rnn"] = "RNNModel"
modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES["hf_rnn"] = "RNNForSequenceClassification"

modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES["hf_rnn"] = "RNNForTokenClassification"
modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES["hf_rnn"] = "RNNForConditionalGeneration"

for _task in ("text_classification", "token_classification", "feature_extraction", "text_generation"):
    sys.modules[f"tests.pipelines.test_pipelines_{_task}"] = pipeline_checks


def _write_tiny_models() -> None:
    """Write a checkpoint for each architecture that the pipeline tests load, and the table that lists them."""
    texts = ["HuggingFace is in Paris and Montreal.", "This is great !", "And another test"] * 4
    tokenizer = hf_rnn.train_tokenizer(texts, vocab_size=320, show_progress=False)
    summary = {}
    classes = (
        hf_rnn.RNNModel,
        hf_rnn.RNNForSequenceClassification,
        hf_rnn.RNNForTokenClassification,
        hf_rnn.RNNForCausalLM,
    )
    for cls in classes:
        folder = TINY / "hf_rnn" / cls.__name__
        config = hf_rnn.RNNConfig(vocab_size=len(tokenizer), embedding_size=8, hidden_size=8, initializer_range=1.0)
        cls(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        summary[cls.__name__] = {
            "tokenizer_classes": ["PreTrainedTokenizerFast"],
            "processor_classes": [],
            "model_classes": [cls.__name__],
        }
    (TINY / "reports").mkdir(exist_ok=True)
    (TINY / "reports" / "tiny_model_summary.json").write_text(json.dumps(summary))


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        _write_tiny_models()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Fail each skipped test that `may_skip` does not allow, so that no test is skipped unnoticed."""
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail"):
        name = getattr(item, "originalname", item.name)
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not may_skip(name, reason, item.cls.pipeline_model_mapping):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} skipped itself, and no list says that it may: {reason}"
