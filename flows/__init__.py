"""Prefect flows over dvc.yaml: run it in parallel, retrain on a schedule.

Whatever imports a flow gets Prefect without telemetry, and with no proxy before this machine.
"""

import os

LOOPBACK = "127.0.0.1"
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
}

for _key, _value in SETTINGS.items():
    os.environ.setdefault(_key, _value)
for _key in ("NO_PROXY", "no_proxy"):
    os.environ[_key] = ",".join(filter(None, [os.environ.get(_key), LOOPBACK, "localhost"]))
