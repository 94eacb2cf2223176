# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The command line: parses, calls one function of the workshop, prints, exits."""

import logging
import os
import re
import sys
from contextlib import suppress
from shlex import quote
from typing import Any

from .options import (
    DATA_OPTIONS,
    add_data_options,
    add_file_options,
    command_parser,
    data_of,
    given_columns,
    new_file,
    output_files,
    parse,
    set_beams,
    write_outputs,
)

USAGE = """usage: hf-rnn COMMAND [...]

  hf-rnn train --config FILE.yaml [--training.learning_rate 1e-3 ...]   train a model from a YAML file
  hf-rnn evaluate MODEL [--data PATH] [--split NAME]                    metrics on a labelled data set
  hf-rnn predict MODEL "some text" ...                                  answers for texts
  hf-rnn predict MODEL --file in.csv --output out.jsonl                 answers for a file
  hf-rnn explain MODEL "some text" [--output page.html]                 which words an answer comes from
  hf-rnn explain MODEL "some text" --how_it_read                        the answer after each word
  hf-rnn explain MODEL "some text" --output alignment.png               where a translator looked
  hf-rnn diagnose MODEL [--data PATH] [--output flow.png]               how far back through time the gradient goes
  hf-rnn demo MODEL [--space USER/NAME]                                  a page that answers and explains
  hf-rnn write MODEL "some text" [--max_new_tokens 50]                   what a language model goes on with
  hf-rnn average MODEL MODEL ... --output FOLDER                        the mean of several models' weights
  hf-rnn push MODEL USER/NAME [--private] [--revision BRANCH]           a trained model to the Hub, as one commit

hf-rnn COMMAND --help lists all options."""


def _train(arguments: list[str]) -> None:
    from ..hub.folder import METRICS_FILE
    from ..training.run import Run
    from ..training.run_config import parse_run

    if not arguments:
        arguments = ["--help"]
    run = Run(*parse_run(arguments))
    results = run.train()
    if run.args.should_log:
        for split in ("validation", "test"):
            if split in results:
                print(f"{split:<11}{_line(results[split])}")
        facts, folder = results["run"], quote(str(run.folder))
        done = f"{run.args.max_steps:,} steps" if run.config.data.streaming else f"{facts['epochs']:g} epochs"
        print(
            f"{facts['parameters']:,} parameters, {done} in {facts['train_seconds']:.0f} s. "
            f"The model is in {run.folder}, its figures in {run.folder / METRICS_FILE}.\n"
            + (
                f'Let it write: hf-rnn write {folder} "some text"'
                if run.config.task == "language_modeling"
                else f'Ask it: hf-rnn predict {folder} "some text"'
            )
        )


def _line(metrics: dict[str, float]) -> str:
    return " · ".join(f"{name} {value:.4f}" for name, value in metrics.items() if "/" not in name and name != "rows")


