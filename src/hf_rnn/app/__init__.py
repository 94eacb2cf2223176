# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Demo page of a text classifier, on this machine or as a Hugging Face Space."""
