# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Commands of the command line, one file each: `hf-rnn NAME` runs `NAME.py`. A new file here is a new command.

If the name is a keyword of Python, the file has an underscore more: `hf-rnn import` runs `import_.py`.

The docstring of a file is the help of its command. The first line appears in the list of commands; lines that begin
with `hf-rnn` are examples. A file has these functions:

- `parser()` returns a [`~hf_rnn.cli.options.CommandParser`] with the options of the command.
- `run(options)` calls one function of the package and prints its result. The models are registered before.
- `check(options)` is optional. It raises [`~hf_rnn.utils.errors.HfRnnError`] for invalid options, before any model is
  loaded.
- `imports(options)` is optional. It returns a context manager in which the models are registered and `run` is called.
- `shares_work(options)` is optional. It returns True if the processes of a launcher share the work. Other commands run
  in the first process only.
- `after_interrupt(options)` is optional. It returns a sentence that says how to continue an interrupted command.

`options.command_line` is the list of the arguments as they were written.

`hf-rnn --help` imports every file here. Therefore import torch, transformers and other packages of hf_rnn, except
`utils`, inside the functions.
"""
