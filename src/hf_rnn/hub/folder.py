# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Names of the files in a model's folder, and checks that the folder is complete and consistent."""

from pathlib import Path
from shlex import quote

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PreTrainedTokenizerBase
from transformers.utils import CONFIG_NAME, GENERATION_CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from ..auto import MODELS, architecture, model_without_weights
from ..models.code_files import code_files
from ..models.configuration_rnn import RNNConfig
from ..models.weight_files import is_pointer
from ..runtime.record import DECODER_GRAPH, ENCODER_GRAPH, GRAPH, ONNX_FOLDER, quantized_name
from ..runtime.record import RECORD_FILE as EXPORT_RECORD
from ..text.schema import SCHEMA_FILE
from ..text.tokenization import TOKENIZER_FILES
from ..text.vocabulary import check_vocabulary
from ..utils.errors import HfRnnError, did_you_mean, first_line
from ..utils.hub_download import matches

RUN_FILE = "run.yaml"
METRICS_FILE = "metrics.json"
CARD_FILE = "README.md"
# The classes of an estimator for scikit-learn with their types. config.json has only their names, which are strings.
CLASSES_FILE = "classes.json"
CONFUSION_MATRIX, TRAINING_CURVES = "confusion_matrix.png", "training_curves.png"
CALIBRATION = "calibration.png"
# A push includes the picture of the gradient flow, but not its numbers.
GRADIENT_FLOW, GRADIENT_FLOW_FILE = "gradient_flow.png", "gradient_flow.json"
# The worst errors of a classifier. The file quotes texts of the data set, so a push leaves it out.
ERRORS_FILE = "errors.csv"
# The rows that a student and its teacher answer in different ways. A push leaves it out, too.
DISAGREEMENTS_FILE = "disagreements.csv"
# Origin of a model that was imported from another program, and the decisions about it.
IMPORT_FILE = "import.json"
# Results of a cross-validation. A push includes the picture only, because the tables quote texts of the data set.
CROSS_VALIDATION, OUT_OF_FOLD, LABEL_ERRORS = "cross_validation.png", "out_of_fold.csv", "label_errors.csv"
# The trials of a search of settings.
TRIALS_FILE = "tune.csv"
# Pictures, and their names in the card.
PICTURES = {
    CONFUSION_MATRIX: "confusion matrix",
    TRAINING_CURVES: "training curves",
    CALIBRATION: "calibration of the scores",
    GRADIENT_FLOW: "gradient through time",
    CROSS_VALIDATION: "cross-validation",
}
WEIGHT_FILES = (SAFE_WEIGHTS_NAME, "model-*-of-*.safetensors")
WEIGHTS = (*WEIGHT_FILES, SAFE_WEIGHTS_INDEX_NAME)
# Files with the code of all models. Each model is saved with those that it needs.
CODE_FILES = code_files()
# A push includes these files only, and never other files of the folder: checkpoints, pickles, a user's own files.
MODEL_FILES = (
    CONFIG_NAME,
    GENERATION_CONFIG_NAME,
    *WEIGHTS,
    *CODE_FILES,
    *TOKENIZER_FILES,
    RUN_FILE,
    METRICS_FILE,
    SCHEMA_FILE,
    CLASSES_FILE,
    IMPORT_FILE,
    *PICTURES,
)
# Files that an exported model is opened from, in place of the weights.
EXPORTED_FILES = (CONFIG_NAME, *TOKENIZER_FILES, RUN_FILE, SCHEMA_FILE, f"{ONNX_FOLDER}/*")


# A download leaves these files out, because torch does not need them.
_GRAPHS = (GRAPH, ENCODER_GRAPH, DECODER_GRAPH)
ONNX_FILES = tuple(f"{ONNX_FOLDER}/{name}" for name in (*_GRAPHS, *map(quantized_name, _GRAPHS), EXPORT_RECORD))


def model_files(folder: Path) -> dict[str, Path | bytes]:
    """Return the path of each file that a push includes, by name.

    Args:
        folder: Folder of the model.
    """
    names = [file.name for file in sorted(folder.iterdir()) if matches(file.name, MODEL_FILES)]
    return {name: folder / name for name in (*names, *ONNX_FILES) if (folder / name).exists()}


def check_model(folder: Path, name: str | None = None) -> RNNConfig:
    """Check that a folder holds a complete model of hf_rnn, and return its configuration.

    Args:
        folder: Folder of the model.
        name: Name of the model as the user wrote it, for errors; the folder if None.

    Raises:
        HfRnnError: The folder holds no model, a model of another library, or files that do not match each other.
    """
    name = name or str(folder)
    config = read_config(folder, name)
    check_weights(folder, config, name)
    if any(folder.glob("tokenizer*")):
        check_vocabulary(folder, config, name)
    return config


