"""LocalStack's process: ``python -m infra.conformance.plugin.main``."""

import runpy
import warnings

from typing_extensions import deprecated

if __name__ == "__main__":
    # LocalStack's SNS imports it from here, where only Python 3.13 and newer have it.
    vars(warnings).setdefault("deprecated", deprecated)
    runpy.run_module("localstack.runtime.main", run_name="__main__", alter_sys=True)
