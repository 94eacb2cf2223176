# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers of exported models without torch: numpy, onnxruntime and tokenizers alone.

The distribution `hf-rnn-runtime` packages this folder as `hf_rnn_runtime`. It imports nothing else of hf_rnn. Code that
answers with and without torch stands here once, and the rest of hf_rnn imports it.
"""

__version__ = "0.1.0"
