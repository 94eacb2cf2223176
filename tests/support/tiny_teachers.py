"""Tiny encoders of transformers, built without a download, that teach or are fine-tuned to teach."""

from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    set_seed,
)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def tiny_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer of words, as BERT uses it, with the words of some texts."""
    backend = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=SPECIAL))
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=64, **dict(zip(names, SPECIAL, strict=True))
    )


def tiny_config(tokenizer: PreTrainedTokenizerFast, **settings) -> BertConfig:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.5, **{**sizes, **settings}
    )


def tiny_encoder(folder: Path, texts: list[str], **settings) -> Path:
    """Save an encoder without a head, with random weights, and return its folder."""
    set_seed(0)
    tokenizer = tiny_tokenizer(texts)
    BertModel(tiny_config(tokenizer, **settings)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_classifier(folder: Path, texts: list[str], labels: list[str], **settings) -> Path:
    """Save a text classifier with random weights, and return its folder."""
    return _with_head(AutoModelForSequenceClassification, folder, texts, labels, **settings)


def tiny_tagger(folder: Path, texts: list[str], labels: list[str], **settings) -> Path:
    """Save a token classifier with random weights, and return its folder."""
    return _with_head(AutoModelForTokenClassification, folder, texts, labels, **settings)


def _with_head(auto, folder: Path, texts: list[str], labels: list[str], **settings) -> Path:
    set_seed(0)
    tokenizer = tiny_tokenizer(texts)
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    auto.from_config(tiny_config(tokenizer, **names, **settings)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_translator(folder: Path, texts: list[str]) -> Path:
    """Save a translator with random weights that writes short texts, and return its folder."""
    set_seed(0)
    tokenizer = tiny_tokenizer(texts)
    config = BartConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=64,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        init_std=0.5,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=2,
        forced_eos_token_id=3,
    )
    model = BartForConditionalGeneration(config)
    # Its texts begin with a word and end soon.
    model.generation_config.begin_suppress_tokens = list(range(len(SPECIAL)))
    model.final_logits_bias[0, 3] = 4
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
