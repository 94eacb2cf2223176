# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What every package uses: errors, the machine, processes, figures, and what the Hub answers."""
