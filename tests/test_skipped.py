"""Where every test is asked for, one that would be skipped fails, wherever it is skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import skipped
from tests.skipped import ASKED

ROOT = Path(__file__).parents[1]
SKIPS = {
    "module": "import pytest\npytest.importorskip('nowhere', reason='why')\n",
    "mark": "import pytest\npytestmark = pytest.mark.skipif(True, reason='why')\ndef test_it(): ...\n",
    "fixture": "import pytest\n@pytest.fixture\ndef it(): pytest.skip('why')\ndef test_it(it): ...\n",
    "test": "import pytest\ndef test_it(): pytest.skip('why')\n",
}


@pytest.mark.parametrize(("asked", "said"), [("", "4 skipped in"), ("1", "1 failed, 3 errors in")])
def test_a_skipped_test_fails_where_every_one_is_asked_for(tmp_path: Path, asked: str, said: str) -> None:
    for name, text in SKIPS.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.skipped", "-rs", "--continue-on-collection-errors"]
    env = os.environ | {ASKED: asked, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, f"--rootdir={tmp_path}", tmp_path], env=env, capture_output=True, text=True)
    assert done.returncode == bool(asked)
    assert said in done.stdout
    assert done.stdout.count("why") >= 4


def test_the_script_asks_for_every_one_and_this_suite_hears_it(pytestconfig: pytest.Config) -> None:
    heard = pytestconfig.hook.pytest_runtest_makereport.get_hookimpls()
    assert skipped.pytest_runtest_makereport in [each.function for each in heard]
    assert f'{ASKED}="${{{ASKED}-1}}" .venv/bin/python' in (ROOT / "tests" / "run.sh").read_text()