def _evaluate(arguments: list[str]) -> None:
    import json

    parser = command_parser("evaluate", "Metrics of a trained model on a labelled data set.")
    parser.add_argument("model", type=str, help="folder or Hub id")
    parser.add_argument("--data", type=str, help="a file, folder or Hub data set; that of the training run if left out")
    parser.add_argument("--split", type=str, help="split to evaluate on; the test split if left out")
    add_data_options(parser, labels=True)
    parser.add_argument("--output", type=str, help="JSON file for all metrics")
    options = parse(parser, arguments)
    from ..inference.predictor import Predictor, evaluate

    output = new_file(options.output)
    predictor = Predictor.from_pretrained(options.model, others=options.others, revision=options.revision)
    set_beams(predictor, options)
    # Of the training run's own data, what nobody names is not to be rows that were trained on.
    split = options.split or (predictor.task.data.test_split if options.data is None else None)
    results = evaluate(predictor, data_of(predictor, options), split, options.batch_tokens, given_columns(options))
    print(f"{results['rows']} rows: {_line(results)}")
    for name, value in results.items():
        if "/" in name:
            print(f"  {name:<30}{value if isinstance(value, str) else f'{value:.4f}'}")
    if output:
        output.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _predict(arguments: list[str]) -> None:
    parser = command_parser("predict", "Answers of a trained model for texts or a file.")
    parser.add_argument("model", type=str, help="folder or Hub id")
    parser.add_argument("texts", nargs="*", type=str, help="texts")
    parser.add_argument(
        "--file",
        type=str,
        help="file instead of texts: CSV, TSV, JSON, JSON Lines, Parquet, Excel, CoNLL or text; or .gz, .zst",
    )
    parser.add_argument("--output", type=str, help="JSON Lines file for the answers to --file")
    parser.add_argument("--overwrite", action="store_true", help="replace --output where it exists, or parts of it")
    parser.add_argument(
        "--top_k",
        type=int,
        default=1,
        help="labels per text, 0 for all; of several labels those over one half, or with 0 all",
    )
    parser.add_argument(
        "--part_rows", type=int, default=16384, help="rows of --file that are answered and kept at a time, if it is cut"
    )
    add_data_options(parser)
    options = parse(parser, arguments)
    from ..utils.errors import UserError

    if options.part_rows < 1:
        raise UserError(f"--part_rows {options.part_rows} must be 1 or greater.")
    if bool(options.texts) == bool(options.file):
        raise UserError('write either texts, hf-rnn predict MODEL "some text", or --file in.csv --output out.jsonl.')
    if bool(options.file) != bool(options.output):
        raise UserError("--file and --output go together: --file in.csv --output out.jsonl.")
    if options.top_k < 0:
        raise UserError(f"--top_k {options.top_k} must be 0 (all labels) or greater.")
    from ..inference.bulk import predict_file
    from ..inference.predictor import Predictor

    output = new_file(options.output, options.overwrite)
    predictor = Predictor.from_pretrained(options.model, others=options.others, revision=options.revision)
    set_beams(predictor, options)
    top_k = options.top_k or None
    if output:
        options.data = options.file
        data = data_of(predictor, options)
        given, again = given_columns(options), options.overwrite
        rows = predict_file(predictor, data, output, options.batch_tokens, top_k, given, again, options.part_rows)
        if _is_first():
            print(f"{rows} answers written to {output}")
        return
    from datasets import disable_progress_bars

    disable_progress_bars()
    options.data = None
    predictor.task = predictor.task.with_data(data_of(predictor, options))
    for text, answer in zip(
        options.texts, predictor(options.texts, top_k=top_k, batch_tokens=options.batch_tokens), strict=True
    ):
        shown = text if len(text) <= 60 else text[:59] + "…"
        print(f"{predictor.task.shown(answer)}\t{shown}")


