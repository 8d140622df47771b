"""ONNX Runtime on the CPU: batch norms folded, activations and sums fused by its own optimiser."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.latency.backends import Runner
from nas.latency.setting import Setting, Subject

ABOUT = "ONNX Runtime, batch norms folded"
PRECISIONS, DEVICES = ("fp32",), ("cpu",)


def version() -> str:
    return f"onnxruntime {_package().__version__}"


def prepare(subject: Subject, setting: Setting, trace: bool = False) -> Runner:
    """A session of the network written by `nas.latency.graph`."""
    return _Session(_package(), subject, setting, trace)


def _package() -> Any:
    try:
        import onnx  # noqa: F401 - what the network is written with
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"timing by ONNX Runtime needs the extra `onnx`: pip install -e '.[onnx]', or take --backend eager, "
            f"but {error.name} is missing"
        ) from None
    return onnxruntime


class _Session:
    def __init__(self, runtime: Any, subject: Subject, setting: Setting, trace: bool) -> None:
        import numpy as np

        from nas.latency.graph import graph
        from search_spaces.folding import folded

        self._parts = len(subject.parts.layers)
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = setting.threads, 1
        options.enable_profiling, options.log_severity_level = trace, 3
        self._scratch = tempfile.TemporaryDirectory() if trace else None
        if self._scratch:
            options.profile_file_prefix = str(Path(self._scratch.name) / "profile")
        model = graph(folded(subject.parts), subject.shape, setting.batch)
        self._session = runtime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        images = np.random.default_rng(0).standard_normal((setting.batch, *subject.shape), dtype=np.float32)
        self._images = {"images": images}

    def __call__(self) -> object:
        return self._session.run(None, self._images)

    def parts_ms(self) -> list[list[float]]:
        assert self._scratch is not None, "only a traced session knows its parts"
        path = Path(self._session.end_profiling())
        events = json.loads(path.read_text(encoding="utf-8"))
        self._scratch.cleanup()
        return _by_part(events, self._parts)


def _by_part(events: list[dict[str, Any]], parts: int) -> list[list[float]]:
    """Durations of a profile's nodes, summed by part and pass.

    A node is named after its layer, so it begins with its part's number; the runtime's own, which reorder
    channels, belong to the part whose node ran before them.
    """
    runs = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e["name"] == "model_run")
    nodes = sorted((e["ts"], e["name"], e["dur"]) for e in events if e["cat"] == "Node")
    found, i = [], 0
    for begin, end in runs:
        total, part = [0.0] * parts, 0
        while i < len(nodes) and nodes[i][0] <= end:
            at, name, microseconds = nodes[i]
            i += 1
            if at < begin:
                continue
            numbered = re.match(r"\d+(?=\.)", name)
            part = int(numbered[0]) if numbered else part
            total[part] += microseconds / 1e3
        found.append(total)
    return found
