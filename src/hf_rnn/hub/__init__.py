# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The folder of a model, its card, and both on the Hub."""
