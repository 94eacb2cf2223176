# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Teachers: models whose answers a student learns from."""
