import re

import pytest
import yaml
from support import ROOT

from hf_rnn.training.run_config import parse_run, run_parser
from hf_rnn.utils.errors import UserError

CONFIGS = ROOT / "configs"


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_committed_config_is_read_and_reproduces_itself(file, tmp_path):
    run, text = parse_run(file)
    assert run.training.output_dir == f"runs/{file.stem}"
    (tmp_path / "run.yaml").write_text(text)
    again, same = parse_run(tmp_path / "run.yaml")
    assert same == text
    assert (again.task, again.data, again.tokenizer, again.model) == (run.task, run.data, run.tokenizer, run.model)


def test_a_null_that_is_no_default_is_part_of_the_run(tmp_path):
    _, text = parse_run(["--data.test_split", "null", "--training.save_total_limit", "null"])
    (tmp_path / "run.yaml").write_text(text)
    run, _ = parse_run(tmp_path / "run.yaml")
    assert run.data.test_split is None
    assert run.training.save_total_limit is None


def test_the_command_line_overrides_the_file():
    run, text = parse_run(
        ["--config", str(CONFIGS / "quickstart.yaml"), "--model.hidden_size", "7", "--training.seed", "3"]
    )
    assert run.model.hidden_size == 7
    assert run.training.seed == 3
    assert yaml.safe_load(text)["model"]["hidden_size"] == 7


@pytest.mark.parametrize("written", ["{no: 0.3, 01: 1}", {"no": 0.3, "01": 1}])
def test_labels_of_weights_and_thresholds_are_text(written, tmp_path):
    run, text = parse_run(
        ["x.csv", "--training.thresholds", written]
        if isinstance(written, str)
        else {"data": {"path": "x.csv"}, "training": {"thresholds": written}}
    )
    assert run.training.thresholds == {"no": 0.3, "01": 1.0}
    (tmp_path / "run.yaml").write_text(text)
    assert parse_run(tmp_path / "run.yaml")[0].training.thresholds == run.training.thresholds
    assert parse_run({"training": {"class_weights": {1: 5}}})[0].training.class_weights == {"1": 5.0}


def test_what_happens_to_an_older_run_is_no_part_of_a_run():
    _, text = parse_run({"training": {"overwrite": True, "seed": 5}})
    written = yaml.safe_load(text)["training"]
    assert written["seed"] == 5
    assert not {"overwrite", "resume"} & set(written)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": {"hiden_size": 3}}, r"no key 'model.hiden_size': did you mean 'model.hidden_size'"),
        ({"modell": {"hidden_size": 3}}, r"no key 'modell.hidden_size': did you mean 'model.hidden_size'"),
        (["--training.learning_rat", "1"], r"did you mean 'training.learning_rate'"),
        ({"training": {"eval_stratgy": "no"}}, r"did you mean 'training.eval_strategy'"),
        (["--data.pth=x"], r"no key 'data.pth': did you mean 'data.path'"),
        ({"training": {"learning_rate": "fast"}}, r"training.learning_rate"),
        ({"model": {"cell_type": "lstn"}}, r"cell_type='lstn' must be one of lstm, .*write model.cell_type='lstm'"),
        ({"model": {"classifier_dropout": 2}}, r"classifier_dropout=2.* is a probability"),
        ({"model": {"hidden_dropout": 0.3}}, r"no second layer"),
        (["--training.nonsense", "1"], r"no key 'training.nonsense'; the keys are (training\.\w+, )+training\.\w+\.$"),
        ({"training": {"save_strategy": "steps"}}, r"save_strategy is steps where .*write training.load_best_model"),
        ({"training": {"eval_strategy": "no"}}, r"write training.load_best_model_at_end=False"),
        (["--config", "nowhere.yaml"], r"nowhere.yaml"),
    ],
)
def test_what_is_wrong_is_named(arguments, message):
    with pytest.raises(UserError, match=message):
        parse_run(arguments)


@pytest.mark.parametrize("as_option", [False, True])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: [unclosed", r"a.yaml' is not valid YAML \(line 1, column 17: .*\): correct it"),
        ("\xe9".encode("latin-1"), r"a.yaml' is not valid YAML"),
        ("", r"a.yaml' has no sections: name one"),
        ("just words", r"a.yaml' has no sections: name one"),
        ("task: text_classification\nmodel: 3", r"section model of .*a.yaml' is 3: write its keys below it"),
        ("model:\ntraining:\n  seed: 3", r"section model of .*a.yaml' is None: leave it out, or write its keys"),
    ],
)
def test_a_file_that_is_no_run(text, message, as_option, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message):
        parse_run(["--config", str(file)] if as_option else file)


def test_help_has_words_for_every_key():
    """Check that each key has a text from a docstring of hf_rnn or of transformers."""
    help_ = " ".join(run_parser().format_help().split())
    assert "--model.hidden_size HIDDEN_SIZE Width H of the hidden state" in help_
    assert "--training.adversarial ADVERSARIAL Weight of " in help_
    assert "--training.max_grad_norm MAX_GRAD_NORM Maximum gradient norm" in help_
    assert "%%" not in help_
    # The pattern finds keys without a text.
    without = {match[1] for match in re.finditer(r"--([\w.]+) (?:[A-Z_]+|\{[\w,]+\}) \(type: ", help_)}
    assert without == set()


def test_yaml_cannot_make_objects(tmp_path):
    (tmp_path / "a.yaml").write_text("data: !!python/object/apply:os.system ['echo hello > /dev/null']")
    with pytest.raises(UserError):
        parse_run(tmp_path / "a.yaml")
