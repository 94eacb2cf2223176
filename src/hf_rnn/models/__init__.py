# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The models. These files are saved with a model and import only each other."""
