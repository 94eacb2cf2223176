"""What a test asks another process to do, in which the client knows the Hub of the test and no other."""

import contextlib
import io
import os
import warnings

import pytest


def start(environment: dict[str, str]) -> None:
    """The client reads its environment once, when it is imported: here, after this."""
    os.environ.update(environment)
    import torch

    import hf_rnn.hub_errors

    torch.set_num_threads(1)
    hf_rnn.hub_errors.WAITS = (0, 0, 0, 0)
    hf_rnn.hub_errors.LONGEST_SILENCE = 3


def cli(arguments: list[str], token: str | None = None, folder: str | None = None) -> tuple[int, str, str]:
    """Exit code, output and error output of a command line, without the progress bars."""
    from hf_rnn.cli import main

    out, error = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if token is not None:
            patch.setenv("HF_TOKEN", token)
        if folder is not None:
            patch.chdir(folder)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = main(arguments)
    lines = [line for line in error.getvalue().splitlines() if "hf-rnn" in line]
    return code, out.getvalue(), "\n".join(lines)


def push_to_hub(folder: str, repo_id: str, **options) -> str:
    """What a user of transformers writes."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    import hf_rnn  # noqa: F401

    pushed = AutoModelForSequenceClassification.from_pretrained(folder).push_to_hub(repo_id, **options)
    assert pushed.commit_message == "Upload model"
    return AutoTokenizer.from_pretrained(folder).push_to_hub(repo_id).commit_url


def load(repo_id: str, **options) -> str:
    """The error of loading a model as a user of transformers does; the class's module where there is none."""
    from transformers import AutoModelForSequenceClassification

    import hf_rnn  # noqa: F401

    try:
        return type(AutoModelForSequenceClassification.from_pretrained(repo_id, **options)).__module__
    except (OSError, ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


def trainer_pushes(folder: str, data: str, repo_id: str) -> list[str]:
    """RNNTrainer by itself, as a script of a user's own would use it."""
    import hf_rnn
    from hf_rnn.data import load as load_data

    task = hf_rnn.TextClassification(hf_rnn.DataArguments(path=data))
    prepared = task.prepare(load_data(task.data))
    tokenizer = hf_rnn.train_tokenizer(prepared["train"]["text"], kind="word", show_progress=False)
    config = hf_rnn.RNNConfig(
        vocab_size=len(tokenizer), embedding_size=8, hidden_size=8, pad_token_id=0, **task.config_fields()
    )
    args = hf_rnn.RNNTrainingArguments(folder, num_train_epochs=1, disable_tqdm=True, hub_model_id=repo_id)
    trainer = hf_rnn.RNNTrainer(
        task.model_class(config),
        args,
        task,
        processing_class=tokenizer,
        train_dataset=task.encode(prepared["train"], tokenizer),
        eval_dataset=task.encode(prepared["validation"], tokenizer),
    )
    trainer.train()
    return [trainer.push_to_hub().commit_message, trainer.hub_model_id]
