"""transformers' own tests of models, configurations and pipelines, run with all four cells."""

import unittest

import torch
from tests.generation.test_utils import GenerationTesterMixin
from tests.test_configuration_common import ConfigTester
from tests.test_modeling_common import ModelTesterMixin, ids_tensor
from tests.test_pipeline_mixin import PipelineTesterMixin

from hf_rnn import (
    RNNConfig,
    RNNForCausalLM,
    RNNForConditionalGeneration,
    RNNForSequenceClassification,
    RNNForTokenClassification,
    RNNModel,
)


class RNNModelTester:
    """Configuration and inputs of a tiny model; large weights and random masked ids make mistakes visible."""

    is_training = True
    batch_size = 4
    seq_length = 7
    hidden_size = 16
    num_hidden_layers = 2
    num_labels = 3

    def __init__(self, parent, cell_type: str):
        self.parent = parent
        self.cell_type = cell_type
        # The suite expects all hidden states, the embeddings included, to have the same width.
        self.bidirectional = cell_type in ("lstm", "gru")
        self.pooling = {"lstm": "concat", "gru": "attention", "rnn_tanh": "last", "rnn_relu": "mean"}[cell_type]

    def get_config(self) -> RNNConfig:
        return RNNConfig(
            vocab_size=99,
            embedding_size=self.hidden_size,
            hidden_size=self.hidden_size // (2 if self.bidirectional else 1),
            num_hidden_layers=self.num_hidden_layers,
            cell_type=self.cell_type,
            bidirectional=self.bidirectional,
            pooling=self.pooling,
            classifier_hidden_size=8,
            crf=self.cell_type in ("lstm", "rnn_tanh"),
            character_encoder={"lstm": "lstm", "gru": "cnn"}.get(self.cell_type, "none"),
            initializer_range=1.0,
            num_labels=self.num_labels,
        )

    def prepare_config_and_inputs_for_common(self):
        input_ids = ids_tensor([self.batch_size, self.seq_length], 98) + 1
        lengths = torch.tensor([self.seq_length, 3, 1, 5])
        attention_mask = (torch.arange(self.seq_length) < lengths[:, None]).long()
        return self.get_config(), {"input_ids": input_ids, "attention_mask": attention_mask}


class Conformance(ModelTesterMixin, PipelineTesterMixin):
    all_model_classes: tuple = (RNNModel, RNNForSequenceClassification, RNNForTokenClassification)
    pipeline_model_mapping = {
        "feature-extraction": RNNModel,
        "text-classification": RNNForSequenceClassification,
        "token-classification": RNNForTokenClassification,
    }
    has_attentions = False
    test_can_init_all_missing_weights_before_2023 = True
    cell_type: str
    model_tester_class = RNNModelTester

    @property
    def model_tester(self) -> RNNModelTester:
        return self._model_tester

    def setUp(self):
        self._model_tester = self.model_tester_class(self, self.cell_type)
        self.config_tester = ConfigTester(
            self,
            config_class=RNNConfig,
            common_properties=["embedding_size", "hidden_size", "num_hidden_layers"],
            hidden_size=37,
            cell_type=self.cell_type,
        )

    def test_config(self):
        self.config_tester.run_common_tests()


class CausalRNNModelTester(RNNModelTester):
    def __init__(self, parent, cell_type: str):
        super().__init__(parent, cell_type)
        self.bidirectional = False

    def get_config(self) -> RNNConfig:
        config = super().get_config()
        config.bos_token_id = 1
        # Without this field, the generation tests treat the model as one without a cache.
        config.use_cache = True
        return config


class CausalConformance(Conformance, GenerationTesterMixin):
    """Tests of the language model, with the generation tests if fetch.py found them.

    Our own generation tests are in test_modeling_causal_rnn.
    """

    all_model_classes = (RNNForCausalLM,)
    all_generative_model_classes = (RNNForCausalLM,)
    pipeline_model_mapping = {"text-generation": RNNForCausalLM}
    model_tester_class = CausalRNNModelTester

    def setUp(self):
        super().setUp()
        # The suite assumes that a model without attention cannot read padding.
        self.has_attentions = self._testMethodName == "test_left_padding_compatibility"

    def _check_past_key_values_for_generate(self, batch_size, past_key_values, seq_length, config):
        parts = 2 if config.cell_type == "lstm" else 1
        shape = (batch_size, config.num_hidden_layers, config.hidden_size)
        self.assertEqual([tuple(part.shape) for part in past_key_values.state], [shape] * parts)
        self.assertEqual(past_key_values.get_seq_length(), seq_length)

    def _check_caches_are_equal(self, cache1, cache2):
        self.assertEqual(cache1.get_seq_length(), cache2.get_seq_length())
        for part, other in zip(cache1.state, cache2.state, strict=True):
            torch.testing.assert_close(part, other)


class Seq2SeqRNNModelTester(RNNModelTester):
    """Configuration and inputs of tiny encoder-decoders with both types of attention."""

    def get_config(self) -> RNNConfig:
        config = super().get_config()
        config.is_encoder_decoder = True
        config.bos_token_id = 1
        config.attention_type = "additive" if self.cell_type == "gru" else "multiplicative"
        config.input_feeding = self.cell_type == "gru"
        config.coverage = 1.0 if self.cell_type == "gru" else 0.0
        config.use_cache = True
        return config

    def prepare_config_and_inputs_for_common(self):
        config, inputs = super().prepare_config_and_inputs_for_common()
        inputs["decoder_input_ids"] = ids_tensor([self.batch_size, self.seq_length], 98) + 1
        return config, inputs


class Seq2SeqConformance(Conformance, GenerationTesterMixin):
    all_model_classes = (RNNForConditionalGeneration,)
    all_generative_model_classes = (RNNForConditionalGeneration,)
    pipeline_model_mapping = {}
    model_tester_class = Seq2SeqRNNModelTester
    is_encoder_decoder = True


class LSTMTest(Conformance, unittest.TestCase):
    cell_type = "lstm"


class GRUTest(Conformance, unittest.TestCase):
    cell_type = "gru"


class TanhRNNTest(Conformance, unittest.TestCase):
    cell_type = "rnn_tanh"


class ReluRNNTest(Conformance, unittest.TestCase):
    cell_type = "rnn_relu"


class CausalLSTMTest(CausalConformance, unittest.TestCase):
    cell_type = "lstm"


class CausalGRUTest(CausalConformance, unittest.TestCase):
    cell_type = "gru"


class Seq2SeqLSTMTest(Seq2SeqConformance, unittest.TestCase):
    cell_type = "lstm"


class Seq2SeqGRUTest(Seq2SeqConformance, unittest.TestCase):
    cell_type = "gru"