def _explain(arguments: list[str]) -> None:
    from ..utils.errors import UserError

    parser = command_parser("explain", "How much each word of a text speaks for an answer, or how that came about.")
    parser.add_argument("model", type=str, help="folder or Hub id")
    parser.add_argument("texts", nargs="+", type=str, help="texts")
    parser.add_argument(
        "--target", type=str, help="label to explain, or translation to align; the model's own if left out"
    )
    parser.add_argument(
        "--method",
        type=str,
        help="integrated_gradients (if left out), input_x_gradient, occlusion, sentence_occlusion or attention",
    )
    parser.add_argument("--how_it_read", action="store_true", help="the answer after each word instead")
    parser.add_argument(
        "--output", type=str, action="append", default=[], help="file to write: .html, .png or .json; may be repeated"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace --output where it exists")
    parser.add_argument("--max_length", type=int, help="tokens kept of a text; as in training if left out, 0 for all")
    parser.add_argument("--revision", type=str, help="branch, tag or commit of a model on the Hub")
    options = parse(parser, arguments)
    if options.output and len(options.texts) > 1:
        raise UserError(f"--output holds one text, and {len(options.texts)} were given: explain them one by one.")
    if options.how_it_read and (options.method or options.target):
        raise UserError("--how_it_read tells of all labels, and by no method: leave --method and --target out.")
    from ..inference.predictor import Predictor
    from ..interpret.alignment import align
    from ..interpret.attribution import DEFAULT, explain, explainable
    from ..interpret.reading_curve import how_it_read
    from ..interpret.views import NAMED, save, strongest, title
    from ..text.tokenization import token_ids

    predictor = Predictor.from_pretrained(options.model, revision=options.revision)
    writes = predictor.task.problem_type == "translation"
    outputs = output_files(options, pages=not (options.how_it_read or writes))
    if writes:
        if options.how_it_read or options.method:
            raise UserError("of a model that writes it is shown where it looks: leave --method and --how_it_read out.")
        for text in options.texts:
            alignment = align(predictor, text, options.target)
            print(" ".join(alignment.target), *alignment.lines(), sep="\n")
            write_outputs(outputs, save, alignment)
        return
    options.data = None
    predictor.task = predictor.task.with_data(data_of(predictor, options))
    model, tokenizer, cut = explainable(predictor)
    for text in options.texts:
        ids = token_ids(tokenizer, [text])
        if len(cut(ids)[0]) < len(ids[0]):
            read = f"of {len(ids[0]):,} tokens, {len(cut(ids)[0]):,} are read"
            logging.getLogger(__name__).info(f"{read}, as in training (--max_length 0 for all).")
        if options.how_it_read:
            told: Any = how_it_read(model, tokenizer, text, cut=cut)
            print("\n".join(told.lines()))
        else:
            told = explain(model, tokenizer, text, options.target, options.method or DEFAULT, cut=cut)
            coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
            print(title(told), *([told.to_ansi()] if coloured else []), *strongest(told, NAMED), sep="\n")
        write_outputs(outputs, save, told)


def _diagnose(arguments: list[str]) -> None:
    parser = command_parser("diagnose", "How far back through time the gradient goes, and what gates and units do.")
    parser.add_argument("model", type=str, help="folder or Hub id")
    parser.add_argument("--data", type=str, help="a file, folder or Hub data set; that of the training run if left out")
    parser.add_argument("--split", type=str, help="split to read; that of the test, if it has one, if left out")
    parser.add_argument("--rows", type=int, default=32, help="texts that are read")
    parser.add_argument("--steps", type=int, default=200, help="tokens that are gone back")
    parser.add_argument("--output", type=str, action="append", default=[], help=".png or .json file; may be repeated")
    parser.add_argument("--overwrite", action="store_true", help="replace --output where it exists")
    add_file_options(parser, labels=True)
    parser.add_argument("--max_length", type=int, help="tokens kept of a text; as in training if left out, 0 for all")
    parser.add_argument("--revision", type=str, help="branch, tag or commit of a model on the Hub")
    options = parse(parser, arguments)
    from ..inference.predictor import Predictor
    from ..interpret.diagnosis import diagnose
    from ..interpret.gradient_flow import verdict
    from ..interpret.gradient_flow_views import save_flow
    from ..utils.errors import UserError

    for name in ("rows", "steps"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} {getattr(options, name)} must be 1 or greater.")
    outputs = output_files(options, pages=False)
    predictor = Predictor.from_pretrained(options.model, revision=options.revision)
    data, given = data_of(predictor, options), given_columns(options)
    flow = diagnose(predictor, data, options.split, options.rows, options.steps, given)
    print(*verdict(flow), sep="\n")
    write_outputs(outputs, save_flow, flow)


def _demo(arguments: list[str]) -> None:
    parser = command_parser("demo", "A page on which a classifier answers, shows its reasons and labels files.")
    parser.add_argument("model", type=str, help="folder or Hub id")
    parser.add_argument("--host", type=str, default="127.0.0.1", help="0.0.0.0 to be seen from other machines")
    parser.add_argument("--port", type=int, help="a free one from 7860 on if left out")
    parser.add_argument("--space", type=str, help="USER/NAME: push the page as a Hugging Face Space instead")
    parser.add_argument("--output", type=str, help="with --space: a new folder to write it to, and nothing is pushed")
    parser.add_argument("--private", action="store_true", help="of a Space that is made: only you see it")
    parser.add_argument("--revision", type=str, help="branch, tag or commit of a model on the Hub")
    options = parse(parser, arguments)
    from ..utils.errors import UserError

    for name in ("output", "private"):
        if getattr(options, name) and not options.space:
            raise UserError(f"--{name} is of a Space: write --space USER/NAME too.")
    if options.space and options.output:
        from ..app.space import write_space

        folder = write_space(options.model, options.output, options.space, options.revision)
        print(f"the Space is in {folder}")
    elif options.space:
        from ..app.space import push_space

        print(push_space(options.model, options.space, options.private or None, revision=options.revision))
    else:
        from ..app.demo import demo

        if options.port is not None and not 0 < options.port < 65536:
            raise UserError(f"--port {options.port} must be from 1 to 65535.")
        demo(options.model, options.host, options.port, options.revision)


def _write(arguments: list[str]) -> None:
    parser = command_parser("write", "Lets a language model go on with texts.")
    parser.add_argument("model", type=str, help="folder or Hub id")
    parser.add_argument("texts", nargs="*", type=str, help="texts; none for the beginning of a document")
    parser.add_argument("--max_new_tokens", type=int, default=50, help="tokens written at most")
    parser.add_argument("--temperature", type=float, default=1.0, help="0 for the likeliest token each time")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--revision", type=str, help="branch, tag or commit of a model on the Hub")
    options = parse(parser, arguments)
    from transformers import set_seed

    from ..inference.predictor import Predictor, write
    from ..utils.errors import UserError

    if options.seed < 0:
        raise UserError(f"--seed {options.seed} must be 0 or greater.")

    predictor = Predictor.from_pretrained(options.model, revision=options.revision)
    for text in options.texts or [""]:
        set_seed(options.seed)
        print(write(predictor, text, options.max_new_tokens, options.temperature))


def _average(arguments: list[str]) -> None:
    parser = command_parser("average", "Saves the mean of the weights of several models that began alike.")
    parser.add_argument("models", nargs="+", type=str, help="folders or Hub ids")
    parser.add_argument("--output", type=str, required=True, help="a new folder")
    options = parse(parser, arguments)
    from ..inference.model_soup import average

    print(f"the mean of {len(options.models)} models is in {average(options.models, options.output)}")


def _push(arguments: list[str]) -> None:
    parser = command_parser("push", "Pushes a trained model to the Hub as one commit, with its card.")
    parser.add_argument("model", type=str, help="folder of a trained model")
    parser.add_argument("repo_id", type=str, help="USER/NAME; made if it is not there")
    parser.add_argument("--private", action="store_true", help="of a repository that is made: only you see it")
    parser.add_argument("--revision", type=str, help="branch, made if it is not there; main if left out")
    parser.add_argument("--commit_message", type=str, help="what the history says; Upload model if left out")
    parser.add_argument(
        "--overwrite_card",
        action="store_true",
        help="the Hub's README.md, with what was written there, gives way to the folder's",
    )
    options = parse(parser, arguments)
    from ..hub.push import push

    pushed = push(
        options.model,
        options.repo_id,
        private=options.private or None,
        revision=options.revision,
        commit_message=options.commit_message,
        overwrite_card=options.overwrite_card,
    )
    print(pushed.commit_url)


def _is_first() -> bool:
    """Whether this is the first of the processes of a launcher, or the only one."""
    return os.environ.get("RANK", "0") == "0"


COMMANDS = {
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "explain": _explain,
    "diagnose": _diagnose,
    "demo": _demo,
    "write": _write,
    "average": _average,
    "push": _push,
}


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Returns:
        0; 1 if something failed, which is said in one message; 2 for a wrong command line; 130 if interrupted.
        A training that SIGTERM stopped ends the process with 143.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            # A terminal or a file of few characters is no reason to die.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"hf-rnn {version('hf-rnn')}")
        return 0
    from ..utils.errors import nearest

    if arguments[0] not in COMMANDS:
        near = nearest(arguments[0], COMMANDS)
        hint = f": did you mean {near}?" if near else f"; the commands are {', '.join(COMMANDS)}."
        print(f"hf-rnn: there is no command {arguments[0]!r}{hint}", file=sys.stderr)
        return 2
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("hf_rnn").setLevel(logging.INFO if _is_first() else logging.ERROR)
    try:
        COMMANDS[arguments[0]](arguments[1:])
        if int(os.environ.get("WORLD_SIZE") or 1) > 1:
            from ..utils.processes import leave_processes

            leave_processes()
    except KeyboardInterrupt as interrupt:
        # What a training says that saved a checkpoint first is enough.
        if not interrupt.args:
            hint = " --training.resume true goes on from the last checkpoint." if arguments[0] == "train" else ""
            if "--file" in arguments:
                hint = " The same command goes on after the parts that it has written."
            print(f"hf-rnn: interrupted.{hint}", file=sys.stderr)
        return 130
    except Exception as error:
        if os.environ.get("HF_RNN_TRACEBACK"):
            raise
        from ..utils.errors import UserError

        expected = isinstance(error, UserError)
        message = str(error) if expected else f"{type(error).__name__}: {error} (HF_RNN_TRACEBACK=1 shows where)"
        if arguments[0] in ("evaluate", "predict", "explain", "diagnose"):
            # Their options stand in no sections.
            message = re.sub(rf"--data\.({'|'.join(DATA_OPTIONS)})\b", r"--\1", message)
        print(f"hf-rnn {arguments[0]}: {message}", file=sys.stderr)
        return 1
    return 0


def entry() -> None:
    sys.exit(main())


if __name__ == "__main__":
    entry()
