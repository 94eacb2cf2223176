"""Functions that tests call in another process, where the Hub client uses only the Hub of the test."""

import contextlib
import io
import os
import re
import warnings
from collections.abc import Callable

import pytest
from support.waiting import PATIENCE

# The longest silence of the Hub, and the longest wait for one question, in seconds.
PATIENT, IMPATIENT = (PATIENCE, PATIENCE), (3, 1)


def start(environment: dict[str, str]) -> None:
    """Set the environment before the first import of the Hub client, and make waits between retries immediate."""
    os.environ.update(environment)
    import torch

    import hf_rnn.utils.hub_errors

    torch.set_num_threads(1)
    # Only waits advance the clock, and a wait returns at once.
    passed = [0.0]
    hf_rnn.utils.hub_errors.clock, hf_rnn.utils.hub_errors.sleep = lambda: sum(passed), passed.append


def run(hangs: bool, function: Callable, *arguments, **options):
    """Call a function with a short time limit for answers of the Hub if the Hub hangs, else with a long one."""
    import hf_rnn.models.weight_files
    import hf_rnn.text.sources
    import hf_rnn.utils.hub_download
    import hf_rnn.utils.hub_errors

    silence, question = IMPATIENT if hangs else PATIENT
    hf_rnn.utils.hub_errors.LONGEST_SILENCE = silence
    for module in (hf_rnn.utils.hub_download, hf_rnn.text.sources, hf_rnn.models.weight_files):
        module.LONGEST_QUESTION = question  # type: ignore[attr-defined]
    return function(*arguments, **options)


def cli(arguments: list[str], token: str | None = None, folder: str | None = None) -> tuple[int, str, str]:
    """Run a command line, and return its exit code, output and error message."""
    from hf_rnn.cli.main import main

    out, error = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if token is not None:
            patch.setenv("HF_TOKEN", token)
        if folder is not None:
            patch.chdir(folder)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = main(arguments)
    # The command's own message comes last, after the messages of the libraries.
    said = re.search(r"^hf-rnn .*", error.getvalue(), re.MULTILINE | re.DOTALL)
    return code, out.getvalue(), said[0].rstrip("\n") if said else ""


def told(arguments: list[str]) -> list[str]:
    """Run a command line that works, and return its log: lines of hf_rnn and warnings of the libraries."""
    import logging

    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("hf_rnn", "transformers", "huggingface_hub")]
    ours = loggers[0].propagate
    loggers[0].propagate = False
    for logger in loggers:
        logger.addHandler(handler)
    try:
        code, _, error = cli(arguments)
    finally:
        loggers[0].propagate = ours
        for logger in loggers:
            logger.removeHandler(handler)
    assert (code, error) == (0, "")
    return [record.getMessage() for record in records]