def read_config(folder: Path, name: str) -> RNNConfig:
    """Return the configuration of a model of hf_rnn in a folder, whose weights are not read.

    Args:
        folder: Folder of the model.
        name: Name of the model as the user wrote it, for errors.

    Raises:
        HfRnnError: The folder holds no model, or a model of another library.
    """
    if not folder.is_dir():
        raise HfRnnError(
            f"there is no folder {name!r}: name the output_dir of a training run that ended.{did_you_mean(name)}"
        )
    for file in (path for path in sorted(folder.iterdir()) if path.is_file() and matches(path.name, MODEL_FILES)):
        if is_pointer(file):
            there = Path(name).is_dir()
            advice = (
                f"git -C {quote(name)} lfs pull." if there else "its owner pushed the pointer only: report it to them."
            )
            raise HfRnnError(f"{file.name} of {name!r} is a pointer of Git LFS, not the file itself: {advice}")
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, StrictDataclassError) as error:
        hint = (
            f" Its training has not ended: resume it with hf-rnn train --config {quote(str(folder / RUN_FILE))} "
            "--training.resume true."
        )
        raise HfRnnError(
            f"{name!r} holds no model that can be loaded ({first_line(error)}): name the output_dir of a training run "
            f"that ended, or a model on the Hub.{hint if any(folder.glob('checkpoint-*')) else ''}"
        ) from error
    if not isinstance(config, RNNConfig):
        raise HfRnnError(f"{name!r} is a {config.model_type} model, not one of hf_rnn: use it with transformers.")
    return config


def check_alike(
    config: RNNConfig,
    tokenizer: PreTrainedTokenizerBase,
    other: RNNConfig,
    other_tokenizer: PreTrainedTokenizerBase,
    name: str,
) -> None:
    """Check that two models have the same architecture, labels and vocabulary, as ensembles and model soups require.

    Args:
        config: Configuration of the first model.
        tokenizer: Tokenizer of the first model.
        other: Configuration of the other model.
        other_tokenizer: Tokenizer of the other model.
        name: Name of the other model as the user wrote it, for errors.

    Raises:
        HfRnnError: The architectures, the labels or the vocabularies differ.
    """
    if architecture(other) != architecture(config) or other.id2label != config.id2label:
        theirs, ours = ({architecture(c), *c.id2label.values()} for c in (other, config))
        raise HfRnnError(
            f"{name!r} has other labels ({', '.join(sorted(theirs - ours)) or 'labels in another order'}) than "
            "the first model: name models that were trained on the same task."
        )
    if other_tokenizer.get_vocab() != tokenizer.get_vocab():
        raise HfRnnError(
            f"{name!r} has another tokenizer than the first model: train both with the same, tokenizer.path=FIRST."
        )


def check_weights(folder: Path, config: RNNConfig, name: str) -> None:
    """Check that the weights in a folder match the configuration.

    Args:
        folder: Folder with the files of weights.
        config: Configuration of the model.
        name: Name of the model as the user wrote it, for errors.

    Raises:
        HfRnnError: There are no weights, a file is damaged, or names or shapes of tensors do not match the
            configuration; the message lists these tensors.
    """
    files = sorted(file for file in folder.iterdir() if matches(file.name, WEIGHT_FILES))
    if not files:
        pickle = next((f", only the pickle {file.name}, which can run any code" for file in folder.glob("*.bin")), "")
        raise HfRnnError(
            f"{name!r} has no {SAFE_WEIGHTS_NAME}{pickle}: save the model with model.save_pretrained; or, if only "
            f"a part of it is in the cache, hf download {name}."
        )
    found: dict[str, list[int]] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as tensors:
                found |= {key: list(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise HfRnnError(
                f"{file.name} of {name!r} is damaged ({first_line(error)}): save the model again."
            ) from error
    kind = architecture(config)
    if kind not in MODELS:
        raise HfRnnError(f"{name!r} holds a {kind}, and this hf_rnn has {', '.join(MODELS)}.")
    model = model_without_weights(kind, config)
    # The file stores tied weights once, under one of their names.
    tied = set(model.all_tied_weights_keys) - set(found)
    wanted = {key: list(t.shape) for key, t in model.state_dict().items() if key not in tied}
    wrong = [f"{key} is missing" for key in wanted if key not in found]
    wrong += [f"{key} is not the model's" for key in found if key not in wanted]
    wrong += [
        f"{key} is {found[key]} and should be {wanted[key]}"
        for key in wanted
        if found.get(key, wanted[key]) != wanted[key]
    ]
    if wrong:
        raise HfRnnError(
            f"the weights of {name!r} do not fit its {CONFIG_NAME}: {'; '.join(wrong)}. Put back the two files of "
            "one save_pretrained."
        )


__all__ = ["check_alike", "check_model", "check_weights", "model_files", "read_config"]
