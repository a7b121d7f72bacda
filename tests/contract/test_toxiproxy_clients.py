"""Clients of other languages drive the embedded proxy unchanged. `make clients` installs them and runs this."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = Path(os.environ.get("NODE_PATH", HERE.parents[1] / ".cache/clients/node_modules"))
NODE = shutil.which("node")

pytestmark = pytest.mark.real


@pytest.mark.skipif(
    NODE is None or not (MODULES / "toxiproxy-node-client").is_dir(), reason="no toxiproxy-node-client: make clients"
)
def test_the_node_client() -> None:
    """Version, create, get, populate, update, disable, reset, remove, and all seven toxics with their effects."""
    server = subprocess.Popen(
        [sys.executable, "-m", "harness.toxiproxy", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = next(word for word in server.stdout.readline().split() if word.startswith("http://"))
        told = subprocess.run(
            [str(NODE), str(HERE / "clients/toxiproxy.cjs"), url],
            env={**os.environ, "NODE_PATH": str(MODULES)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.terminate()
        server.communicate(timeout=10)
    assert (told.returncode, told.stdout, told.stderr) == (0, "25 checks held\n", "")
