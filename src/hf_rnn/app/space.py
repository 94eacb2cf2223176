# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Demo page of a model as a Hugging Face Space."""

import re
import shutil
import tempfile
from importlib.metadata import requires
from pathlib import Path

import yaml
from huggingface_hub import HfApi

from ..auto import architecture
from ..hub.fetch import find_model
from ..hub.folder import CARD_FILE, ONNX_FILES, model_files
from ..hub.push import check_name, check_token
from ..utils.errors import HfRnnError
from ..utils.hub_errors import PATIENCE_OF_A_PUSH, patiently
from .static_page import check_new, write_static_page

PACKAGE = Path(__file__).parents[1]
APP = """from pathlib import Path

from hf_rnn.app.demo import build
from hf_rnn.inference.predictor import Predictor

demo = build(Predictor.from_pretrained({model}, revision={revision!r}), title={title!r})

if __name__ == "__main__":
    demo.launch()
"""
README = """# {title}

Demo page of a model of hf_rnn: its answers, the words that they depend on, and the answer after each word. `hf_rnn/`
is the package that trained it; `requirements.txt` lists its dependencies.
"""
README_OF_STATIC = """# {title}

Page of a model of hf_rnn that runs in the browser: its answers, how they change while the text is read, and the words
that they depend on. No text leaves the browser. `vendor/` has the libraries that the page needs, with their licences.
"""


def write_space(model: str, folder: str | Path, repo_id: str, revision: str | None = None) -> Path:
    """Write the files of a Space: the page, this package, and the model if it is a local folder.

    Args:
        model: Folder or Hub id of a text classifier.
        folder: Folder to write to; it must be new or empty.
        repo_id: Name of the Space, `user/name`.
        revision: Branch, tag or commit of a model on the Hub; main if None. Ignored for a local folder.

    Returns:
        Path of the folder.

    Raises:
        HfRnnError: The model does not exist or is not a text classifier, or the folder is not empty or cannot be made.
    """
    folder = Path(folder)
    check_name(repo_id)
    check_new(folder)
    local = Path(model).is_dir()
    source, config = find_model(model, **({} if local else {"revision": revision}))
    if architecture(config) != "RNNForSequenceClassification":
        raise HfRnnError(f"{model!r} is an {architecture(config)}, but the page needs a text classifier: name one.")
    title = repo_id.rpartition("/")[2]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HfRnnError(f"{str(folder)!r} cannot be made ({error.strerror}): name another folder.") from error
    if local:
        (folder / "model").mkdir()
        for name, file in model_files(source).items():
            if name not in ONNX_FILES:
                shutil.copyfile(file, folder / "model" / name)
    shutil.copytree(PACKAGE, folder / "hf_rnn", ignore=shutil.ignore_patterns("__pycache__"), symlinks=False)
    where = 'Path(__file__).with_name("model")' if local else repr(model)
    app = APP.format(model=where, revision=None if local else revision, title=title)
    (folder / "app.py").write_text(app if local else app.removeprefix("from pathlib import Path\n\n"), encoding="utf-8")
    (folder / "requirements.txt").write_text("\n".join(_requirements()) + "\n", encoding="utf-8")
    about = {"title": title, "sdk": "gradio", "app_file": "app.py", "license": "apache-2.0", "pinned": False}
    _write_card(folder, about | ({} if local else {"models": [model]}), README)
    return folder


def write_static_space(
    model: str,
    folder: str | Path,
    repo_id: str,
    revision: str | None = None,
    assets: str | Path | None = None,
) -> Path:
    """Write the files of a static Space: the page of [`write_static_page`] and the card of the Space.

    Args:
        model: Folder or Hub id of a text classifier or a tagger.
        folder: Folder to write to; it must be new or empty.
        repo_id: Name of the Space, `user/name`.
        revision: Branch, tag or commit of a model on the Hub; main if None. Ignored for a local folder.
        assets: Folder with the npm packages of the page; None to let npm fetch them.

    Returns:
        Path of the folder.

    Raises:
        HfRnnError: The name is not valid, or the page cannot be written.
    """
    check_name(repo_id)
    title = repo_id.rpartition("/")[2]
    folder = write_static_page(model, folder, title, assets, revision)
    about = {"title": title, "sdk": "static", "app_file": "index.html", "license": "apache-2.0", "pinned": False}
    _write_card(folder, about | ({} if Path(model).is_dir() else {"models": [model]}), README_OF_STATIC)
    return folder


def _write_card(folder: Path, about: dict, text: str) -> None:
    card = f"---\n{yaml.safe_dump(about, sort_keys=False)}---\n\n{text.format(title=about['title'])}"
    (folder / CARD_FILE).write_text(card, encoding="utf-8")


def push_space(
    model: str,
    repo_id: str,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    static: bool = False,
    assets: str | Path | None = None,
) -> str:
    """Create or update the Space with the demo page of a model, in one commit.

    Args:
        model: Folder or Hub id of a text classifier; with `static`, also of a tagger.
        repo_id: Name of the Space, `user/name`. All files of an existing Space are replaced.
        private: True for a private Space if one is created; None for the default of the account.
        token: Access token; None for the one of `hf auth login` or HF_TOKEN.
        revision: Branch, tag or commit of a model on the Hub; main if None. Ignored for a local folder.
        static: True for a page that runs the model in the browser, in a static Space.
        assets: With `static`, folder with the npm packages of the page; None to let npm fetch them.

    Returns:
        URL of the Space.

    Raises:
        HfRnnError: There is no token, the model does not exist or has no such page, or the Hub rejected the commit.
    """
    check_token(token)
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        if static:
            write_static_space(model, folder, repo_id, revision, assets)
        else:
            write_space(model, folder, repo_id, revision)
        sdk = "static" if static else "gradio"

        def attempt() -> str:
            made = api.create_repo(repo_id, repo_type="space", space_sdk=sdk, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=made.repo_id,
                repo_type="space",
                folder_path=folder,
                commit_message="Upload the page of a model",
                delete_patterns="*",
            )
            return str(made)

        return patiently(attempt, repo_id, token, patience=PATIENCE_OF_A_PUSH)


def _requirements() -> list[str]:
    """Return the requirements of the package with the extras `demo` and `explain`."""
    wanted = []
    for line in requires("hf-rnn") or []:
        name, _, marker = line.partition(";")
        if not marker or re.search(r"extra == ['\"](demo|explain)['\"]", marker):
            wanted.append(name.strip())
    return sorted(set(wanted))


__all__ = ["push_space", "write_space", "write_static_space"]
