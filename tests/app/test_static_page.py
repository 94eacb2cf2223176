"""Tests of the page that runs a model in the browser."""

import json
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.mixed_texts import mixed_texts
from support.tagging import run as tagging_run
from support.tagging import sentences
from support.waiting import PATIENCE, wait_until
from support.web import served

import hf_rnn
from hf_rnn import DataArguments, Predictor, RNNConfig, RNNForSequenceClassification, TextClassification
from hf_rnn.app import npm_packages
from hf_rnn.app.static_page import STATIC, write_static_page
from hf_rnn.cli.main import main
from hf_rnn.interpret.reading_curve import how_it_read
from hf_rnn.runtime.record import sha256
from hf_rnn.runtime.texts import as_text
from hf_rnn.text.tokenization import train_tokenizer
from hf_rnn.utils.errors import HfRnnError

# Half of the texts are made of words that the model knows.
KNOWN = ["the film was not good .", "a lovely lamp , but the soup was awful", "The price — was FAR from bad!!"]
TEXTS = [text for pair in zip(mixed_texts(100), KNOWN * 34, strict=False) for text in pair]
LABELS = ["red", "green", "blue"]
ANSWER = """async ([texts, changes]) => {
  const { Engine } = await import("./engine.js");
  globalThis.engine ??= Engine.load();
  const loaded = await globalThis.engine;
  const engine = new Engine({ ...loaded.record, ...changes }, loaded.tokens, loaded.session);
  const answers = [];
  for (const text of texts) answers.push(await engine.answer(...[text].flat()));
  return answers;
}"""


@contextmanager
def opened(browser, folder: Path, **settings):
    """Yield the page in a folder, and the addresses of other hosts that it asked."""
    with served(folder) as address:
        page = browser.new_page(**settings)
        page.set_default_timeout(1000 * PATIENCE)
        foreign: list[str] = []
        page.on("request", lambda request: foreign.append(request.url) if address not in request.url else None)
        page.goto(address)
        yield page
        assert not [url for url in foreign if not url.startswith("data:")]
        page.close()


@pytest.fixture(scope="module")
def three_labels(libraries, tmp_path_factory) -> Path:
    """Return the page of a classifier with random weights and three labels, which distinguishes many words."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    folder = tmp_path_factory.mktemp("three")
    tokenizer = train_tokenizer([*map(as_text, mixed_texts(200, 1)), *KNOWN], "word", 3000, show_progress=False)
    labels = {"id2label": dict(enumerate(LABELS)), "label2id": {name: n for n, name in enumerate(LABELS)}}
    sizes = {"vocab_size": len(tokenizer), "embedding_size": 16, "hidden_size": 16, "initializer_range": 1.0}
    config = RNNConfig(
        **sizes, **labels, bidirectional=True, pooling="concat", problem_type="single_label_classification"
    )
    model = RNNForSequenceClassification(config)
    for parameter in model.parameters():
        parameter.data *= 1.5
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    exported = hf_rnn.export(folder / "model", folder / "exported")
    return write_static_page(str(exported), folder / "page")


@pytest.fixture(scope="module")
def tagger(libraries, tmp_path_factory) -> tuple[Path, Path]:
    """Return the folder of a tagger, and that of its page."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    folder = tmp_path_factory.mktemp("tagger")
    (folder / "data").mkdir()
    for seed, split in enumerate(("train", "validation")):
        rows = "\n".join(map(json.dumps, sentences(200 if split == "train" else 30, seed)))
        (folder / "data" / f"{split}.jsonl").write_text(rows)
    hf_rnn.train(tagging_run(folder / "data", folder / "model"))
    return folder / "model", write_static_page(str(folder / "model"), folder / "page")


