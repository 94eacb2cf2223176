# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The models. These files are saved with each model, so they import only each other."""
