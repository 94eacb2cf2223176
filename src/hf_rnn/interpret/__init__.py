# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Interpretation of models: attributions, reading curves, alignments and the gradient flow."""