def push_to_hub(folder: str, repo_id: str, **options) -> str:
    """Push a model and its tokenizer as a user of transformers does."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    import hf_rnn  # noqa: F401

    pushed = AutoModelForSequenceClassification.from_pretrained(folder).push_to_hub(repo_id, **options)
    assert pushed.commit_message == "Upload model"
    return AutoTokenizer.from_pretrained(folder).push_to_hub(repo_id).commit_url


def save_config(folder: str, saved: str, repo_id: str) -> None:
    from hf_rnn import RNNConfig

    RNNConfig.from_pretrained(folder).save_pretrained(saved, push_to_hub=True, repo_id=repo_id)


def keep_house(repo_id: str) -> list[list[str]]:
    """Create and delete a repository, and return its branches, tags and commit titles from before the deletion."""
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo_id)
    for title in ("one", "two"):
        api.upload_file(path_or_fileobj=title.encode(), path_in_repo="file", repo_id=repo_id, commit_message=title)
    api.create_branch(repo_id, branch="side")
    api.create_tag(repo_id, tag="v0")
    api.create_tag(repo_id, tag="v1", revision="side")
    api.delete_tag(repo_id, tag="v0")
    api.update_repo_settings(repo_id, private=True)
    assert api.model_info(repo_id).private
    refs, titles = api.list_repo_refs(repo_id), [commit.title for commit in api.list_repo_commits(repo_id)]
    api.delete_repo(repo_id)
    return [[ref.name for ref in refs.branches], [ref.name for ref in refs.tags], titles]


def load(repo_id: str, **options) -> str:
    """Load a model as a user of transformers does, and return the module of its class or the error."""
    from transformers import AutoModelForSequenceClassification

    import hf_rnn  # noqa: F401

    try:
        return type(AutoModelForSequenceClassification.from_pretrained(repo_id, **options)).__module__
    except (OSError, ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


def load_directly(repo_id: str) -> str:
    """Load a model by its own class, and return the error, or "" without an error."""
    from hf_rnn import RNNModel

    try:
        RNNModel.from_pretrained(repo_id)
    except OSError as error:
        return str(error)
    return ""


def push_folder(folder: str, repo_id: str) -> None:
    """Push all files of a folder."""
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo_id, exist_ok=True)
    api.upload_folder(repo_id=repo_id, folder_path=folder)


def answers_of_exported(repo_id: str, texts: list[str], **options) -> list[list[dict]] | str:
    """Return the answers of the runtime and of a predictor with its backend, or the error of the runtime."""
    from hf_rnn import HfRnnError, Predictor
    from hf_rnn.runtime import Model

    try:
        found = [Model.from_pretrained(repo_id, **options).predict(texts)]
    except HfRnnError as error:
        return str(error)
    return [*found, Predictor.from_pretrained(repo_id, backend="onnx", **options)(texts)]


def files_in_cache(repo_id: str) -> set[str]:
    """Return the paths of the files of a repository in the cache."""
    from huggingface_hub import scan_cache_dir

    (repo,) = [repo for repo in scan_cache_dir().repos if repo.repo_id == repo_id]
    return {str(file.file_path.relative_to(each.snapshot_path)) for each in repo.revisions for file in each.files}


def size_of_tokenizer(repo_id: str, **options) -> int:
    from hf_rnn import load_tokenizer

    return len(load_tokenizer(repo_id, **options))


def trainer_pushes(folder: str, data: str, repo_id: str, first_push_fails: bool = False) -> tuple[str, list[float]]:
    """Train and push with RNNTrainer, as a user's own script does; return the commit message and accuracies."""
    import torch

    import hf_rnn
    from hf_rnn.text.loading import load as load_data

    task = hf_rnn.TextClassification(hf_rnn.DataArguments(path=data))
    prepared = task.prepare(load_data(task.data))
    tokenizer = hf_rnn.train_tokenizer(prepared["train"]["text"], kind="word", show_progress=False)
    config = hf_rnn.RNNConfig(
        vocab_size=len(tokenizer), embedding_size=8, hidden_size=8, pad_token_id=0, **task.config_fields()
    )
    model = task.model_class(config)
    # The model starts with the rarer label for all texts. The first epoch is too slow to change this.
    with torch.no_grad():
        model.classifier.out_proj.weight.zero_()
        model.classifier.out_proj.bias.copy_(torch.tensor([0.02, -0.02]))
    # The worst epoch counts as the best, so that the best epoch is not the last one.
    worst = {"metric_for_best_model": "accuracy", "greater_is_better": False}
    slow = {"num_train_epochs": 4, "learning_rate": 0.03, "warmup_steps": 200}
    pushing = {"push_to_hub": True, "hub_strategy": "every_save"} if first_push_fails else {}
    args = hf_rnn.RNNTrainingArguments(folder, disable_tqdm=True, hub_model_id=repo_id, **slow, **worst, **pushing)
    trainer = hf_rnn.RNNTrainer(
        model,
        args,
        task,
        processing_class=tokenizer,
        train_dataset=task.encode(prepared["train"], tokenizer),
        eval_dataset=task.encode(prepared["validation"], tokenizer),
    )
    if first_push_fails:
        trainer.add_callback(_once_failing())
    trainer.train()
    pushed = trainer.push_to_hub(language="en", tags=["mine"])
    return pushed.commit_message, [row["eval_accuracy"] for row in trainer.state.log_history if "eval_loss" in row]


def _once_failing():
    from transformers import TrainerCallback

    class Failing(TrainerCallback):
        failed = False

        def on_push_begin(self, *_, **__):
            if not self.failed:
                self.failed = True
                raise RuntimeError("no room for a copy")

    return Failing()
