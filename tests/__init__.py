"""Tests, in the shape of the packages that they are about."""

import inspector  # noqa: F401 - before any test imports ONNX Runtime: it switches its telemetry off
