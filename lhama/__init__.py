"""Lhama trains the best small Llama-style language model of your own language that your budget buys.

Importing the package sets four environment variables before any library can read them: nothing that Lhama uses may
report to anyone. A user who wants a library's telemetry sets the variable first; an existing value is kept.
"""

import os

__version__ = "0.1.0"

_SILENCE = {
    "DO_NOT_TRACK": "1",
    "DAFT_ANALYTICS_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
for _name, _value in _SILENCE.items():
    os.environ.setdefault(_name, _value)