def logits_of(folder: Path, texts: list[list[int]]) -> np.ndarray:
    """Return the logits that onnxruntime gives for token ids, text by text."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model" / "onnx" / "model.onnx"))
    rows = [np.array([ids or [0]]) for ids in texts]
    masks = [np.full_like(row, bool(ids)) for row, ids in zip(rows, texts, strict=True)]
    found = [
        session.run(None, {"input_ids": row, "attention_mask": mask})[0] for row, mask in zip(rows, masks, strict=True)
    ]
    return np.concatenate(found)


def assert_same(found: list[dict], expected: list[dict], labels: list[str]) -> None:
    """Assert that answers of the page are those of a task: labels and scores."""
    for mine, theirs in zip(found, expected, strict=True):
        if "value" in theirs:
            assert mine["scores"] == pytest.approx([theirs["value"]], abs=1e-4)
        elif "label" in theirs:
            assert [labels[n] for n in mine["chosen"]] == [theirs["label"]]
            assert mine["scores"][mine["chosen"][0]] == pytest.approx(theirs["score"], abs=1e-4)
        else:
            chosen = {labels[n]: mine["scores"][n] for n in mine["chosen"]}
            assert chosen == pytest.approx(dict(zip(theirs["labels"], theirs["scores"], strict=True)), abs=1e-4)


# Answers -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_answers_are_those_of_python(browser, page_folder, tiny_run):
    with opened(browser, page_folder) as page:
        found = page.evaluate(ANSWER, [TEXTS, {}])
    assert len(TEXTS) == 200
    assert_same(found, Predictor.from_pretrained(tiny_run)(TEXTS), ["negative", "positive"])


SINGLE = {"problem_type": "single_label_classification"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        (SINGLE, LABELS),
        ({"problem_type": "multi_label_classification", "thresholds": {"red": 0.2, "blue": 0.9}}, LABELS),
        ({"max_length": 5, "truncation": "head", **SINGLE}, LABELS),
        ({"max_length": 4, "truncation": "tail", **SINGLE}, LABELS),
        ({"max_length": 5, "truncation": "head_tail", **SINGLE}, LABELS),
        ({"max_length": 7, "truncation": "head_tail", "reads_pairs": True, **SINGLE}, LABELS),
        ({"max_length": 6, "truncation": "tail", "reads_pairs": True, **SINGLE}, LABELS),
    ],
    ids=["softmax", "thresholds", "head", "tail", "head_tail", "pairs", "tails_of_pairs"],
)
def test_settings_of_the_record_have_their_effect(browser, three_labels, changes, labels):
    from transformers import AutoTokenizer

    pairs = changes.get("reads_pairs", False)
    texts = [[one, other] for one, other in zip(TEXTS[:100], TEXTS[100:], strict=True)] if pairs else TEXTS
    with opened(browser, three_labels) as page:
        found = page.evaluate(ANSWER, [texts, changes])
    task = TextClassification(
        DataArguments(max_length=changes.get("max_length"), truncation=changes.get("truncation", "head"))
    )
    task.problem_type, task.label_names = changes["problem_type"], labels
    task.config = RNNConfig(
        id2label=dict(enumerate(labels)), problem_type=task.problem_type, thresholds=changes.get("thresholds")
    )
    exported = three_labels.parent / "exported"
    columns = [list(map(as_text, column)) for column in (zip(*texts, strict=True) if pairs else [texts])]
    _, ids = task.read_and_cut(AutoTokenizer.from_pretrained(exported), *columns)
    assert_same(found, task.answers(logits_of(three_labels, ids)), labels)
    assert len({tuple(answer["chosen"]) for answer in found}) > 1


@pytest.mark.slow
def test_a_threshold_decides_between_two_labels(browser, page_folder, tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    middle = float(
        np.median([dict(zip(*row.values(), strict=True))["positive"] for row in predictor(TEXTS, top_k=None)])
    )
    predictor.model.config.thresholds = {"positive": middle}
    expected = predictor(TEXTS)
    with opened(browser, page_folder) as page:
        found = page.evaluate(ANSWER, [TEXTS, {"thresholds": {"positive": middle}}])
    assert_same(found, expected, ["negative", "positive"])
    assert len({answer["label"] for answer in expected}) == 2


@pytest.mark.slow
def test_curves_and_left_out_words_are_those_of_python(browser, page_folder, tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    texts = [*KNOWN, "the film was good . " * 12, "日本語 the 😀 good", " <br /> can't stop"]
    read = """async (texts) => {
      const { Engine } = await import("./engine.js");
      const engine = await Engine.load();
      const found = [];
      for (const text of texts) found.push([await engine.curve(text, 7), await engine.occlusion([text], 1, 1000)]);
      return found;
    }"""
    with opened(browser, page_folder) as page:
        found = page.evaluate(read, texts)
    explain = pytest.importorskip("hf_rnn.interpret.attribution").explain
    for text, (curve, parts) in zip(texts, found, strict=True):
        expected = how_it_read(predictor.model, predictor.tokenizer, text, 7)
        assert [point["word"] for point in curve] == expected.words
        assert np.abs(np.array([point["scores"] for point in curve]) - expected.scores).max() < 1e-4
        words = explain(predictor.model, predictor.tokenizer, text, "positive", "occlusion").words
        assert [part["score"] for part in parts] == pytest.approx([word.score for word in words], abs=1e-4)
        shown = [text.encode("utf-16-le")[2 * part["start"] : 2 * part["end"]].decode("utf-16-le") for part in parts]
        assert shown == [word.word for word in words]


@pytest.mark.slow
def test_entities_are_those_of_python(browser, tagger):
    model, folder = tagger
    mixed = [f"{text} Anna Blackburn left New\u00a0York {text}" for text in mixed_texts(190)]
    texts = [*mixed, *(" ".join(row["tokens"]) for row in sentences(10, 5))]
    with opened(browser, folder) as page:
        found = page.evaluate(ANSWER, [texts, {}])
    count = 0
    for text, mine, theirs in zip(map(as_text, texts), found, Predictor.from_pretrained(model)(texts), strict=True):
        assert len(mine["entities"]) == len(theirs["entities"]), text
        for one, other in zip(mine["entities"], theirs["entities"], strict=True):
            units = text.encode("utf-16-le")
            start, end = (len(units[: 2 * one[name]].decode("utf-16-le")) for name in ("start", "end"))
            assert (one["label"], start, end) == (other["label"], other["start"], other["end"]), text
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
            count += 1
    assert count > 200


# The page ------------------------------------------------------------------------------------------------------------


def is_coloured(page, text: str) -> bool:
    """Ask for coloured words, which the page draws by itself on a fast machine, and return True if they have a text."""
    page.evaluate("document.getElementById('colour').click()")
    return text in page.inner_text("#coloured")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_a_text_is_answered_while_it_is_typed(browser, page_folder, tiny_run, width):
    predictor = Predictor.from_pretrained(tiny_run)
    with opened(browser, page_folder, viewport={"width": width, "height": 900}) as page:
        page.wait_for_selector("#answer:not([hidden])")
        assert page.input_value("#text"), "the page begins with an example"
        example = page.locator("#examples button").last
        example.click()
        assert page.input_value("#text") == example.inner_text()
        text = "the lamp was <lovely> , but the price was awful ."
        page.locator("#text").fill("")
        page.wait_for_selector("#answer", state="hidden")
        page.locator("#text").press_sequentially(text)
        wait_until(lambda: is_coloured(page, "<lovely>"), "the words are not coloured")
        (answer,) = predictor([text])
        assert page.inner_text("#said") == f"{answer['label']} {100 * answer['score']:.1f}\xa0%"
        assert page.locator(".bar").count() == 2
        assert page.locator(".bar.chosen .name").inner_text() == answer["label"]
        scores = page.evaluate("[...document.querySelectorAll('#coloured mark')].map((word) => word.title)")
        assert len(set(scores)) > 3
        page.wait_for_selector("#drawn svg polyline")
        page.locator("#drawn [tabindex]").focus()
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#point").startswith("After “awful”: ")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # After several quick changes, the page shows the answer to the last one.
        for word in ("soup", "film", "lamp"):
            page.fill("#text", f"the {word} was charming .")
        wait_until(lambda: is_coloured(page, "lamp"), "the words are not coloured")
        page.fill("#text", "  ")
        page.wait_for_selector("#answer", state="hidden")


@pytest.mark.slow
def test_every_control_has_a_name(browser, page_folder):
    with opened(browser, page_folder) as page:
        page.wait_for_selector("#drawn svg polyline")
        for control in page.locator("textarea, button, progress, [role=img], [role=group], section").all():
            name = control.evaluate(
                """(control) => control.getAttribute("aria-label") ?? control.labels?.[0]?.innerText
                  ?? document.getElementById(control.getAttribute("aria-labelledby"))?.innerText ?? control.innerText"""
            )
            assert name, control.evaluate("(control) => control.outerHTML")
        assert page.get_attribute("#said", "aria-live") == "polite"


@pytest.mark.slow
def test_tags_are_shown_in_the_text(browser, tagger):
    with opened(browser, tagger[1]) as page:
        page.wait_for_selector("#tags:not([hidden])")
        page.fill("#text", "Anna Blackburn lives in Kiel .")
        page.wait_for_function("document.querySelector('#tagged').innerText.includes('Kiel')")
        assert page.inner_text("#tags-said") == "2 names were found."
        tags = page.evaluate("[...document.querySelectorAll('#tagged .tag')].map((tag) => tag.innerText)")
        assert tags == ["Anna BlackburnPER", "KielLOC"]
        assert page.inner_text("#kinds").split() == ["LOC", "1", "PER", "1"]
        assert page.is_hidden("#answer")
        assert page.is_hidden("#curve")


@pytest.mark.slow
def test_names_and_pairs_are_whole_on_a_phone(browser, page_folder, tagger, tmp_path):
    folder = broken(page_folder, tmp_path)
    file, about = folder / "model/onnx/hf_rnn.json", json.loads((folder / "page.json").read_text())
    record = json.loads(file.read_text())
    names = ["complaint about a delivery", "unsubscription_of_newsletters"]
    file.write_text(json.dumps({**record, "labels": names, "reads_pairs": True}))
    about["examples"] = [{"text": "the film was good . " * 9, "text_pair": "it was fun ."}]
    (folder / "page.json").write_text(json.dumps(about))
    phone = {"viewport": {"width": 390, "height": 900}}
    with opened(browser, folder, **phone) as page:
        page.wait_for_selector("#answer:not([hidden])")
        for name in page.locator(".bar .name").all():
            assert name.evaluate("(name) => name.scrollWidth <= name.clientWidth || name.clientWidth === 0")
            assert name.evaluate("(name) => getComputedStyle(name).textOverflow") == "clip"
            assert name.evaluate("(name) => name.getBoundingClientRect().width") > 100
        assert page.locator("#examples button").inner_text().endswith("\nit was fun .")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with opened(browser, tagger[1], **phone) as page:
        page.wait_for_selector("#tags:not([hidden])")
        # At some of these places, a line would end inside of the name.
        draw = """async (name) => {
          const { drawTags } = await import("./views.js");
          const [text, entities] = [`${name} lives here . `.repeat(12), []];
          for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
            entities.push({ label: "PER", start: at, end: at + name.length, score: 0.9 });
          }
          const place = document.getElementById("tagged");
          drawTags(place, document.getElementById("kinds"), text, entities, ["PER"]);
          const tags = [...place.querySelectorAll(".tag")];
          return tags.map((tag) => [tag.getClientRects().length, tag.offsetHeight < 40]);
        }"""
        assert page.evaluate(draw, "Anna Blackburn") == [[1, True]] * 12
        assert page.evaluate(draw, "Anna " + "Blackburn" * 12) == [[1, False]] * 12
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def broken(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "broken"))


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["missing", "damaged", "no tokenizer", "another format", "no library"])
def test_what_is_wrong_with_the_files_is_said(browser, page_folder, tmp_path, fault):
    folder = broken(page_folder, tmp_path)
    graph, record = folder / "model/onnx/model.onnx", folder / "model/onnx/hf_rnn.json"
    if fault == "missing":
        graph.unlink()
        said = "onnx/model.onnx is missing"
    elif fault == "damaged":
        data = bytearray(graph.read_bytes())
        data[len(data) // 2] ^= 1
        graph.write_bytes(data)
        said = "onnx/model.onnx is damaged"
    elif fault == "no tokenizer":
        (folder / "model/tokenizer.json").unlink()
        said = "tokenizer.json is missing"
    elif fault == "another format":
        record.write_text(record.read_text().replace('"format": 1', '"format": 2'))
        said = "has the format 2"
    else:
        (folder / "vendor/onnxruntime-web/ort.js").unlink()
        said = "a file of the page is missing"
    with opened(browser, folder) as page:
        page.wait_for_selector("#error:not([hidden])")
        assert said in page.inner_text("#error")
        assert page.get_attribute("#error", "role") == "alert"


@pytest.mark.slow
def test_a_browser_without_simd_and_one_with_other_tokens_are_told(browser, page_folder, tmp_path):
    folder = broken(page_folder, tmp_path)
    code = (folder / "loading.js").read_text()
    (folder / "loading.js").write_text(code.replace("253, 15, 253, 98", "255, 15, 255, 98"))
    with opened(browser, folder) as page:
        page.wait_for_selector("#error:not([hidden])")
        assert "This browser has no WebAssembly SIMD" in page.inner_text("#error")
    (folder / "loading.js").write_text(code)
    about = json.loads((folder / "page.json").read_text())
    about["probes"][1]["ids"][0] += 1
    (folder / "page.json").write_text(json.dumps(about))
    with opened(browser, folder) as page:
        page.wait_for_selector("#answer:not([hidden])")
        assert "1,234.50" in page.inner_text("#warning")


# Files ---------------------------------------------------------------------------------------------------------------


def test_the_page_names_no_host():
    for file in STATIC.iterdir():
        code = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn", code), file.name


def test_a_page_is_a_folder_of_its_own(page_folder, exported, tiny_run, capsys):
    names = {str(file.relative_to(page_folder)) for file in page_folder.rglob("*") if file.is_file()}
    assert {"index.html", "model/onnx/model.onnx", "model/tokenizer.json", "vendor/tokenizers/LICENSE"} <= names
    assert "Permission is hereby granted" in (page_folder / "vendor/onnxruntime-web/LICENSE").read_text()
    assert not [name for name in names if "safetensors" in name]
    assert main(["demo", str(exported), "--static", str(page_folder)]) == 1
    assert "is not empty: name a new folder" in capsys.readouterr().err
    about = json.loads((page_folder / "page.json").read_text())
    assert about["examples"]
    assert "parameters" in about["description"]


def test_options_that_do_not_go_together(tiny_run, capsys):
    for more, said in (
        (["--static"], "--static names no folder"),
        (["--static", "x", "--space", "user/page"], "or --output x to write the files of the Space"),
        (["--assets", "x"], "write --static FOLDER too"),
        (["--static", "x", "--output", "y"], "a static page is written to --static FOLDER"),
        (["--static", "--private"], "--private applies to a Space only"),
    ):
        assert main(["demo", str(tiny_run), *more]) == 1
        assert said in capsys.readouterr().err


def test_the_graph_of_an_export_is_checked(exported, tmp_path, libraries):
    folder = Path(shutil.copytree(exported, tmp_path / "exported"))
    graph = folder / "onnx" / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b" ")
    with pytest.raises(HfRnnError, match=r"model\.onnx of .* is damaged, or it belongs to another model"):
        write_static_page(str(folder), tmp_path / "page")
    graph.unlink()
    with pytest.raises(HfRnnError, match="export it again, hf-rnn export MODEL"):
        write_static_page(str(folder), tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_tokenizer_that_the_page_reads_otherwise_is_refused(exported, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "exported"))
    file = folder / "tokenizer.json"
    known, record = json.loads(file.read_text()), (folder / "onnx" / "hf_rnn.json").read_text()
    for changes, said in (
        ({"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}}, "Strip"),
        ({"pre_tokenizer": {"type": "UnicodeScripts"}}, "UnicodeScripts"),
        ({"pre_tokenizer": {"type": "Punctuation", "behavior": "Removed"}}, "behavior Removed"),
        ({"model": {**known["model"], "byte_fallback": True}}, "byte_fallback"),
    ):
        file.write_text(json.dumps({**known, **changes}))
        (folder / "onnx" / "hf_rnn.json").write_text(record.replace(sha256(exported / file.name), sha256(file)))
        with pytest.raises(HfRnnError, match=f"{said}, which the page cannot read exactly"):
            write_static_page(str(folder), tmp_path / "page")


def test_a_language_model_has_no_static_page(tmp_path):
    folder = tmp_path / "writer"
    hf_rnn.RNNForCausalLM(RNNConfig(vocab_size=300, embedding_size=8, hidden_size=8)).save_pretrained(folder)
    train_tokenizer(["a b c"], vocab_size=300, show_progress=False).save_pretrained(folder)
    with pytest.raises(HfRnnError, match="is an RNNForCausalLM, but the page needs a text classifier or a tagger"):
        write_static_page(str(folder), tmp_path / "page")


# Packages ------------------------------------------------------------------------------------------------------------


def test_packages_from_a_folder_are_checked(tmp_path, libraries):
    with pytest.raises(HfRnnError, match=r"no huggingface-tokenizers-.*: run npm pack @huggingface/tokenizers@"):
        npm_packages.archives(tmp_path)
    for archive in libraries:
        shutil.copyfile(archive, tmp_path / archive.name)
    assert npm_packages.archives(tmp_path) == [tmp_path / archive.name for archive in libraries]
    with (tmp_path / libraries[0].name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(HfRnnError, match=r"is not @huggingface/tokenizers .* as it was published: its hash is sha512-"):
        npm_packages.archives(tmp_path)


def fake_npm(monkeypatch, tmp_path: Path, script: str | None) -> None:
    """Put a program in the place of npm, or none; and use an empty cache."""
    monkeypatch.setattr(npm_packages, "HF_HOME", str(tmp_path / "home"))
    (tmp_path / "bin").mkdir()
    if script is not None:
        program = tmp_path / "bin" / "npm"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setattr(npm_packages.shutil, "which", lambda name: str(tmp_path / "bin" / name) if script else None)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "npm is not installed: install it, or, on another machine, npm pack @huggingface/tokenizers@"),
        ("echo 'npm error code E1' >&2; echo 'npm error nothing is there' >&2; exit 1", r"\(nothing is there\)"),
        ('echo no > "$4/huggingface-tokenizers-0.2.0.tgz"', "as it was published"),
        ("exit 0", "it gives no reason"),
    ],
    ids=["absent", "failing", "another file", "no file"],
)
def test_why_packages_cannot_be_fetched(monkeypatch, tmp_path, script, said):
    fake_npm(monkeypatch, tmp_path, script)
    with pytest.raises(HfRnnError, match=said):
        npm_packages.archives()
    cache = tmp_path / "home" / "hf_rnn" / "npm"
    assert not cache.exists() or not list(cache.iterdir())


def test_packages_are_fetched_once(monkeypatch, tmp_path, libraries):
    folder = libraries[0].parent
    fake_npm(monkeypatch, tmp_path, f'cp {folder}/"$(echo $2 | sed "s/^@//; s#/#-#; s/@/-/")".tgz "$4"')
    first = npm_packages.archives()
    monkeypatch.setattr(npm_packages.shutil, "which", lambda name: None)
    assert npm_packages.archives() == first
    assert subprocess.run(["ls", first[0].parent], capture_output=True, text=True).stdout.count("tgz") == 2
